//! The composition root: the only place that wires concrete backends, and the order of start and stop.
//!
//! Start: keys and store, then connectors, then what earlier processes left, then the listener; so whoever
//! reaches the host finds it ready. Stop: no new requests, what is under way ends, the store is closed.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::hmac;
use axum::{Router, extract::Request, http::Uri};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tower::{ServiceExt, util::MapRequest};
use trunnion_core::{
    clock::{Clock, Random},
    id::IdSource,
    records::{Authority, Workspace},
    scope::{Environment, Scope},
};
use trunnion_sandbox::{Broker, Sandbox, SandboxError, broker::BrokerError};
use trunnion_store::{
    KeyRing, MasterKey, Store,
    journal::{Journal, OpenError, Options as JournalOptions},
    keys::KeyError,
};

use crate::{
    access::Access,
    api::{self, AllServices, Services},
    backup::Backups,
    config::Config,
    context::{Capabilities, Context},
    erasure::Erasure,
    forward::Forwards,
    import::Importer,
    keyfiles::{self, KeysFile},
    limits::RateLimits,
    lookups::Lookups,
    outbox::{Outbox, Outlets, Postman},
    registry::{self, Registry, Swaps},
    repetition::Repetitions,
    retention::Retention,
    runs::{
        Calls, DeadLetters, Hands, Queue, Routes, RunLog, Trials, Waiting, Worker,
        act::Actor,
        execute::Executor,
        queue::{Bounds, Limits, Load},
    },
    settings::Settings,
    streams::{Batches, Destinations, SigningKeys, Streams, listeners::Listeners},
    throttle::Throttle,
    triggers::{
        accept::Acceptor,
        app_hooks::AppHooks,
        gate::Gate,
        parse::Parser,
        poll::Pollers,
        request::{Callbacks, Requests},
        schedule::Schedules,
        subscriptions::{Subscriptions, care::Care},
        webhook::Ingress,
    },
    user_tokens::UserTokens,
    users::Users,
    vault::{Attention, Vault},
    workflows::{Installer, Library, Offers, Releases, install::Feeds},
};

/// How long requests under way may take to end at a stop.
const DRAIN: Duration = Duration::from_secs(20);

/// Callers of requests that wait at once; further ones are told at once where their answers will be.
const MOST_CALLERS: usize = 20_000;

/// Events that are being prepared at once: some more than processors, since a page that the store has to read keeps one
/// idle, and far fewer than may wait.
const TAKEN_IN_AT_ONCE: usize = 8;

/// What a host is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything that can be set.
    pub config: Config,
    /// Where everything durable is.
    pub data_dir: PathBuf,
    /// The address to listen on; port 0 picks one.
    pub listen: SocketAddr,
    /// Whether to make a development workspace and permit loopback.
    pub mode: Mode,
    /// The master key, where the environment gave one.
    pub master_key: Option<[u8; 32]>,
    /// The command that compiles components in a child process.
    pub compiler: Vec<OsString>,
}

/// What the host is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Building and trying: a workspace with keys in a file, loopback allowed.
    Development,
    /// ISVs' customers.
    Production,
}

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory could not be made.
    #[error("the data directory `{path}` could not be made")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A secret file cannot be used.
    #[error(transparent)]
    Keyfile(#[from] keyfiles::Error),
    /// The data keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The store did not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The broker's settings are wrong.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The sandbox did not start.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A connector was refused.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// What earlier processes left could not be read, or keys not be stored.
    #[error("the host's own records could not be read or written")]
    Records(#[from] crate::error::Error),
    /// The address could not be listened on.
    #[error("`{address}` cannot be listened on; choose another with --listen")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A host that is ready.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    listener: JoinHandle<std::io::Result<()>>,
    background: Vec<JoinHandle<()>>,
    store: Store,
}

impl Server {
    /// Starts a host; when this returns, it takes requests.
    pub async fn start(
        options: Options,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, Error> {
        let Options { mut config, data_dir, listen, mode, master_key, compiler } = options;
        std::fs::create_dir_all(&data_dir)
            .map_err(|source| Error::DataDir { path: data_dir.clone(), source })?;
        let master = master(&config, &data_dir, mode, master_key, random.as_ref())?;
        let store = open_store(&config, &data_dir, &master)?;
        config.egress.allow_loopback |= mode == Mode::Development;
        let broker = Arc::new(Broker::new(config.egress.clone())?);
        config.sandbox.compile.command = compiler;
        config.sandbox.compile.cache_dir = Some(data_dir.join("compiled"));
        config.sandbox.compile.cache_key =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &master), b"compiled components").as_ref().to_vec();
        let sandbox = Sandbox::new(
            config.sandbox.clone(),
            Arc::clone(&broker),
            Arc::clone(&clock),
            Arc::clone(&random),
        )?;
        let ids = IdSource::new(Arc::clone(&clock), random);
        let registry = Arc::new(Registry::new(Arc::new(sandbox), data_dir.join("components")));
        let swaps = Swaps::new(Arc::clone(&registry), store.clone(), ids.clone());
        swaps.start(&data_dir.join("connectors")).await?;

        let listener =
            TcpListener::bind(listen).await.map_err(|source| Error::Listen { address: listen, source })?;
        let address = listener.local_addr().map_err(|source| Error::Listen { address: listen, source })?;
        let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
        let public_url = Arc::from(public_url.trim_end_matches('/'));
        let context = Context::from(Capabilities {
            store: store.clone(),
            ids,
            registry,
            broker,
            limits: RateLimits::default(),
            public_url,
        });

        let (services, worker) = wire(&config, context.clone(), swaps);
        let retention = Retention::new(store.clone(), clock, config.retention, Arc::clone(&services.queue));
        let subscriptions = Subscriptions::new(context.clone(), services.vault.clone());
        let interval = Duration::from_secs(config.webhook_check_secs.max(1));
        let care = Care::new(subscriptions, services.vault.clone(), interval);
        ensure_keys(&services.access, &context, &data_dir.join("keys.json"), mode).await?;
        let left = worker.recover().await?;
        if left > 0 {
            tracing::info!(left, "taking up work that an earlier process left");
        }
        let stop = CancellationToken::new();
        let background = vec![
            tokio::spawn(worker.run(stop.clone())),
            tokio::spawn(services.schedules.clone().run(stop.clone())),
            tokio::spawn(services.pollers.clone().run(stop.clone())),
            tokio::spawn(retention.run(stop.clone())),
            tokio::spawn(care.run(stop.clone())),
            tokio::spawn(let_go(services.requests.clone(), stop.clone())),
        ];
        let listener = tokio::spawn(serve(listener, api::router(Services::from(services)), stop.clone()));
        Ok(Self { address, stop, listener, background, store })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: no new requests, what is under way ends, the store is closed.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(DRAIN, self.listener).await.is_err() {
            tracing::warn!("some requests did not end in time; their connections are cut");
        }
        for task in self.background {
            match tokio::time::timeout(DRAIN, task).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "background work ended badly"),
                Err(_) => tracing::warn!("some runs did not end in time; the next start takes them up"),
            }
        }
        if let Err(error) = self.store.close().await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the store was not closed cleanly; the next start replays its journal"
            );
        }
    }
}

async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> std::io::Result<()> {
    let tidied: MapRequest<Router, fn(Request) -> Request> = router.map_request(tidy);
    axum::serve(listener, axum::ServiceExt::<Request>::into_make_service(tidied))
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
}

/// At a stop, whoever waits for an answer is told where to find it instead.
async fn let_go(requests: Requests, stop: CancellationToken) {
    stop.cancelled().await;
    requests.let_go();
}

fn tidy(mut request: Request) -> Request {
    let tidied: Option<Uri> = api::path::tidy(request.uri());
    if let Some(uri) = tidied {
        *request.uri_mut() = uri;
    }
    request
}

/// Every service over `context`, and the worker that is to run beside them. Starts nothing, so that a simulation
/// works with exactly what a host does.
#[must_use]
pub fn wire(config: &Config, context: Context, swaps: Swaps) -> (AllServices, Worker) {
    let holder = context.ids.next::<trunnion_core::id::Id>().to_string();
    let queue = Arc::new(Queue::new(Arc::clone(context.clock()), holder, limits(config)));
    let waiting = Arc::new(Waiting::new(Arc::clone(&queue), MOST_CALLERS));
    let releases = Arc::new(Releases::new(context.clone()));
    let patience = Duration::from_millis(config.attention_wait_ms);
    let outbox = Outbox::new(context.clone(), Arc::clone(&queue));
    let attention = Arc::new(Attention::new(Arc::clone(&queue), patience));
    let vault = Vault::new(context.clone(), attention, outbox.clone());
    let library = Library::new(context.clone());
    let gate = Gate::new(TAKEN_IN_AT_ONCE);
    let acceptor = Acceptor::new(
        context.clone(),
        Arc::clone(&releases),
        Arc::clone(&queue),
        gate.clone(),
        outbox.clone(),
    );
    let schedules = Schedules::new(context.clone(), acceptor.clone());
    let pollers = Pollers::new(context.clone(), acceptor.clone(), vault.clone(), &config.polling);
    let app_hooks = AppHooks::new(context.clone());
    let feeds = Feeds {
        subscriptions: Subscriptions::new(context.clone(), vault.clone()),
        app_hooks: app_hooks.clone(),
        schedules: schedules.clone(),
        pollers: pollers.clone(),
        outbox: outbox.clone(),
    };
    let installer = Installer::new(
        context.clone(),
        library.clone(),
        Arc::clone(&releases),
        vault.clone(),
        feeds,
        acceptor.clone(),
    );
    let routes = Routes::new(context.clone(), acceptor.clone(), Users::new(context.clone()));
    let calls = Calls::new(context.clone(), acceptor.clone(), Arc::clone(&releases));
    let keys = SigningKeys::new(context.clone());
    let destinations = Destinations::new(context.clone(), keys.clone(), outbox.clone());
    let disable_after = Duration::from_secs(config.stream_disable_secs);
    let listeners = Listeners::new(context.clone());
    let streams =
        Streams::new(context.clone(), keys, outbox.clone(), disable_after).heard_by(listeners.clone());
    let actor = Actor::new(context.clone(), vault.clone(), streams.clone(), calls, routes);
    let runs = RunLog::new(context.clone(), Arc::clone(&releases), Arc::clone(&queue), Arc::clone(&waiting));
    let executor = Executor::new(
        context.clone(),
        Arc::clone(&releases),
        actor.clone(),
        Arc::clone(&queue),
        runs.clone(),
        outbox.clone(),
    );
    let parser = Parser::new(
        context.clone(),
        acceptor.clone(),
        app_hooks.clone(),
        vault.clone(),
        Arc::clone(&queue),
        outbox.clone(),
    );
    let callbacks =
        Callbacks::new(context.clone(), streams.clone(), runs.clone(), Arc::clone(&queue), outbox.clone());
    let batches = Batches::new(context.clone(), streams.clone(), Arc::clone(&queue), outbox);
    let postman = Postman::new(context.clone(), streams, Arc::clone(&queue));
    let hands = Hands { executor, parser, callbacks, postman, batches };
    let worker = Worker::new(context.clone(), Arc::clone(&queue), hands);
    let requests = Requests::new(
        context.clone(),
        acceptor.clone(),
        runs.clone(),
        waiting,
        Duration::from_secs(config.request_wait_secs),
    );
    let lookups = Lookups::new(context.clone(), vault.clone());
    let offers = Offers::new(
        context.clone(),
        library.clone(),
        Arc::clone(&releases),
        installer.clone(),
        vault.clone(),
    );
    let defined = (library.clone(), installer.clone());
    let trials = Trials::new(context.clone(), actor, defined, (vault.clone(), Users::new(context.clone())));
    let services = AllServices {
        access: Access::new(context.clone()),
        backups: Backups::new(context.clone()),
        users: Users::new(context.clone()),
        erasure: Erasure::new(context.clone(), installer.clone(), runs.clone()),
        user_tokens: UserTokens::new(context.clone()),
        importer: Importer::new(context.clone(), vault.clone()),
        forwards: Forwards::new(context.clone(), vault.clone()),
        vault,
        lookups,
        library,
        destinations,
        outlets: Outlets::new(context.clone()),
        listeners,
        installer,
        offers,
        acceptor,
        ingress: Ingress::new(context.clone(), Arc::clone(&queue), gate),
        app_hooks,
        pollers,
        requests,
        runs,
        trials,
        dead_letters: DeadLetters::new(context.clone(), Arc::clone(&releases), Arc::clone(&queue)),
        releases,
        queue,
        schedules,
        swaps,
        settings: Settings::new(context.clone(), config.retention),
        repetitions: Repetitions::new(context.clone()),
        throttle: Throttle::new(config.rate_limit, context.clock()),
        max_body_bytes: config.max_body_bytes,
        context,
    };
    (services, worker)
}

const fn limits(config: &Config) -> Limits {
    Limits {
        workers: config.workers,
        per_connection: config.workers_per_connection,
        waiting: Bounds {
            all: Load { count: config.max_waiting, bytes: config.max_waiting_bytes },
            per_user: Load { count: config.max_waiting_per_user, bytes: config.max_waiting_bytes_per_user },
        },
        kept_bytes: config.max_kept_bytes,
        working_bytes: config.max_working_bytes,
    }
}

fn master(
    config: &Config,
    data_dir: &Path,
    mode: Mode,
    given: Option<[u8; 32]>,
    random: &dyn Random,
) -> Result<[u8; 32], Error> {
    if let Some(path) = &config.master_key_file {
        return Ok(keyfiles::read_master(path)?);
    }
    match (given, mode) {
        (Some(key), _) => Ok(key),
        (None, Mode::Development) => Ok(keyfiles::ensure_master(&data_dir.join("master.key"), random)?),
        (None, Mode::Production) => Err(keyfiles::Error::NoMaster.into()),
    }
}

fn open_store(config: &Config, data_dir: &Path, master: &[u8; 32]) -> Result<Store, Error> {
    let options = JournalOptions {
        cache_bytes: config.store.cache_bytes,
        min_free_bytes: config.store.min_free_bytes,
        ..JournalOptions::default()
    };
    let keys = KeyRing::open(data_dir.join("keys"), &MasterKey::new(*master))?;
    let journal = Journal::open(data_dir.join("store"), &options)?;
    Ok(Store::new(Arc::new(journal), Arc::new(keys)))
}

/// Hands a new data directory its keys. The file comes first: a crash between leaves keys that the next start
/// makes hold, never keys that nobody has.
async fn ensure_keys(access: &Access, context: &Context, path: &Path, mode: Mode) -> Result<(), Error> {
    let keys = match keyfiles::read_keys(path)? {
        Some(keys) => keys,
        None => {
            let operator = access.fresh(Authority::Operator);
            let keys = match mode {
                Mode::Production => {
                    KeysFile { operator, workspace: None, development: None, production: None }
                }
                Mode::Development => {
                    let workspace = context.ids.next();
                    let key = |environment| {
                        Some(
                            access
                                .fresh(Authority::Environment { scope: Scope::new(workspace, environment) }),
                        )
                    };
                    let (development, production) =
                        (key(Environment::Development), key(Environment::Production));
                    KeysFile { operator, workspace: Some(workspace), development, production }
                }
            };
            keyfiles::write_keys(path, &keys)?;
            keys
        }
    };
    access.grant(&keys.operator, Authority::Operator, "first operator key").await?;
    if let Some(id) = keys.workspace {
        access.ensure_workspace(&Workspace { id, name: "dev".to_owned(), created_at: context.now() }).await?;
        for (environment, key) in
            [(Environment::Development, keys.development), (Environment::Production, keys.production)]
        {
            if let Some(key) = key {
                let authority = Authority::Environment { scope: Scope::new(id, environment) };
                access.grant(&key, authority, &format!("first {environment} key")).await?;
            }
        }
    }
    Ok(())
}
