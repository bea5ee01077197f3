//! Whatever is refused, and whoever refuses it: `{"message"}` on Alloy's paths, a problem on the native ones.

use serde_json::Value;

use crate::edge::Edge;

#[tokio::test]
async fn every_refusal_is_json_and_says_why() {
    let edge = Edge::start().await;
    edge.user("ada").await;
    for (method, path, status, named) in [
        ("GET", "/2024-03/logs?skip=few", 400, "skip"),
        ("GET", "/2024-03/workflows/000000000000000000000000/logs?page=one", 400, "page"),
        ("GET", "/2024-03/users/%FF", 400, "UTF-8"),
        ("PATCH", "/2024-03/users/ada", 405, "method"),
        ("GET", "/2024-03/nothing", 404, "/2024-03/nothing"),
        ("GET", "/2021-12/users", 404, "/2021-12/users"),
        ("GET", "/2024-03/users/eve", 404, "eve"),
        ("GET", "/v1/runs?limit=many", 400, "limit"),
        ("GET", "/v1/runs?colour=red", 400, "colour"),
        ("GET", "/v1/nothing", 404, "/v1/nothing"),
    ] {
        let answer = edge.call(method, path, Value::Null).await;
        let kind = answer.headers["content-type"].to_str().unwrap();
        let expected = if path.starts_with("/v1") { "application/problem+json" } else { "application/json" };
        assert_eq!((answer.status, kind), (status, expected), "{method} {path}: {answer:?}");
        assert!(answer.message().contains(named), "{method} {path}: {answer:?}");
    }
}
