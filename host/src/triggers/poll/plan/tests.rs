//! Turns, bounds, and what whoever asks is told.

use trunnion_core::{
    id::{Id, WorkspaceId},
    scope::Environment,
};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn scope() -> Scope {
    Scope::new(WorkspaceId(Id::from_bytes([0; 12])), Environment::Development)
}

fn user(number: u8) -> UserId {
    UserId(Id::from_bytes([number; 12]))
}

fn place(number: u8) -> Place {
    Place { scope: scope(), installation: InstallationId(Id::from_bytes([number; 12])) }
}

fn pace(place: Place) -> Pace {
    Pace::new(MINUTE, place.installation)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000)
}

fn down() -> (String, CallError) {
    ("acme".to_owned(), CallError::Unavailable { message: "503".to_owned() })
}

fn page(of: Place, accepted: u64, round: Option<Round>) -> Page {
    Page { pace: pace(of), accepted, late: 0, duplicates: 1, round }
}

fn taken(plan: &mut Plan, now: Timestamp) -> Place {
    plan.take(now).expect("somebody is due").place
}

/// A plan whose pollers, each of a user of its own, are all due now.
fn plan(pollers: &[u8]) -> Plan {
    let mut plan = Plan::new(2);
    for number in pollers {
        plan.changed(place(*number), user(*number), at(0));
    }
    plan
}

#[test]
fn a_poller_that_is_under_way_is_not_visited_a_second_time() {
    let mut plan = plan(&[1]);
    assert_eq!(taken(&mut plan, at(0)), place(1));
    plan.changed(place(1), user(1), at(1));
    assert!(plan.ask(place(1), None, at(1)).is_some());
    assert_eq!(plan.take(at(3_600)).unwrap_err(), None, "its visit has not ended");
    plan.page(place(1), page(place(1), 0, None), at(2));
    assert_eq!(taken(&mut plan, at(2)), place(1), "what was asked for meanwhile comes at once");
    plan.page(place(1), page(place(1), 0, None), at(3));
    let due = plan.take(at(3)).unwrap_err().unwrap();
    assert!(due > at(3) && due <= at(63), "then at its usual time");
}

#[test]
fn whoever_has_more_pages_waits_behind_everybody_who_is_due() {
    let mut plan = plan(&[1]);
    plan.changed(place(2), user(2), at(1));
    let first = plan.take(at(1)).unwrap();
    assert_eq!((first.place, first.round.is_none()), (place(1), true));
    plan.page(place(1), page(place(1), 5, Some(Round::at("2"))), at(2));
    assert!(plan.shown(&place(1)).unwrap().backlog);
    assert_eq!(taken(&mut plan, at(2)), place(2));
    let next = plan.take(at(2)).unwrap();
    assert_eq!((next.place, next.round.map(|round| round.cursor)), (place(1), Some("2".to_owned())));
}

#[test]
fn a_user_has_so_many_visits_under_way_and_keeps_nobody_else_waiting() {
    let mut plan = Plan::new(2);
    for number in 1..=4 {
        plan.changed(place(number), user(9), at(0));
    }
    plan.changed(place(5), user(5), at(1));
    assert_eq!([taken(&mut plan, at(1)), taken(&mut plan, at(1))], [place(1), place(2)]);
    assert_eq!(taken(&mut plan, at(1)), place(5), "the third and fourth of the user wait");
    assert_eq!(plan.take(at(1)).unwrap_err(), None);
    assert_eq!(plan.overview(at(1)).held_back, 2);
    plan.page(place(1), page(place(1), 0, None), at(2));
    assert_eq!(taken(&mut plan, at(2)), place(3));
    plan.forget(place(2), at(2));
    assert_eq!(taken(&mut plan, at(2)), place(4), "one that goes makes room as well");
    for number in [3, 4, 5] {
        plan.page(place(number), page(place(number), 0, None), at(3));
    }
    assert!(plan.users.is_empty(), "nothing is kept of users without visits");
}

#[test]
fn failures_are_counted_and_a_good_page_ends_them() {
    let mut plan = plan(&[1]);
    for failures in 1..=3 {
        let now = at(u64::from(failures) * 100);
        assert_eq!(taken(&mut plan, now), place(1));
        let counted = plan.failed(place(1), down(), pace(place(1)), now, |error, failures| {
            assert_eq!(error.kind(), "unavailable");
            now + Duration::from_secs(u64::from(failures))
        });
        assert_eq!(counted, failures);
        assert_eq!(plan.take(now).unwrap_err(), Some(now + Duration::from_secs(u64::from(failures))));
    }
    let status = plan.shown(&place(1)).unwrap().status;
    assert_eq!((status.failures, status.trouble.unwrap().since), (3, at(100)), "since the first of them");
    assert_eq!(plan.overview(at(300)).troubled[&("acme".to_owned(), "unavailable")], 1);
    assert_eq!(taken(&mut plan, at(400)), place(1));
    plan.failed(place(1), down(), pace(place(1)), at(400), |_, _| at(9_000));
    assert_eq!(plan.take(at(401)).unwrap_err(), Some(at(9_000)));
    plan.connectors_changed(at(401));
    assert_eq!(taken(&mut plan, at(401)), place(1), "another version may do better");
    plan.page(place(1), page(place(1), 0, None), at(401));
    let status = plan.shown(&place(1)).unwrap().status;
    assert!(status.failures == 0 && status.trouble.is_none() && status.rounds == 1);
}

#[test]
fn whoever_asks_is_told_of_a_round_that_began_after_it() {
    let mut plan = plan(&[1]);
    assert_eq!(taken(&mut plan, at(0)), place(1));
    let mut told = plan.ask(place(1), Some(MINUTE), at(1)).unwrap();
    plan.page(place(1), page(place(1), 7, None), at(2));
    assert!(told.try_recv().is_err(), "that round had begun before");
    let next = plan.take(at(2)).unwrap();
    assert_eq!((next.place, next.look_back), (place(1), Some(MINUTE)));
    // The host could not take it in: the wish stands.
    plan.postpone(place(1), at(2), at(3));
    let next = plan.take(at(3)).unwrap();
    assert_eq!(next.look_back, Some(MINUTE));
    plan.page(place(1), page(place(1), 2, Some(Round::at("2"))), at(3));
    assert_eq!(taken(&mut plan, at(4)), place(1));
    plan.page(place(1), page(place(1), 1, None), at(4));
    let Ok(Told::Ended(tally)) = told.try_recv() else { panic!("the round has ended") };
    assert_eq!(tally, Tally { pages: 2, accepted: 3, late: 0, duplicates: 2 });
    let mut told = plan.ask(place(1), None, at(5)).unwrap();
    assert_eq!(plan.take(at(5)).unwrap().look_back, None, "a deeper look is taken once");
    plan.forget(place(1), at(5));
    assert!(matches!(told.try_recv(), Ok(Told::Stopped)));
    assert!(plan.shown(&place(1)).is_none() && plan.ask(place(1), None, at(6)).is_none());
    assert_eq!(plan.take(at(9_999)).unwrap_err(), None, "nothing is left of it");
}

#[test]
fn whoever_asks_between_two_pages_has_the_next_round_begin_when_this_one_ends() {
    let mut plan = plan(&[1]);
    assert_eq!(taken(&mut plan, at(0)), place(1));
    plan.page(place(1), page(place(1), 1, Some(Round::at("2"))), at(1));
    let mut told = plan.ask(place(1), Some(MINUTE), at(1)).unwrap();
    let next = plan.take(at(1)).unwrap();
    assert!(next.round.is_some(), "the round goes on");
    plan.page(place(1), page(place(1), 1, None), at(2));
    assert!(told.try_recv().is_err(), "that round had begun before");
    let next = plan.take(at(2)).unwrap();
    assert_eq!((next.place, next.round.is_none(), next.look_back), (place(1), true, Some(MINUTE)));
    plan.failed(place(1), down(), pace(place(1)), at(2), |_, _| at(9_000));
    assert!(matches!(told.try_recv(), Ok(Told::Failed(_))));
    assert_eq!(plan.take(at(3)).unwrap_err(), Some(at(9_000)), "once for each time it was asked");
}

#[test]
fn a_change_begins_the_round_anew_and_what_was_asked_of_it_is_still_owed() {
    let mut plan = plan(&[1]);
    let mut told = plan.ask(place(1), Some(MINUTE), at(0)).unwrap();
    assert_eq!(taken(&mut plan, at(0)), place(1));
    plan.changed(place(1), user(1), at(1));
    plan.page(place(1), page(place(1), 1, Some(Round::at("2"))), at(1));
    let next = plan.take(at(1)).unwrap();
    assert_eq!((next.round.is_none(), next.look_back), (true, Some(MINUTE)));
    plan.page(place(1), page(place(1), 1, None), at(2));
    assert!(matches!(told.try_recv(), Ok(Told::Ended(Tally { pages: 1, .. }))));
}

#[test]
fn a_round_that_waits_for_its_turn_goes_on_where_it_stood() {
    let mut plan = plan(&[1]);
    let limited = |round: Option<Round>, refused: Option<CallError>| Held {
        pace: pace(place(1)),
        until: at(60),
        round,
        refused: refused.map(|error| ("acme".to_owned(), error)),
    };
    let mut told = plan.ask(place(1), Some(MINUTE), at(0)).unwrap();
    assert_eq!(plan.take(at(0)).unwrap().asking, Asking::First);
    plan.limited(place(1), limited(None, None), at(0));
    assert_eq!(plan.take(at(59)).unwrap_err(), Some(at(60)));
    let next = plan.take(at(60)).unwrap();
    assert_eq!((next.asking, next.look_back), (Asking::Again, Some(MINUTE)), "at the moment it was given");
    plan.page(place(1), page(place(1), 4, Some(Round::at("2"))), at(60));
    let next = plan.take(at(60)).unwrap();
    assert_eq!(next.asking, Asking::First);
    plan.limited(place(1), limited(next.round, None), at(60));
    assert!(plan.shown(&place(1)).unwrap().status.trouble.is_none(), "it only waits");
    let next = plan.take(at(60)).unwrap();
    assert_eq!(next.round.map(|round| round.cursor), Some("2".to_owned()));
    plan.page(place(1), page(place(1), 3, None), at(61));
    assert!(matches!(told.try_recv(), Ok(Told::Ended(Tally { pages: 2, accepted: 7, .. }))));

    let mut told = plan.ask(place(1), None, at(70)).unwrap();
    assert_eq!(taken(&mut plan, at(70)), place(1));
    let refused = limited(None, Some(CallError::RateLimited { retry_after_ms: None }));
    plan.limited(place(1), Held { until: at(130), ..refused }, at(70));
    assert!(matches!(told.try_recv(), Ok(Told::Failed(_))), "the vendor refused it");
    let shown = plan.shown(&place(1)).unwrap();
    assert_eq!((shown.status.failures, shown.status.trouble.unwrap().since), (1, at(70)));
    plan.ask(place(1), None, at(71)).unwrap();
    assert_eq!(plan.take(at(71)).unwrap().asking, Asking::First, "whoever asks takes no turn of others");
}

#[test]
fn a_poller_that_is_let_go_on_while_it_is_being_forgotten_is_visited_again() {
    let mut plan = plan(&[1]);
    assert_eq!(taken(&mut plan, at(0)), place(1));
    plan.changed(place(1), user(1), at(1));
    plan.forget(place(1), at(2));
    assert_eq!(taken(&mut plan, at(2)), place(1));
}

#[test]
fn a_hundred_thousand_pollers_take_less_than_a_kilobyte_each() {
    let known = size_of::<Place>() + size_of::<Known>() + 1;
    let order = size_of::<(Timestamp, Place)>();
    // A hash table is at least 7/16 full after it grew, a B-tree's nodes at least half.
    let bytes = known * 16 / 7 + order * 2;
    assert!(bytes <= 1_024, "{bytes} bytes");
}
