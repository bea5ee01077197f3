//! Every request the connector makes passes the vendor's own description, judged by a server that shares
//! nothing with us. Runs where `../shared` has the description and says so where it has not.

use trunnion_tests::{
    bigcommerce::BigCommerce,
    judge::{Judge, description},
    record::Recorded,
    scenario::Scenario,
};

#[tokio::test]
async fn every_request_passes_the_bigcommerce_judge() {
    let Some(description) = description() else {
        println!(
            "SKIPPED every_request_passes_the_bigcommerce_judge: no BigCommerce description in ../shared"
        );
        return;
    };
    let requests = every_request().await;
    let judge = Judge::start(&description).await.unwrap();

    let mut lines = Vec::new();
    for request in &requests {
        let verdict = judge.verdict(request).await.unwrap();
        assert!(verdict.allows(), "{}: {} {}\n{request:?}", request.line(), verdict.status, verdict.reasons);
        lines.push(request.line());
    }
    for call in ["GET /stores/storeada/v2/store", "POST /stores/storeada/v3/hooks"] {
        assert!(lines.iter().any(|line| line == call), "{call} was not among what was judged: {lines:?}");
    }
    assert!(lines.iter().any(|line| line.starts_with("GET /stores/storeada/v2/orders/")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("PUT /stores/storeada/v2/orders/")), "{lines:?}");
    println!("{} requests judged: {lines:?}", lines.len());

    // A judge that accepts everything would prove nothing.
    let mut nameless = requests.iter().find(|request| request.method == "POST").unwrap().clone();
    nameless.body = b"{}".to_vec().into();
    assert!(!judge.verdict(&nameless).await.unwrap().allows(), "a hook without scope and destination");
    let mut anonymous = requests[0].clone();
    anonymous.headers.remove("x-auth-token");
    assert!(!judge.verdict(&anonymous).await.unwrap().allows(), "a request without a token");
}

/// Both workflows with everything the connector does for them.
async fn every_request() -> Vec<Recorded> {
    let scenario = Scenario::start().await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();
    scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 1).await.unwrap();
    answered(&scenario.bigcommerce)
}

fn answered(vendor: &BigCommerce) -> Vec<Recorded> {
    let requests = vendor.requests();
    assert!(
        requests.iter().all(|request| request.status.is_success()),
        "the fake refused something: {requests:?}"
    );
    requests
}
