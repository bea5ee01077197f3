//! Schedules: when a workflow starts by the clock.
//!
//! Owns the trigger's members (`Timing`), their check into a `Schedule`, and every question about ticks. It has
//! no clock: the caller says what time it is.
//!
//! Invariants:
//! - ticks follow from the schedule alone, never from when a process started: a restart shifts nothing;
//! - the tick after a moment is strictly later than it;
//! - what a change of clocks does to a tick is decided in `walk`, and nowhere else.
//!
//! The parser is our own, on jiff, which the workspace uses for time anyway and whose bundled database is the
//! same on every machine. Of the kept crates, `croner` makes up for a tick that clocks skip only where minute
//! and hour are single values (`0 2,14 * * *` would lose one a year), and `cronexpr` wants the time zone inside
//! the expression; both read further syntaxes that would become part of our API.

mod cron;
mod describe;
mod interval;
mod walk;

use std::fmt;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use self::interval::span;
use self::{cron::Cron, interval::Interval};
use crate::{
    clock::Timestamp,
    problem::{Problem, Problems},
    shape::{Field, Shape, optional},
};

/// A tick that is handled within this time is on time, not missed.
pub const ON_TIME: std::time::Duration = std::time::Duration::from_secs(60);

/// Missed ticks are counted up to this many.
pub const COUNTED: u64 = 10_000;

/// The members of a schedule trigger beside `type`, as a draft has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Five fields (minute, hour, day of month, month, day of week) or `@hourly`, `@daily`, `@weekly`,
    /// `@monthly`, `@yearly`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The IANA time zone whose clocks `cron` reads, such as `Europe/Berlin`, or `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Instead of `cron`: an interval such as `2m`, `6h` or `1d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// What becomes of ticks while nothing could run.
    #[serde(default)]
    pub missed: Missed,
}

/// What becomes of ticks while nothing could run: the host was down or the installation paused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Nothing: the next regular tick is the next run.
    #[default]
    Skip,
    /// One run stands for all of them.
    CatchUp,
}

/// A tick to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// When it was due.
    pub at: Timestamp,
    /// How many ticks it stands for, itself included: more than one after a stop, counted up to `COUNTED`.
    pub count: u64,
}

impl Tick {
    /// `trigger` in the mappings of a workflow that is started by it.
    #[must_use]
    pub fn data(&self) -> Value {
        json!({ "scheduled_at": self.at.to_string(), "count": self.count })
    }

    /// The JSON Schema of `data`.
    #[must_use]
    pub fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "scheduled_at": { "type": "string", "format": "date-time" },
                "count": { "type": "integer", "minimum": 1 },
            },
            "required": ["scheduled_at", "count"],
            "additionalProperties": false,
        })
    }
}

/// A checked schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    timing: Timing,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Cron { cron: Cron, zone: TimeZone },
    Every(Interval),
}

/// The trigger's members, for the definition's shape.
pub(crate) const MEMBERS: &[Field] = &[
    optional("cron", Shape::Text),
    optional("time_zone", Shape::Text),
    optional("every", Shape::Text),
    optional("missed", Shape::Word(&["skip", "catch_up"])),
];

const TRIGGER: Shape = Shape::Tagged { tag: "type", common: &[], cases: &[("schedule", MEMBERS)] };

impl Schedule {
    /// Reads a whole trigger, `{"type": "schedule", …}`; every problem at once, with pointers into it.
    pub fn parse(trigger: &Value) -> Result<Self, Problems> {
        let problems = TRIGGER.problems(trigger);
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let mut members = trigger.clone();
        if let Some(members) = members.as_object_mut() {
            members.remove("type");
        }
        let timing = Timing::deserialize(members).map_err(|error| {
            Problems(vec![Problem::new("", format!("the schedule cannot be read: {error}; correct it"))])
        })?;
        Self::check(&timing)
    }

    /// Checks a draft's members; every problem at once, with pointers below the trigger.
    pub fn check(timing: &Timing) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let mut problem = |at: &str, message: String| problems.push(Problem::new(at, message));
        let rule = match (&timing.cron, &timing.every) {
            (Some(text), None) => {
                let cron = Cron::parse(text).map_err(|message| problem("/cron", message)).ok();
                let zone = zone(timing.time_zone.as_deref());
                let zone = zone.map_err(|(at, message)| problem(at, message)).ok();
                cron.zip(zone).map(|(cron, zone)| Rule::Cron { cron, zone })
            }
            (None, Some(text)) => {
                if timing.time_zone.is_some() {
                    problem(
                        "/time_zone",
                        "an interval has no time zone, since it passes alike everywhere; remove `time_zone`, \
                         or write `cron` instead of `every`"
                            .to_owned(),
                    );
                }
                Interval::parse(text).map_err(|message| problem("/every", message)).ok().map(Rule::Every)
            }
            (Some(_), Some(_)) => {
                problem("/every", "a schedule has `cron` or `every`, not both; remove one".to_owned());
                None
            }
            (None, None) => {
                problem(
                    "",
                    "a schedule lacks its times; add `cron`, such as `0 19 * * THU`, with `time_zone`, or \
                     `every`, such as `2m`"
                        .to_owned(),
                );
                None
            }
        };
        match rule {
            Some(rule) if problems.is_empty() => Ok(Self { timing: timing.clone(), rule }),
            _ => Err(Problems(problems)),
        }
    }

    /// The members it was checked from.
    #[must_use]
    pub const fn timing(&self) -> &Timing {
        &self.timing
    }

    /// The first tick later than `now`; `None` past the end of the calendar.
    #[must_use]
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.rule {
            Rule::Every(interval) => interval.next_after(now),
            Rule::Cron { cron, zone } => {
                let now = jiff::Timestamp::from_millisecond(i64::try_from(now.as_millis()).ok()?).ok()?;
                let next = walk::next_after(cron, zone, now)?;
                u64::try_from(next.as_millisecond()).ok().map(Timestamp::from_millis)
            }
        }
    }

    /// What to act on at `now`, when everything up to `last` has been dealt with; `None` where nothing is.
    ///
    /// The newest tick counts as it is while it is on time. What is older was missed and goes by `missed`.
    #[must_use]
    pub fn due(&self, last: Timestamp, now: Timestamp) -> Option<Tick> {
        let ticks = self.ticks_between(last, now)?;
        if now.since(ticks.at) > ON_TIME {
            return self.missed_between(last, now);
        }
        match self.timing.missed {
            Missed::Skip => Some(Tick { count: 1, ..ticks }),
            Missed::CatchUp => Some(ticks),
        }
    }

    /// What to fire for the ticks later than `last` and no later than `now`, all of them missed: nothing, or
    /// one tick, the newest, that stands for all.
    #[must_use]
    pub fn missed_between(&self, last: Timestamp, now: Timestamp) -> Option<Tick> {
        match self.timing.missed {
            Missed::Skip => None,
            Missed::CatchUp => self.ticks_between(last, now),
        }
    }

    /// The newest tick in (last, now], and how many there are.
    fn ticks_between(&self, last: Timestamp, now: Timestamp) -> Option<Tick> {
        let tick_after = |moment: Timestamp| self.next_after(moment).filter(|tick| *tick <= now);
        let mut at = tick_after(last)?;
        let mut count = 1;
        while count < COUNTED {
            match tick_after(at) {
                Some(next) => at = next,
                None => return Some(Tick { at, count }),
            }
            count += 1;
        }
        // More than are counted: the newest is found by halving, since a stop may have lasted for years.
        let mut beyond = now;
        while beyond > at {
            let half = at + beyond.since(at) / 2;
            match tick_after(half) {
                Some(tick) => at = tick,
                None => beyond = half,
            }
        }
        Some(Tick { at, count })
    }
}

fn zone(name: Option<&str>) -> Result<TimeZone, (&'static str, String)> {
    let Some(name) = name else {
        return Err((
            "",
            "a schedule with `cron` lacks `time_zone`; add whose clocks it means: an IANA name such as \
             `Europe/Berlin`, or `UTC`"
                .to_owned(),
        ));
    };
    TimeZone::get(name).ok().filter(|zone| !zone.is_unknown()).ok_or_else(|| {
        (
            "/time_zone",
            format!("there is no time zone `{name}`; write an IANA name such as `Europe/Berlin`, or `UTC`"),
        )
    })
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.timing == other.timing
    }
}

impl Serialize for Schedule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.timing.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::check(&Timing::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Schedule {
    /// As a person says it: `every Thursday at 19:00, Europe/Berlin`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Rule::Every(interval) => interval.fmt(f),
            Rule::Cron { cron, zone } => {
                describe::cron(cron, f)?;
                write!(f, ", {}", zone.iana_name().unwrap_or("UTC"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
