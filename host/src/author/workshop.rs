//! One connector in a sandbox of its own: loaded as the host loads it, called as the host calls it.

use std::{ffi::OsString, path::PathBuf, sync::Arc};

use bytes::Bytes;
use trunnion_core::{
    clock::{Clock, Random, Timestamp},
    id::IdSource,
    machine::idempotency_key,
    manifest::Manifest,
    scope::{Environment, Scope},
};
use trunnion_sandbox::{
    Broker, Call, CompileOptions, Connector, EgressOptions, Freshness, LoadError, Options, Sandbox,
    SandboxError, broker::BrokerError,
};

use super::credential::Credential;

/// Calls that may be inside the connector at once: an author's machine need not reserve a host's pool.
const POOL: u32 = 8;

/// How the sandbox is made.
#[derive(Clone, Debug)]
pub struct Setting {
    /// What may leave, and to where.
    pub egress: EgressOptions,
    /// The command of the compiling child; empty compiles in this process.
    pub compiler: Vec<OsString>,
    /// Where compiled components are kept, and the key that authenticates them.
    pub cache: Option<(PathBuf, Vec<u8>)>,
    /// The connector's clock.
    pub clock: Arc<dyn Clock>,
    /// The connector's random source.
    pub random: Arc<dyn Random>,
}

/// A connector that can be called. Its sandbox lives as long as it does.
#[derive(Debug)]
pub struct Workshop {
    connector: Connector,
    size: usize,
    ids: IdSource,
    _sandbox: Sandbox,
}

/// A connector that cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting of the way out.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// No sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The component is refused, as a host would refuse it.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Workshop {
    /// Takes a component through every stage that a host takes it through.
    pub async fn open(component: Bytes, setting: Setting) -> Result<Self, Error> {
        let size = component.len();
        let broker = Arc::new(Broker::new(setting.egress)?);
        let (cache_dir, cache_key) = setting.cache.unzip();
        let compile = CompileOptions {
            command: setting.compiler,
            cache_dir,
            cache_key: cache_key.unwrap_or_default(),
            ..CompileOptions::default()
        };
        let options = Options { compile, pool_size: POOL, ..Options::default() };
        let ids = IdSource::new(Arc::clone(&setting.clock), Arc::clone(&setting.random));
        let sandbox = Sandbox::new(options, broker, setting.clock, setting.random)?;
        let connector = sandbox.load(component).await?;
        Ok(Self { connector, size, ids, _sandbox: sandbox })
    }

    /// A first attempt at a piece of work of its own, in a fresh instance.
    #[must_use]
    pub fn call(&self, name: &str, credential: &Credential) -> Call {
        Call {
            scope: Scope::new(self.ids.next(), Environment::Development),
            user: Some(self.ids.next()),
            connection: Some(self.ids.next()),
            name: name.to_owned(),
            parameters: credential.parameters.clone(),
            account: credential.account.clone(),
            idempotency_key: idempotency_key(self.ids.next(), name),
            attempt: 1,
            secrets: credential.secrets(),
            deadline: None,
            instance: Freshness::Fresh,
        }
    }

    /// The time at which the connector is called.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ids.clock().now()
    }

    /// The connector.
    #[must_use]
    pub const fn connector(&self) -> &Connector {
        &self.connector
    }

    /// What it says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.connector.manifest()
    }

    /// The component's bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }
}
