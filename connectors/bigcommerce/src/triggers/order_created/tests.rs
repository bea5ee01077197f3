//! Every path of the trigger, against a fake vendor.

use trunnion_sdk::{
    http::SendError,
    test::{Answer, FakeHost},
};

use super::*;
use crate::{
    api::testing::{STORE, host},
    connector,
};

const URL: &str = "https://hooks.acme.example/hooks/5f0c";

fn target() -> Target {
    Target { url: URL.into(), options: json!({}) }
}

fn hooks_url() -> String {
    format!("{STORE}/v3/hooks")
}

fn hook(id: u64, scope: &str, active: bool) -> Value {
    json!({"data": {"id": id, "scope": scope, "destination": URL, "is_active": active}, "meta": {}})
}

fn two_hooks() -> String {
    json!({"hooks": [{"id": 1, "scope": CREATED}, {"id": 2, "scope": STATUS_UPDATED}]}).to_string()
}

fn subscribe(host: &FakeHost) -> Result<String> {
    connector().subscribe(&host.calling("order_created"), &target())
}

fn check(host: &FakeHost) -> Result<Health<String>> {
    connector().check_subscription(&host.calling("order_created"), &target(), &two_hooks())
}

fn parse(host: &FakeHost, body: &Value) -> Result<Vec<Occurrence<String>>> {
    let delivery = Delivery {
        method: "POST".into(),
        url: URL.into(),
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.to_string().into_bytes(),
    };
    connector().parse(&host.calling("order_created"), &delivery)
}

fn created(id: u64) -> Value {
    json!({"scope": CREATED, "store_id": "1025646", "data": {"type": "order", "id": id},
           "hash": "0a1b", "created_at": 1_767_691_800, "producer": "stores/abc123"})
}

fn status_updated(id: u64, previous: u64, new: u64) -> Value {
    json!({"scope": STATUS_UPDATED, "store_id": "1025646",
           "data": {"type": "order", "id": id, "status": {"previous_status_id": previous, "new_status_id": new}},
           "hash": "2c3d", "created_at": 1_767_691_801, "producer": "stores/abc123"})
}

fn with_order(status_id: u64) -> FakeHost {
    let host = host();
    host.http().on("GET", &format!("{STORE}/v2/orders/250"), move |_| {
        let date = "Tue, 06 Jan 2026 09:30:00 +0000";
        Answer::json(
            200,
            &json!({"id": 250, "status_id": status_id, "date_created": date, "total_inc_tax": "41.9000"}),
        )
    });
    host
}

#[test]
fn subscribing_registers_both_hooks_with_the_secret_by_reference() {
    let host = host();
    host.http().once("POST", &hooks_url(), Answer::json(200, &hook(1, CREATED, true)));
    host.http().once("POST", &hooks_url(), Answer::json(200, &hook(2, STATUS_UPDATED, true)));
    assert_eq!(subscribe(&host).unwrap(), two_hooks());
    let seen = host.http().requests();
    assert_eq!(seen.len(), 2);
    for (request, scope) in seen.iter().zip([CREATED, STATUS_UPDATED]) {
        let expected = json!({"scope": scope, "destination": URL, "is_active": true,
                              "headers": {"X-Trunnion-Secret": "{{secret:subscription}}"}});
        assert_eq!(request.json(), expected);
        assert!(request.text().contains("{{secret:subscription}}"), "the host has to see the reference");
    }
}

#[test]
fn a_hook_that_exists_is_taken_over_with_the_new_secret() {
    for refusal in [Answer::empty(409), Answer::json(422, &json!({"status": 422, "title": "exists"}))] {
        let host = host();
        host.http().once("POST", &hooks_url(), refusal);
        let other =
            json!({"id": 6, "scope": CREATED, "destination": "https://hooks.acme.example/hooks/other"});
        let ours = json!({"id": 7, "scope": CREATED, "destination": URL, "is_active": false});
        host.http().on("GET", &hooks_url(), move |_| Answer::json(200, &json!({"data": [other, ours]})));
        host.http().on("PUT", &format!("{STORE}/v3/hooks/7"), |_| Answer::json(200, &hook(7, CREATED, true)));
        host.http().on("POST", &hooks_url(), |_| Answer::json(200, &hook(8, STATUS_UPDATED, true)));
        let state: Value = serde_json::from_str(&subscribe(&host).unwrap()).unwrap();
        assert_eq!(state["hooks"][0]["id"], 7);
        let seen = host.http().requests();
        assert!(seen[1].query().contains("scope=store%2Forder%2Fcreated"), "{}", seen[1].query());
        assert_eq!(seen[2].json()["is_active"], true);
        assert_eq!(seen[2].json()["headers"]["X-Trunnion-Secret"], "{{secret:subscription}}");
    }
}

#[test]
fn a_refusal_for_another_reason_is_the_vendors_own() {
    let host = host();
    host.http().on("POST", &hooks_url(), |_| {
        Answer::json(
            422,
            &json!({"status": 422, "title": "invalid", "errors": {"destination": "must be https"}}),
        )
    });
    host.http().on("GET", &hooks_url(), |_| Answer::json(200, &json!({"data": []})));
    let error = subscribe(&host).unwrap_err();
    assert!(
        matches!(&error, Error::Rejected { status: 422, message } if message.contains("must be https")),
        "{error}"
    );
}

#[test]
fn half_a_subscription_is_taken_back() {
    let host = host();
    host.http().once("POST", &hooks_url(), Answer::json(200, &hook(1, CREATED, true)));
    host.http().once("POST", &hooks_url(), Answer::empty(401));
    host.http().on("DELETE", &format!("{STORE}/v3/hooks/1"), |_| Answer::empty(204));
    assert!(matches!(subscribe(&host), Err(Error::AuthExpired(_))));
    assert_eq!(host.http().requests().last().unwrap().0.method, "DELETE");
    assert!(host.logs().is_empty());
}

#[test]
fn a_hook_that_cannot_be_taken_back_is_in_the_log() {
    let host = host();
    host.http().once("POST", &hooks_url(), Answer::json(200, &hook(1, CREATED, true)));
    host.http().once("POST", &hooks_url(), Answer::empty(500));
    host.http().on("DELETE", &format!("{STORE}/v3/hooks/1"), |_| Answer::empty(500));
    assert!(matches!(subscribe(&host), Err(Error::Unavailable(_))));
    assert!(host.logs()[0].1.contains("hook 1 stays registered"));
}

#[test]
fn registering_may_be_repeated_after_a_lost_answer() {
    let host = host();
    host.http()
        .on("POST", &hooks_url(), |_| Answer::fail(SendError::TimedOut("no answer within 30 s".into())));
    assert!(matches!(subscribe(&host), Err(Error::Unavailable(_))));
}

#[test]
fn unsubscribing_deletes_both_and_does_not_mind_that_one_is_gone() {
    let host = host();
    host.http().on("DELETE", &format!("{STORE}/v3/hooks/1"), |_| Answer::empty(404));
    host.http()
        .on("DELETE", &format!("{STORE}/v3/hooks/2"), |_| Answer::json(200, &hook(2, STATUS_UPDATED, false)));
    connector().unsubscribe(&host.calling("order_created"), &two_hooks()).unwrap();
    assert_eq!(host.http().requests().len(), 2);
}

#[test]
fn unsubscribing_reports_what_failed() {
    let host = host();
    host.http().on("DELETE", &hooks_and("*"), |_| Answer::empty(503));
    let result = connector().unsubscribe(&host.calling("order_created"), &two_hooks());
    assert!(matches!(result, Err(Error::Unavailable(_))));
}

fn hooks_and(rest: &str) -> String {
    format!("{STORE}/v3/hooks/{rest}")
}

#[test]
fn a_healthy_subscription_is_left_alone() {
    let host = host();
    host.http().on("GET", &hooks_and("1"), |_| Answer::json(200, &hook(1, CREATED, true)));
    host.http().on("GET", &hooks_and("2"), |_| Answer::json(200, &hook(2, STATUS_UPDATED, true)));
    assert_eq!(check(&host).unwrap(), Health::Active(two_hooks()));
}

#[test]
fn a_hook_the_vendor_switched_off_is_switched_on_again() {
    let host = host();
    host.http().on("GET", &hooks_and("1"), |_| Answer::json(200, &hook(1, CREATED, true)));
    host.http().on("GET", &hooks_and("2"), |_| Answer::json(200, &hook(2, STATUS_UPDATED, false)));
    host.http().on("PUT", &hooks_and("2"), |_| Answer::json(200, &hook(2, STATUS_UPDATED, true)));
    assert_eq!(check(&host).unwrap(), Health::Mended(two_hooks()));
    let put = host.http().requests().pop().unwrap();
    assert_eq!(put.json()["is_active"], true);
    assert_eq!(put.json()["scope"], STATUS_UPDATED);
}

#[test]
fn a_hook_that_delivers_elsewhere_is_brought_back() {
    let host = host();
    host.http().on("GET", &hooks_and("*"), |_| {
        Answer::json(
            200,
            &json!({"data": {"id": 1, "destination": "https://old.example/h", "is_active": true}}),
        )
    });
    host.http().on("PUT", &hooks_and("*"), |_| Answer::json(200, &hook(1, CREATED, true)));
    assert_eq!(check(&host).unwrap(), Health::Mended(two_hooks()));
    assert_eq!(host.http().requests()[1].json()["destination"], URL);
}

#[test]
fn a_deleted_hook_is_reported_gone() {
    let host = host();
    host.http().on("GET", &hooks_and("1"), |_| Answer::empty(404));
    assert_eq!(check(&host).unwrap(), Health::Gone(two_hooks()));
}

#[test]
fn a_failing_vendor_says_nothing_about_a_hook() {
    let host = host();
    host.http().on("GET", &hooks_and("*"), |_| Answer::empty(500));
    assert!(matches!(check(&host), Err(Error::Unavailable(_))));
}

#[test]
fn a_created_order_that_is_placed_is_one_occurrence() {
    let occurrences = parse(&with_order(11), &created(250)).unwrap();
    let [occurrence] = occurrences.as_slice() else { panic!("one occurrence, not {occurrences:?}") };
    assert_eq!(occurrence.id, "order/250/placed");
    assert_eq!(occurrence.account, "abc123");
    assert_eq!(occurrence.occurred_at_ms, Some(1_767_691_800_000));
    let data: Value = serde_json::from_str(&occurrence.data).unwrap();
    assert_eq!(data["total_inc_tax"], "41.9000");
}

#[test]
fn an_incomplete_order_is_no_occurrence_yet() {
    assert_eq!(parse(&with_order(0), &created(250)).unwrap(), []);
}

#[test]
fn placing_an_incomplete_order_is_the_same_occurrence() {
    let occurrences = parse(&with_order(11), &status_updated(250, 0, 11)).unwrap();
    assert_eq!(occurrences[0].id, "order/250/placed");
}

#[test]
fn any_other_change_of_status_is_none_and_costs_no_request() {
    let host = with_order(2);
    assert_eq!(parse(&host, &status_updated(250, 11, 2)).unwrap(), []);
    let other = json!({"scope": "store/order/archived", "data": {"type": "order", "id": 250}});
    assert_eq!(parse(&host, &other).unwrap(), []);
    assert!(host.http().requests().is_empty());
}

#[test]
fn an_order_that_is_gone_is_a_typed_error() {
    let host = host();
    host.http().on("GET", &format!("{STORE}/v2/orders/250"), |_| Answer::empty(404));
    assert!(matches!(parse(&host, &created(250)), Err(Error::NotFound(_))));
}

#[test]
fn a_delivery_that_is_no_notice_is_an_error() {
    let error = parse(&host(), &json!({"hello": "world"})).unwrap_err();
    assert!(error.to_string().starts_with("delivery-not-understood"), "{error}");
}

#[test]
fn a_state_of_another_version_is_an_error() {
    let error = connector().unsubscribe(&host().calling("order_created"), r#"{"ids":[1]}"#).unwrap_err();
    assert!(error.to_string().starts_with("subscription-state-not-understood"), "{error}");
}
