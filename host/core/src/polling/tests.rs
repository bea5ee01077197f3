//! Ticks, pauses, and what counts as late.

use proptest::prelude::*;

use super::*;
use crate::{
    id::Id,
    manifest::{CursorFormat, PollDedup},
};

const HOUR: u64 = 3_600_000;

fn installation(random: u64) -> InstallationId {
    let mut bytes = [0; 12];
    bytes[6..].copy_from_slice(&random.to_be_bytes()[2..]);
    InstallationId(Id::from_bytes(bytes))
}

fn spec() -> PollSpec {
    PollSpec {
        interval_ms: 60_000,
        min_interval_ms: 60_000,
        overlap_ms: 120_000,
        recheck: Some(Recheck { every_ms: HOUR, look_back_ms: 6 * HOUR }),
        cursor_format: CursorFormat { writes: 2, reads: vec![1, 2] },
        dedup: PollDedup::Occurrence,
    }
}

proptest! {
    #[test]
    fn ticks_follow_each_other_by_exactly_the_interval(
        random in 0..1_u64 << 48, interval in 1_000..86_400_000_u64, now in 0..4_000_000_000_000_u64
    ) {
        let pace = Pace::new(Duration::from_millis(interval), installation(random));
        let now = Timestamp::from_millis(now);
        let next = pace.after(now);
        prop_assert!(next > now && next.since(now) <= pace.interval());
        prop_assert_eq!(pace.after(next), next + pace.interval());
        // A moment before a tick leads to that very tick: a restart moves nothing.
        prop_assert_eq!(pace.after(Timestamp::from_millis(next.as_millis() - 1)), next);
        let first = pace.first_after_start(now);
        prop_assert!(first <= next && first >= now && first.since(now) <= FIRST_WITHIN.max(pace.interval()));
        prop_assert!(first.since(now) <= FIRST_WITHIN || first == next);
    }

    #[test]
    fn a_deeper_look_is_taken_once_in_each_period(random in 0..1_u64 << 48, minutes in 1..30_u64) {
        let pace = Pace::new(Duration::from_secs(minutes * 60), installation(random));
        let recheck = Recheck { every_ms: HOUR, look_back_ms: 6 * HOUR };
        let mut due = pace.after(Timestamp::from_millis(1_700_000_000_000));
        let mut taken = 0;
        for _ in 0..24 * 60 / minutes {
            taken += u64::from(pace.rechecks(&recheck, due));
            due = due + pace.interval();
        }
        let hours = 24 * 60 / minutes * minutes / 60;
        prop_assert!(taken >= hours - 1 && taken <= hours + 1, "{} in {} hours", taken, hours);
    }
}

#[test]
fn pollers_are_spread_over_the_interval() {
    let mut tenths = [0_u32; 10];
    for number in 0..10_000_u64 {
        let pace = Pace::new(
            Duration::from_secs(60),
            installation(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16),
        );
        let next = pace.after(Timestamp::from_millis(1_699_999_980_000));
        let into = next.as_millis() % 60_000 / 6_000;
        tenths[usize::try_from(into).unwrap()] += 1;
    }
    assert!(tenths.iter().all(|count| (800..1_200).contains(count)), "{tenths:?}");
}

#[test]
fn failures_are_tried_again_ever_more_rarely_and_never_before_the_vendor_allows() {
    let pace = Pace::new(Duration::from_secs(60), installation(1));
    let down = CallError::Unavailable { message: "503".to_owned() };
    let refused = CallError::Rejected { status: 400, message: "no".to_owned() };
    let slow = CallError::RateLimited { retry_after_ms: Some(1_200_000) };
    let now = Timestamp::from_millis(1_000_000);
    let seconds =
        |error, failures, jitter| after_failure(pace, error, failures, jitter, now).since(now).as_millis();
    let table = [
        (&down, 1, 0, 3_750),
        (&down, 1, 255, 6_250),
        (&down, 2, 0, 7_500),
        (&down, 60, 0, 675_000),
        (&down, u32::MAX, 255, 1_125_000),
        (&refused, 1, 0, 675_000),
        (&slow, 1, 0, 1_200_000),
    ];
    for (error, failures, jitter, expected) in table {
        assert_eq!(seconds(error, failures, jitter), expected, "{error} {failures} {jitter}");
    }
}

#[test]
fn a_workflow_chooses_an_interval_within_the_triggers_own_bounds() {
    for (every, seconds) in [(None, 60), (Some("2m"), 120), (Some("6h"), 21_600), (Some("90s"), 90)] {
        assert_eq!(interval(&spec(), every), Duration::from_secs(seconds), "{every:?}");
        assert_eq!(every.and_then(|every| unfit(&spec(), every)), None);
    }
    for (every, phrase) in [("5", "whole number"), ("30s", "at least `60s`"), ("2d", "longer than a day")] {
        let message = unfit(&spec(), every).unwrap();
        assert!(message.contains(phrase), "{message}");
    }
    // A later manifest may ask for more than a release chose: its bound holds.
    assert_eq!(interval(&spec(), Some("1s")), Duration::from_secs(60));
}

#[test]
fn late_is_what_came_after_the_overlap() {
    let at = |ms| Some(Timestamp::from_millis(ms));
    let table = [
        (at(1_000_000), at(880_000), false),
        (at(1_000_000), at(879_999), true),
        (at(1_000_000), at(2_000_000), false),
        (None, at(1), false),
        (at(1_000_000), None, false),
    ];
    for (watermark, occurred_at, late) in table {
        assert_eq!(is_late(&spec(), watermark, occurred_at), late, "{watermark:?} {occurred_at:?}");
    }
}

#[test]
fn a_declaration_that_cannot_hold_is_refused_member_by_member() {
    assert_eq!(faults(&spec()), []);
    let wrong = PollSpec {
        interval_ms: 10,
        min_interval_ms: 90_000_000,
        overlap_ms: 400_000_000,
        recheck: Some(Recheck { every_ms: 5, look_back_ms: 5 }),
        cursor_format: CursorFormat { writes: 3, reads: vec![1, 2] },
        dedup: PollDedup::Occurrence,
    };
    let members: Vec<_> = faults(&wrong).into_iter().map(|(member, _)| member).collect();
    assert_eq!(
        members,
        [
            "interval_ms",
            "min_interval_ms",
            "min_interval_ms",
            "overlap_ms",
            "recheck/every_ms",
            "recheck/look_back_ms",
            "cursor_format/reads"
        ]
    );
}
