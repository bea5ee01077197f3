//! Vendors, credentials, records and versions that make trouble: one poller waits, says why, and loses nothing.

use std::time::Duration;

use serde_json::{Value, json};
use trunnion_tests::{eventual::Fault, wait};

use super::{APP, Polling, SECOND, streams, version};

#[tokio::test]
async fn a_429_keeps_one_poller_waiting_and_nobody_else() {
    let polling = Polling::start().await;
    let ada = polling.shop("ada", "item_changed", Some("1s")).await;
    let bob = polling.shop("bob", "item_changed", Some("1s")).await;
    polling.vendor.fail_next("ada", Fault::TooMany(12));
    let failing = wait::until("the poller to say that it waits", || async {
        let poller = polling.poller_of(&ada).await;
        (poller["trouble"]["kind"] == "rate_limited").then_some(poller)
    })
    .await
    .unwrap();
    assert!(failing["next_poll_at"].as_str() > failing["last_poll_at"].as_str(), "{failing}");
    let served = polling.vendor.served("ada").len();
    let (one, other) = (polling.change(&ada, 1..3), polling.change(&bob, 1..3));
    polling.streamed_exactly(&bob, &other).await;
    polling.asked(&bob, 2).await;
    assert_eq!(polling.vendor.served("ada").len(), served, "nothing is asked before the vendor allows it");
    polling.streamed_exactly(&ada, &one).await;
    let poller = polling.poller_of(&ada).await;
    assert_eq!((&poller["failures"], &poller["trouble"]), (&json!(0), &Value::Null), "{poller}");
}

#[tokio::test]
async fn an_expired_credential_pauses_polling_until_it_is_mended_and_nothing_is_lost() {
    let polling = Polling::start().await;
    let ada = polling.shop("ada", "item_changed", Some("1s")).await;
    let mut expected = polling.change(&ada, 1..4);
    polling.streamed_exactly(&ada, &expected).await;
    polling.vendor.change_key("ada", "key-of-ada-anew").unwrap();
    wait::until("the poller to need attention", || async {
        (polling.poller_of(&ada).await["state"] == "needs_attention").then_some(())
    })
    .await
    .unwrap();
    expected.extend(polling.change(&ada, 4..6));
    let told = polling.poll(&ada).await;
    assert_eq!(told["round"]["result"], "needs_attention", "{told}");
    assert!(told["round"]["reason"].as_str().unwrap().contains("this key is not known"), "{told}");
    let troubled = polling.operator.get("/v1/polling").await.unwrap().ok().unwrap();
    assert_eq!(troubled["troubled"], json!([{ "app": APP, "kind": "needs_attention", "pollers": 1 }]));
    // The same account with another key: it goes on from where it stood.
    polling.connect(&ada, "key-of-ada-anew").await;
    polling.streamed_exactly(&ada, &expected).await;
    assert_eq!(polling.poller_of(&ada).await["trouble"], Value::Null);
}

#[tokio::test]
async fn a_poller_that_polls_rarely_goes_on_as_soon_as_its_credential_is_mended() {
    let polling = Polling::start().await;
    let ada = polling.shop("ada", "item_changed", Some("1d")).await;
    polling.poll(&ada).await;
    polling.vendor.change_key("ada", "key-of-ada-anew").unwrap();
    let expected = polling.change(&ada, 1..3);
    assert_eq!(polling.poll(&ada).await["round"]["result"], "needs_attention");
    let key = json!({ "api_key": "key-of-ada-anew" });
    polling.client.create_credential(&ada.user, APP, &key).await.unwrap();
    polling.streamed_exactly(&ada, &expected).await;
}

#[tokio::test]
async fn a_record_that_breaks_the_connector_stops_one_poller_says_so_and_loses_nothing() {
    let polling = Polling::start().await;
    let ada = polling.shop("ada", "item_changed", Some("1s")).await;
    let bob = polling.shop("bob", "item_changed", Some("1s")).await;
    polling.vendor.change_as("ada", 1, "poison", Duration::ZERO).unwrap();
    polling.vendor.advance(SECOND);
    let mut expected = polling.change(&ada, 2..4);
    let told = polling.poll(&ada).await;
    assert_eq!(told["round"]["error"]["kind"], "trapped", "{told}");
    assert!(told["round"]["error"]["message"].as_str().unwrap().contains("item 1 breaks"), "{told}");
    assert_eq!((&told["state"], &told["accepted"]), (&json!("failing"), &json!(0)), "{told}");
    let others = polling.change(&bob, 1..3);
    polling.streamed_exactly(&bob, &others).await;
    polling.vendor.fail("ada", Some(Fault::Nonsense));
    assert_eq!(polling.poll(&ada).await["round"]["error"]["kind"], "other");
    polling.vendor.fail("ada", Some(Fault::Unavailable));
    let told = polling.poll(&ada).await;
    assert_eq!(told["round"]["error"]["kind"], "unavailable", "{told}");
    assert!(told["failures"].as_u64().unwrap() >= 3, "{told}");
    polling.vendor.fail("ada", None);
    // The record is mended at the vendor; its first version was never seen.
    expected.insert((1, polling.vendor.change("ada", 1, Duration::ZERO).unwrap()));
    assert_eq!(polling.poll(&ada).await["round"]["accepted"], 3);
    polling.streamed_exactly(&ada, &expected).await;
}

#[tokio::test]
async fn a_version_that_cannot_read_kept_cursors_is_refused_naming_who_is_affected() {
    let polling = Polling::start().await;
    let ada = polling.shop("ada", "item_changed", Some("1h")).await;
    let mut expected = polling.change(&ada, 1..3);
    assert_eq!(polling.poll(&ada).await["cursor"]["format"], 1);
    let deaf = version("3.0.0").await;
    let refused = polling.operator.push_connector(APP, deaf.clone()).await.unwrap();
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (409, &json!("connector-in-use")),
        "{}",
        refused.text
    );
    let named = refused.json()["errors"].to_string();
    for part in ["item_changed", "format 1", "`ada`", "development"] {
        assert!(named.contains(part), "`{part}` is not named: {named}");
    }
    polling.operator.push_connector(APP, version("2.0.0").await).await.unwrap().ok().unwrap();
    // Nothing new: nothing was written, so the way back is open. Then something is.
    assert_eq!(polling.poll(&ada).await["cursor"]["format"], 1);
    polling.vendor.advance(SECOND);
    expected.extend(polling.change(&ada, 3..5));
    assert_eq!(polling.poll(&ada).await["cursor"]["format"], 2);
    let back = polling.operator.roll_back(APP).await.unwrap();
    assert_eq!(back.status, 409, "{}", back.text);
    assert!(back.json()["errors"].to_string().contains("format 2"), "{}", back.text);
    polling.vendor.advance(SECOND);
    expected.extend(polling.change(&ada, 5..7));
    polling.poll(&ada).await;
    polling.streamed_exactly(&ada, &expected).await;
}

#[tokio::test]
async fn polls_stop_while_the_host_has_more_than_it_may_hold() {
    let polling =
        Polling::start_with("workers = 1\nworkers_per_connection = 1\nmax_waiting_per_user = 1\n").await;
    let ada = polling.shop("ada", "item_changed", Some("1s")).await;
    let held = polling.isv.hold_next();
    let mut expected = polling.change(&ada, 1..4);
    held.arrived().await;
    // One run is with AcmeCo, two wait, more than may: the vendor is left alone, and keeps what is new.
    polling.vendor.advance(SECOND);
    expected.extend(polling.change(&ada, 4..7));
    let served = polling.vendor.served("ada").len();
    wait::until("the poller to have been put off twice", || async {
        polling.poller_of(&ada).await["put_off"].as_u64().is_some_and(|times| times >= 2).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(polling.vendor.served("ada").len(), served);
    held.release();
    polling.streamed_exactly(&ada, &expected).await;
}

#[tokio::test]
async fn what_cannot_be_polled_is_refused_with_a_reason() {
    let polling = Polling::start().await;
    let ada = polling.shop("ada", "item_changed", None).await;
    let client = &polling.client;
    let too_often = streams("Too often", "item_changed", Some("0s"));
    let body = json!({ "integration_id": polling.integration, "definition": too_often });
    let id =
        client.post("/v1/workflows", &body).await.unwrap().ok().unwrap()["id"].as_str().unwrap().to_owned();
    let refused = client.post(&format!("/v1/workflows/{id}/releases"), &json!({})).await.unwrap();
    assert!(
        refused.status == 400 && refused.text.contains("shorter than this trigger allows"),
        "{}",
        refused.text
    );
    let poll = format!("/v1/installations/{}/poll", ada.installation);
    let answer = client.post(&poll, &json!({ "look_back_seconds": 999_999 })).await.unwrap();
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("look-back-invalid")));
    polling.set_active(&ada, false).await;
    let answer = client.post(&poll, &json!({})).await.unwrap();
    assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("poller-paused")), "{}", answer.text);
    let nothing = client.get("/v1/installations/000000000000000000000000/poller").await.unwrap();
    assert_eq!((nothing.status, &nothing.json()["code"]), (404, &json!("poller-unknown")));
    assert_eq!(client.get("/v1/polling").await.unwrap().status, 403, "the whole host's is for operators");
}
