//! Tables over the machine: every state × event × repeat class, and what must hold over any history.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{id::RunId, retry::RetryPolicy};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const RETRY: RetryPolicy = RetryPolicy { attempts: 4, delay_ms: 1_000, backoff: 2, max_delay_ms: 10_000 };

fn lease(holder: &str) -> Lease {
    Lease { holder: holder.to_owned(), until: NOW + LEASE }
}

fn rule(id: &str, act: Act) -> StepRule {
    StepRule { id: id.to_owned(), act, retry: RETRY, on_error: OnError::Fail, next: 1, otherwise: 1 }
}

/// One after the other.
fn in_order<const N: usize>(mut rules: [StepRule; N]) -> [StepRule; N] {
    for (index, rule) in rules.iter_mut().enumerate() {
        (rule.next, rule.otherwise) = (index + 1, index + 1);
    }
    rules
}

fn done() -> Event {
    Event::Done { started_at: NOW, input: json!({"in": 1}).into(), output: json!({"out": 2}).into() }
}

fn failed(error: CallError) -> Event {
    Event::Failed { started_at: NOW, input: json!({"in": 1}).into(), error, jitter: 0 }
}

/// Held at a rate limit until a little later, with what the vendor refused.
fn held(error: Option<CallError>) -> Event {
    let refused = error.map(|error| Refused { started_at: NOW, input: json!({"in": 1}).into(), error });
    Event::Held { until: NOW + Duration::from_millis(1), waits: Waits::Limit, refused }
}

fn unavailable() -> CallError {
    CallError::Unavailable { message: "503".to_owned() }
}

fn uncertain() -> CallError {
    CallError::Uncertain { message: "timed out after sending".to_owned() }
}

fn trapped() -> CallError {
    CallError::Trapped { message: "unreachable".to_owned() }
}

fn rejected() -> CallError {
    CallError::Rejected { status: 400, message: "no".to_owned() }
}

/// The columns of the table.
fn events() -> [Event; 13] {
    [
        Event::Leased(lease("new")),
        Event::Intended,
        done(),
        Event::Filtered,
        failed(unavailable()),
        failed(uncertain()),
        failed(rejected()),
        Event::ReconciledAbsent,
        Event::Cancel,
        Event::Released,
        Event::Guarded { holds: false },
        Event::Parked { until: NOW + Duration::from_millis(1) },
        held(None),
    ]
}

/// The rows: a state by name.
fn state(name: &str) -> RunState {
    let queued = |at| Status::Queued { not_before: at, last_error: None };
    let held = |begun| Status::Leased { lease: lease("old"), begun };
    let base = RunState { attempt: 1, ..RunState::queued(NOW) };
    match name {
        "queued" => base,
        "early" => RunState { status: queued(NOW + Duration::from_millis(1)), ..base },
        "queued, uncertain" => RunState { uncertain: true, ..base },
        "held" => RunState { status: held(Begun::Maybe), ..base },
        "held, not begun" => RunState { status: held(Begun::No), ..base },
        "held, uncertain" => RunState { status: held(Begun::Maybe), uncertain: true, ..base },
        "held, cancelling" => RunState { status: held(Begun::Maybe), cancelling: true, ..base },
        "held, not begun, cancelling" => RunState { status: held(Begun::No), cancelling: true, ..base },
        "held, uncertain, cancelling" => {
            RunState { status: held(Begun::Maybe), uncertain: true, cancelling: true, ..base }
        }
        "ended" => RunState { status: Status::Ended { outcome: Outcome::Succeeded, at: NOW }, ..base },
        other => panic!("no state {other}"),
    }
}

/// One letter for what follows.
fn letter(before: &RunState, decision: &Decision) -> char {
    match (&decision.state.status, decision.next) {
        (Status::Ended { outcome: Outcome::Succeeded, .. }, Next::End) => 'S',
        (Status::Ended { outcome: Outcome::Filtered { .. }, .. }, Next::End) => 'F',
        (Status::Ended { outcome: Outcome::Cancelled, .. }, Next::End) => 'C',
        (Status::Ended { outcome: Outcome::Failed { dead_letter: None, .. }, .. }, Next::End) => 'X',
        (Status::Ended { outcome: Outcome::Failed { dead_letter: Some(_), .. }, .. }, Next::End) => 'D',
        (Status::Leased { .. }, Next::Perform(0)) => 'P',
        (Status::Leased { .. }, Next::Intend(0)) => 'I',
        (Status::Leased { .. }, Next::Reconcile(0)) => 'R',
        (Status::Queued { .. }, Next::Wait(_)) => 'W',
        (_, Next::Nothing) if decision.state == *before => '-',
        (Status::Leased { .. }, Next::Nothing) if decision.state.cancelling => 'c',
        _ => '?',
    }
}

#[test]
fn every_state_and_event() {
    use Repeat::{Key, Lookup, Never, Safe};
    let pure = Act::Pure;
    let outside = Act::Outside;
    // Columns: Leased Intended Done Filtered unavailable uncertain rejected ReconciledAbsent Cancel Released
    // Guarded Parked Held.
    let table = [
        (pure, "queued", "P-------C----"),
        (pure, "early", "--------C----"),
        (pure, "held", "P-SFWWX-cWS--"),
        (pure, "held, cancelling", "C-SFCCC--CS--"),
        (pure, "ended", "-------------"),
        (Act::Resumable, "queued", "P-------C----"),
        (Act::Resumable, "held", "P-SFWWX-cW-WW"),
        (Act::Resumable, "held, cancelling", "C-SFCCC--C-CC"),
        (Act::Resumable, "ended", "-------------"),
        (outside(Safe), "queued", "P-------C----"),
        (outside(Safe), "early", "--------C----"),
        (outside(Safe), "queued, uncertain", "P-------C----"),
        (outside(Safe), "held", "P-SFWWX-cW--W"),
        (outside(Safe), "held, cancelling", "C-SFCCC--C--C"),
        (outside(Safe), "ended", "-------------"),
        (outside(Key), "queued", "P-------C----"),
        (outside(Key), "early", "--------C----"),
        (outside(Key), "queued, uncertain", "P-------C----"),
        (outside(Key), "held", "P-SFWWX-cW--W"),
        (outside(Key), "held, cancelling", "C-SFCCC--C--C"),
        (outside(Key), "ended", "-------------"),
        (outside(Lookup), "queued", "P-------C----"),
        (outside(Lookup), "early", "--------C----"),
        (outside(Lookup), "queued, uncertain", "R-------C----"),
        (outside(Lookup), "held", "R-SFWWX-cW--W"),
        (outside(Lookup), "held, uncertain", "R-SFWWDPcW--W"),
        (outside(Lookup), "held, cancelling", "C-SFCCC--C--C"),
        (outside(Lookup), "held, uncertain, cancelling", "C-SFCCCC-C--C"),
        (outside(Lookup), "ended", "-------------"),
        (outside(Never), "queued", "I-------C----"),
        (outside(Never), "early", "--------C----"),
        (outside(Never), "queued, uncertain", "D-------C----"),
        (outside(Never), "held, not begun", "IPSFWWX-cW--W"),
        (outside(Never), "held", "D-SFWDX-cW--W"),
        (outside(Never), "held, cancelling", "C-SFCCC--C--C"),
        (outside(Never), "held, not begun, cancelling", "CCSFCCC--C--C"),
        (outside(Never), "ended", "-------------"),
    ];
    let mut wrong = Vec::new();
    for (act, name, expected) in table {
        let rules = [rule("only", act)];
        let found: String = events()
            .into_iter()
            .map(|event| letter(&state(name), &apply(state(name), &rules, event, NOW)))
            .collect();
        if found != expected {
            wrong.push(format!("{act:?}, {name}: expected {expected}, found {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn attempts_are_counted_over_retries_and_lost_leases_and_start_anew_at_the_next_step() {
    let rules = in_order([rule("one", Act::Outside(Repeat::Safe)), rule("two", Act::Outside(Repeat::Safe))]);
    let state = apply(RunState::queued(NOW), &rules, Event::Leased(lease("a")), NOW).state;
    assert_eq!(state.attempt, 1);
    let waiting = apply(state, &rules, failed(unavailable()), NOW);
    assert_eq!(waiting.next, Next::Wait(NOW + Duration::from_millis(750)));
    let later = NOW + Duration::from_secs(2);
    let state = apply(waiting.state, &rules, Event::Leased(lease("a")), later).state;
    assert_eq!(state.attempt, 2);
    let state = apply(state, &rules, Event::Leased(lease("b")), later).state;
    assert_eq!((state.attempt, state.recoveries), (3, 1));
    let moved = apply(state, &rules, done(), later);
    assert_eq!((moved.next, moved.journal), (Next::Perform(1), Journal::First));
    assert_eq!(moved.state.attempt, 1);
    assert_eq!(moved.state.results.first().map(|result| result.attempts), Some(3));
    let ended = apply(moved.state, &rules, done(), later).state;
    assert!(ended.ended());
    assert_eq!(ended.results.iter().map(|result| result.attempts).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn retries_end_as_a_dead_letter_that_says_how_often() {
    let rules = [rule("one", Act::Outside(Repeat::Safe))];
    let mut state = RunState::queued(NOW);
    let mut now = NOW;
    for attempt in 1..=RETRY.attempts {
        now = now + Duration::from_secs(60);
        state = apply(state, &rules, Event::Leased(lease("a")), now).state;
        assert_eq!(state.attempt, attempt);
        state = apply(state, &rules, failed(unavailable()), now).state;
    }
    let Status::Ended { outcome: Outcome::Failed { step, dead_letter: Some(reason), .. }, .. } =
        &state.status
    else {
        panic!("{state:?}")
    };
    assert_eq!((step.as_str(), reason.as_str()), ("one", "gave up after 4 attempts: unavailable: 503"));
    assert_eq!(state.results.last().and_then(|result| result.error.clone()), Some(unavailable()));
}

#[test]
fn a_run_that_keeps_killing_its_process_is_given_up() {
    let rules = [rule("one", Act::Outside(Repeat::Safe))];
    let mut state = apply(RunState::queued(NOW), &rules, Event::Leased(lease("0")), NOW).state;
    for holder in 1..=MAX_RECOVERIES {
        state = apply(state, &rules, Event::Leased(lease(&holder.to_string())), NOW).state;
        assert!(!state.ended(), "{holder}");
    }
    let last = apply(state, &rules, Event::Leased(lease("last")), NOW);
    assert!(matches!(
        last.state.status,
        Status::Ended { outcome: Outcome::Failed { dead_letter: Some(_), .. }, .. }
    ));
}

#[test]
fn the_holder_of_a_lease_does_not_take_it_from_itself() {
    let rules = [rule("one", Act::Outside(Repeat::Never))];
    let state = apply(RunState::queued(NOW), &rules, Event::Leased(lease("a")), NOW).state;
    assert_eq!(apply(state.clone(), &rules, Event::Leased(lease("a")), NOW).next, Next::Nothing);
    let ended = NOW + LEASE;
    assert_eq!(apply(state, &rules, Event::Leased(lease("a")), ended).next, Next::Intend(0));
}

#[test]
fn a_trap_may_have_sent_its_request() {
    for (repeat, expected) in [(Repeat::Never, 'D'), (Repeat::Lookup, 'W'), (Repeat::Safe, 'W')] {
        let rules = [rule("one", Act::Outside(repeat))];
        let decision = apply(state("held"), &rules, failed(trapped()), NOW);
        assert_eq!(letter(&state("held"), &decision), expected, "{repeat:?}");
        assert!(decision.state.uncertain);
        if repeat == Repeat::Lookup {
            let later = NOW + Duration::from_secs(60);
            let next = apply(decision.state, &rules, Event::Leased(lease("a")), later).next;
            assert_eq!(next, Next::Reconcile(0));
        }
    }
}

#[test]
fn what_may_travel_with_the_next_commit() {
    use Repeat::{Key, Lookup, Never, Safe};
    let table = [
        (Act::Pure, Act::Pure, Journal::Later),
        (Act::Pure, Act::Outside(Safe), Journal::Later),
        (Act::Pure, Act::Outside(Key), Journal::Later),
        (Act::Pure, Act::Outside(Lookup), Journal::First),
        (Act::Pure, Act::Outside(Never), Journal::Later),
        (Act::Outside(Safe), Act::Pure, Journal::First),
    ];
    for (one, two, expected) in table {
        let rules = in_order([rule("one", one), rule("two", two)]);
        assert_eq!(apply(state("held"), &rules, done(), NOW).journal, expected, "{one:?}, {two:?}");
    }
    let intended = apply(state("held, not begun"), &[rule("one", Act::Outside(Never))], Event::Intended, NOW);
    assert_eq!(intended.journal, Journal::First);
}

#[test]
fn a_cancelled_run_keeps_what_its_last_step_failed_with() {
    let rules = [rule("one", Act::Outside(Repeat::Safe))];
    let state = apply(state("held, cancelling"), &rules, failed(unavailable()), NOW).state;
    assert!(matches!(state.status, Status::Ended { outcome: Outcome::Cancelled, .. }));
    assert_eq!(state.results.first().and_then(|result| result.error.clone()), Some(unavailable()));
}

#[test]
fn a_guard_leads_past_what_it_guards() {
    let mut rules =
        in_order([rule("guard", Act::Pure), rule("inside", Act::Pure), rule("behind", Act::Pure)]);
    rules[0].otherwise = 2;
    for (holds, step) in [(true, 1), (false, 2)] {
        let decision = apply(state("held"), &rules, Event::Guarded { holds }, NOW);
        assert_eq!((decision.state.step, decision.next), (step, Next::Perform(step)));
        assert_eq!(decision.state.results, []);
    }
}

#[test]
fn a_step_that_waits_by_its_own_wish_goes_on_with_the_same_attempt() {
    let rules = in_order([rule("pause", Act::Resumable), rule("after", Act::Pure)]);
    let until = NOW + Duration::from_secs(60);
    let parked = apply(state("held"), &rules, Event::Parked { until }, NOW);
    assert_eq!((parked.next, parked.journal), (Next::Wait(until), Journal::First));
    let early = apply(parked.state.clone(), &rules, Event::Leased(lease("new")), NOW);
    assert_eq!(early.next, Next::Nothing);
    let back = apply(parked.state, &rules, Event::Leased(lease("new")), until);
    assert_eq!((back.next, back.state.attempt, back.state.parked), (Next::Perform(0), 1, Some(until)));
    let released = apply(back.state.clone(), &rules, Event::Released, until).state;
    assert_eq!((released.attempt, released.parked), (1, Some(until)));
    let done = apply(back.state, &rules, done(), until).state;
    assert_eq!((done.step, done.parked), (1, None));
}

#[test]
fn what_waits_for_something_goes_on_when_it_is_woken() {
    let rules = in_order([rule("sub", Act::Resumable)]);
    let parked = apply(state("held"), &rules, Event::Parked { until: UNTIL_WOKEN }, NOW).state;
    let early = apply(parked.clone(), &rules, Event::Leased(lease("new")), NOW);
    assert_eq!(early.next, Next::Nothing, "by itself it waits on");
    let woken = apply(parked.clone(), &rules, Event::Woken(lease("new")), NOW);
    assert_eq!((woken.next, woken.journal, woken.state.attempt), (Next::Perform(0), Journal::First, 1));
    let ended = apply(woken.state.clone(), &rules, done(), NOW);
    assert_eq!(ended.next, Next::End);
    let again = apply(woken.state.clone(), &rules, Event::Parked { until: UNTIL_WOKEN }, NOW).state;
    assert_eq!(again, parked, "woken for nothing, it is as before");
    let cancelled = apply(parked, &rules, Event::Cancel, NOW);
    assert!(matches!(cancelled.state.status, Status::Ended { outcome: Outcome::Cancelled, .. }));
    for state in [state("queued"), state("early"), woken.state] {
        assert_eq!(apply(state, &rules, Event::Woken(lease("new")), NOW).next, Next::Nothing);
    }
}

#[test]
fn being_rate_limited_is_no_attempt_until_it_lasts_for_days() {
    let rules = [rule("one", Act::Outside(Repeat::Never))];
    let limited = || held(Some(CallError::RateLimited { retry_after_ms: Some(60_000) }));
    let mut state = apply(RunState::queued(NOW), &rules, Event::Leased(lease("a")), NOW).state;
    let mut now = NOW;
    for _ in 0..1_000 {
        let intended = apply(state, &rules, Event::Intended, now).state;
        let waiting = apply(intended, &rules, limited(), now).state;
        assert_eq!((waiting.attempt, waiting.uncertain, waiting.waits), (0, false, Some(Waits::Limit)));
        now = now + Duration::from_secs(60);
        let again = apply(waiting, &rules, Event::Leased(lease("a")), now);
        assert_eq!((again.next, again.state.attempt), (Next::Intend(0), 1));
        state = again.state;
    }
    let decision = apply(state, &rules, limited(), NOW + LONGEST_LIMITED);
    let letter = letter(&self::state("held"), &decision);
    assert_eq!(letter, 'D', "{decision:?}");
}

#[test]
fn a_run_that_waits_for_a_connection_goes_on_when_it_is_mended_and_is_given_up_when_it_is_not() {
    let rules = [rule("one", Act::Outside(Repeat::Safe))];
    let connection = crate::id::ConnectionId(crate::id::Id::from_bytes([3; 12]));
    let waits = Waits::Connection { connection, since: NOW };
    let until = NOW + Duration::from_secs(3600);
    let expired = CallError::AuthExpired { message: "401".to_owned() };
    let refused = Some(Refused { started_at: NOW, input: Payload::NULL, error: expired.clone() });
    let parked = apply(state("held"), &rules, Event::Held { until, waits, refused }, NOW).state;
    assert_eq!((parked.attempt, parked.waits, parked.due()), (0, Some(waits), Some(until)));
    let early = apply(parked.clone(), &rules, Event::Leased(lease("new")), NOW);
    assert_eq!(early.next, Next::Nothing);

    let woken = mended(parked.clone(), NOW);
    let back = apply(woken, &rules, Event::Leased(lease("new")), NOW);
    assert_eq!((back.next, back.state.attempt, back.state.waits), (Next::Perform(0), 1, None));

    let late = apply(parked.clone(), &rules, Event::Leased(lease("new")), until).state;
    let given_up = apply(late, &rules, failed(expired), until);
    let Status::Ended { outcome: Outcome::Failed { dead_letter: Some(reason), .. }, .. } =
        &given_up.state.status
    else {
        panic!("{given_up:?}")
    };
    assert!(reason.contains("in vain for the connection"), "{reason}");
    assert_eq!(letter(&parked, &apply(parked.clone(), &rules, Event::Cancel, NOW)), 'C');
}

#[test]
fn a_redriven_run_goes_on_at_the_step_that_failed_with_every_attempt_before_it() {
    use Repeat::{Lookup, Never, Safe};
    for (repeat, uncertain, expected) in
        [(Safe, false, Next::Perform(1)), (Lookup, true, Next::Reconcile(1)), (Never, true, Next::Intend(1))]
    {
        let rules = in_order([rule("one", Act::Pure), rule("two", Act::Outside(repeat))]);
        let before = RunState { uncertain, recoveries: 3, attempt: 4, ..state("held") };
        let before = RunState { step: 1, results: done_one(), ..before };
        let error = if uncertain { rejected() } else { unavailable() };
        let dead = apply(before, &rules, failed(error), NOW).state;
        assert!(matches!(dead.status, Status::Ended { outcome: Outcome::Failed { .. }, .. }), "{dead:?}");
        assert_eq!(dead.results.len(), 2);
        let state = redrive(&dead, &rules, NOW).unwrap();
        assert_eq!((state.results.len(), state.recoveries, state.redrives), (1, 0, 1));
        let leased = apply(state, &rules, Event::Leased(lease("new")), NOW);
        assert_eq!((leased.next, leased.state.attempt), (expected, 1), "{repeat:?}");
    }
    assert_eq!(redrive(&state("queued"), &[], NOW), None);
    assert_eq!(redrive(&state("ended"), &[], NOW), None);
}

#[test]
fn cancelling_needs_nothing_but_the_state() {
    for name in ["queued", "early", "queued, uncertain"] {
        assert_eq!(letter(&state(name), &cancel(state(name), NOW)), 'C', "{name}");
    }
    assert!(cancel(state("held"), NOW).state.cancelling);
}

/// The result of a step "one".
fn done_one() -> Vec<StepResult> {
    let rules = in_order([rule("one", Act::Pure), rule("two", Act::Pure)]);
    apply(state("held"), &rules, done(), NOW).state.results
}

#[test]
fn going_on_after_an_error_shows_it_to_later_steps() {
    let mut rules = in_order([rule("one", Act::Outside(Repeat::Never)), rule("two", Act::Pure)]);
    rules[0].on_error = OnError::Continue;
    for error in [rejected(), uncertain()] {
        let decision = apply(state("held"), &rules, failed(error.clone()), NOW);
        assert_eq!((decision.next, decision.journal), (Next::Perform(1), Journal::First));
        let result = &decision.state.results[0];
        assert_eq!(result.output.to_value()["error"]["kind"], error.kind());
        assert_eq!(result.error, Some(error));
    }
    // Whoever takes over from a dead process does not know either, and goes on.
    let decision = apply(state("held, uncertain"), &rules, Event::Leased(lease("new")), NOW);
    assert_eq!(decision.next, Next::Perform(1));
    assert!(matches!(decision.state.status, Status::Leased { .. }));
}

#[test]
fn the_idempotency_key_is_a_uuid_of_run_and_step() {
    let run = RunId(crate::id::Id::from_bytes([7; 12]));
    let key = idempotency_key(run, "one");
    assert_eq!(key, idempotency_key(run, "one"));
    assert_ne!(key, idempotency_key(run, "two"));
    assert_ne!(key, idempotency_key(RunId(crate::id::Id::from_bytes([8; 12])), "one"));
    assert_eq!(key.len(), 36);
    assert_eq!(key.chars().nth(14), Some('8'));
    assert!(matches!(key.chars().nth(19), Some('8' | '9' | 'a' | 'b')));
}

/// Something that happens to a run.
#[derive(Clone, Debug)]
enum Happening {
    /// Any event at all.
    Event(Event),
    /// What was asked for is done and goes well; where nothing was, a fresh holder comes when it is time.
    Follow,
    /// The holder's process dies, and its memory is gone.
    Crash,
}

/// The event that does what was asked for.
fn following(next: Next, process: u32) -> Event {
    match next {
        Next::Perform(_) => done(),
        Next::Intend(_) => Event::Intended,
        Next::Reconcile(_) => Event::ReconciledAbsent,
        Next::Wait(_) | Next::End | Next::Nothing => Event::Leased(lease(&format!("process {process}"))),
    }
}

/// Whether whoever reports this knows that the step was not carried out.
fn not_carried_out(event: &Event, uncertain_before: bool) -> bool {
    match event {
        Event::Failed { error, .. } => {
            !uncertain_before && matches!(error, CallError::Unavailable { .. } | CallError::Rejected { .. })
        }
        Event::Released | Event::Held { .. } => !uncertain_before,
        Event::ReconciledAbsent => true,
        _ => false,
    }
}

fn happenings() -> impl Strategy<Value = Vec<(Happening, u64)>> {
    let event = prop_oneof![
        6 => (0_u8..3).prop_map(|holder| Happening::Event(Event::Leased(lease(&holder.to_string())))),
        3 => Just(Happening::Event(Event::Intended)),
        2 => Just(Happening::Event(done())),
        1 => Just(Happening::Event(Event::Filtered)),
        3 => Just(Happening::Event(failed(unavailable()))),
        3 => Just(Happening::Event(failed(uncertain()))),
        2 => Just(Happening::Event(failed(trapped()))),
        1 => Just(Happening::Event(failed(rejected()))),
        3 => Just(Happening::Event(Event::ReconciledAbsent)),
        1 => Just(Happening::Event(Event::Guarded { holds: true })),
        1 => (0_u64..5_000).prop_map(|millis| {
            Happening::Event(Event::Parked { until: NOW + Duration::from_millis(millis) })
        }),
        1 => Just(Happening::Event(Event::Cancel)),
        2 => Just(Happening::Event(held(None))),
        1 => Just(Happening::Event(held(Some(CallError::RateLimited { retry_after_ms: None })))),
        2 => Just(Happening::Event(Event::Released)),
        3 => Just(Happening::Crash),
        20 => Just(Happening::Follow),
    ];
    prop::collection::vec((event, prop_oneof![Just(0_u64), 1..20_000_u64]), 0..120)
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        Just(Act::Pure),
        Just(Act::Resumable),
        Just(Act::Outside(Repeat::Safe)),
        Just(Act::Outside(Repeat::Key)),
        Just(Act::Outside(Repeat::Lookup)),
        Just(Act::Outside(Repeat::Never)),
    ];
    prop::collection::vec(act, 0..5)
}

/// These acts one after the other; every third failure is gone on from.
fn program(acts: &[Act]) -> Vec<StepRule> {
    let step = |(at, act): (usize, &Act)| StepRule {
        on_error: if at % 3 == 2 { OnError::Continue } else { OnError::Fail },
        next: at + 1,
        otherwise: at + 1,
        ..rule(&format!("s{at}"), *act)
    };
    acts.iter().enumerate().map(step).collect()
}

/// Lets it all happen, and checks what must hold at every moment.
fn history(acts: &[Act], happenings: Vec<(Happening, u64)>) -> Result<(), TestCaseError> {
    let rules = program(acts);
    let mut state = RunState::queued(NOW);
    let mut durable = state.clone();
    // Which steps may have been performed at the vendor without anybody knowing.
    let mut performed = vec![false; rules.len()];
    let mut now = NOW;
    let mut next = Next::Nothing;
    let mut process = 0;
    for (happening, millis) in happenings {
        now = now + Duration::from_millis(millis);
        let event = match happening {
            Happening::Crash => {
                state = durable.clone();
                next = Next::Nothing;
                process += 1;
                continue;
            }
            Happening::Event(event) => event,
            Happening::Follow => following(next, process),
        };
        let before = state.clone();
        let decision = apply(state, &rules, event.clone(), now);
        state = decision.state.clone();
        if before.ended() {
            prop_assert_eq!(&state, &before);
            prop_assert_eq!(decision.next, Next::Nothing);
        }
        prop_assert!(state.attempt <= RETRY.attempts + MAX_RECOVERIES + 1);
        prop_assert!(state.recoveries <= MAX_RECOVERIES + 1);
        prop_assert!(state.results.len() <= rules.len());
        if state != before && before.step < rules.len() && not_carried_out(&event, before.uncertain) {
            performed[before.step] = false;
        }
        if decision.next != Next::Nothing {
            next = decision.next;
        }
        if let Next::Perform(step) = decision.next {
            prop_assert_eq!(step, state.step);
            match rules[step].act {
                Act::Outside(Repeat::Never) => prop_assert!(!performed[step], "a `never` step again"),
                Act::Outside(Repeat::Lookup) => {
                    prop_assert!(!performed[step], "a `lookup` step without asking")
                }
                Act::Outside(Repeat::Safe | Repeat::Key) | Act::Pure | Act::Resumable => {}
            }
            performed[step] = true;
        }
        if decision.journal == Journal::First {
            durable = state.clone();
        }
        if decision.next == Next::End {
            prop_assert!(state.ended());
            prop_assert_eq!(decision.journal, Journal::First);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn whatever_happens(acts in acts(), happenings in happenings()) {
        history(&acts, happenings)?;
    }

    #[test]
    fn a_process_that_works_and_dies(acts in acts(), crashes in prop::collection::vec(prop::bool::weighted(0.3), 0..40)) {
        let happening = |crash| if crash { Happening::Crash } else { Happening::Follow };
        history(&acts, crashes.into_iter().map(|crash| (happening(crash), 1)).collect())?;
    }

    #[test]
    fn cancelling_ends_a_run_at_its_next_event(acts in acts(), happenings in happenings()) {
        let rules = program(&acts);
        let mut state = RunState::queued(NOW);
        let mut next = Next::Nothing;
        let mut now = NOW;
        for (happening, millis) in happenings {
            now = now + Duration::from_millis(millis);
            let event = match happening {
                Happening::Event(event) => event,
                Happening::Follow | Happening::Crash => following(next, 0),
            };
            let decision = apply(state, &rules, event, now);
            (state, next) = (decision.state, decision.next);
        }
        state = apply(state, &rules, Event::Cancel, now).state;
        // The holder died: whoever takes over ends it.
        state = apply(state, &rules, Event::Leased(lease("successor")), now + LEASE + LEASE).state;
        prop_assert!(state.ended());
    }
}

#[test]
fn a_step_that_leaves_nothing_for_the_next_one_goes_where_its_rule_says() {
    let mut rules = in_order([rule("send", Act::Outside(Repeat::Key)), rule("refused", Act::Resumable)]);
    rules[0].otherwise = 2;
    let held = || RunState { step: 0, ..state("held") };
    let (started_at, input, output) = (NOW, Payload::from(json!(1)), Payload::from(json!(2)));
    let sufficed = Event::Sufficed { started_at, input: input.clone(), output: output.clone() };
    let decision = apply(held(), &rules, sufficed, NOW);
    assert_eq!(decision.next, Next::End);
    assert!(
        matches!(decision.state.status, Status::Ended { outcome: Outcome::Succeeded, .. }),
        "{decision:?}"
    );
    assert_eq!(decision.state.results[0].output, output);
    let decision = apply(held(), &rules, Event::Done { started_at, input, output }, NOW);
    assert_eq!((decision.next, decision.journal), (Next::Perform(1), Journal::First));
}
