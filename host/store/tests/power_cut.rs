//! A power cut at any moment: what was acknowledged is there afterwards, and no destroyed key comes back.
//!
//! A process that commits, erases users, rotates its master key, closes and opens again is recorded; its files are
//! rebuilt as power cuts at random points could have left them, and reopened. Each process but the first starts on
//! such files. `cargo xtask power-cut --points 500` checks more points; a failure keeps the record and says how to
//! repeat that very point.

#![cfg(test)]

mod power_cut {
    pub(crate) mod child;
    pub(crate) mod model;
}

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use power_cut::{child, model::Model};
use tempfile::TempDir;
use trunnion_core::clock::{Random, SeededRandom};
use trunnion_power_cut::{Cutter, History, Image, Node, Recorder};

/// Processes, one on what is left of the other.
const LIVES: usize = 4;
/// Points in all, unless `POINTS` says otherwise.
const FEW: usize = 80;
/// How often each moment of a store's very first opening is cut.
const CUTS_OF_THE_FIRST_OPENING: usize = 12;
/// A fault that is planted must be found within so many points.
const FOUND_WITHIN: usize = 120;

const POINTS: &str = "TRUNNION_POWER_CUT_POINTS";
const SEED: &str = "TRUNNION_POWER_CUT_SEED";
/// A record that a failure kept, and the point that failed.
const RECORD: &str = "TRUNNION_POWER_CUT_RECORD";
const POINT: &str = "TRUNNION_POWER_CUT_POINT";

/// One point: where, and the seed of what is lost there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    event: usize,
    seed: u64,
}

#[test]
#[ignore = "is the process that is recorded"]
fn child_that_is_recorded() {
    child::main();
}

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    if let Some(record) = env::var_os(RECORD) {
        repeat(Path::new(&record));
        return;
    }
    let points = number(POINTS).map_or(FEW, |points| usize::try_from(points).unwrap());
    let seed = number(SEED).unwrap_or(4);
    let chance = SeededRandom::new(seed);
    let mut life = Life::first();
    let mut checked = 0;
    for number in 0..LIVES {
        let history = life.live(child::Honesty::Honest);
        let share = (points * (number + 1) / LIVES) - checked;
        let chosen = choose(&history, &chance, share);
        let mut cutter = Cutter::new(&history);
        for point in &chosen {
            cutter.advance(point.event);
            if let Err(lost) = check(&cutter, *point, &life.before) {
                let kept = life.keep();
                panic!(
                    "life {number}, event {} of {}: {lost}\nTo repeat: {RECORD}={} {POINT}={}:{} cargo test -p \
                     trunnion-store --test power_cut what_was_acknowledged",
                    point.event,
                    history.events.len(),
                    kept.display(),
                    point.event,
                    point.seed,
                );
            }
        }
        checked += chosen.len();
        if let Some(last) = chosen.get(chosen.len() / 2) {
            life = life.next(&history, *last);
        }
    }
    assert_eq!(checked, points);
}

/// Nothing is acknowledged before a new store was opened whole, so whatever a power cut leaves of that can be begun
/// anew: an operator whose machine fails in the first second need not know which files to remove.
#[test]
fn a_store_that_was_never_opened_whole_is_begun_anew() {
    let mut life = Life::first();
    let history = life.live(child::Honesty::Honest);
    let chance = SeededRandom::new(15);
    let mut cutter = Cutter::new(&history);
    let nothing = Model::default();
    let mut moments = 0;
    for event in 0..=history.events.len() {
        cutter.advance(event);
        // The other lines are those of the test's own runner.
        if cutter.told().flat_map(str::lines).any(|line| line.starts_with("made ")) {
            break;
        }
        moments += 1;
        for _ in 0..CUTS_OF_THE_FIRST_OPENING {
            let point = Point { event, seed: draw(&chance) };
            if let Err(lost) = check(&cutter, point, &nothing) {
                let kept = life.keep();
                panic!(
                    "event {event}: {lost}\nTo repeat: {RECORD}={} {POINT}={event}:{} cargo test -p trunnion-store \
                     --test power_cut what_was_acknowledged",
                    kept.display(),
                    point.seed,
                );
            }
        }
    }
    assert!(moments > 20, "the first opening is recorded: {moments} moments");
}

/// Stores that do something wrong: each must be found, or this test cannot find anything.
#[test]
fn stores_that_forget_a_sync_are_found() {
    let mut life = Life::first();
    let honest = life.live(child::Honesty::Honest);
    let is_log = |path: &str, _: &Node| path == "store/db";
    let is_keys = |path: &str, _: &Node| path.starts_with("keys");
    let is_directory = |_: &str, node: &Node| matches!(node, Node::Directory);
    expect_loss("never syncs its log", &honest.without_syncs_of(is_log));
    expect_loss("never syncs its keys", &honest.without_syncs_of(is_keys));
    expect_loss("never syncs its directories", &honest.without_syncs_of(is_directory));
    let early = Life::first().live(child::Honesty::AcknowledgesEarly);
    expect_loss("acknowledges before it is durable", &early);
}

fn expect_loss(fault: &str, history: &History) {
    let chance = SeededRandom::new(6);
    let mut cutter = Cutter::new(history);
    let before = Model::default();
    let found = choose(history, &chance, FOUND_WITHIN).into_iter().any(|point| {
        cutter.advance(point.event);
        check(&cutter, point, &before).is_err()
    });
    assert!(found, "a store that {fault} passed {FOUND_WITHIN} power cuts");
}

/// A process and what it leaves.
struct Life {
    place: TempDir,
    /// What was there when it started, and everything told before.
    start: Image,
    before: Model,
    number: u32,
}

impl Life {
    fn first() -> Self {
        Self::on(Image::default(), Model::default(), 0)
    }

    fn on(start: Image, before: Model, number: u32) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("data")).unwrap();
        start.write(&place.path().join("data")).unwrap();
        Self { place, start, before, number }
    }

    fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    fn trace(&self) -> PathBuf {
        self.place.path().join("trace")
    }

    /// Runs the process to its end and says what it did.
    fn live(&mut self, honesty: child::Honesty) -> History {
        let start = History::starting_at(&self.data()).unwrap();
        let recorder = Recorder::build(self.place.path()).unwrap();
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--ignored", "--exact", "child_that_is_recorded", "--nocapture", "--test-threads=1"])
            .env(child::DIR, self.data())
            .env(child::LIFE, self.number.to_string())
            .env(child::HONESTY, honesty.name())
            .stdout(Stdio::null());
        recorder.watch(&mut command, &self.data(), &self.trace());
        let status = command.status().unwrap();
        assert!(status.success(), "the recorded process failed: {status}");
        let history = start.follow(&self.trace()).unwrap();
        history.verify(&self.data()).unwrap();
        history
    }

    /// The next process, on what a power cut at `point` left.
    fn next(&self, history: &History, point: Point) -> Self {
        let mut cutter = Cutter::new(history);
        cutter.advance(point.event);
        let mut before = self.before.clone();
        before.heard(cutter.told());
        Self::on(cutter.cut(point.seed), before, self.number + 1)
    }

    /// Puts what is needed to repeat a point where it stays.
    fn keep(self) -> PathBuf {
        let data = self.data();
        fs::remove_dir_all(&data).unwrap();
        fs::create_dir(&data).unwrap();
        self.start.write(&data).unwrap();
        fs::write(self.place.path().join("told"), self.before.lines()).unwrap();
        self.place.keep()
    }
}

/// Checks one point of a kept record again.
fn repeat(record: &Path) {
    let point = env::var_os(POINT).expect("a point is named beside the record").into_string().unwrap();
    let (event, seed) = point.split_once(':').expect("a point is `event:seed`");
    let point = Point { event: event.parse().unwrap(), seed: seed.parse().unwrap() };
    let history = History::starting_at(&record.join("data")).unwrap().follow(&record.join("trace")).unwrap();
    let mut before = Model::default();
    before.heard(fs::read_to_string(record.join("told")).unwrap().lines());
    let mut cutter = Cutter::new(&history);
    cutter.advance(point.event);
    check(&cutter, point, &before).unwrap();
}

/// Random points, in order.
fn choose(history: &History, chance: &SeededRandom, count: usize) -> Vec<Point> {
    let events = u64::try_from(history.events.len()).unwrap();
    let mut points: Vec<Point> = (0..count)
        .map(|_| Point { event: usize::try_from(draw(chance) % (events + 1)).unwrap(), seed: draw(chance) })
        .collect();
    points.sort_unstable();
    points
}

/// Rebuilds the files as a power cut could have left them, opens them as production does and compares.
fn check(cutter: &Cutter<'_>, point: Point, before: &Model) -> Result<(), String> {
    let mut model = before.clone();
    model.heard(cutter.told());
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    cutter.cut(point.seed).write(place.path()).map_err(|error| format!("{error:#}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let outcome = runtime.block_on(async {
        // Recovery must be repeatable, and what it leaves must be fit to go on with.
        model.verify_reopened(place.path()).await?;
        model.verify_reopened(place.path()).await
    });
    if outcome.is_err() && env::var_os(RECORD).is_some() {
        let kept = place.keep();
        return outcome.map_err(|error| format!("{error} (the files are in {})", kept.display()));
    }
    outcome
}

fn draw(chance: &SeededRandom) -> u64 {
    let mut bytes = [0; 8];
    chance.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var_os(variable)?.into_string().unwrap();
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, which is no number")))
}
