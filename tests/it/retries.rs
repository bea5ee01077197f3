//! What fails for a while is tried again, what fails for good is said; an uncertain outcome of a repeatable
//! action is repeated.

use std::time::Duration;

use reqwest::StatusCode;
use trunnion_tests::{
    bigcommerce::{Fault, Match},
    host::RunView,
    scenario::{Merchant, Scenario},
};

/// One fulfilment while the vendor's next PUT meets `fault`: the ended run.
async fn fulfilment_through(fault: Fault) -> (Scenario, Merchant, u64, RunView) {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.bigcommerce.fail_next(1, Match::call("PUT", "/v2/orders/"), fault);
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    let mut runs =
        scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 1).await.unwrap();
    let run = runs.remove(0);
    (scenario, merchant, order, run)
}

async fn assert_the_second_call_succeeds(fault: Fault, attempts: u32) {
    let (scenario, merchant, order, run) = fulfilment_through(fault).await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(run.step("update").unwrap()["attempts"], attempts, "{}", run.text());
    assert_eq!(scenario.bigcommerce.status_of(&merchant.store, order), Some(2));
}

#[tokio::test]
async fn a_503_is_tried_again() {
    assert_the_second_call_succeeds(Fault::Unavailable, 2).await;
}

#[tokio::test]
async fn a_429_is_no_attempt_and_comes_again_when_the_vendor_says() {
    assert_the_second_call_succeeds(Fault::RateLimited { reset: Duration::from_millis(1_500) }, 1).await;
}

#[tokio::test]
async fn a_429_without_headers_is_tried_again() {
    assert_the_second_call_succeeds(Fault::Overloaded, 2).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_uncertain_and_repeated_since_it_is_safe() {
    assert_the_second_call_succeeds(Fault::HangUp, 2).await;
}

#[tokio::test]
async fn a_refusal_is_not_tried_again() {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    scenario.fulfil(&merchant, 987_654, "FULFILLED").await.unwrap().ok().unwrap();
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "failed", "{}", runs[0].text());
    let puts = scenario.bigcommerce.requests().iter().filter(|request| request.method == "PUT").count();
    assert_eq!(puts, 1, "an order that is not there will not be there a second later");
    let errors = scenario.client.errors(&scenario.catalogue.fulfilment, &merchant.user).await.unwrap();
    assert!(errors[0]["message"].as_str().unwrap().contains("not found"), "{errors:?}");
}

#[tokio::test]
async fn an_order_that_cannot_be_read_at_once_is_read_later() {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    scenario.bigcommerce.fail_next(1, Match::call("GET", "/v2/orders/"), Fault::Unavailable);
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let delivery = scenario.bigcommerce.delivered(order, "store/order/created").await.unwrap();
    assert_eq!(
        delivery.attempts.len(),
        1,
        "the vendor's trouble is not the delivery's: it was accepted at once"
    );
    scenario.isv.wait_for_order(order).await.unwrap();
}

#[tokio::test]
async fn a_stream_keeps_its_idempotency_key_over_attempts() {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    scenario.isv.answer_next(&[StatusCode::SERVICE_UNAVAILABLE]);
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let accepted = scenario.isv.wait_for_order(order).await.unwrap();
    let posts = scenario.isv.posts();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0].key(), accepted.key());
    assert!(posts.iter().all(|post| post.signature == Ok(())));
}
