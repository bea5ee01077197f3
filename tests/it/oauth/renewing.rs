//! Tokens that end while work comes: one request renews them, whatever happens around it.

use serde_json::{Value, json};
use trunnion_tests::{host::RunView, issuer::OldTokens, wait};

use super::Setting;

const RUNS: usize = 200;
/// So many steps may be under way on one connection at once.
const WIDE: &str = "workers = 512\nworkers_per_connection = 200\n";

async fn all_succeeded(setting: &Setting, count: usize) -> Vec<RunView> {
    let runs = setting.client.runs_ended(&setting.workflow, &setting.user, count).await.unwrap();
    for run in &runs {
        assert_eq!(run.status(), "succeeded", "{}", run.text());
    }
    runs
}

/// The workflow's runs, page by page.
async fn every_run(setting: &Setting) -> Vec<RunView> {
    let path = format!("/v1/runs?workflow_id={}&limit=100", setting.workflow);
    let (mut runs, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = setting.client.get(&format!("{path}{cursor}")).await.unwrap().ok().unwrap();
        runs.extend(page["data"].as_array().unwrap().iter().cloned().map(RunView));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return runs,
        }
    }
}

async fn waiting(setting: &Setting, count: usize) -> Vec<RunView> {
    wait::until(&format!("{count} runs to wait for their connection"), || async {
        let runs = setting.client.runs(&setting.workflow, &setting.user).await.ok()?;
        let waiting: Vec<_> = runs.into_iter().filter(|run| run.status() == "waiting").collect();
        (waiting.len() == count).then_some(waiting)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_stampede_upon_an_ended_rotating_token_renews_it_once_and_fails_no_run() {
    let setting = Setting::start_with(WIDE).await;
    setting.connect().await;
    setting.install().await;
    setting.issuer.end_access("ada");
    let before = setting.issuer.unauthorized();
    // Whoever renews is kept there until everybody else has met the ended token, too.
    let held = setting.issuer.hold_next_answer();
    for number in 0..RUNS {
        setting.say(&format!("word {number}")).await;
    }
    held.arrived().await;
    wait::until("every run to be refused", || async {
        (setting.issuer.unauthorized() - before >= RUNS).then_some(())
    })
    .await
    .unwrap();
    held.release();
    let runs = wait::until("every run to end", || async {
        let runs = every_run(&setting).await;
        (runs.len() == RUNS && runs.iter().all(RunView::ended)).then_some(runs)
    })
    .await
    .unwrap();
    for run in runs {
        assert_eq!(run.status(), "succeeded", "{}", run.text());
        let run = setting.client.run(run.id()).await.unwrap();
        assert_eq!(run.step("say").unwrap()["attempts"], 1, "renewing is no attempt: {}", run.text());
    }
    assert_eq!(setting.issuer.refreshes(), 1, "{:?}", setting.issuer.asked());
    let mut said = setting.issuer.said();
    said.sort();
    said.dedup();
    assert_eq!((said.len(), setting.issuer.said().len()), (RUNS, RUNS), "everything was said once");
}

#[tokio::test]
async fn a_token_is_renewed_in_time_and_a_vendor_that_is_down_for_it_is_asked_again() {
    let setting = Setting::start().await;
    setting.issuer.next_lasts(1);
    setting.connect().await;
    setting.install().await;
    let ended = wait::wall_clock().as_millis() / 1_000 + 1;
    wait::until("the token to end", || async {
        (wait::wall_clock().as_millis() / 1_000 > ended).then_some(())
    })
    .await
    .unwrap();
    setting.issuer.unavailable(1);
    setting.say("hello").await;
    all_succeeded(&setting, 1).await;
    let asked: Vec<_> = setting.issuer.asked().into_iter().map(|asked| asked.status).collect();
    assert_eq!(asked, [200, 503, 200]);
    assert_eq!(setting.connection().await["needs_attention"], Value::Null);
}

/// A run whose token was renewed at the vendor, and whose host was killed before it heard of it.
async fn killed_in_between(old: OldTokens) -> Setting {
    let mut setting = Setting::start().await;
    setting.issuer.old_tokens(old);
    setting.connect().await;
    setting.install().await;
    setting.issuer.end_access("ada");
    let held = setting.issuer.hold_next_answer();
    setting.say("hello").await;
    held.arrived().await;
    setting.host.kill9().await.unwrap();
    held.release();
    setting.host.start_again().await.unwrap();
    setting.client = setting.host.client().unwrap();
    setting
}

#[tokio::test]
async fn a_kill_between_the_vendors_answer_and_the_write_costs_nothing_where_the_old_token_still_counts() {
    let setting = killed_in_between(OldTokens::UntilNewIsUsed).await;
    all_succeeded(&setting, 1).await;
    assert_eq!(setting.issuer.refreshes(), 2);
    assert_eq!(setting.connection().await["needs_attention"], Value::Null);
    // What was renewed is kept: the next one is renewed from it.
    setting.issuer.end_access("ada");
    setting.say("again").await;
    all_succeeded(&setting, 2).await;
}

#[tokio::test]
async fn a_kill_there_asks_for_the_user_where_the_old_token_is_worth_nothing_and_connecting_again_mends_it() {
    let setting = killed_in_between(OldTokens::Refused).await;
    waiting(&setting, 1).await;
    let reason = setting.connection().await["needs_attention"].as_str().unwrap().to_owned();
    assert!(reason.contains("invalid_grant: the refresh token was used before"), "{reason}");
    assert!(!reason.contains("cnry"), "what was sent is not shown: {reason}");
    setting.connect().await;
    all_succeeded(&setting, 1).await;
    assert_eq!(setting.connection().await["needs_attention"], Value::Null);
}

#[tokio::test]
async fn a_refused_renewal_lets_everything_wait_and_asks_the_vendor_no_more() {
    let setting = Setting::start().await;
    let credential = setting.connect().await;
    setting.install().await;
    setting.issuer.revoke("ada");
    for text in ["one", "two"] {
        setting.say(text).await;
    }
    waiting(&setting, 2).await;
    setting.say("three").await;
    waiting(&setting, 3).await;
    assert_eq!(setting.issuer.refreshes(), 1);
    let check = format!("/v1/users/{}/connections/{credential}/check", setting.user);
    assert_eq!(setting.client.post(&check, &json!({})).await.unwrap().status, 400, "it is still refused");
    assert_eq!(setting.connect().await, credential, "connecting the same account again mends it");
    all_succeeded(&setting, 3).await;
}

#[tokio::test]
async fn services_are_issued_new_tokens_without_anybody() {
    let setting = Setting::start().await;
    let (key, _) = setting.issuer.service_account("robot@acme.example").unwrap();
    setting.give(json!({ "service_account": key })).await;
    setting.install().await;
    setting.issuer.end_access("robot@acme.example");
    setting.say("hello").await;
    all_succeeded(&setting, 1).await;
    let grants: Vec<_> = setting.issuer.asked().into_iter().map(|asked| asked.grant).collect();
    assert_eq!(grants.len(), 2, "{grants:?}");
}
