//! Crash torture: mixed load on a real host that is killed with SIGKILL at random moments, start-up included, and
//! started again; then every acknowledged event is held against what the fakes recorded.
//!
//! `setting` is who takes part, `load` sends and remembers what was acknowledged, `records` is what changes at the vendor
//! that is polled, `verdict` compares, this module kills. The seed decides what is sent and when a life ends; what a
//! kill meets is chance, which is the point.
//!
//! A run that meets six kills becomes a dead letter, as it should: a process that dies with the same run again and
//! again may be dying of it. So after `KILLS` kills the host lives until it has nothing left to do.

mod load;
mod records;
mod setting;
mod verdict;

use std::{fmt, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;
use trunnion_core::clock::{Random as _, SeededRandom, Timestamp};

use self::{
    load::{Aim, Load, Target},
    setting::{CUSTOMERS, Setting},
};
use crate::{
    host::{Client, Life},
    scenario::Scenario,
    wait,
};

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
    /// Records that polls were to bring, in each of their forms.
    pub records: usize,
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
        writeln!(f, "{} ticks of schedules, {} records polled", self.ticks, self.records)?;
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

/// What the fakes had recorded when a life began: whatever came twice must lie on both sides of one.
#[derive(Clone, Debug)]
struct Boundary {
    posts: usize,
    calls: usize,
    /// Of each customer.
    listings: Vec<usize>,
}

/// Tortures a host of its own; `say` hears how it goes.
pub async fn run(options: Options, say: &(dyn Fn(&str) + Sync)) -> Result<Report> {
    let Options { cycles, seed } = options;
    let chance = Chance(SeededRandom::new(seed));
    let mut setting = Setting::start(seed).await?;
    let load = Load::start(&setting, seed);
    let mut report = Report::default();
    let mut boundaries = Vec::new();
    let (mut killed, mut last_kill) = (0, wait::wall_clock());
    let mut settled = Settled::default();
    while report.kills < cycles {
        load.aim(Aim::At(target(&setting.scenario)?));
        wait::pass(chance.up_to(LONGEST_LIFE)).await;
        if killed >= KILLS {
            // Nothing new meanwhile, so that there is an end to what is left.
            load.aim(Aim::Quiet);
            if let Err(error) = settled.again(&setting.scenario.client).await {
                report.violations.push(format!("stuck: {error:#}"));
                break;
            }
            load.aim(Aim::At(target(&setting.scenario)?));
            wait::pass(chance.up_to(LONGEST_LIFE)).await;
            killed = 0;
        }
        setting.scenario.host.kill9().await?;
        load.aim(Aim::Down);
        last_kill = wait::wall_clock();
        (report.kills, killed) = (report.kills + 1, killed + 1);
        if chance.below(3) == 0 {
            boundaries.push(boundary(&setting));
            match setting.scenario.host.start_and_kill(chance.up_to(LONGEST_START)).await? {
                Life::BeforeReady => report.stillborn += 1,
                Life::Ready => report.short += 1,
            }
            killed += 1;
        }
        boundaries.push(boundary(&setting));
        setting.scenario.start_again().await.context("the host did not start again after a kill")?;
        setting.keep_time();
        if report.kills.is_multiple_of(20) {
            say(&format!("{} of {cycles} kills, {} events acknowledged", report.kills, load.acknowledged()));
        }
    }
    say("no more kills; everything comes to its end");
    load.aim(Aim::At(target(&setting.scenario)?));
    let sent = load.finish().await?;
    records::settle(&setting.listing);
    verdict::arrived(&setting, &sent, &boundaries).await;
    if report.violations.is_empty() {
        if let Err(error) = settled.again(&setting.scenario.client).await {
            report.violations.push(format!("stuck: {error:#}"));
        } else if let Err(error) = ticked(&setting.scenario, last_kill).await {
            report.violations.push(format!("lost: {error:#}"));
        }
    }
    verdict::judge(&setting, &sent, &boundaries, &mut report).await?;
    Ok(report)
}

fn target(scenario: &Scenario) -> Result<Arc<Target>> {
    Target::new(scenario.host.base_url(), &scenario.host.keys().development).map(Arc::new)
}

fn boundary(setting: &Setting) -> Boundary {
    let Setting { scenario, listing, customers } = setting;
    let listed = |customer: &setting::Customer| listing.served(&customer.merchant.username).len();
    Boundary {
        posts: scenario.isv.posts().len(),
        calls: scenario.bigcommerce.requests().len(),
        listings: customers.iter().map(listed).collect(),
    }
}

/// Up to where every run is known to have ended: the newest of them, none of the earlier ones being looked at again.
#[derive(Debug, Default)]
struct Settled(String);

impl Settled {
    /// Waits until every run has ended, whatever the others are called that it may be in.
    async fn again(&mut self, client: &Client) -> Result<()> {
        let ended = wait::until_within("every run to end", SETTLED, || async {
            wait::pass(LOOK).await;
            let (left, newest) = self.unfinished(client).await.ok()?;
            left.is_empty().then_some(newest)
        });
        match ended.await {
            Ok(newest) => {
                self.0 = newest;
                Ok(())
            }
            Err(error) => {
                let (left, _) = self.unfinished(client).await?;
                let such: Vec<_> = left.iter().take(3).cloned().collect();
                Err(error.context(format!(
                    "{} runs had not ended, such as {}",
                    left.len(),
                    Value::from(such)
                )))
            }
        }
    }

    /// Runs that have not ended, and the newest of all.
    async fn unfinished(&self, client: &Client) -> Result<(Vec<Value>, String)> {
        let (mut left, mut newest, mut cursor) = (Vec::new(), self.0.clone(), String::new());
        loop {
            let page = client.get(&format!("/v1/runs?limit=100{cursor}")).await?.ok()?;
            for run in page.get("data").and_then(Value::as_array).context("a listing has `data`")? {
                let id = run.get("id").and_then(Value::as_str).context("a run has an id")?;
                // Ids are in the order in which the runs began.
                if id <= self.0.as_str() {
                    return Ok((left, newest));
                }
                if id > newest.as_str() {
                    id.clone_into(&mut newest);
                }
                if run.get("ended_at").is_none() {
                    left.push(run.clone());
                }
            }
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok((left, newest)),
            }
        }
    }
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
