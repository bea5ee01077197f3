//! The operator of the scenario: pushes, activates, rolls back, and sees every hopeless candidate refused.
//!
//! Each answer is checked: the version that should be active is, and something changed.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::held::Held;
use crate::{
    bench::{
        candidates::{Hopeless, hopeless, variant},
        component::APP,
        report::millis,
    },
    client::{Client, Error},
};

/// After so many swaps a hopeless candidate comes.
const REFUSED_EVERY: u32 = 5;

/// Over so many swaps the call is held.
const HELD_OVER: u32 = 2;

/// Swaps one connector.
#[derive(Debug)]
pub(super) struct Swapper {
    operator: Client,
    /// The version that the host began with, and another.
    versions: [Bytes; 2],
    digests: [String; 2],
    hopeless: Vec<Hopeless>,
    /// The last variant that was made.
    variants: u64,
}

/// Which of the two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    First,
    Second,
}

/// One swap, and the version that is active after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Push(Which),
    Activate(Which),
    Rollback(Which),
}

/// In turn, beginning with the first version active: each changes the active version.
const TURNS: [Turn; 4] = [
    Turn::Push(Which::Second),
    Turn::Push(Which::First),
    Turn::Activate(Which::Second),
    Turn::Rollback(Which::First),
];

/// What the swaps took so far.
#[derive(Debug, Default)]
pub(super) struct Swaps {
    /// How many there were.
    pub(super) count: u32,
    /// Candidates that were refused.
    pub(super) refused: u32,
    /// How long all of them took.
    pub(super) length: Duration,
    /// The switch alone, milliseconds, of each.
    pub(super) switch_ms: Vec<f64>,
    /// From the request to the answer, milliseconds, of each.
    pub(super) whole_ms: Vec<f64>,
}

/// What components took that the host had never seen.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    /// From upload to active, milliseconds, of each.
    pub(super) active_ms: Vec<f64>,
    /// The switch alone, milliseconds, of each.
    pub(super) switch_ms: Vec<f64>,
}

impl Swapper {
    /// Swaps between the host's own component and a variant of it.
    pub(super) async fn new(operator: Client, component: &[u8]) -> Result<Self> {
        let variants = 1;
        let versions = [component.to_vec().into(), variant(component, variants).into()];
        let listed = operator.get("/v1/connectors").await?;
        let active = listed.get("data").and_then(Value::as_array).into_iter().flatten();
        let mut own = active.filter(|row| row.get("app").and_then(Value::as_str) == Some(APP));
        let first =
            text(own.next().with_context(|| format!("the host has no connector `{APP}`"))?, "digest")?;
        // The second one's digest is known once it is kept; that also compiles it, so that a swap is a swap.
        let kept =
            operator.put_component(&path("versions?activate=false"), Bytes::clone(&versions[1])).await?;
        let digests = [first.to_owned(), text(&kept, "digest")?.to_owned()];
        Ok(Self { operator, versions, digests, hopeless: hopeless(component), variants })
    }

    /// Goes on swapping up to swap number `until`, one every `between`; `held` is begun at swap `hold_at`.
    pub(super) async fn swap(
        &mut self,
        swaps: &mut Swaps,
        until: u32,
        between: Duration,
        (held, hold_at): (&mut Held, u32),
    ) -> Result<()> {
        let start = Instant::now();
        let begun_with = swaps.count;
        for (number, turn) in (0..until).zip(TURNS.into_iter().cycle()).skip(usize::try_from(begun_with)?) {
            sleep_until(start + between * (number - begun_with)).await;
            if number == hold_at {
                held.begin(self.digest(turn.before())).await?;
            }
            let begun = Instant::now();
            let answer = self.take(turn).await.with_context(|| format!("swap {}", number + 1))?;
            swaps.whole_ms.push(millis(begun.elapsed()));
            swaps.switch_ms.push(figure(&answer, "/stages_ms/switch")?);
            held.swapped();
            if number + 1 == hold_at + HELD_OVER {
                held.release();
            }
            if (number + 1) % REFUSED_EVERY == 0 {
                self.refuse(swaps.refused).await?;
                swaps.refused += 1;
            }
            swaps.count += 1;
        }
        // The last one has its share of the load, too.
        sleep_until(start + between * (until - begun_with)).await;
        swaps.length += start.elapsed();
        held.release();
        Ok(())
    }

    /// Pushes `count` components that the host has never seen.
    pub(super) async fn fresh(&mut self, count: u64) -> Result<Fresh> {
        let mut fresh = Fresh::default();
        for _ in 0..count {
            self.variants += 1;
            let [first, _] = &self.versions;
            let component = Bytes::from(variant(first, self.variants));
            let begun = Instant::now();
            let answer = self.operator.put_component(&path("versions?activate=true"), component).await?;
            fresh.active_ms.push(millis(begun.elapsed()));
            fresh.switch_ms.push(figure(&answer, "/stages_ms/switch")?);
            ensure!(
                flag(&answer, "active") && flag(&answer, "changed"),
                "a new component is not active: {answer}"
            );
        }
        Ok(fresh)
    }

    async fn take(&self, turn: Turn) -> Result<Value> {
        let answer = match turn {
            Turn::Push(which) => {
                let component = match which {
                    Which::First => &self.versions[0],
                    Which::Second => &self.versions[1],
                };
                self.operator.put_component(&path("versions?activate=true"), component.clone()).await?
            }
            Turn::Activate(which) => {
                let body = json!({ "digest": self.digest(which) });
                self.operator.post(&path("activate"), &body).await?
            }
            Turn::Rollback(_) => self.operator.post(&path("rollback"), &json!({})).await?,
        };
        let expected = self.digest(turn.after());
        ensure!(
            text(&answer, "digest")? == expected && flag(&answer, "active") && flag(&answer, "changed"),
            "after {turn:?}, {expected} should be active; the host answered {answer}"
        );
        Ok(answer)
    }

    async fn refuse(&self, number: u32) -> Result<()> {
        let turn = usize::try_from(number)?;
        let candidate = self.hopeless.iter().cycle().nth(turn).context("there are hopeless candidates")?;
        let what = candidate.what;
        let component = Bytes::from(candidate.bytes.clone());
        match self.operator.put_component(&path("versions?activate=true"), component).await {
            Err(Error::Refused(refusal)) if refusal.code() == "connector-refused" => Ok(()),
            Err(error) => Err(error).with_context(|| format!("pushing what must be refused ({what})")),
            Ok(answer) => bail!("the host took what it must refuse ({what}): {answer}"),
        }
    }

    fn digest(&self, which: Which) -> &str {
        let [first, second] = &self.digests;
        match which {
            Which::First => first,
            Which::Second => second,
        }
    }
}

impl Which {
    const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

impl Turn {
    const fn after(self) -> Which {
        match self {
            Self::Push(which) | Self::Activate(which) | Self::Rollback(which) => which,
        }
    }

    const fn before(self) -> Which {
        self.after().other()
    }
}

fn path(rest: &str) -> String {
    format!("/v1/connectors/{APP}/{rest}")
}

fn text<'a>(answer: &'a Value, name: &str) -> Result<&'a str> {
    let text = answer.get(name).and_then(Value::as_str);
    text.with_context(|| format!("the host answered without `{name}`: {answer}"))
}

fn figure(answer: &Value, pointer: &str) -> Result<f64> {
    let figure = answer.pointer(pointer).and_then(Value::as_f64);
    figure.with_context(|| format!("the host answered without `{pointer}`: {answer}"))
}

fn flag(answer: &Value, name: &str) -> bool {
    answer.get(name).and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_changes_the_active_version_and_they_can_go_round() {
        let mut active = Which::First;
        for turn in TURNS.into_iter().cycle().take(9) {
            assert_eq!(turn.before(), active, "{turn:?}");
            active = turn.after();
        }
        assert_eq!(TURNS.last().unwrap().after(), Which::First);
    }
}
