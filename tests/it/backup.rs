//! Backups over the API: whose they are, one at a time, and what becomes of one whose taker goes away.

use trunnion_tests::{scenario::Scenario, wait};

#[tokio::test]
async fn a_backup_is_an_operators_one_at_a_time_and_ends_with_its_taker() {
    let scenario = Scenario::start().await.unwrap();
    let host = &scenario.host;
    let refused = scenario.client.get("/v1/backup").await.unwrap();
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (403, &"wrong-authority".into()),
        "{}",
        refused.text
    );
    // More than the sockets between hold, so that what is not taken keeps the backup under way.
    let filling: Vec<_> = (0..8).map(|number| (format!("Filler {number}"), "x".repeat(3 << 20))).collect();
    for (name, text) in &filling {
        scenario.client.define_event(name, "", &serde_json::json!({ "text": text })).await.unwrap();
    }

    let operator = host.client_with(&host.keys().operator).unwrap();
    let url = format!("{}/v1/backup", host.base_url());
    let take = || reqwest::Client::new().get(&url).bearer_auth(&host.keys().operator).send();
    let mut taken = take().await.unwrap();
    assert_eq!(taken.status(), 200);
    assert!(taken.chunk().await.unwrap().unwrap().starts_with(b"TRBK1\n"));
    let second = operator.get("/v1/backup").await.unwrap();
    assert_eq!((second.status, &second.json()["code"]), (409, &"backup-under-way".into()), "{}", second.text);
    // Nobody waits for it meanwhile.
    scenario.merchant("ada").await.unwrap();
    drop(taken);
    let whole = wait::until("the abandoned backup to have ended", || async {
        let answer = take().await.ok()?;
        if answer.status() == 200 { answer.bytes().await.ok() } else { None }
    })
    .await
    .unwrap();
    assert!(whole.len() > 24 << 20, "{}", whole.len());
    assert!(!scenario.host.log().contains("panicked"), "{}", scenario.host.log());
}
