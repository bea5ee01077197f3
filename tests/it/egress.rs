//! Outbound calls are denied until named: another host, a metadata address, a redirect to either.

use serde_json::json;

use crate::hostile::{Hostile, error_of};

#[tokio::test]
async fn calls_that_leave_the_manifest_are_refused_with_the_remedy() {
    let hostile = Hostile::start("egress-key-0123456789").await;
    let sample = json!({ "url": "https://api.hostile.example/" });
    let workflow = hostile.workflow("fetch", &json!({ "url": "{{ trigger.url }}" }), &sample).await;

    let run = hostile.run(&workflow, "fetch", &sample, 0).await;
    assert_eq!(run.status(), "succeeded", "the host that the manifest names is reached: {}", run.text());
    assert_eq!(hostile.mirror.requests().len(), 1);

    let metadata = "http%3A%2F%2F169.254.169.254%2Flatest%2Fmeta-data%2F";
    let redirect = |to: &str| format!("https://api.hostile.example/redirect?to={to}");
    let outside = [
        ("https://api.elsewhere.example/steal".to_owned(), "api.elsewhere.example", "`hosts`"),
        (
            "https://api.hostile.example.elsewhere.example/".to_owned(),
            "api.hostile.example.elsewhere.example",
            "`hosts`",
        ),
        ("https://localhost/".to_owned(), "localhost", "`hosts`"),
        ("https://169.254.169.254/latest/meta-data/".to_owned(), "169.254.169.254", "name the vendor's host"),
        (redirect("https%3A%2F%2Fapi.elsewhere.example%2F"), "api.elsewhere.example", "`hosts`"),
        (redirect("https%3A%2F%2F127.0.0.1%2F"), "127.0.0.1", "name the vendor's host"),
        (redirect(metadata), "169.254.169.254", "https"),
    ];
    for (number, (url, host, remedy)) in outside.iter().enumerate() {
        let run = hostile.run(&workflow, "fetch", &json!({ "url": url }), number + 1).await;
        assert_eq!(run.status(), "failed", "{url}: {}", run.text());
        let error = error_of(&run);
        assert_eq!(error["kind"], "denied", "{url}: {error}");
        let log = run.0["log"].to_string();
        for part in [host, "hostile@", remedy] {
            assert!(log.contains(part), "{url}: the run's log does not name `{part}`: {log}");
        }
        let steps = run.0["steps"][0]["attempts"].as_u64();
        assert_eq!(steps, Some(1), "{url}: a refusal is not tried again");
    }
    let reached: Vec<_> =
        hostile.mirror.requests().iter().map(|request| request.uri.path().to_owned()).collect();
    assert_eq!(reached, ["/", "/redirect", "/redirect", "/redirect"], "nothing else was reached");
}

#[tokio::test]
async fn plain_http_and_credentials_in_the_address_are_refused() {
    let hostile = Hostile::start("egress-key-0123456789").await;
    let sample = json!({ "url": "https://api.hostile.example/" });
    let workflow = hostile.workflow("fetch", &json!({ "url": "{{ trigger.url }}" }), &sample).await;
    let refused = [
        "http://api.hostile.example/",
        "http://169.254.169.254/latest/meta-data/",
        "https://user:password@api.hostile.example/",
        "https://api.hostile.example@elsewhere.example/",
        "https://api.hostile.example:8443/",
        "ftp://api.hostile.example/",
        "file:///etc/passwd",
    ];
    for (number, url) in refused.iter().enumerate() {
        let run = hostile.run(&workflow, "fetch", &json!({ "url": url }), number).await;
        assert_eq!(run.status(), "failed", "{url}: {}", run.text());
        assert_eq!(error_of(&run)["kind"], "denied", "{url}: {}", run.text());
    }
    assert!(hostile.mirror.requests().is_empty(), "{:?}", hostile.mirror.requests());
}
