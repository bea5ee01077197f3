//! How many calls of one API key are taken, and what each answer says of it.

use std::time::Duration;

use serde_json::{Value, json};
use trunnion::{config::Config, throttle::RateLimitConfig};

use crate::edge::{Answer, Edge};

fn told(answer: &Answer) -> (&str, &str) {
    let text = |name: &str| answer.headers[name].to_str().unwrap();
    (text("ratelimit"), text("ratelimit-policy"))
}

#[tokio::test]
async fn a_key_that_calls_too_much_waits_and_nobody_else() {
    let rate_limit = RateLimitConfig { requests_per_minute: 3, events_per_minute: 1 };
    let edge = Edge::start_with(&Config { rate_limit, ..Config::default() }).await;
    let first = edge.call("GET", "/2024-03/users", Value::Null).await;
    assert_eq!((first.status, told(&first)), (200, (r#""requests";r=2;t=20"#, r#""requests";q=3;w=60"#)));
    let unknown = edge.call("GET", "/v1/nothing", Value::Null).await;
    assert_eq!((unknown.status, told(&unknown).0), (404, r#""requests";r=1;t=40"#), "both surfaces draw");
    edge.call("GET", "/users", Value::Null).await.ok();

    for (path, kind) in [("/2024-03/users", "application/json"), ("/v1/runs", "application/problem+json")] {
        let refused = edge.call("GET", path, Value::Null).await;
        assert_eq!((refused.status, &refused.headers["content-type"]), (429, &kind.parse().unwrap()));
        assert_eq!(refused.headers["retry-after"], "20", "{refused:?}");
        assert_eq!(told(&refused).0, r#""requests";r=0;t=60"#);
        assert!(refused.message().contains("`rate_limit.requests_per_minute`"), "{refused:?}");
    }
    edge.as_key(&edge.production, "GET", "/v1/runs", &[], Value::Null).await.ok();

    // Events have a bucket of their own.
    let body = json!({ "event": "No Such", "userId": "ada", "data": {} });
    let event = edge.call("POST", "/2024-03/run/event", body.clone()).await;
    assert_eq!((event.status, told(&event)), (404, (r#""events";r=0;t=60"#, r#""events";q=1;w=60"#)));
    let event = edge.call("POST", "/run/event", body).await;
    assert_eq!(event.status, 429, "{event:?}");
    assert!(event.message().contains("1 events a minute"), "{event:?}");

    edge.clock.advance(Duration::from_secs(20));
    edge.call("GET", "/v1/runs", Value::Null).await.ok();
    assert_eq!(edge.call("GET", "/v1/runs", Value::Null).await.status, 429);
}

#[tokio::test]
async fn who_has_no_key_is_told_that_first() {
    let rate_limit = RateLimitConfig { requests_per_minute: 1, events_per_minute: 0 };
    let edge = Edge::start_with(&Config { rate_limit, ..Config::default() }).await;
    for _ in 0..3 {
        let answer = edge.as_key("trn_dev_none", "GET", "/v1/runs", &[], Value::Null).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(answer.headers.get("ratelimit").is_none());
    }
    edge.call("GET", "/v1/runs", Value::Null).await.ok();
}
