//! The sandbox: one engine, one pool, and the way from bytes to a connector.
//!
//! Candidate → [`Checked`] → [`Compiled`] → probed: a [`Connector`]. Each stage is a type and refuses with a
//! [`LoadError`] of its own. One component is compiled at a time, so that compiling never takes more than one
//! core from the calls.

use std::{fmt, sync::Arc};

use aws_lc_rs::digest;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use trunnion_core::{
    clock::{Clock, Random},
    manifest::Manifest,
    problem::Problems,
    records::Digest,
};
use wasmtime::{
    Engine, Store, UpdateDeadline,
    component::{Component, HasSelf, InstancePre, Linker},
};

use crate::{
    admission, bindings,
    broker::{Broker, Subject},
    cache::Cache,
    check::{self, World},
    compile,
    connector::{Connector, Loaded},
    engine::{self, Ticker},
    exports::Exports,
    load::{LoadError, Loader, Stage},
    options::Options,
    state::{Shared, State},
    warm::{Running, Warm},
    wasi,
};

/// A sandbox that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine refuses the options, or the system lacks address space for the pool.
    #[error(
        "the wasm engine cannot be made; lower `sandbox.pool_size` or `sandbox.max_memory_bytes`, or lift the address space limit: {message}"
    )]
    Engine {
        /// What the engine says.
        message: String,
    },
    /// The epoch thread did not start.
    #[error("the thread that enforces CPU budgets did not start")]
    Ticker(#[source] std::io::Error),
    /// The directory of compiled files.
    #[error("the directory of compiled components cannot be used; check its owner and permissions")]
    Cache(#[source] std::io::Error),
}

/// Runs connectors. Cheap to clone; the last one dropped stops the epoch thread.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

/// What every connector of a sandbox shares.
pub(crate) struct Inner {
    pub(crate) engine: Engine,
    linker: Linker<State>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Arc<Semaphore>,
    pub(crate) warm: Arc<Warm>,
    pub(crate) ticker: Ticker,
    cache: Option<Cache>,
    compiling: Semaphore,
}

/// A candidate whose form is that of a component.
#[derive(Clone, Debug)]
pub struct Checked {
    component: Bytes,
    digest: Digest,
}

impl Checked {
    /// The component's digest.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// A candidate that is native code and fits the contract.
pub struct Compiled {
    pre: InstancePre<State>,
    exports: Exports,
    imports: Vec<String>,
    digest: Digest,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// The digest that names a component.
#[must_use]
pub fn digest_of(component: &[u8]) -> Digest {
    Digest(hex::encode(digest::digest(&digest::SHA256, component)))
}

impl Sandbox {
    /// An empty sandbox, with its epoch thread running.
    pub fn new(
        options: Options,
        broker: Arc<Broker>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, SandboxError> {
        let wrong = |error: wasmtime::Error| SandboxError::Engine { message: format!("{error:#}") };
        let engine = engine::running(&options).map_err(wrong)?;
        let mut linker = Linker::new(&engine);
        bindings::Connector::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)
            .map_err(wrong)?;
        let cache = Cache::open(&options.compile, &engine).map_err(SandboxError::Cache)?;
        let warm = Arc::new(Warm::new(options.warm.clone()));
        let (aging, time) = (Arc::clone(&warm), Arc::clone(&clock));
        let ticker = Ticker::start(&engine, move || aging.sweep(time.now())).map_err(SandboxError::Ticker)?;
        let pool = Arc::new(Semaphore::new(usize::try_from(options.pool_size).unwrap_or(usize::MAX)));
        let shared = Arc::new(Shared { options, broker, clock, random });
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                linker,
                shared,
                pool,
                warm,
                ticker,
                cache,
                compiling: Semaphore::new(1),
            }),
        })
    }

    /// Turns a candidate's bytes into a connector, or says what is wrong with them and what to do.
    pub async fn load(&self, component: Bytes) -> Result<Connector, LoadError> {
        self.probe(self.compile(self.check(component)?).await?).await
    }

    /// The first stage: judges the bytes before anything is spent on them.
    pub fn check(&self, component: Bytes) -> Result<Checked, LoadError> {
        check::bytes(&component, self.inner.shared.options.max_component_bytes)?;
        let digest = digest_of(&component);
        Ok(Checked { component, digest })
    }

    /// The second stage: native code, from the compiled files or by the compiling child, and whether it fits
    /// the contract.
    pub async fn compile(&self, checked: Checked) -> Result<Compiled, LoadError> {
        let Checked { component, digest } = checked;
        let compiled = Arc::clone(&self.inner).compiled(&digest, component).await?;
        let imports = check::imports(&self.inner.engine, &compiled)?;
        let exports = Exports::find(&compiled)?;
        let pre = self
            .inner
            .link(&compiled, imports.world)
            .map_err(|error| LoadError::Mismatch { message: format!("{error:#}") })?;
        Ok(Compiled { pre, exports, imports: imports.names, digest })
    }

    /// The last stage: the component describes itself, in an instance of its own and within every limit.
    pub async fn probe(&self, compiled: Compiled) -> Result<Connector, LoadError> {
        let Compiled { pre, exports, imports, digest } = compiled;
        let first = self.inner.describe(&pre, &exports).await?;
        if self.inner.describe(&pre, &exports).await? != first {
            return Err(LoadError::NotDeterministic);
        }
        let manifest = Arc::new(Manifest::parse(&first)?);
        let subject = Subject::new(manifest).map_err(|problem| Problems(vec![problem]))?;
        let manifest = Arc::clone(subject.manifest());
        let guest = Loaded::new(Arc::clone(&self.inner), pre, exports, subject, digest.clone());
        Ok(Connector::new(manifest, digest, imports, guest))
    }

    /// Drops the instances kept for this component, which new calls are not expected to come to. Calls in
    /// flight go on.
    pub fn retire(&self, digest: &Digest) {
        self.inner.warm.drop_of(digest);
    }

    /// Removes the compiled files of a component that this host does not keep.
    pub async fn forget(&self, digest: &Digest) {
        let (inner, digest) = (Arc::clone(&self.inner), digest.clone());
        let removed =
            blocking(move || inner.cache.as_ref().map_or(Ok(()), |cache| cache.remove(&digest))).await;
        match removed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "a compiled component that is not needed is left behind; remove it");
            }
            Err(error) => tracing::warn!(%error, "a compiled component that is not needed is left behind"),
        }
    }

    /// Bytes of a component that [`Sandbox::check`] lets pass.
    #[must_use]
    pub fn max_component_bytes(&self) -> usize {
        self.inner.shared.options.max_component_bytes
    }

    async fn through(
        &self,
        component: Bytes,
        ended: &mut (dyn FnMut(Stage) + Send),
    ) -> Result<Connector, LoadError> {
        let checked = self.check(component);
        ended(Stage::Check);
        let compiled = self.compile(checked?).await;
        ended(Stage::Compile);
        let connector = self.probe(compiled?).await;
        ended(Stage::Probe);
        connector
    }

    /// How many instances are kept for reuse right now.
    #[must_use]
    pub fn warm_instances(&self) -> usize {
        self.inner.warm.len()
    }
}

impl Loader for Sandbox {
    fn load<'a>(
        &'a self,
        component: Bytes,
        ended: &'a mut (dyn FnMut(Stage) + Send),
    ) -> BoxFuture<'a, Result<Connector, LoadError>> {
        Box::pin(self.through(component, ended))
    }

    fn retire(&self, digest: &Digest) {
        self.retire(digest);
    }

    fn forget<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, ()> {
        Box::pin(self.forget(digest))
    }

    fn max_component_bytes(&self) -> usize {
        self.max_component_bytes()
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("warm", &self.inner.warm).finish_non_exhaustive()
    }
}

impl Inner {
    /// The compiled component: from the cache, or compiled and kept.
    async fn compiled(self: Arc<Self>, digest: &Digest, component: Bytes) -> Result<Component, LoadError> {
        if let Some(found) = Arc::clone(&self).from_cache(digest).await? {
            return Ok(found);
        }
        let native = {
            let _alone = self.compiling.acquire().await.map_err(|_| LoadError::Host {
                message: "the sandbox is closed; start the host again".to_owned(),
            })?;
            compile::run(&self.shared.options.compile, component).await?
        };
        let digest = digest.clone();
        blocking(move || {
            if let Some(cache) = &self.cache
                && let Err(error) = cache.put(&digest, &native)
            {
                // The connector works without; only the next start is slower.
                tracing::warn!(%digest, %error, "a compiled component could not be kept; check the data directory's space and owner");
            }
            native_code(&self.engine, &native).map_err(|error| LoadError::DoesNotFit { message: format!("{error:#}") })
        })
        .await?
    }

    /// Finds what a component imports. Whoever imports no WASI is not linked with any.
    fn link(&self, component: &Component, world: World) -> wasmtime::Result<InstancePre<State>> {
        match world {
            World::Contract => self.linker.instantiate_pre(component),
            World::WithWasi => {
                let mut linker = self.linker.clone();
                wasi::link(&mut linker, &self.engine, component)?;
                linker.instantiate_pre(component)
            }
        }
    }

    async fn from_cache(self: Arc<Self>, digest: &Digest) -> Result<Option<Component>, LoadError> {
        if self.cache.is_none() {
            return Ok(None);
        }
        let digest = digest.clone();
        blocking(move || {
            let native = self.cache.as_ref()?.get(&digest)?;
            match native_code(&self.engine, &native) {
                Ok(component) => Some(component),
                Err(error) => {
                    tracing::warn!(%digest, error = format!("{error:#}"), "a kept component does not load; it is compiled again");
                    None
                }
            }
        })
        .await
    }

    /// Asks a component for its manifest, in an instance of its own.
    async fn describe(&self, pre: &InstancePre<State>, exports: &Exports) -> Result<String, LoadError> {
        let failed = |message: String| LoadError::Describe { message };
        let wait = self.shared.options.admission_wait();
        let alone = Arc::new(Semaphore::new(1));
        let _admitted = admission::admit(&alone, &self.pool, wait, "candidate")
            .await
            .map_err(|error| failed(error.to_string()))?;
        let _ticked = self.ticker.tick();
        let mut store = self.store();
        let described = async {
            let instance = pre.instantiate_async(&mut store).await?;
            let describe = instance.get_typed_func::<(), (String,)>(&mut store, &exports.describe)?;
            describe.call_async(&mut store, ()).await
        };
        match tokio::time::timeout(self.shared.options.wall_time(), Box::pin(described)).await {
            Ok(Ok((manifest,))) => Ok(manifest),
            Ok(Err(error)) => Err(failed(store.data().epitaph(&error))),
            Err(_) => Err(failed(format!("it took longer than {} ms", self.shared.options.wall_time_ms))),
        }
    }

    /// A store with every limit in place.
    pub(crate) fn store(&self) -> Store<State> {
        let mut store = Store::new(&self.engine, State::new(Arc::clone(&self.shared)));
        store.limiter(State::memory);
        store.set_hostcall_fuel(self.shared.options.max_output_bytes);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            let meter = &mut context.data_mut().meter;
            if meter.exhausted() {
                return Ok(UpdateDeadline::Interrupt);
            }
            // Others get their turn; waiting for the next one is not charged.
            meter.leave();
            let entry = meter.entry();
            Ok(UpdateDeadline::YieldCustom(
                1,
                Box::pin(async move {
                    tokio::task::yield_now().await;
                    entry.enter();
                }),
            ))
        });
        store
    }

    /// A fresh instance. A start function runs here, within the same limits and with nobody to act for; the
    /// error is its epitaph.
    pub(crate) async fn instantiate(&self, pre: &InstancePre<State>) -> Result<Running, String> {
        let mut store = self.store();
        match pre.instantiate_async(&mut store).await {
            Ok(instance) => Ok(Running { store, instance, calls: 0, born: self.shared.clock.now() }),
            Err(error) => Err(format!("it could not be started: {}", store.data().epitaph(&error))),
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| LoadError::Host { message: format!("the loading thread ended: {error}; try again") })
}

/// Native code as a component.
#[allow(unsafe_code, reason = "wasmtime cannot check native code; see SAFETY")]
fn native_code(engine: &Engine, native: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `native` is what wasmtime's own compiler made: it comes either straight from the compiling
    // process, whose program this host chose, or from a file whose HMAC, under a key only this host has,
    // covers the whole content. It is read into memory before it is authenticated, so it cannot change
    // in between; wasmtime itself checks version and configuration.
    unsafe { Component::deserialize(engine, native) }
}
