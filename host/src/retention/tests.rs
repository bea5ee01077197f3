//! Retention over the memory backend with a clock that is moved.

use std::collections::BTreeMap;

use serde_json::json;
use trunnion_core::{
    clock::{ManualClock, Random, SeededRandom, Timestamp},
    id::{
        ConnectionId, ConsentId, EventId, IdSource, InstallSessionId, InstallationId, IntegrationId, RunId,
        SubscriptionId, UserId, WorkflowId, WorkspaceId,
    },
    machine::{Outcome, RunState, Status},
    records::{
        Callback, Connection, Consent, DeadLetter, DeadWork, EnvironmentSettings, EventSource, HeldKey,
        InstallLink, Installation, LedgerEntry, LiveItem, LiveRun, Poller, ScheduleMark,
    },
    scope::{Environment, Scope},
};
use trunnion_store::{
    Batch, Deployment, KeyOwner, KeyRing, Position, Select, Table,
    memory::Memory,
    tables::{
        ActivePollers, BatchItems, Callbacks, CalledRuns, Connections, ConsentTarget, Consents,
        ConsentsByState, DeadLetters, EndedRuns, HeldKeys, InstallLinks, InstallSessions, Installations,
        Ledger, LiveItems, LiveRuns, Notices, PollTimer, Pollers, Present, RequestPaths, RequestTarget,
        RunOutline, RunsByWorkflow, ScheduleMarks, Settings, Subscriptions, UserRef, Users, UsersByName,
    },
};

use super::*;
use crate::runs::queue::{Bounds, Limits, Load};

struct World {
    store: Store,
    clock: Arc<ManualClock>,
    ids: IdSource,
    workspace: WorkspaceId,
    workflow: WorkflowId,
    user: UserId,
}

impl World {
    async fn new() -> Self {
        let store = Store::new(Arc::new(Memory::new()), Arc::new(KeyRing::in_memory().unwrap()));
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
        let ids = IdSource::new(Arc::<ManualClock>::clone(&clock), Arc::new(SeededRandom::new(5)));
        let (workspace, workflow, user) = (ids.next(), ids.next(), ids.next());
        let world = Self { store, clock, ids, workspace, workflow, user };
        for environment in [Environment::Development, Environment::Production] {
            world.make_user(environment, user).await;
        }
        world
    }

    fn scope(&self, environment: Environment) -> Scope {
        Scope::new(self.workspace, environment)
    }

    async fn make_user(&self, environment: Environment, user: UserId) {
        self.store.keys().create(KeyOwner::User(self.scope(environment), user)).await.unwrap();
    }

    fn run(&self, user: UserId, status: Option<Status>) -> LiveRun {
        let now = self.clock.now();
        let mut state = RunState::queued(now);
        state.status = status.unwrap_or(state.status);
        // From its stored form, so that members which later releases add have their defaults.
        serde_json::from_value(json!({
            "id": self.ids.next::<RunId>(),
            "event": self.ids.next::<EventId>(),
            "source": EventSource::Custom { event: "order".to_owned() },
            "trigger": {},
            "user": user,
            "installation": self.ids.next::<InstallationId>(),
            "workflow": self.workflow,
            "release": 1,
            "digests": {},
            "connections": {},
            "config": {},
            "accepted_at": now,
            "state": state,
        }))
        .unwrap()
    }

    /// A run that ended `after` it began, stored as the executor stores it, with its dead letter.
    async fn ended(&self, environment: Environment, user: UserId, after: Duration) -> RunId {
        let scope = self.scope(environment);
        let at = self.clock.now() + after;
        let run = self.run(user, Some(Status::Ended { outcome: Outcome::Cancelled, at }));
        let mut batch = Batch::new();
        batch.insert::<EndedRuns>(&scope, &run.id, &run);
        let outline = RunOutline { user, failed: true, ended_at: None };
        batch.insert::<RunsByWorkflow>(&scope, &(run.workflow, run.id), &outline);
        let letter = DeadLetter { at, reason: "test".to_owned(), work: DeadWork::Run { run: run.id, user } };
        batch.insert::<DeadLetters>(&scope, &run.id.0, &letter);
        self.store.commit(batch).await.unwrap();
        run.id
    }

    /// What is left: runs, listed runs, dead letters.
    async fn left(&self, environment: Environment) -> [Vec<RunId>; 3] {
        let scope = self.scope(environment);
        let runs = self.store.list::<EndedRuns>(&scope, Select::all()).await.unwrap();
        let listed = self.store.list::<RunsByWorkflow>(&scope, Select::all()).await.unwrap();
        let letters = self.store.list::<DeadLetters>(&scope, Select::all()).await.unwrap();
        [
            runs.iter().map(|entry| entry.key).collect(),
            listed.iter().map(|entry| entry.key.1).collect(),
            letters.iter().map(|entry| RunId(entry.key)).collect(),
        ]
    }

    async fn sweep(&self, config: RetentionConfig) -> Forgotten {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        let load = Load { count: 100, bytes: 1 << 20 };
        let waiting = Bounds { all: load, per_user: load };
        let limits =
            Limits { workers: 1, per_connection: 1, waiting, kept_bytes: 1 << 20, working_bytes: 1 << 20 };
        let queue = Arc::new(Queue::new(Arc::clone(&clock), "here".to_owned(), limits));
        Retention::new(self.store.clone(), clock, config, queue).sweep().await.unwrap()
    }

    /// One record of everything that the engine keeps of a user's installation.
    async fn everything_of(&self, user: UserId) {
        let scope = self.scope(Environment::Production);
        let now = self.clock.now();
        let installation: InstallationId = self.ids.next();
        let (run, called) = (self.run(user, None), self.run(user, None));
        let mut batch = Batch::new();
        let copy = json!({
            "id": installation, "user": user, "workflow": self.workflow, "release": 1, "connections": {},
            "config": {}, "active": true, "created_at": now, "updated_at": now,
        });
        let copy: Installation = serde_json::from_value(copy).unwrap();
        batch.insert::<Installations>(&scope, &(user, installation), &copy);
        self.what_is_theirs(user, &mut batch);
        batch.insert::<LiveRuns>(&scope, &run.id, &run);
        batch.insert::<LiveRuns>(&scope, &called.id, &called);
        batch.insert::<CalledRuns>(&scope, &(run.id, called.id), &Present {});
        let item = LiveItem { user, state: RunState::queued(now), log: Vec::new(), page: None };
        batch.insert::<LiveItems>(&scope, &(run.id, "each".to_owned(), 0), &item);
        let mark = json!({ "user": user, "timing": { "every": "1h" }, "active": true, "handled": now });
        let mark: ScheduleMark = serde_json::from_value(mark).unwrap();
        batch.insert::<ScheduleMarks>(&scope, &(user, installation), &mark);
        let poller = json!({
            "installation": installation, "user": user, "app": "acme", "trigger": "changed",
            "connection": self.ids.next::<ConnectionId>(), "account": "a", "created_at": now,
        });
        let poller: Poller = serde_json::from_value(poller).unwrap();
        batch.insert::<Pollers>(&scope, &installation, &poller);
        batch.insert::<ActivePollers>(&scope, &installation, &PollTimer { user, interval_ms: 60_000 });
        let callback =
            json!({ "user": user, "url": "https://a.example", "secret": "whsec_", "not_before": now });
        let callback: Callback = serde_json::from_value(callback).unwrap();
        batch.insert::<Callbacks>(&scope, &run.id, &callback);
        let notice = json!({ "user": user, "body": {}, "at": now, "not_before": now });
        let item = json!({ "user": user, "body": {}, "bytes": 2, "at": now });
        batch.insert::<BatchItems>(&scope, &([7; 16], run.id.0), &serde_json::from_value(item).unwrap());
        batch.insert::<Notices>(&scope, &run.id.0, &serde_json::from_value(notice).unwrap());
        let mut path = [0; 16];
        path[..12].copy_from_slice(installation.as_bytes());
        batch.insert::<RequestPaths>(&Deployment, &path, &RequestTarget { scope, user, installation });
        batch.insert::<HeldKeys>(&scope, &(installation, [7; 16], 1), &HeldKey { run: run.id, user });
        self.store.commit(batch).await.unwrap();
    }

    /// A user's own records, as a crash in the middle of an erasure leaves them.
    fn what_is_theirs(&self, user: UserId, batch: &mut Batch) {
        let scope = self.scope(Environment::Production);
        let now = self.clock.now();
        let named = json!({ "id": user, "username": "ada", "created_at": now, "updated_at": now });
        batch.insert::<Users>(&scope, &user, &serde_json::from_value(named).unwrap());
        let mut name = [0; 16];
        name[..12].copy_from_slice(user.as_bytes());
        batch.insert::<UsersByName>(&scope, &name, &UserRef { user });
        let connection: ConnectionId = self.ids.next();
        let connected = json!({
            "id": connection, "user": user, "app": "acme", "scheme": "key", "account": "a", "parameters": {},
            "secrets": {}, "created_at": now, "updated_at": now,
        });
        batch.insert::<Connections>(&scope, &(user, connection), &serde_json::from_value(connected).unwrap());
        let session: InstallSessionId = self.ids.next();
        let integration: IntegrationId = self.ids.next();
        let begun = json!({
            "id": session, "user": user, "integration": integration, "workflows": [], "connections": {},
            "created_at": now,
        });
        batch.insert::<InstallSessions>(&scope, &session, &serde_json::from_value(begun).unwrap());
        let link = InstallLink { id: self.ids.next(), user, integration, expires_at: now + DAY };
        batch.insert::<InstallLinks>(&scope, &link.id, &link);
        let subscription: SubscriptionId = self.ids.next();
        let registered = json!({
            "id": subscription, "user": user, "connection": connection, "app": "acme", "trigger": "changed",
            "options": {}, "path_token": "0", "secret": "s", "state": null, "digest": "0", "created_at": now,
        });
        batch.insert::<Subscriptions>(&scope, &subscription, &serde_json::from_value(registered).unwrap());
    }

    /// How much is stored of what [`Self::everything_of`] makes, readable or not, by table.
    async fn engine_keeps(&self) -> Vec<(&'static str, usize)> {
        async fn count<T: Table>(store: &Store) -> (&'static str, usize) {
            (T::NAME, store.sweep::<T>(&Position::default(), 100).await.unwrap().len())
        }
        let store = &self.store;
        vec![
            count::<Users>(store).await,
            count::<UsersByName>(store).await,
            count::<Connections>(store).await,
            count::<Installations>(store).await,
            count::<InstallSessions>(store).await,
            count::<InstallLinks>(store).await,
            count::<Subscriptions>(store).await,
            count::<LiveRuns>(store).await,
            count::<LiveItems>(store).await,
            count::<ScheduleMarks>(store).await,
            count::<Pollers>(store).await,
            count::<ActivePollers>(store).await,
            count::<RequestPaths>(store).await,
            count::<CalledRuns>(store).await,
            count::<Callbacks>(store).await,
            count::<Notices>(store).await,
            count::<BatchItems>(store).await,
            count::<HeldKeys>(store).await,
        ]
    }
}

fn days(days: u32) -> Duration {
    DAY * days
}

#[tokio::test]
async fn runs_are_kept_for_sixty_days_after_their_end_and_live_ones_for_ever() {
    let world = World::new().await;
    let live = world.run(world.user, None);
    let scope = world.scope(Environment::Production);
    let mut batch = Batch::new();
    batch.insert::<LiveRuns>(&scope, &live.id, &live);
    world.store.commit(batch).await.unwrap();
    let old = world.ended(Environment::Production, world.user, days(0)).await;
    // Began with the first, waited long, ended late.
    let late = world.ended(Environment::Production, world.user, days(30)).await;
    world.clock.advance(days(40));
    let young = world.ended(Environment::Production, world.user, days(0)).await;
    world.clock.advance(days(19));
    assert_eq!(world.sweep(RetentionConfig::default()).await.runs, 0);
    assert_eq!(world.left(Environment::Production).await, [[old, late, young]; 3].map(Vec::from));

    world.clock.advance(days(2));
    let forgotten = world.sweep(RetentionConfig::default()).await;
    assert_eq!((forgotten.runs, forgotten.dead_letters), (1, 1));
    assert_eq!(world.left(Environment::Production).await, [[late, young]; 3].map(Vec::from));

    world.clock.advance(days(60));
    assert_eq!(world.sweep(RetentionConfig::default()).await.runs, 2);
    assert_eq!(world.left(Environment::Production).await, [const { Vec::new() }; 3]);
    assert!(world.store.get::<LiveRuns>(&scope, &live.id).await.unwrap().is_some());
}

#[tokio::test]
async fn each_environment_has_its_own_days() {
    let world = World::new().await;
    let config = RetentionConfig { development_days: 3, ..RetentionConfig::default() };
    world.ended(Environment::Development, world.user, days(0)).await;
    let kept = world.ended(Environment::Production, world.user, days(0)).await;
    world.clock.advance(days(4));
    let young = world.ended(Environment::Development, world.user, days(0)).await;
    assert_eq!(world.sweep(config).await.runs, 1);
    assert_eq!(world.left(Environment::Development).await, [[young]; 3].map(Vec::from));
    assert_eq!(world.left(Environment::Production).await, [[kept]; 3].map(Vec::from));
}

#[tokio::test]
async fn an_environment_says_itself_how_long_its_logs_are_kept() {
    let world = World::new().await;
    let production = world.scope(Environment::Production);
    let own = EnvironmentSettings { log_days: Some(3), updated_at: world.clock.now() };
    let mut batch = Batch::new();
    batch.put::<Settings>(&production, &"environment".to_owned(), &own);
    world.store.commit(batch).await.unwrap();
    world.ended(Environment::Production, world.user, days(0)).await;
    let kept = world.ended(Environment::Development, world.user, days(0)).await;
    world.clock.advance(days(4));
    assert_eq!(world.sweep(RetentionConfig::default()).await.runs, 1);
    assert_eq!(world.left(Environment::Production).await, [[]; 3].map(Vec::from));
    assert_eq!(world.left(Environment::Development).await, [[kept]; 3].map(Vec::from));
}

#[tokio::test]
async fn what_an_erased_user_left_goes_too() {
    let world = World::new().await;
    let gone: UserId = world.ids.next();
    world.make_user(Environment::Production, gone).await;
    world.ended(Environment::Production, gone, days(0)).await;
    let kept = world.ended(Environment::Production, world.user, days(30)).await;
    world.store.keys().destroy(KeyOwner::User(world.scope(Environment::Production), gone)).await.unwrap();
    world.clock.advance(days(61));
    let forgotten = world.sweep(RetentionConfig::default()).await;
    assert_eq!((forgotten.runs, forgotten.dead_letters), (1, 1));
    assert_eq!(world.left(Environment::Production).await, [[kept]; 3].map(Vec::from));
    assert_eq!(
        world.sweep(RetentionConfig::default()).await,
        Forgotten::default(),
        "nothing is left to find"
    );
}

#[tokio::test]
async fn erasing_a_user_leaves_nothing_of_what_the_engine_keeps() {
    let world = World::new().await;
    let gone: UserId = world.ids.next();
    world.make_user(Environment::Production, gone).await;
    world.everything_of(world.user).await;
    let of_one = world.engine_keeps().await;
    assert!(of_one.iter().all(|(_, count)| *count > 0), "{of_one:?}");
    world.everything_of(gone).await;
    world.store.keys().destroy(KeyOwner::User(world.scope(Environment::Production), gone)).await.unwrap();
    let forgotten = world.sweep(RetentionConfig::default()).await;
    assert_eq!(forgotten.left_behind, of_one.iter().map(|(_, count)| count).sum::<usize>());
    assert_eq!(world.engine_keeps().await, of_one, "of the other user everything");
    assert_eq!(world.sweep(RetentionConfig::default()).await, Forgotten::default());
}

#[tokio::test]
async fn a_key_that_an_uninstalled_workflow_holds_is_let_go_of() {
    let world = World::new().await;
    let scope = world.scope(Environment::Production);
    let held = HeldKey { run: world.ids.next(), user: world.user };
    let mut batch = Batch::new();
    batch.insert::<HeldKeys>(&scope, &(world.ids.next(), [7; 16], 1), &held);
    world.store.commit(batch).await.unwrap();
    assert_eq!(world.sweep(RetentionConfig::default()).await.left_behind, 1);
    assert_eq!(world.store.list::<HeldKeys>(&scope, Select::all()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_consent_that_nobody_came_back_from_goes_when_it_no_longer_counts() {
    let world = World::new().await;
    let scope = world.scope(Environment::Production);
    world.store.keys().create(KeyOwner::Environment(scope)).await.unwrap();
    let now = world.clock.now();
    let mut batch = Batch::new();
    // One of a user and one of the environment's own, each long ago and just now.
    for (index, user) in (0..).zip([world.user, Connection::OWN].into_iter().flat_map(|user| [user; 2])) {
        let (consent, expires_at) = (world.ids.next::<ConsentId>(), now + days(index % 2));
        let asked = Consent {
            user,
            name: user.eq(&Connection::OWN).then(|| "warehouse".to_owned()),
            app: "acme".to_owned(),
            scheme: "oauth".to_owned(),
            parameters: BTreeMap::new(),
            verifier: None,
            redirect_uri: "https://isv.example/back".to_owned(),
            redirect: None,
            expires_at,
        };
        batch.insert::<Consents>(&scope, &consent, &asked);
        let target = ConsentTarget { scope, consent, expires_at };
        let state = [u8::try_from(index).unwrap(); 16];
        batch.insert::<ConsentsByState>(&Deployment, &state, &target);
    }
    world.store.commit(batch).await.unwrap();
    assert_eq!(world.sweep(RetentionConfig::default()).await.left_behind, 4);
    let left = world.store.list::<Consents>(&scope, Select::all()).await.unwrap();
    assert!(left.len() == 2 && left.iter().all(|consent| consent.record.expires_at > now), "{left:?}");
    let found = world.store.list::<ConsentsByState>(&Deployment, Select::all()).await.unwrap();
    assert_eq!(found.iter().map(|found| found.key).collect::<Vec<_>>(), [[1; 16], [3; 16]]);
}

#[tokio::test]
async fn a_sweep_of_many_goes_in_small_commits() {
    let world = World::new().await;
    for _ in 0..1000 {
        world.ended(Environment::Production, world.user, days(0)).await;
    }
    let scope = world.scope(Environment::Production);
    let chance = SeededRandom::new(9);
    let mut batch = Batch::new();
    for _ in 0..1000 {
        let mut key = [0; 16];
        chance.fill(&mut key);
        let entry = LedgerEntry { at: world.clock.now(), body_hash: None, event: None, run: None };
        batch.insert::<Ledger>(&scope, &key, &entry);
    }
    world.store.commit(batch).await.unwrap();
    world.clock.advance(days(61));
    let forgotten = world.sweep(RetentionConfig::default()).await;
    assert_eq!((forgotten.runs, forgotten.dead_letters, forgotten.ledger), (1000, 1000, 1000));
    assert!(forgotten.largest_step <= 2 * steps::STEP, "{forgotten:?}");
}

#[test]
fn a_ledger_shorter_than_promised_is_refused() {
    let error = toml::from_str::<RetentionConfig>("ledger_days = 6").unwrap_err().to_string();
    assert!(error.contains("at least"), "{error}");
    toml::from_str::<RetentionConfig>("ledger_days = 7").unwrap();
}
