//! One process: production services over the stand-ins of one life, from start to death.
//!
//! A life has a runtime of its own, one thread with simulated time. Its end drops the runtime, and with it whatever
//! the process had in memory; what it left on the disk is all that the next life finds.

use std::{path::PathBuf, pin::pin, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use trunnion::{
    api::AllServices,
    config::Config,
    context::{Capabilities, Context},
    limits::RateLimits,
    registry::{Registry, Swaps},
    runs::Worker,
    server,
};
use trunnion_core::{
    clock::{Clock, Random, Timestamp},
    id::IdSource,
    scope::Scope,
};
use trunnion_store::{
    Direction, Store, Table,
    backend::{Backend, RawScan},
    tables::{Callbacks, Deliveries, LiveRuns},
};

use crate::{
    clock::BEGINNING,
    disk::Disk,
    faults::Faults,
    flow::Line,
    network::Network,
    outside::{Agenda, Outside},
    plan::{Act, Plan},
    setup,
    vendor::{self, NoLoader},
    world::{Life, World},
};

/// How long a process that was asked to stop may take.
const STOP: Duration = Duration::from_secs(20);

/// How often somebody looks after keys that a failed run holds.
const SKIP: Duration = Duration::from_secs(60);

/// How long after the last fault everything must have come to its end: twice what a stream's longest wait takes.
const PATIENCE: Duration = Duration::from_secs(2 * 24 * 3600);

/// How often a quiet world is looked at.
const LOOK: Duration = Duration::from_secs(600);

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The process died, or could not start.
    Died,
    /// Everything came to its end.
    Quiet,
    /// Something did not.
    Stuck,
}

/// Everything that lives on over the processes of one simulation.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The world.
    pub world: Arc<World>,
    /// What happens in it.
    pub plan: Arc<Plan>,
    /// What is still to be done outside.
    pub agenda: Arc<Agenda>,
    /// Whose environment it is.
    pub scope: Scope,
}

/// The services of one life.
struct Wired {
    services: Arc<AllServices>,
    worker: Worker,
    disk: Arc<Disk>,
}

impl Stage {
    /// Lives once.
    ///
    /// # Errors
    /// Where the simulation itself cannot go on.
    pub fn live(&self) -> Result<End> {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let life = Arc::new(Life::default());
        let end = runtime.block_on(async {
            self.world.clock.begin();
            let end = Box::pin(self.process(&life)).await;
            life.end();
            self.world.clock.end(Duration::from_secs(1));
            end
        });
        drop(runtime);
        self.agenda.cut_off(&self.world, self.world.now());
        end
    }

    fn wire(&self, life: &Arc<Life>) -> Result<Wired> {
        let world = &self.world;
        let disk = Arc::new(Disk::new(Arc::clone(world), Arc::clone(life)));
        let backend = Arc::<Disk>::clone(&disk);
        let store = Store::new(backend, Arc::clone(&world.keys));
        let clock = Arc::<crate::clock::SimulatedClock>::clone(&world.clock);
        let random = Arc::<trunnion_core::clock::SeededRandom>::clone(&world.random);
        let ids = IdSource::new(clock as Arc<dyn Clock>, random as Arc<dyn Random>);
        let registry = Arc::new(Registry::new(Arc::new(NoLoader), PathBuf::from("/nonexistent")));
        let connector = vendor::connector(Arc::clone(world), Arc::clone(life))?;
        drop(registry.switch(connector, BEGINNING));
        let swaps = Swaps::new(Arc::clone(&registry), store.clone(), ids.clone());
        let context = Context::from(Capabilities {
            store,
            ids,
            registry,
            broker: Arc::new(Network::new(Arc::clone(world), Arc::clone(life))),
            limits: RateLimits::default(),
            public_url: Arc::from("https://host.example"),
        });
        let config = Config {
            workers: self.plan.workers,
            max_waiting: self.plan.max_waiting,
            // Days of failure are for stories of their own.
            stream_disable_secs: 0,
            ..Config::default()
        };
        let (services, worker) = server::wire(&config, context, swaps);
        Ok(Wired { services: Arc::new(services), worker, disk })
    }

    async fn process(&self, life: &Arc<Life>) -> Result<End> {
        let Wired { services, worker, disk } = self.wire(life)?;
        let first = {
            let mut state = self.world.state();
            state.life += 1;
            state.life == 1
        };
        self.world.trouble("start");
        if first {
            setup::install(&services, &self.scope, &self.plan, &self.world).await.context("set-up")?;
            self.world.state().faults = self.plan.faults.clone();
        }
        let recovered = async { worker.recover().await };
        let recovered = tokio::select! {
            biased;
            () = life.over() => return Ok(End::Died),
            recovered = recovered => recovered,
        };
        match recovered {
            Ok(left) => self.world.note(format_args!("ready, {left} left by earlier lives")),
            Err(error) => {
                self.world.note(format_args!("did not start: {error}"));
                return Ok(End::Died);
            }
        }
        let stop = CancellationToken::new();
        // Everything that `Server::start` begins and that acts on runs.
        let background = [
            tokio::spawn(worker.run(stop.clone())),
            tokio::spawn(services.schedules.clone().run(stop.clone())),
            tokio::spawn(services.pollers.clone().run(stop.clone())),
        ];
        let outside = Outside {
            world: Arc::clone(&self.world),
            life: Arc::clone(life),
            services,
            agenda: Arc::clone(&self.agenda),
            scope: self.scope,
            plan: Arc::clone(&self.plan),
        };
        let mut over = pin!(life.over());
        let mut skip = BEGINNING + self.plan.calm;
        let ordered = self.plan.flows.iter().any(|flow| flow.line == Line::Ordered);
        loop {
            let now = self.world.now();
            if self.calm(now, &disk) {
                return Ok(End::Died);
            }
            match self.do_what_is_due(now, &outside) {
                Some(Act::Stop) => {
                    stop.cancel();
                    outside.services.requests.let_go();
                    // Whatever is under way ends; one that takes too long is cut off.
                    for task in background {
                        drop(tokio::time::timeout(STOP, task).await);
                    }
                    self.world.trouble("stopped");
                    return Ok(End::Died);
                }
                Some(_) => {
                    self.world.trouble("killed");
                    return Ok(End::Died);
                }
                None => {}
            }
            let calm_since = BEGINNING + self.plan.calm;
            if now > calm_since && self.agenda.is_empty() && self.nothing_left().await? {
                return Ok(End::Quiet);
            }
            if now > calm_since + PATIENCE {
                return Ok(End::Stuck);
            }
            // What waits for a failed run goes on only by hand, and fills the host until then.
            if ordered && now > skip {
                self.agenda.add(now, Act::Skip);
                skip = now + SKIP;
            }
            let mut until = if ordered { now + SKIP } else { now + LOOK };
            until = self.agenda.next().map_or(until, |next| next.min(until));
            if now < calm_since {
                until = until.min(calm_since + Duration::from_millis(1));
            }
            tokio::select! {
                biased;
                () = &mut over => return Ok(End::Died),
                () = self.agenda.changed() => {}
                () = tokio::time::sleep(until.since(now)) => {}
            }
        }
    }

    /// Begins what is due outside; what ends the process is given back.
    fn do_what_is_due(&self, now: Timestamp, outside: &Outside) -> Option<Act> {
        while let Some((number, act)) = self.agenda.due(now) {
            if matches!(act, Act::Kill | Act::Stop) {
                self.agenda.forget(number);
                return Some(act);
            }
            tokio::spawn(outside.clone().act(number, act));
        }
        None
    }

    /// Ends every fault when the time for faults is over; whether the disk needs a start to go on.
    fn calm(&self, now: Timestamp, disk: &Disk) -> bool {
        if now <= BEGINNING + self.plan.calm {
            return false;
        }
        self.world.state().faults = Faults::none();
        if disk.broken() {
            self.world.trouble("killed: its disk takes no more");
        }
        disk.broken()
    }

    /// Whether no run, no delivery and no callback waits.
    async fn nothing_left(&self) -> Result<bool> {
        for table in [Deliveries::ID, LiveRuns::ID, Callbacks::ID] {
            let scan = RawScan {
                from: vec![table].into(),
                to: Some(vec![table + 1].into()),
                limit: Some(1),
                direction: Direction::Forward,
            };
            if !self.world.memory.scan(scan).await?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
