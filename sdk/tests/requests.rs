//! What requests look like when they leave, and what a connector may know of secrets and chance.

use std::time::Duration;

use trunnion_sdk::{
    http::{Auth, Redirects},
    prelude::*,
    test::{Answer, FakeHost},
};

const URL: &str = "https://api.acme.com/tasks";

#[test]
fn data_from_outside_can_never_name_a_secret() {
    let host = FakeHost::new();
    let ctx = host.context();
    let note = json!({"note": "{{secret:api_key}}"});
    let request = ctx.http().post(URL).json(&note).unwrap();
    let body = String::from_utf8(request.as_request().body.clone().unwrap()).unwrap();
    assert!(!body.contains("{{secret:"), "{body}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), note, "the vendor reads the same text");

    let query = ctx.http().get(URL).query("note", "{{secret:api_key}}");
    assert!(!query.as_request().url.contains("{{secret:"));
    let form = ctx.http().post(URL).form(&[("note", "{{secret:api_key}}")]);
    assert!(!String::from_utf8(form.as_request().body.clone().unwrap()).unwrap().contains("{{secret:"));
}

#[test]
fn references_survive_where_they_are_meant() {
    let host = FakeHost::new();
    let ctx = host.context();
    let body = json!({"token": secret("subscription")});
    let request = ctx.http().post(URL).json_with_secrets(&body).unwrap();
    assert_eq!(
        request.as_request().body.as_deref(),
        Some(br#"{"token":"{{secret:subscription}}"}"#.as_slice())
    );
}

#[test]
fn a_request_says_what_was_asked_for() {
    let host = FakeHost::new();
    let ctx = host.context();
    let request = ctx
        .http()
        .get(format!("{URL}?a=1"))
        .auth_app()
        .query("b c", "d&e")
        .header("Accept", "text/plain")
        .timeout(Duration::from_secs(5))
        .manual_redirects();
    let request = request.as_request();
    assert_eq!(request.url, "https://api.acme.com/tasks?a=1&b%20c=d%26e");
    assert_eq!(request.auth, Auth::App);
    assert_eq!(request.timeout_ms, Some(5000));
    assert_eq!(request.redirects, Redirects::Manual);
    assert_eq!(request.headers, [("Accept".to_owned(), "text/plain".to_owned())]);
    assert_eq!(request.body, None);
}

#[test]
fn send_all_answers_in_order_each_as_send_would() {
    let host = FakeHost::new();
    host.http().on("GET", &format!("{URL}/1"), |_| Answer::json(200, &json!(1)));
    host.http().on("GET", &format!("{URL}/2"), |_| Answer::empty(404));
    host.http().on("GET", &format!("{URL}/3"), |_| Answer::json(200, &json!(3)));
    let ctx = host.context();
    let requests = (1..=3).map(|id| ctx.http().get(format!("{URL}/{id}"))).collect();
    let answers = ctx.http().send_all(requests);
    assert_eq!(answers[0].as_ref().unwrap().json::<u64>().unwrap(), 1);
    assert!(matches!(answers[1], Err(Error::NotFound(_))));
    assert_eq!(answers[2].as_ref().unwrap().json::<u64>().unwrap(), 3);
}

#[test]
fn send_raw_leaves_the_judgement_to_the_caller() {
    let host = FakeHost::new();
    host.http().on("GET", URL, |_| Answer::text(404, "nothing"));
    let answer = host.context().http().get(URL).send_raw().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (404, "nothing"));
}

#[test]
fn a_repeatable_post_is_unavailable_not_uncertain() {
    let host = FakeHost::new();
    host.http().on("POST", URL, |_| Answer::empty(500));
    let ctx = host.context();
    assert!(matches!(ctx.http().post(URL).send(), Err(Error::Uncertain(_))));
    assert!(matches!(ctx.http().post(URL).repeatable().send(), Err(Error::Unavailable(_))));
}

#[test]
fn errors_name_the_request_without_its_query() {
    let host = FakeHost::new();
    host.http().on("GET", URL, |_| Answer::empty(500));
    let error = host.context().http().get(URL).query("email", "ada@example.com").send().unwrap_err();
    assert!(error.to_string().contains("GET https://api.acme.com/tasks answered 500"), "{error}");
    assert!(!error.to_string().contains("ada"), "{error}");
}

#[test]
fn a_request_without_a_route_is_denied_by_name() {
    let error = FakeHost::new().context().http().get(URL).send().unwrap_err();
    assert!(error.to_string().contains("no route for `GET https://api.acme.com/tasks`"), "{error}");
}

#[test]
fn uuids_are_version_4_and_differ() {
    let ctx = FakeHost::new().context();
    let (one, other) = (ctx.uuid(), ctx.uuid());
    assert_ne!(one, other);
    assert_eq!(one, "01020304-0506-4708-890a-0b0c0d0e0f10");
}

#[test]
fn time_moves_only_when_the_test_moves_it() {
    let host = FakeHost::new();
    let before = host.context().now_ms();
    host.advance(Duration::from_secs(90));
    assert_eq!(host.context().now_ms(), before + 90_000);
}
