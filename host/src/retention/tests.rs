//! Retention over the memory backend with a clock that is moved.

use serde_json::json;
use trunnion_core::{
    clock::{ManualClock, Random, SeededRandom},
    id::{EventId, IdSource, InstallationId, RunId, UserId, WorkflowId, WorkspaceId},
    machine::{Outcome, RunState, Status},
    records::{DeadLetter, DeadWork, EventSource, LedgerEntry, LiveRun},
    scope::Scope,
};
use trunnion_store::{
    Batch, KeyOwner, KeyRing, Select,
    memory::Memory,
    tables::{DeadLetters, EndedRuns, Ledger, LiveRuns, RunOutline, RunsByWorkflow},
};

use super::*;

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
        let outline = RunOutline { user, failed: true };
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
        Retention::new(self.store.clone(), clock, config).sweep().await.unwrap()
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
