//! What users of other systems report of their pollers (the complaints' own words in the doc lines): none of it here.

use std::{collections::BTreeSet, time::Duration};

use reqwest::Method;
use serde_json::json;

use super::{OVERLAP, Polling, SECOND};

/// activepieces#13311: a republish reset the poll's checkpoint to now.
#[tokio::test]
async fn complaint_1_a_republish_drops_no_events() {
    let polling = Polling::start().await;
    let ada = polling.shop("ada", "item_changed", Some("1h")).await;
    let mut expected = polling.change(&ada, 1..6);
    polling.poll(&ada).await;
    let before = polling.poller_of(&ada).await;
    // These happen while nobody looks, and the workflow is published and installed anew meanwhile.
    expected.extend(polling.change(&ada, 6..11));
    polling.set_active(&ada, false).await;
    polling.republish(&ada).await;
    polling.republish(&ada).await;
    polling.streamed_exactly(&ada, &expected).await;
    let after = polling.poller_of(&ada).await;
    for kept in ["installation_id", "created_at"] {
        assert_eq!(before[kept], after[kept], "{kept}");
    }
    assert_eq!(after["accepted"], 10, "{after}");
}

/// activepieces PR#14921, PR#15072: records that a vendor shows late were behind the watermark for ever, silently.
#[tokio::test]
async fn complaint_2_a_record_that_is_shown_late_is_not_lost_behind_the_watermark() {
    let polling = Polling::start().await;
    let ada = polling.shop("ada", "item_changed", Some("1h")).await;
    let late = (1, polling.vendor.change("ada", 1, OVERLAP / 2).unwrap());
    polling.vendor.advance(SECOND * 60);
    let newer = (2, polling.vendor.change("ada", 2, Duration::ZERO).unwrap());
    polling.vendor.advance(SECOND);
    let told = polling.poll(&ada).await;
    assert_eq!(told["round"]["accepted"], 1, "{told}");
    polling.vendor.advance(OVERLAP / 2);
    let told = polling.poll(&ada).await;
    assert_eq!((&told["round"]["accepted"], &told["late"]), (&json!(1), &json!(0)), "{told}");
    polling.streamed_exactly(&ada, &BTreeSet::from([late, newer])).await;
    // A real update is never taken for a repetition.
    let update = (1, polling.vendor.change("ada", 1, Duration::ZERO).unwrap());
    assert_eq!(polling.poll(&ada).await["round"]["accepted"], 1);
    polling.streamed_exactly(&ada, &BTreeSet::from([late, newer, update])).await;
}

/// n8n#35251: a poller outlived its workflow: every event came twice, and an inactive workflow kept running.
#[tokio::test]
async fn complaint_3_no_stale_poller_survives() {
    let mut polling = Polling::start().await;
    let ada = polling.shop("ada", "item_changed", Some("1s")).await;
    // Bob's poller, which polls as often, tells when Ada's would have polled.
    let bob = polling.shop("bob", "item_changed", Some("1s")).await;
    let held = polling.vendor.hold_next("ada");
    held.arrived().await;
    let first = polling.change(&ada, 1..4);
    polling.set_active(&ada, false).await;
    held.release();
    polling.asked(&bob, 3).await;
    let (served, runs) =
        (polling.vendor.served("ada").len(), polling.client.runs(&ada.workflow, &ada.user).await);
    assert_eq!(runs.unwrap().len(), 0, "a poll that was under way when it was paused brought nothing");
    assert_eq!(polling.poller_of(&ada).await["state"], "paused");
    polling.restart().await;
    polling.asked(&bob, 3).await;
    assert_eq!(polling.vendor.served("ada").len(), served, "a paused installation asks for nothing");

    polling.set_active(&ada, true).await;
    polling.streamed_exactly(&ada, &first).await;
    polling.republish(&ada).await;
    let second = polling.change(&ada, 4..7);
    let all: BTreeSet<_> = first.union(&second).copied().collect();
    polling.streamed_exactly(&ada, &all).await;
    assert_eq!(polling.vendor.most_under_way("ada"), 1, "one poller, whatever was published");

    let held = polling.vendor.hold_next("ada");
    held.arrived().await;
    polling.change(&ada, 7..9);
    let path = format!("/2023-12/workflows/{}?userId={}", ada.workflow, ada.user);
    polling.client.send(Method::DELETE, &path, None).await.unwrap().ok().unwrap();
    held.release();
    polling.asked(&bob, 1).await;
    let served = polling.vendor.served("ada").len();
    polling.asked(&bob, 3).await;
    assert_eq!(polling.vendor.served("ada").len(), served, "what is uninstalled asks for nothing");
    assert!(polling.pollers_of(&ada).await.is_empty());
    polling.streamed_exactly(&ada, &all).await;
}
