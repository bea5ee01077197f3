//! Errors on the ISV's own event bus at AWS: at somebody else's AWS, which verifies the signature with botocore, and at
//! one that takes only part of what it is given.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, routing::any};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use trunnion_tests::{moto::Moto, scenario::Scenario, wait};

fn bridge(endpoint: &str, (id, secret): (&str, &str)) -> Value {
    json!({
        "region": "eu-central-1", "event_bus": "acmeco", "endpoint": endpoint, "access_key_id": id,
        "secret_access_key": secret,
    })
}

/// A run that fails for good; its id.
async fn fail(scenario: &Scenario, user: &str) -> String {
    let data = json!({ "orderId": "987654", "status": "FULFILLED" });
    let event = trunnion_tests::scenario::FULFILMENT_EVENT;
    scenario.client.run_event(event, user, &data).await.unwrap().ok().unwrap();
    scenario.client.runs_ended(&scenario.catalogue.fulfilment, user, 1).await.unwrap()[0].id().to_owned()
}

#[tokio::test]
async fn an_error_is_on_the_bus_signed_as_aws_asks() {
    let Some(moto) = Moto::start().await.unwrap() else {
        println!("skipped: there is no Python to run moto");
        return;
    };
    let bus = moto.bus().await.unwrap();
    let key = (bus.access_key_id.as_str(), bus.secret_access_key.as_str());
    let mut scenario = Scenario::start().await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let client = scenario.client.clone();
    let path = "/v1/outlets/event-bridge";
    // With a wrong secret AWS refuses it, and it waits for a right one.
    let wrong = bridge(moto.base_url(), (key.0, "wrong"));
    let shown = client.put(path, &wrong).await.unwrap().ok().unwrap();
    let members: Vec<_> = shown["event_bridge"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(members.len(), 5, "no secret is shown: {members:?}");
    let run = fail(&scenario, &ada.user).await;
    wait::until("AWS to refuse it", || async {
        scenario.host.log().contains("SignatureDoesNotMatch").then_some(())
    })
    .await
    .unwrap();
    assert_eq!(moto.take(&bus).await.unwrap(), [] as [Value; 0]);
    client.put(path, &bridge(moto.base_url(), key)).await.unwrap().ok().unwrap();
    // Over a kill as well: what waits is found again.
    scenario.crash().await.unwrap();
    let events = wait::until("the error to be on the bus", || async {
        let taken = moto.take(&bus).await.ok()?;
        (!taken.is_empty()).then_some(taken)
    })
    .await
    .unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!((&event["source"], &event["detail-type"]), (&json!("trunnion"), &json!("workflow.error")));
    let detail = &event["detail"];
    assert_eq!(detail["executionId"], *run);
    assert_eq!(detail["workflowId"], *scenario.catalogue.fulfilment);
    assert_eq!(detail["blockType"], "alloy.bigcommerce");
    assert_eq!(detail["userId"], *ada.user);
    assert!(detail["error"].as_str().unwrap().starts_with("Error: not found"), "{detail}");
}

#[tokio::test]
async fn an_entry_that_aws_did_not_take_is_put_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let answer = move || {
        let times = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            if times == 0 {
                r#"{"FailedEntryCount":1,"Entries":[{"ErrorCode":"InternalFailure","ErrorMessage":"try again"}]}"#
            } else {
                r#"{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}"#
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(any(answer));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let scenario = Scenario::start().await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let client = &scenario.client;
    for (member, wrong) in [("region", "EU"), ("endpoint", "ftp://x"), ("secret_access_key", " ")] {
        let mut body = bridge(&endpoint, ("id", "secret"));
        body[member] = json!(wrong);
        let refused = client.put("/v1/outlets/event-bridge", &body).await.unwrap();
        assert_eq!(
            (refused.status, refused.json()["code"].as_str()),
            (400, Some("outlet-invalid")),
            "{member}"
        );
        assert!(refused.message().contains(member), "{}", refused.message());
    }
    let set = bridge(&endpoint, ("id", "secret"));
    client.put("/v1/outlets/event-bridge", &set).await.unwrap().ok().unwrap();
    fail(&scenario, &ada.user).await;
    wait::until("the second attempt", || async { (asked.load(Ordering::SeqCst) == 2).then_some(()) })
        .await
        .unwrap();
    assert!(scenario.host.log().contains("InternalFailure try again"), "{}", scenario.host.log());
    let letters = client.get("/v1/dead-letters").await.unwrap().ok().unwrap();
    assert_eq!(letters["data"], json!([]));
    server.abort();
}
