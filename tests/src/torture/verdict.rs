//! The verdict: what was acknowledged against what AcmeCo and the vendor recorded.
//!
//! Lost: acknowledged, and not there. Doubled: there under two keys, so that two runs came of one event; or again in
//! the same life, where no kill excuses it. Everything that came again must carry its first key.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};

use anyhow::Result;
use serde_json::Value;
use trunnion_core::clock::Timestamp;

use super::{
    Boundary, ITEMS, LOOK, Report,
    load::{ACTION, Answer, KINDS, LOOP, Sent, WEBHOOK},
    records::{self, Forms},
    setting::{Customer, Setting},
};
use crate::{isv::Post, scenario::Scenario, wait};

/// The kind of what polls bring.
pub(super) const RECORD: &str = "record";

const MINUTE: Duration = Duration::from_secs(60);

/// Every POST or call about one thing: the life it came in, and its key.
type Seen<'a> = BTreeMap<String, Vec<(usize, &'a str)>>;

/// A tick of a schedule, as AcmeCo was told of it: the minutes that it stands for.
pub(super) struct Tick {
    pub(super) user: String,
    first: Timestamp,
    pub(super) last: Timestamp,
}

/// The tick that a POST tells of.
pub(super) fn tick_of(post: &Post) -> Option<Tick> {
    let body = post.json();
    if body.get("kind")? != "tick" {
        return None;
    }
    let at: jiff::Timestamp = body.get("at")?.as_str()?.parse().ok()?;
    let last = Timestamp::from_millis(u64::try_from(at.as_millisecond()).ok()?);
    let missed = u32::try_from(body.get("count")?.as_u64()?.checked_sub(1)?).ok()?;
    Some(Tick { user: body.get("user")?.as_str()?.to_owned(), first: last - MINUTE * missed, last })
}

/// Waits until everything that must come has arrived, or nothing more of it does: what is then missing is for `judge` to
/// name.
pub(super) async fn arrived(setting: &Setting, sent: &[Sent], boundaries: &[Boundary]) {
    let acknowledged = sent.iter().filter(|sent| sent.answer == Answer::Acknowledged);
    let awaited: BTreeSet<_> = acknowledged.flat_map(names_of).collect();
    let mut looked_at = 0;
    let mut quiet_since = wait::now();
    loop {
        // Records are listed until the end.
        let mut missing: BTreeSet<_> = awaited.union(&records_of(setting, boundaries).due).cloned().collect();
        let posts = setting.scenario.isv.posts();
        for post in posts.iter().filter(|post| post.accepted()) {
            missing.remove(&name_of(&post.json()));
        }
        if missing.is_empty() {
            return;
        }
        if missing.len() != looked_at {
            (looked_at, quiet_since) = (missing.len(), wait::now());
        }
        if quiet_since.elapsed() > wait::PATIENCE {
            return;
        }
        wait::pass(LOOK).await;
    }
}

/// Adds to the report what was sent, what came again, and what must not be.
pub(super) async fn judge(
    setting: &Setting,
    sent: &[Sent],
    boundaries: &[Boundary],
    report: &mut Report,
) -> Result<()> {
    let Setting { scenario, customers, .. } = setting;
    let posts = scenario.isv.posts();
    let mut seen = Seen::new();
    for (index, post) in posts.iter().enumerate().filter(|(_, post)| post.accepted()) {
        if let Err(problem) = &post.signature {
            report.violations.push(format!("a stream's signature is wrong: {problem}"));
        }
        let life = boundaries.partition_point(|boundary| boundary.posts <= index);
        seen.entry(name_of(&post.json())).or_default().push((life, post.key()));
    }
    for kind in KINDS {
        let count = |is: fn(&Answer) -> bool| {
            sent.iter().filter(|sent| sent.kind == kind && is(&sent.answer)).count()
        };
        let counts = [
            count(|answer| *answer == Answer::Acknowledged),
            count(|answer| *answer == Answer::None),
            count(|answer| matches!(answer, Answer::Refused(_))),
        ];
        report.sent.push((kind, counts));
    }
    for sent in sent {
        for name in names_of(sent) {
            let came = seen.get(&name).map_or(&[][..], Vec::as_slice);
            match sent.answer {
                Answer::Acknowledged if came.is_empty() => report.violations.push(format!("lost: {name}")),
                Answer::Refused(status) if !came.is_empty() => {
                    report
                        .violations
                        .push(format!("{name} was refused with {status}, and came all the same"));
                }
                Answer::Wrong => {
                    report.violations.push(format!("{name} was given another answer than its own"))
                }
                _ => {}
            }
        }
    }
    let records = records_of(setting, boundaries);
    report.records = records.due.len();
    let lost = records.due.iter().filter(|record| !seen.contains_key(*record));
    report.violations.extend(lost.map(|record| format!("lost: {record}")));
    for (name, came) in &seen {
        once(name, came, report);
        if name.starts_with(RECORD) && !records.shown.contains(name) {
            report.violations.push(format!("{name} came, and was never listed"));
        }
    }
    vendor(scenario, sent, boundaries, report);
    schedules(&posts, customers, report);
    dead(scenario, report).await
}

/// What polls bring, by the names of `name_of`.
struct Records {
    due: BTreeSet<String>,
    shown: BTreeSet<String>,
}

fn records_of(setting: &Setting, boundaries: &[Boundary]) -> Records {
    let (mut due, mut shown) = (BTreeSet::new(), BTreeSet::new());
    for (number, customer) in setting.customers.iter().enumerate() {
        let account = customer.merchant.username.as_str();
        let lives: Vec<_> =
            boundaries.iter().filter_map(|boundary| boundary.listings.get(number).copied()).collect();
        let forms = Forms::new(setting.listing.newest(account), &setting.listing.served(account), &lives);
        let names = |forms: BTreeSet<_>| forms.into_iter().map(|form| name_of(&records::told(account, form)));
        due.extend(names(forms.due));
        shown.extend(names(forms.shown));
    }
    Records { due, shown }
}

/// What a POST is about.
fn name_of(body: &Value) -> String {
    let of = |name: &str| body.get(name).map(ToString::to_string).unwrap_or_default();
    match body.get("kind").and_then(Value::as_str) {
        Some("item") => format!("item {} of loop {}", of("item"), of("number")),
        Some("tick") => format!("tick {} of {}", of("at"), of("user")),
        Some(RECORD) => format!("{RECORD} {} @ {} of {}", of("item"), of("version"), of("user")),
        Some(kind) => format!("{kind} {}", of("number")),
        None => format!("{WEBHOOK} {}", of("id")),
    }
}

/// What must come of an event.
fn names_of(sent: &Sent) -> Vec<String> {
    let mut names = vec![format!("{} {}", sent.kind, sent.number)];
    if sent.kind == LOOP {
        names.extend((0..ITEMS).map(|item| format!("item {item} of loop {}", sent.number)));
    }
    names
}

/// One key, and not twice in one life.
fn once(name: &str, came: &[(usize, &str)], report: &mut Report) {
    let keys: BTreeSet<_> = came.iter().map(|(_, key)| *key).collect();
    let lives: BTreeSet<_> = came.iter().map(|(life, _)| *life).collect();
    if keys.len() > 1 {
        report.violations.push(format!("doubled: {name} came under the keys {keys:?}"));
    } else if lives.len() < came.len() {
        report.violations.push(format!("repeated without a kill between: {name}, in the lives {came:?}"));
    } else {
        report.repeated += came.len() - 1;
    }
}

/// Orders that were to be changed are, and were changed again only after a kill.
fn vendor(scenario: &Scenario, sent: &[Sent], boundaries: &[Boundary], report: &mut Report) {
    let requests = scenario.bigcommerce.requests();
    let mut lives: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, request) in requests.iter().enumerate().filter(|(_, request)| request.method == "PUT") {
        let life = boundaries.partition_point(|boundary| boundary.calls <= index);
        lives.entry(request.uri.path()).or_default().push(life);
    }
    for sent in sent.iter().filter(|sent| sent.kind == ACTION) {
        let Some(order) = sent.order else { continue };
        let changed = scenario.bigcommerce.status_of(&sent.store, order) == Some(2);
        let name = format!("{ACTION} {} (order {order})", sent.number);
        if sent.answer == Answer::Acknowledged && !changed {
            report.violations.push(format!("lost: {name} is not as it should be at the vendor"));
        }
        let path = format!("/stores/{}/v2/orders/{order}", sent.store);
        let calls = lives.get(path.as_str()).map_or(&[][..], Vec::as_slice);
        let distinct: BTreeSet<_> = calls.iter().collect();
        if distinct.len() < calls.len() {
            report
                .violations
                .push(format!("repeated without a kill between: {name}, in the lives {calls:?}"));
        }
        report.repeated += calls.len().saturating_sub(1);
    }
}

/// Each customer's minutes are stood for without a gap and without an overlap, from the installation on.
fn schedules(posts: &[Post], customers: &[Customer], report: &mut Report) {
    let mut minutes: BTreeMap<String, BTreeSet<(Timestamp, Timestamp)>> = BTreeMap::new();
    for tick in posts.iter().filter(|post| post.accepted()).filter_map(tick_of) {
        minutes.entry(tick.user).or_default().insert((tick.first, tick.last));
    }
    for customer in customers {
        let user = &customer.merchant.username;
        let Some(ticks) = minutes.get(user) else { continue };
        report.ticks += ticks.len();
        let ticks: Vec<_> = ticks.iter().copied().collect();
        for (end, next) in uneven(&ticks) {
            let fault = format!("a tick of {user} is lost or doubled between {end} and {next}");
            report.violations.push(fault);
        }
        if let Some(first) = ticks.first()
            && !customer.first_tick().contains(&first.0)
        {
            report.violations.push(format!("lost: the first tick of {user}; it begins with {}", first.0));
        }
    }
}

/// Where minutes do not follow each other: what came before, and what came next.
fn uneven(ticks: &[(Timestamp, Timestamp)]) -> Vec<(Timestamp, Timestamp)> {
    let pairs = ticks.iter().zip(ticks.iter().skip(1));
    pairs.filter(|(one, next)| next.0 != one.1 + MINUTE).map(|(one, next)| (one.1, next.0)).collect()
}

impl Customer {
    /// The first minute of its schedule: the installation was done by then.
    fn first_tick(&self) -> RangeInclusive<Timestamp> {
        Timestamp::ZERO..=Timestamp::from_millis((self.ticks_from.as_millis() / 60_000 + 1) * 60_000)
    }
}

/// Nothing was given up.
async fn dead(scenario: &Scenario, report: &mut Report) -> Result<()> {
    for path in ["/v1/dead-letters", "/v1/runs?status=failed&limit=20"] {
        let left = scenario.client.get(path).await?.ok()?;
        let left = left.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
        report.violations.extend(left.iter().map(|left| format!("given up ({path}): {left}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(came: &[(usize, &str)]) -> (usize, Vec<String>) {
        let mut report = Report::default();
        once("event 7", came, &mut report);
        (report.repeated, report.violations)
    }

    #[test]
    fn what_comes_again_needs_a_kill_between_and_its_first_key() {
        assert_eq!(outcome(&[(0, "a")]), (0, Vec::new()));
        assert_eq!(outcome(&[(0, "a"), (1, "a"), (4, "a")]), (2, Vec::new()));
        let (repeated, violations) = outcome(&[(0, "a"), (1, "b")]);
        assert!(repeated == 0 && violations[0].starts_with("doubled: event 7"), "{violations:?}");
        let (repeated, violations) = outcome(&[(0, "a"), (1, "a"), (1, "a")]);
        assert!(repeated == 0 && violations[0].contains("without a kill between: event 7"), "{violations:?}");
    }

    #[test]
    fn a_loop_is_all_of_its_items_and_its_end() {
        let sent =
            Sent { kind: LOOP, number: 3, order: None, store: String::new(), answer: Answer::Acknowledged };
        let names = names_of(&sent);
        assert_eq!(names.len(), 5);
        let item = serde_json::json!({ "kind": "item", "number": 3, "item": 3 });
        assert!(names.contains(&name_of(&item)) && names.contains(&"loop 3".to_owned()), "{names:?}");
        assert_eq!(name_of(&serde_json::json!({ "id": 112, "status_id": 11 })), "webhook 112");
    }

    #[test]
    fn minutes_must_be_stood_for_without_a_gap() {
        let minute = |number: u64| Timestamp::from_millis(number * 60_000);
        let gaps = |ticks: &[(u64, u64)]| {
            let ticks: Vec<_> = ticks.iter().map(|(first, last)| (minute(*first), minute(*last))).collect();
            uneven(&ticks)
        };
        assert!(gaps(&[(1, 1), (2, 4), (5, 5)]).is_empty());
        assert_eq!(gaps(&[(1, 1), (3, 3)]), [(minute(1), minute(3))]);
        assert_eq!(gaps(&[(1, 2), (2, 3)]), [(minute(2), minute(2))]);
    }
}
