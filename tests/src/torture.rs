//! Crash torture: mixed load on a real host that is killed with SIGKILL at random moments, start-up included, and
//! started again; then every acknowledged event is held against what the fakes recorded.
//!
//! `load` sends and remembers what was acknowledged, `verdict` compares, this module kills. The seed decides what is
//! sent and when a life ends; what a kill meets is chance, which is the point.
//!
//! A run that meets six kills becomes a dead letter, as it should: a process that dies with the same run again and
//! again may be dying of it. So after `KILLS` kills the host lives until it has nothing left to do.

mod load;
mod verdict;

use std::{fmt, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use trunnion_core::clock::{Random as _, SeededRandom, Timestamp};

use self::load::{Load, Target};
use crate::{
    host::{Client, Life},
    scenario::{Merchant, STREAM, Scenario},
    wait,
};

/// Customers, each with every kind of workflow.
const CUSTOMERS: usize = 5;

/// Kills in a row that work has to go through.
const KILLS: u32 = 4;

/// The longest life under load, and the longest start-up that is cut short.
const LONGEST_LIFE: u64 = 1_500;
const LONGEST_START: u64 = 600;

/// How long everything may take to come to its end.
const SETTLED: Duration = Duration::from_secs(240);

/// Between two looks at everything that AcmeCo recorded.
const LOOK: Duration = Duration::from_millis(500);

/// Items of each loop.
const ITEMS: u64 = 4;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Kills of a host under load.
    pub cycles: u32,
    /// Decides what is sent and how long each life lasts.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Lives under load that ended in a kill.
    pub kills: u32,
    /// Starts that were killed before the host was ready.
    pub stillborn: u32,
    /// Starts that were killed just after it was ready, before anything was sent.
    pub short: u32,
    /// By kind: acknowledged, without an answer, refused.
    pub sent: Vec<(&'static str, [usize; 3])>,
    /// Calls and streams that came again, each after a kill and with the key of the first.
    pub repeated: usize,
    /// Ticks of schedules.
    pub ticks: usize,
    /// What must not be, each naming its event.
    pub violations: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, stillborn, short, .. } = self;
        writeln!(f, "{kills} kills under load, {stillborn} before the host was ready, {short} just after")?;
        for (kind, [acknowledged, unanswered, refused]) in &self.sent {
            writeln!(
                f,
                "{kind}: {acknowledged} acknowledged, {unanswered} without an answer, {refused} refused"
            )?;
        }
        writeln!(f, "{} ticks of schedules", self.ticks)?;
        writeln!(f, "{} repeated inside the commit window, all with their first key", self.repeated)?;
        write!(f, "{} violations", self.violations.len())?;
        self.violations.iter().try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

/// Chance that a seed decides.
#[derive(Debug)]
struct Chance(SeededRandom);

impl Chance {
    fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes).checked_rem(bound).unwrap_or_default()
    }

    fn up_to(&self, millis: u64) -> Duration {
        Duration::from_millis(self.below(millis + 1))
    }
}

/// A customer, and from when on its schedule ticks.
struct Customer {
    merchant: Merchant,
    ticks_from: Timestamp,
}

/// What the fakes had recorded when a life began: whatever came twice must lie on both sides of one.
#[derive(Clone, Copy, Debug)]
struct Boundary {
    posts: usize,
    calls: usize,
}

/// Tortures a host of its own; `say` hears how it goes.
pub async fn run(options: Options, say: &(dyn Fn(&str) + Sync)) -> Result<Report> {
    let Options { cycles, seed } = options;
    let chance = Chance(SeededRandom::new(seed));
    let mut scenario = Scenario::start().await?;
    scenario.bigcommerce.pause_deliveries(true);
    set_up(&scenario.client, &scenario.catalogue.integration).await?;
    let mut customers = Vec::new();
    for number in 0..CUSTOMERS {
        let merchant = scenario.merchant(&format!("customer{number}")).await?;
        let ticks_from = wait::wall_clock();
        customers.push(Customer { merchant, ticks_from });
    }
    let load = Load::start(&scenario, &customers, seed);
    let mut report = Report::default();
    let mut boundaries = Vec::new();
    let (mut killed, mut last_kill) = (0, wait::wall_clock());
    while report.kills < cycles {
        load.aim(Some(target(&scenario)?));
        wait::pass(chance.up_to(LONGEST_LIFE)).await;
        if killed >= KILLS {
            // Nothing new meanwhile, so that there is an end to what is left.
            load.aim(None);
            settled(&scenario.client).await?;
            load.aim(Some(target(&scenario)?));
            wait::pass(chance.up_to(LONGEST_LIFE)).await;
            killed = 0;
        }
        scenario.host.kill9().await?;
        load.aim(None);
        last_kill = wait::wall_clock();
        (report.kills, killed) = (report.kills + 1, killed + 1);
        if chance.below(3) == 0 {
            boundaries.push(boundary(&scenario));
            match scenario.host.start_and_kill(chance.up_to(LONGEST_START)).await? {
                Life::BeforeReady => report.stillborn += 1,
                Life::Ready => report.short += 1,
            }
            killed += 1;
        }
        boundaries.push(boundary(&scenario));
        scenario.start_again().await.context("the host did not start again after a kill")?;
        scenario.bigcommerce.advance(wait::wall_clock().since(scenario.bigcommerce.now()));
        if report.kills.is_multiple_of(20) {
            say(&format!("{} of {cycles} kills, {} events acknowledged", report.kills, load.acknowledged()));
        }
    }
    say("no more kills; everything comes to its end");
    load.aim(Some(target(&scenario)?));
    let sent = load.finish().await?;
    verdict::arrived(&scenario, &sent).await;
    let stuck = settled(&scenario.client).await;
    if let Err(error) = &stuck {
        report.violations.push(format!("stuck: {error:#}"));
    } else if let Err(error) = ticked(&scenario, last_kill).await {
        report.violations.push(format!("lost: {error:#}"));
    }
    verdict::judge(&scenario, &customers, &sent, &boundaries, &mut report).await?;
    Ok(report)
}

/// Events and workflows of every kind beside AcmeCo's own two.
async fn set_up(client: &Client, integration: &str) -> Result<()> {
    let told =
        |id: &str, body: Value| json!({ "id": id, "type": "stream", "destination": STREAM, "body": body });
    let said = |kind: &str| json!({ "kind": kind, "number": "{{ trigger.number }}" });
    let sample = json!({ "number": 1, "order": 1, "items": [1] });
    let item = json!({ "kind": "item", "number": "{{ trigger.number }}", "item": "{{ item }}" });
    let workflows = [
        (load::EVENT, json!([told("send", said("event"))])),
        (
            load::DELAYED,
            json!([{ "id": "pause", "type": "delay", "seconds": 0.7 }, told("send", said("delayed"))]),
        ),
        (
            load::LOOP,
            json!([
                { "id": "each", "type": "for_each", "items": "{{ trigger.items }}", "concurrency": 2,
                  "steps": [told("one", item)] },
                told("send", said("loop")),
            ]),
        ),
        (
            load::ACTION,
            json!([
                { "id": "update", "type": "action", "app": "bigcommerce", "action": "update_order_status",
                  "input": { "order_id": "{{ trigger.order }}", "status_id": 2 } },
                told("send", said("action")),
            ]),
        ),
    ];
    for (event, steps) in workflows {
        client.define_event(event, "", &sample).await?;
        let definition =
            json!({ "name": event, "trigger": { "type": "event", "event": event }, "steps": steps });
        client.release_workflow(integration, &definition).await?;
    }
    let tick = json!({
        "kind": "tick", "user": "{{ user.username }}", "at": "{{ trigger.scheduled_at }}",
        "count": "{{ trigger.count }}",
    });
    let every_minute = json!({
        "name": "Every minute", "trigger": { "type": "schedule", "every": "1m", "missed": "catch_up" },
        "steps": [told("send", tick)],
    });
    client.release_workflow(integration, &every_minute).await.map(drop)
}

fn target(scenario: &Scenario) -> Result<Arc<Target>> {
    Target::new(scenario.host.base_url(), &scenario.host.keys().development).map(Arc::new)
}

fn boundary(scenario: &Scenario) -> Boundary {
    Boundary { posts: scenario.isv.posts().len(), calls: scenario.bigcommerce.requests().len() }
}

/// Waits until no run and no delivery is under way.
async fn settled(client: &Client) -> Result<()> {
    let live = async |status: &str| -> Option<Vec<Value>> {
        let answer = client.get(&format!("/v1/runs?status={status}&limit=3")).await.ok()?.ok().ok()?;
        answer.get("data")?.as_array().cloned()
    };
    let settled = wait::until_within("every run to end", SETTLED, || async {
        (live("queued").await?.is_empty() && live("running").await?.is_empty()).then_some(())
    });
    if settled.await.is_ok() {
        return Ok(());
    }
    let left = [live("queued").await.unwrap_or_default(), live("running").await.unwrap_or_default()].concat();
    anyhow::bail!("runs had not ended after {} s, such as {}", SETTLED.as_secs(), Value::from(left))
}

/// Waits until every customer's schedule has ticked after the last kill.
async fn ticked(scenario: &Scenario, last_kill: Timestamp) -> Result<()> {
    wait::until_within("every schedule to tick after the last kill", Duration::from_secs(150), || async {
        wait::pass(LOOK).await;
        let posts = scenario.isv.posts();
        let ticks = posts.iter().filter_map(verdict::tick_of).filter(|tick| tick.last > last_kill);
        let users: std::collections::BTreeSet<_> = ticks.map(|tick| tick.user).collect();
        (users.len() == CUSTOMERS).then_some(())
    })
    .await
}
