//! The shop's points: every document costs some, and they come back at a steady rate.

use std::time::Duration;

use trunnion_sdk::prelude::*;

/// The rate limit of an app in a shop.
pub(crate) const POINTS: &str = "points";

/// What an answer says about the points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    requested: u64,
    available: u64,
    maximum: u64,
    per_second: u64,
}

impl Cost {
    /// None where Shopify does not say: documents that it could not even read cost nothing.
    fn of(body: &Value) -> Option<Self> {
        let cost = body.pointer("/extensions/cost")?;
        let throttle = cost.get("throttleStatus")?;
        Some(Self {
            requested: cost.get("requestedQueryCost").and_then(whole).unwrap_or_default(),
            available: throttle.get("currentlyAvailable").and_then(whole)?,
            maximum: throttle.get("maximumAvailable").and_then(whole)?,
            per_second: throttle.get("restoreRate").and_then(whole)?,
        })
    }

    /// The time until `points` are there; none where they never come back.
    fn until(&self, points: u64) -> Option<Duration> {
        let missing = points.saturating_sub(self.available).saturating_mul(1000);
        (self.per_second > 0).then(|| Duration::from_millis(missing.div_ceil(self.per_second)))
    }
}

/// Points are written as `2000` or as `2000.0`; the part of one that may be there is not counted.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| Some(Duration::try_from_secs_f64(value.as_f64()?).ok()?.as_secs()))
}

/// Reports what is left.
pub(super) fn observe(ctx: &Context, body: &Value) {
    let Some(cost) = Cost::of(body) else { return };
    if let Some(full) = cost.until(cost.maximum) {
        ctx.observe_limit(POINTS, cost.available, full);
    }
}

/// How long a throttled document has to wait for its points.
pub(super) fn wait(body: &Value) -> Option<Duration> {
    let cost = Cost::of(body)?;
    cost.until(cost.requested)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(requested: u64, available: &Value, rate: &Value) -> Value {
        let throttle =
            json!({"maximumAvailable": 2000, "currentlyAvailable": available, "restoreRate": rate});
        json!({"extensions": {"cost": {"requestedQueryCost": requested, "throttleStatus": throttle}}})
    }

    #[test]
    fn the_wait_is_what_is_missing_over_the_rate() {
        for (requested, available, rate, ms) in [
            (70, json!(66), json!(50), Some(80)),
            (70, json!(66.9), json!(50.0), Some(80)),
            (502, json!(0), json!(100), Some(5020)),
            (10, json!(9), json!(3), Some(334)),
            (10, json!(11), json!(100), Some(0)),
            (10, json!(9), json!(0), None),
            (10, json!(-1), json!(100), None),
        ] {
            let body = body(requested, &available, &rate);
            assert_eq!(wait(&body), ms.map(Duration::from_millis), "{body}");
        }
    }

    #[test]
    fn an_answer_without_cost_says_nothing() {
        assert_eq!(wait(&json!({"errors": []})), None);
        assert_eq!(wait(&json!({"extensions": {"cost": {"requestedQueryCost": 10}}})), None);
    }
}
