//! Schedules: the patterns people ask for, and every way in which time can pass without a host.

use std::time::Duration;

use serde_json::{Value, json};
use trunnion_core::clock::Timestamp;
use trunnion_tests::{
    component,
    host::{Client, HostOptions, TestHost},
    wait,
};

use crate::inside::{Inside, moment};

const MINUTE: Duration = Duration::from_secs(60);

fn every_two_minutes() -> Value {
    json!({ "type": "schedule", "every": "2m" })
}

fn definition(trigger: &Value) -> Value {
    let seen = json!({ "id": "seen", "type": "set", "value": "{{ trigger }}" });
    json!({ "name": "Scheduled", "trigger": trigger, "steps": [seen] })
}

/// A user who has installed a workflow with this trigger.
struct Installed {
    user: String,
    integration: String,
    workflow: String,
}

async fn install(client: &Client, trigger: &Value) -> Installed {
    let integration = client.create_integration("bigcommerce").await.unwrap();
    let workflow = client.release_workflow(&integration, &definition(trigger)).await.unwrap();
    let user = client.create_user("ada", "Ada").await.unwrap();
    let installed = Installed { user, integration, workflow };
    installed.again(client).await;
    installed
}

impl Installed {
    /// Installs the newest release: at first, and as an upgrade.
    async fn again(&self, client: &Client) {
        client.install(&self.user, &self.integration, "", &[&self.workflow]).await.unwrap();
    }

    async fn upgrade(&self, client: &Client, trigger: &Value) {
        client.release_again(&self.workflow, &definition(trigger)).await.unwrap();
        self.again(client).await;
    }

    /// What the runs were started by, oldest first, once there are `count`: time of day and ticks stood for.
    async fn ticks(&self, client: &Client, count: usize) -> Vec<(String, u64)> {
        let runs = client.runs_ended(&self.workflow, &self.user, count).await.unwrap();
        let mut ticks = Vec::new();
        for run in runs.iter().rev() {
            assert_eq!(run.status(), "succeeded", "{}", run.text());
            assert_eq!(run.0["event"]["source"]["source"], "schedule");
            let seen = &run.step("seen").unwrap()["output"];
            let at = seen["scheduled_at"].as_str().unwrap().replace(":00.000Z", "");
            ticks.push((at, seen["count"].as_u64().unwrap()));
        }
        ticks
    }

    async fn times(&self, client: &Client, count: usize) -> Vec<String> {
        self.ticks(client, count).await.into_iter().map(|(at, _)| at).collect()
    }
}

#[tokio::test]
async fn every_two_minutes_it_runs() {
    let host = Inside::start("2026-11-24T11:59:30Z").await;
    let installed = install(&host.client, &every_two_minutes()).await;
    for (at, runs) in [("12:00:00", 1), ("12:02:00", 2), ("12:04:10", 3)] {
        host.until(&format!("2026-11-24T{at}Z"));
        installed.times(&host.client, runs).await;
    }
    let times = installed.times(&host.client, 3).await;
    assert_eq!(times, ["2026-11-24T12:00", "2026-11-24T12:02", "2026-11-24T12:04"]);
}

#[tokio::test]
async fn every_thursday_at_seven_in_the_evening_it_runs_by_the_clocks_of_its_time_zone() {
    let host = Inside::start("2026-11-24T12:00:00Z").await;
    let thursdays = json!({ "type": "schedule", "cron": "0 19 * * THU", "time_zone": "Europe/Berlin" });
    let installed = install(&host.client, &thursdays).await;
    host.until("2026-11-26T17:59:59Z");
    assert_eq!(host.client.runs(&installed.workflow, &installed.user).await.unwrap().len(), 0);
    for (runs, (at, _)) in THURSDAYS.iter().enumerate() {
        host.until(at);
        installed.times(&host.client, runs + 1).await;
    }
    let times = installed.times(&host.client, THURSDAYS.len()).await;
    assert_eq!(times, THURSDAYS.map(|(_, scheduled)| scheduled));
    let shown = host.client.get("/2023-12/integrations?userId=ada").await.unwrap().ok().unwrap();
    let block = &shown["data"][0]["workflows"][0]["blocks"][0];
    assert_eq!(
        (&block["type"], &block["name"]),
        (&json!("cron"), &json!("every Thursday at 19:00, Europe/Berlin"))
    );
}

/// When the host looks, and what it finds: in winter 19:00 is 18:00 UTC, and 17:00 UTC in summer.
const THURSDAYS: [(&str, &str); 4] = [
    ("2026-11-26T18:00:00Z", "2026-11-26T18:00"),
    ("2026-12-03T18:00:30Z", "2026-12-03T18:00"),
    ("2027-03-25T18:00:00Z", "2027-03-25T18:00"),
    ("2027-04-01T17:00:00Z", "2027-04-01T17:00"),
];

#[tokio::test]
async fn a_restart_neither_moves_nor_repeats_ticks_and_leaves_missed_ones_out() {
    let mut host = Inside::start("2026-11-24T11:59:00Z").await;
    let installed = install(&host.client, &every_two_minutes()).await;
    host.until("2026-11-24T12:00:00Z");
    installed.times(&host.client, 1).await;
    host.down_for(Duration::from_secs(20)).await;
    host.down_for(7 * MINUTE).await;
    // 12:07:20: 12:02, 12:04 and 12:06 are over.
    host.until("2026-11-24T12:08:00Z");
    let times = installed.times(&host.client, 2).await;
    assert_eq!(times, ["2026-11-24T12:00", "2026-11-24T12:08"]);
}

#[tokio::test]
async fn a_tick_that_falls_due_during_a_restart_is_still_on_time() {
    let mut host = Inside::start("2026-11-24T11:59:50Z").await;
    let installed = install(&host.client, &every_two_minutes()).await;
    host.down_for(Duration::from_secs(20)).await;
    assert_eq!(installed.ticks(&host.client, 1).await, [("2026-11-24T12:00".to_owned(), 1)]);
}

#[tokio::test]
async fn one_run_catches_up_for_all_that_was_missed_while_no_host_was_there() {
    let mut host = Inside::start("2026-11-24T11:59:00Z").await;
    let catching_up = json!({ "type": "schedule", "every": "2m", "missed": "catch_up" });
    let installed = install(&host.client, &catching_up).await;
    host.down_for(8 * MINUTE).await;
    installed.ticks(&host.client, 1).await;
    host.down_for(MINUTE).await;
    let ticks = installed.ticks(&host.client, 2).await;
    assert_eq!(ticks, [("2026-11-24T12:06".to_owned(), 4), ("2026-11-24T12:08".to_owned(), 1)]);
}

#[tokio::test]
async fn pausing_stops_a_schedule_and_going_on_treats_what_was_missed_as_it_says() {
    let host = Inside::start("2026-11-24T11:59:00Z").await;
    let installed = install(&host.client, &every_two_minutes()).await;
    let set_active = |active| host.client.set_active("ada", &installed.workflow, active);
    set_active(false).await.unwrap();
    host.until("2026-11-24T12:09:30Z");
    set_active(true).await.unwrap();
    host.until("2026-11-24T12:10:00Z");
    assert_eq!(installed.times(&host.client, 1).await, ["2026-11-24T12:10"]);

    installed
        .upgrade(&host.client, &json!({ "type": "schedule", "every": "2m", "missed": "catch_up" }))
        .await;
    set_active(false).await.unwrap();
    host.until("2026-11-24T12:17:00Z");
    set_active(true).await.unwrap();
    let ticks = installed.ticks(&host.client, 2).await;
    assert_eq!(ticks, [("2026-11-24T12:10".to_owned(), 1), ("2026-11-24T12:16".to_owned(), 3)]);
}

#[tokio::test]
async fn an_upgrade_brings_its_times_and_one_with_the_same_times_loses_nothing() {
    let host = Inside::start("2026-11-24T11:59:00Z").await;
    let daily =
        |time: &str| json!({ "type": "schedule", "cron": time, "time_zone": "UTC", "missed": "catch_up" });
    let installed = install(&host.client, &daily("0 12 * * *")).await;
    // Releasing alone changes nothing for those who have it installed.
    host.client.release_again(&installed.workflow, &definition(&daily("30 11 * * *"))).await.unwrap();
    host.until("2026-11-24T12:00:00Z");
    assert_eq!(installed.times(&host.client, 1).await, ["2026-11-24T12:00"]);
    installed.again(&host.client).await;
    host.until("2026-11-25T11:30:00Z");
    assert_eq!(installed.times(&host.client, 2).await[1], "2026-11-25T11:30");
    // 11:20 was over when the upgrade came: it counts from the upgrade.
    installed.upgrade(&host.client, &daily("20 11 * * *")).await;
    host.client.set_active("ada", &installed.workflow, false).await.unwrap();
    host.until("2026-11-26T12:00:00Z");
    // The same times in another release: what fell due while it was paused is made up for.
    installed.upgrade(&host.client, &daily("20 11 * * *")).await;
    assert_eq!(installed.times(&host.client, 3).await[2], "2026-11-26T11:20");
    // And no schedule at all.
    host.client.define_event("Now", "", &json!({})).await.unwrap();
    installed.upgrade(&host.client, &json!({ "type": "event", "event": "Now" })).await;
    host.until("2026-11-27T11:20:00Z");
    host.client.run_event("Now", "ada", &json!({})).await.unwrap().ok().unwrap();
    let runs = host.client.runs_ended(&installed.workflow, &installed.user, 4).await.unwrap();
    assert_eq!((runs.len(), &runs[0].0["event"]["source"]["source"]), (4, &json!("custom")));
}

#[tokio::test]
async fn a_removed_installation_ticks_no_more_and_a_new_one_counts_from_now() {
    let host = Inside::start("2026-11-24T11:59:00Z").await;
    let catching_up = json!({ "type": "schedule", "every": "2m", "missed": "catch_up" });
    let installed = install(&host.client, &catching_up).await;
    host.client.uninstall("ada", &installed.workflow).await.unwrap();
    host.until("2026-11-24T12:05:00Z");
    installed.again(&host.client).await;
    host.until("2026-11-24T12:06:00Z");
    assert_eq!(installed.ticks(&host.client, 1).await, [("2026-11-24T12:06".to_owned(), 1)]);
}

#[tokio::test]
async fn killed_at_the_full_minute_every_user_still_has_one_run_for_it() {
    let options =
        HostOptions { components: vec![component::bigcommerce().await.unwrap()], ..HostOptions::default() };
    let mut host = TestHost::start(options).await.unwrap();
    let client = host.client().unwrap();
    let every_minute = json!({ "type": "schedule", "every": "1m", "missed": "catch_up" });
    let integration = client.create_integration("bigcommerce").await.unwrap();
    let workflow = client.release_workflow(&integration, &definition(&every_minute)).await.unwrap();
    let mut users = Vec::new();
    for name in 0..30 {
        let user = client.create_user(&format!("user{name}"), "").await.unwrap();
        let before = next_minute();
        client.install(&user, &integration, "", &[]).await.unwrap();
        users.push((user, before..=next_minute()));
    }
    let begun = wait::until_within("the first run of a minute", 2 * MINUTE, || async {
        let runs = client.get(&format!("/v1/runs?workflow_id={workflow}&limit=1")).await.ok()?.ok().ok()?;
        runs["data"].get(0).cloned()
    });
    begun.await.unwrap();
    for _ in 0..3 {
        host.kill9().await.unwrap();
        host.start_again().await.unwrap();
    }
    let client = host.client().unwrap();
    for (user, begun) in users {
        let runs = client.runs_ended(&workflow, &user, 1).await.unwrap();
        assert!(runs.iter().all(|run| run.status() == "succeeded"), "{runs:?}");
        let mut ticks: Vec<_> = runs.iter().map(|run| minutes_of(&run.0["event"]["data"])).collect();
        ticks.sort_unstable();
        assert!(begun.contains(&ticks[0].0), "the first minute is lost: {begun:?}, {ticks:?}");
        for pair in ticks.windows(2) {
            assert_eq!(
                pair[1].0,
                pair[0].1 + MINUTE,
                "every minute has one run that stands for it: {ticks:?}"
            );
        }
    }
}

fn next_minute() -> Timestamp {
    Timestamp::from_millis((wait::wall_clock().as_millis() / 60_000 + 1) * 60_000)
}

/// The first and the last minute that a run stands for.
fn minutes_of(data: &Value) -> (Timestamp, Timestamp) {
    let last = moment(data["scheduled_at"].as_str().unwrap());
    let missed = u32::try_from(data["count"].as_u64().unwrap() - 1).unwrap();
    (last - missed * MINUTE, last)
}
