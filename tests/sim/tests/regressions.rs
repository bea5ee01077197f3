//! What the simulation found in the host, each as a plan of its own, so that it stays found when seeds come to mean
//! something else. Named after what broke.

#![cfg(test)]

use std::time::Duration;

use serde_json::json;
use trunnion_core::{machine::OnError, manifest::Repeat, retry::RetryPolicy};
use trunnion_sim::{
    dice::Dice,
    faults::Faults,
    flow::{Block, Flow, Line, Node, Trigger},
    plan::{Act, Plan},
    play,
    seen::{SentEvent, SentRequest},
    world::{Tracing, World},
};

/// A plan of one request, which says where its answer is to go.
fn requested(nodes: Vec<Node>, faults: Faults) -> Plan {
    let request = SentRequest {
        marker: "r0".to_owned(),
        user: 0,
        flow: 0,
        body: json!({ "marker": "r0", "odd": true, "keep": true, "list": [], "key": "a" }),
        key: Some("key".to_owned()),
        callback: true,
        prefer: Some("respond-async".to_owned()),
        sent_at: None,
        told: Vec::new(),
        cut_off: Vec::new(),
    };
    let flow = Flow { number: 0, trigger: Trigger::Request, line: Line::Parallel, nodes };
    Plan {
        flows: vec![flow],
        events: Vec::new(),
        requests: vec![request],
        ..plan(Vec::new(), faults, &[(100, Act::Request(0))])
    }
}

/// A plan of one event that starts one workflow.
fn plan(nodes: Vec<Node>, faults: Faults, acts: &[(u64, Act)]) -> Plan {
    let event = SentEvent {
        marker: "e0".to_owned(),
        name: "event".to_owned(),
        user: 0,
        payload: json!({ "marker": "e0", "odd": true, "keep": true, "list": [{ "n": 0 }, { "n": 1 }], "key": "a" }),
        key: Some("key".to_owned()),
        ..SentEvent::default()
    };
    Plan {
        users: 1,
        flows: vec![Flow {
            number: 0,
            trigger: Trigger::Event("event".to_owned()),
            line: Line::Parallel,
            nodes,
        }],
        events: vec![event],
        acts: acts.iter().map(|(ms, act)| (Duration::from_millis(*ms), act.clone())).collect(),
        faults,
        calm: Duration::from_secs(30),
        workers: 8,
        max_waiting: 1_000,
        ..Plan::default()
    }
}

fn node(id: &str, block: Block) -> Node {
    Node { id: id.to_owned(), on_error: OnError::Fail, retry: None, block }
}

/// The same plan under different chance: latencies and moments of faults.
fn holds(plan: impl Fn() -> Plan) {
    for seed in 0..60 {
        let world = World::new(Dice::new(seed), Tracing::On).unwrap();
        let simulated = play(seed, plan(), world).unwrap();
        assert!(simulated.broken.is_empty(), "{:#?}\n{:#?}", simulated.broken, simulated.trace);
    }
}

#[test]
fn a_cancellation_that_comes_while_a_restart_takes_the_run_up_is_not_the_last_anybody_hears_of_it() {
    holds(|| {
        let slow = Faults { slow: 10_000, ..Faults::none() };
        let acts = [(100, Act::Event(0)), (1_000, Act::Kill), (1_500, Act::Cancel)];
        plan(vec![node("s0", Block::Action(Repeat::Key))], slow, &acts)
    });
}

#[test]
fn a_run_that_fails_while_it_is_cancelled_is_cancelled() {
    holds(|| {
        let refusing = Faults { slow: 10_000, refused: 10_000, ..Faults::none() };
        let acts = [(100, Act::Event(0)), (2_000, Act::Cancel)];
        plan(vec![node("s0", Block::Action(Repeat::Lookup))], refusing, &acts)
    });
}

#[test]
fn a_last_step_whose_items_could_not_be_read_is_not_performed_again() {
    holds(|| {
        let blind = Faults { read: 1_000, ..Faults::none() };
        let each = node("s0", Block::Each { concurrency: 1, nodes: vec![node("s1", Block::Set)] });
        plan(vec![each, node("s2", Block::Action(Repeat::Key))], blind, &[(100, Act::Event(0))])
    });
}

#[test]
fn an_item_whose_result_could_not_be_written_is_not_performed_again() {
    holds(|| {
        let full = Faults { full: 3_000, ..Faults::none() };
        let nodes = vec![node("s1", Block::Action(Repeat::Key)), node("s2", Block::Action(Repeat::Never))];
        let each = node("s0", Block::Each { concurrency: 2, nodes });
        plan(vec![each], full, &[(100, Act::Event(0))])
    });
}

#[test]
fn an_item_whose_result_waits_for_the_disk_is_not_let_fall_with_another_that_cannot_go_on() {
    holds(|| {
        let faults = Faults { full: 3_000, read: 1_000, ..Faults::none() };
        let nodes = vec![node("s1", Block::Action(Repeat::Key)), node("s2", Block::Action(Repeat::Never))];
        let each = node("s0", Block::Each { concurrency: 2, nodes });
        plan(vec![each], faults, &[(100, Act::Event(0))])
    });
}

#[test]
fn a_callback_whose_end_could_not_be_written_is_not_left_to_the_next_start() {
    holds(|| {
        let full = Faults { full: 3_000, ..Faults::none() };
        requested(vec![node("s0", Block::Set)], full)
    });
}

#[test]
fn a_run_that_is_woken_while_it_is_in_hand_waits_for_its_other_items_as_well() {
    holds(|| {
        let faults = Faults { refused: 5_000, read: 100, ..Faults::none() };
        let nodes = vec![node("s1", Block::Call(1)), node("s2", Block::Stream)];
        let each = node("s0", Block::Each { concurrency: 2, nodes });
        calling(vec![each], vec![node("s0", Block::Action(Repeat::Key))], faults, &[(100, Act::Event(0))])
    });
}

/// A plan of two events of one line, the second behind the first, whose callers go away when they please.
fn line(line: Line, node: Node, faults: Faults, acts: &[(u64, Act)]) -> Plan {
    let faults = Faults { hung_up: 5_000, ..faults };
    let mut plan = plan(vec![node], faults, acts);
    let second = SentEvent {
        marker: "e1".to_owned(),
        payload: json!({ "marker": "e1", "odd": true, "keep": true, "list": [], "key": "a" }),
        key: Some("another key".to_owned()),
        ..plan.events[0].clone()
    };
    plan.events.push(second);
    plan.flows[0].line = line;
    plan
}

#[test]
fn a_cancellation_whose_caller_goes_away_lets_the_next_run_of_the_line_begin() {
    holds(|| {
        let acts = [(100, Act::Event(0)), (15_000, Act::Cancel), (20_000, Act::Event(1))];
        line(Line::Throttled(1), node("s0", Block::Delay(40)), Faults::none(), &acts)
    });
}

#[test]
fn a_skip_whose_caller_goes_away_lets_the_next_run_of_the_key_begin() {
    holds(|| {
        let refusing = Faults { refused: 10_000, ..Faults::none() };
        let mut step = node("s0", Block::Action(Repeat::Key));
        step.retry = Some(RetryPolicy { attempts: 1, delay_ms: 1, backoff: 1, max_delay_ms: 1 });
        let acts = [(100, Act::Event(0)), (10_000, Act::Event(1)), (20_000, Act::Skip), (25_000, Act::Skip)];
        line(Line::Ordered, step, refusing, &acts)
    });
}

/// A plan of one event, in whose workflow a step calls another workflow of the steps `called`.
fn calling(nodes: Vec<Node>, called: Vec<Node>, faults: Faults, acts: &[(u64, Act)]) -> Plan {
    let mut plan = plan(nodes, faults, acts);
    plan.flows.push(Flow { number: 1, trigger: Trigger::Call, line: Line::Parallel, nodes: called });
    plan
}

#[test]
fn a_run_that_was_woken_while_it_was_in_hand_waits_for_its_next_retry_all_the_same() {
    holds(|| {
        let refusing = Faults { refused: 5_000, ..Faults::none() };
        let each = Block::Each { concurrency: 2, nodes: vec![node("s1", Block::Call(1))] };
        let nodes = vec![node("s0", each), node("s2", Block::Action(Repeat::Key))];
        calling(nodes, vec![node("s0", Block::Set)], refusing, &[(100, Act::Event(0))])
    });
}

#[test]
fn what_a_cancelled_run_called_is_cancelled_as_soon_as_the_disk_takes_it() {
    holds(|| {
        let faults = Faults { full: 3_000, slow: 10_000, ..Faults::none() };
        let called = vec![
            node("s0", Block::Delay(20)),
            node("s1", Block::Action(Repeat::Key)),
            node("s2", Block::Set),
            node("s3", Block::Stream),
        ];
        let nodes = vec![node("s0", Block::Call(1)), node("s1", Block::Set)];
        calling(nodes, called, faults, &[(100, Act::Event(0)), (5_000, Act::Cancel)])
    });
}
