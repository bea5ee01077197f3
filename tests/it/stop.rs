//! A clean stop: what is under way ends, what nobody began is given back.

use tokio::process::Command;
use trunnion_tests::{scenario::Scenario, wait};

/// Otherwise every clean restart would count against runs that only waited, and the sixth would end them.
#[tokio::test]
async fn runs_that_wait_for_a_worker_are_given_back_unbegun() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("one-worker.toml");
    std::fs::write(&config, "workers = 1\n").unwrap();
    let argument = config.to_string_lossy().into_owned();
    let start = Scenario::start_with(|options| options.arguments = vec!["--config".to_owned(), argument]);
    let mut scenario = start.await.unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();

    // AcmeCo holds one stream, and with it the only worker, while events are accepted.
    let held = scenario.isv.hold_next();
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    held.arrived().await;
    for _ in 0..3 {
        scenario.fulfil(&merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
    }

    let id = scenario.host.process_id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    let stopping = || async { scenario.host.log().contains("stopping").then_some(()) };
    wait::until("the host to say that it stops", stopping).await.unwrap();
    held.release();
    scenario.host.stop().await.unwrap();
    scenario.start_again().await.unwrap();

    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 3).await.unwrap();
    for run in runs {
        assert_eq!(run.status(), "succeeded", "{}", run.text());
        assert_eq!(run.step("update").unwrap()["attempts"], 1, "{}", run.text());
    }
    assert_eq!(scenario.isv.orders(order).len(), 1, "the stream that was under way ended before the stop");
}
