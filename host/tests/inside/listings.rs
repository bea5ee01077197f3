//! Listings come to their end past whatever erased users left, which waits for retention.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trunnion_core::{
    call::CallError,
    clock::{Clock, Timestamp},
    definition::Definition,
    id::{Id, InstallationId, RunId, UserId, WorkflowId},
    machine::{Outcome, RunState, Status},
    records::{DeadLetter, DeadWork, Integration, LiveRun, NoticeOrigin, Poller, User, Workflow},
};
use trunnion_store::{
    Batch, KeyOwner, Select,
    tables::{
        DeadLetters, EndedRuns, Integrations, LiveRuns, Notices, Pollers, RunOutline, RunsByWorkflow,
        UserRef, Users, UsersByName, Workflows,
    },
};

use crate::{
    bare::{id, run, scope},
    edge::Edge,
};

/// More than any listing reads at once.
const MANY: u32 = 600;

const STAYS: UserId = UserId(id(2));
const GOES: UserId = UserId(id(3));

/// The id of a record; those with larger numbers are listed first where the newest are.
fn numbered(number: u32) -> Id {
    let mut bytes = [7; 12];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Id::from_bytes(bytes)
}

/// Whose the record of this number is: the first and two between are of who stays.
fn owner(number: u32) -> UserId {
    if [1, 200, 201].contains(&number) { STAYS } else { GOES }
}

/// What can be read, the newest first.
fn expected() -> Vec<String> {
    [201, 200, 1].map(|number| numbered(number).to_string()).to_vec()
}

fn ended(number: u32, at: Timestamp) -> LiveRun {
    let error = CallError::Unavailable { message: "down".to_owned() };
    let outcome = Outcome::Failed { step: "send".to_owned(), error, dead_letter: Some("test".to_owned()) };
    let mut state = RunState::queued(at);
    state.status = Status::Ended { outcome, at };
    LiveRun { id: RunId(numbered(number)), user: owner(number), ..run(1, state) }
}

/// An edge whose store holds what `put` adds for each number; then one of the two users is erased.
async fn edge(put: impl Fn(&mut Batch, u32, Timestamp)) -> Edge {
    let edge = Edge::start().await;
    let at = edge.clock.now();
    for user in [STAYS, GOES] {
        edge.store.keys().create(KeyOwner::User(scope(), user)).await.unwrap();
    }
    let mut batch = Batch::new();
    let user =
        User { id: STAYS, username: "ada".to_owned(), full_name: None, created_at: at, updated_at: at };
    batch.insert::<Users>(&scope(), &STAYS, &user);
    let name = edge.store.keyed_hash(&scope(), "username", b"ada");
    batch.insert::<UsersByName>(&scope(), &name, &UserRef { user: STAYS });
    let draft = json!({ "name": "Test", "trigger": { "type": "event", "event": "test" }, "steps": [] });
    let workflow = Workflow {
        id: WorkflowId(id(4)),
        integration: id(5).into(),
        draft: Definition::parse(&draft).unwrap(),
        latest_release: 0,
        created_at: at,
        updated_at: at,
    };
    batch.insert::<Workflows>(&scope(), &workflow.id, &workflow);
    let integration = Integration { id: workflow.integration, app: "acme".to_owned(), created_at: at };
    batch.insert::<Integrations>(&scope(), &integration.id, &integration);
    for number in 1..=MANY {
        put(&mut batch, number, at);
    }
    edge.store.commit(batch).await.unwrap();
    edge.store.keys().destroy(KeyOwner::User(scope(), GOES)).await.unwrap();
    edge
}

/// What a listing of /v1 gives when its cursor is followed to the end, a few at a time.
async fn followed(edge: &Edge, path: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    let mut cursors = BTreeSet::new();
    loop {
        let page = edge.call("GET", &format!("{path}?limit=2{cursor}"), Value::Null).await.ok();
        found.extend(page["data"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return found };
        assert!(cursors.insert(next.to_owned()), "each page begins behind the one before: {next}");
        cursor = format!("&cursor={next}");
    }
}

fn ids(found: &[Value], name: &str) -> Vec<String> {
    found.iter().map(|one| one[name].as_str().unwrap().to_owned()).collect()
}

fn dead(batch: &mut Batch, number: u32, at: Timestamp) {
    let run = ended(number, at);
    let work = DeadWork::Run { run: run.id, user: run.user };
    let letter = DeadLetter { at, reason: "test".to_owned(), work };
    batch.insert::<DeadLetters>(&scope(), &run.id.0, &letter);
    batch.insert::<EndedRuns>(&scope(), &run.id, &run);
    batch.insert::<RunsByWorkflow>(
        &scope(),
        &(run.workflow, run.id),
        &RunOutline { user: run.user, failed: true, ended_at: Some(at) },
    );
}

#[tokio::test]
async fn dead_letters_behind_a_page_of_an_erased_users_are_listed() {
    let edge = edge(dead).await;
    let found = followed(&edge, "/v1/dead-letters").await;
    assert_eq!(ids(&found, "id"), expected());
    let all = json!({ "kind": "callback" });
    let redriven = edge.call("POST", "/v1/dead-letters/redrive", all).await.ok();
    assert_eq!(redriven["next_cursor"], Value::Null, "looked through to the end: {redriven}");
}

#[tokio::test]
async fn runs_behind_an_erased_users_are_listed_whether_they_have_ended_or_not() {
    let edge = edge(|batch, number, at| match number {
        // Some of who stays, and some of the erased user's, have not ended.
        200 | 300..400 => {
            let run = LiveRun { state: RunState::queued(at), ..ended(number, at) };
            batch.insert::<LiveRuns>(&scope(), &run.id, &run);
        }
        _ => dead(batch, number, at),
    })
    .await;
    let found = followed(&edge, "/v1/runs").await;
    assert_eq!(ids(&found, "id"), expected());
    assert_eq!(found[0]["status"], "failed");
    assert_eq!(found[1]["status"], "queued");
}

#[tokio::test]
async fn logs_and_errors_of_a_workflow_are_those_that_can_be_read() {
    let edge = edge(dead).await;
    let workflow = WorkflowId(id(4));
    for (what, name) in [("logs", "executionId"), ("errors", "executionId")] {
        let page = async |page| {
            let path = format!("/2024-03/workflows/{workflow}/{what}?limit=2&page={page}");
            let answer = edge.call("GET", &path, Value::Null).await.ok();
            ids(answer["data"].as_array().unwrap_or_else(|| answer.as_array().unwrap()), name)
        };
        assert_eq!(page(0).await, expected()[..2], "{what}: the first page is full");
        assert_eq!(page(1).await, expected()[2..], "{what}");
        assert_eq!(page(2).await, [""; 0], "{what}");
    }
    let logs = edge.call("GET", "/2024-03/logs?limit=2&skip=2", Value::Null).await.ok();
    assert_eq!(logs["pagination"]["totalItems"], 3, "{logs}");
    assert_eq!(logs["notifications"].as_array().unwrap().len(), 1, "{logs}");
}

#[tokio::test]
async fn pollers_behind_an_erased_users_are_listed() {
    let edge = edge(|batch, number, at| {
        let installation = InstallationId(numbered(number));
        let poller = json!({
            "installation": installation, "user": owner(number), "app": "acme", "trigger": "changed",
            "connection": id(9), "account": "a", "created_at": at,
        });
        let poller: Poller = serde_json::from_value(poller).unwrap();
        batch.insert::<Pollers>(&scope(), &installation, &poller);
    })
    .await;
    let found = followed(&edge, "/v1/pollers").await;
    let mut oldest_first = expected();
    oldest_first.reverse();
    assert_eq!(ids(&found, "installation_id"), oldest_first);
}

#[tokio::test]
async fn a_users_logs_are_forgotten_behind_those_of_an_erased_one() {
    let edge = edge(|batch, number, at| {
        dead(batch, number, at);
        let origin = NoticeOrigin {
            workflow: WorkflowId(id(4)),
            run: RunId(numbered(number)),
            event: serde_json::from_value(json!({ "name": "test", "kind": "event" })).unwrap(),
        };
        let notice =
            json!({ "user": owner(number), "body": {}, "origin": origin, "at": at, "not_before": at });
        let notice = serde_json::from_value(notice).unwrap();
        batch.insert::<Notices>(&scope(), &numbered(number), &notice);
        let given_up =
            DeadLetter { at, reason: "test".to_owned(), work: DeadWork::Notice { notice: Box::new(notice) } };
        batch.insert::<DeadLetters>(&scope(), &numbered(number + 10_000), &given_up);
    })
    .await;
    edge.call("DELETE", "/2024-03/users/ada/logs", Value::Null).await.ok();
    let place = scope();
    assert_eq!(edge.store.list::<Notices>(&place, Select::all()).await.unwrap().len(), 0);
    assert_eq!(edge.store.list::<DeadLetters>(&place, Select::all()).await.unwrap().len(), 0);
    assert_eq!(edge.store.list::<EndedRuns>(&place, Select::all()).await.unwrap().len(), 0);
}
