//! What closes a limit, when it opens, and how those that waited follow one another.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const SECOND: Duration = Duration::from_secs(1);
/// Ten a second.
const STEADY: Pace = Pace { capacity: 100, window: Duration::from_secs(10), refill: Refill::Steady };
const AT_ONCE: Pace = Pace { refill: Refill::AtOnce, ..STEADY };

fn ask(limit: &mut Limit, pace: Pace, asking: Asking, now: Timestamp) -> Turn {
    turn(&mut [(limit, pace)], asking, now)
}

fn after(millis: u64) -> Timestamp {
    NOW + Duration::from_millis(millis)
}

#[test]
fn nothing_heard_is_open_however_many_come() {
    let mut limit = Limit::default();
    for _ in 0..1_000 {
        assert_eq!(ask(&mut limit, STEADY, Asking::First, NOW), Turn::Now);
    }
    assert!(limit.is_idle(NOW));
}

#[test]
fn a_429_closes_for_as_long_as_it_asks_and_those_that_wait_follow_one_another() {
    let mut limit = Limit::default();
    let refused = limit.refused(STEADY, Some(60 * SECOND), NOW);
    assert_eq!(refused, NOW + 60 * SECOND);
    for waiting in 1..=3_u64 {
        let at = ask(&mut limit, STEADY, Asking::First, after(waiting));
        assert_eq!(at, Turn::At(after(60_000 + waiting * 100)));
    }
    assert!(!limit.is_idle(NOW));
    // When it has opened, whoever comes for the first time need not queue behind them.
    assert_eq!(ask(&mut limit, STEADY, Asking::Again, after(60_000)), Turn::Now);
    assert_eq!(ask(&mut limit, STEADY, Asking::First, after(60_001)), Turn::Now);
}

#[test]
fn a_turn_is_given_anew_where_the_limit_closed_again_meanwhile() {
    let mut limit = Limit::default();
    limit.refused(STEADY, Some(SECOND), NOW);
    let Turn::At(turn) = ask(&mut limit, STEADY, Asking::First, NOW) else { panic!("it is closed") };
    limit.refused(STEADY, Some(60 * SECOND), after(1_000));
    let Turn::At(anew) = ask(&mut limit, STEADY, Asking::Again, turn) else { panic!("it is closed") };
    assert!(anew > after(61_000), "{anew}");
}

#[test]
fn a_429_without_a_time_closes_for_longer_each_time_beyond_per_minute_quotas() {
    let mut limit = Limit::default();
    let mut now = NOW;
    let mut closings = Vec::new();
    for _ in 0..12 {
        let until = limit.refused(STEADY, None, now);
        // Another one of the same moment is the same refusal.
        limit.refused(STEADY, None, now);
        closings.push(until.since(now).as_secs());
        now = until + SECOND;
    }
    assert_eq!(closings, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
    limit.passed();
    assert_eq!(limit.refused(STEADY, None, now), now + SECOND);
}

#[test]
fn what_the_vendor_says_is_left_is_what_goes() {
    let table = [(STEADY, 100), (AT_ONCE, 5_000)];
    for (pace, opens_in) in table {
        let mut limit = Limit::default();
        limit.observe(2, 5 * SECOND, NOW);
        assert_eq!(ask(&mut limit, pace, Asking::First, NOW), Turn::Now);
        assert_eq!(ask(&mut limit, pace, Asking::First, NOW), Turn::Now);
        assert_eq!(ask(&mut limit, pace, Asking::First, NOW), Turn::At(after(opens_in)), "{pace:?}");
        assert_eq!(ask(&mut limit, pace, Asking::First, NOW), Turn::At(after(opens_in + 100)), "{pace:?}");
        // Whoever was given a moment goes at it, whatever others took.
        assert_eq!(ask(&mut limit, pace, Asking::Again, after(opens_in)), Turn::Now);
        assert!(limit.is_idle(after(10_000)));
        assert_eq!(ask(&mut limit, pace, Asking::First, after(10_000)), Turn::Now);
    }
}

#[test]
fn no_vendor_closes_a_limit_for_ever() {
    let day = 24 * 3600 * SECOND;
    let mut limit = Limit::default();
    limit.observe(0, Duration::MAX, NOW);
    assert_eq!(limit.opens_at(AT_ONCE, NOW), Some(NOW + day));
    assert_eq!(limit.refused(STEADY, Some(Duration::MAX), NOW), NOW + day);
}

#[test]
fn a_larger_plan_is_learnt_from_what_is_left() {
    let mut limit = Limit::default();
    limit.observe(1_000, SECOND, NOW);
    limit.refused(STEADY, Some(SECOND), NOW);
    let (first, second) =
        (ask(&mut limit, STEADY, Asking::First, NOW), ask(&mut limit, STEADY, Asking::First, NOW));
    assert_eq!((first, second), (Turn::At(after(1_010)), Turn::At(after(1_020))));
}

#[test]
fn a_call_waits_for_the_last_of_its_limits() {
    let (mut general, mut search) = (Limit::default(), Limit::default());
    search.refused(STEADY, Some(30 * SECOND), NOW);
    assert_eq!(ask(&mut general, STEADY, Asking::First, NOW), Turn::Now);
    let both = turn(&mut [(&mut general, STEADY), (&mut search, STEADY)], Asking::First, NOW);
    assert_eq!(both, Turn::At(after(30_100)));
    assert_eq!(ask(&mut general, STEADY, Asking::First, NOW), Turn::Now, "the other limit stays open");
}

proptest! {
    /// Moments that were given away are never the same, never before the limit opens, and never far behind it.
    #[test]
    fn turns_are_apart(asked in 1_u64..120, waiting in 1_u64..200, gap in 0_u64..500) {
        let mut limit = Limit::default();
        limit.refused(STEADY, Some(Duration::from_secs(asked)), NOW);
        let mut last = NOW + Duration::from_secs(asked);
        for number in 0..waiting {
            let now = after(number * gap).min(NOW + Duration::from_secs(asked) - Duration::from_millis(1));
            let Turn::At(at) = ask(&mut limit, STEADY, Asking::First, now) else {
                return Err(TestCaseError::fail("it is closed"));
            };
            prop_assert!(at >= last + Duration::from_millis(100));
            prop_assert!(at <= NOW + Duration::from_secs(asked) + Duration::from_millis((number + 1) * 100));
            last = at;
        }
    }
}
