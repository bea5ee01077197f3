//! From civil times to instants: what a change of clocks does to a cron's ticks.
//!
//! The rule, for crons that name hours: a tick whose time the clocks skip comes once, at the first instant after
//! the gap; a tick whose time comes twice happens the first time only. A cron of every hour goes by the clock as
//! it runs: what is skipped is not made up for, since the next one is near, and what comes twice ticks twice.
//! This is what Vixie cron does, except that there a step such as `*/6` counts as every hour, and so loses a run.
//!
//! Between two changes a zone has one offset, so that a tick is found by civil arithmetic alone.

use jiff::{Timestamp, ToSpan, civil::DateTime, tz::TimeZone};

use super::cron::Cron;

/// A 29th of February on one day of the week can be forty years away.
const HORIZON_YEARS: i16 = 41;

pub(super) fn next_after(cron: &Cron, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let second = 1.second();
    // Ticks are on whole seconds: the first one that is later.
    let start = Timestamp::from_second(now.as_second()).ok()?.checked_add(second).ok()?;
    let begun = zone.preceding(start.checked_add(second).ok()?).next().map(|change| change.timestamp());
    let horizon = zone.to_datetime(start).checked_add(HORIZON_YEARS.years()).unwrap_or(DateTime::MAX);
    let mut change = begun;
    loop {
        let from = change.map_or(start, |change| change.max(start));
        let offset = zone.to_offset(from);
        let mut civil = offset.to_datetime(from);
        if civil > horizon {
            return None;
        }
        if let Some(change) = change
            && !cron.every_hour()
        {
            let before = zone.to_offset(change.checked_sub(second).ok()?).to_datetime(change);
            let after = offset.to_datetime(change);
            if change >= start && cron.first_in(before, after).is_some() {
                return Some(change);
            }
            // Clocks went back: up to `before` every time has been there already.
            civil = civil.max(before);
        }
        let next = zone.following(from).next().map(|change| change.timestamp());
        let end = next.map_or(horizon, |next| offset.to_datetime(next).min(horizon));
        if let Some(found) = cron.first_in(civil, end) {
            return offset.to_timestamp(found).ok();
        }
        change = Some(next?);
    }
}
