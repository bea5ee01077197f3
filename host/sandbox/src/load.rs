//! From bytes to a connector: who does it, and why a candidate is refused.

use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use trunnion_core::{problem::Problems, records::Digest};

use crate::connector::Connector;

/// Turns bytes into connectors: the [`Sandbox`](crate::Sandbox), or a stand-in where calls are simulated.
pub trait Loader: fmt::Debug + Send + Sync + 'static {
    /// Takes a candidate through the stages; `ended` hears of each as it ends, well or not.
    fn load<'a>(
        &'a self,
        component: Bytes,
        ended: &'a mut (dyn FnMut(Stage) + Send),
    ) -> BoxFuture<'a, Result<Connector, LoadError>>;

    /// New calls are not expected to come to this component any more. Calls in flight go on.
    fn retire(&self, digest: &Digest);

    /// This host does not keep the component: nothing of it is left behind.
    fn forget<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, ()>;

    /// Bytes of a component that may be a candidate.
    fn max_component_bytes(&self) -> usize;
}

/// Where on its way a candidate was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its form, and whether it fits the contract.
    Check,
    /// Becoming native code.
    Compile,
    /// Describing itself.
    Probe,
}

impl Stage {
    /// `check`, `compile` or `probe`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Compile => "compile",
            Self::Probe => "probe",
        }
    }
}

/// Why bytes did not become a connector. Each says what is wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not WebAssembly at all.
    #[error(
        "this is not a WebAssembly component: it does not begin with the WebAssembly magic bytes; \
         build one with `trunnion connector build`"
    )]
    NotWasm,
    /// A core module.
    #[error(
        "this is a core WebAssembly module, not a component; \
         build it with `trunnion connector build`, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// Larger than the limit.
    #[error(
        "the component has {size} bytes, {limit} are allowed; build it with `opt-level = \"s\"` and without debug \
         information, or raise `sandbox.max_component_bytes`"
    )]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The compiler refuses it, or ran out of its limits.
    #[error("the component does not compile: {message}")]
    Compile {
        /// What the compiler says, and the remedy where a limit was passed.
        message: String,
    },
    /// Wants more than an instance gets.
    #[error(
        "the component does not fit into an instance ({message}); make its memory and tables smaller, or raise \
         `sandbox.max_memory_bytes` or `sandbox.max_table_elements`"
    )]
    DoesNotFit {
        /// What does not fit.
        message: String,
    },
    /// Imports that the contract does not have.
    #[error(
        "the component imports {}, which the connector contract does not offer; a connector may import only \
         `trunnion:connector/*` and, where its language needs it, WASI 0.2: build for `wasm32-unknown-unknown` and send \
         through `http`",
        list(.imports)
    )]
    ForeignImports {
        /// Which.
        imports: Vec<String>,
    },
    /// Built against a contract this host does not know.
    #[error(
        "the component is built against {}, this host knows {known}; build it with the SDK of that contract, or update \
         the host",
        list(.found)
    )]
    UnknownMajor {
        /// What it names.
        found: Vec<String>,
        /// What the host knows.
        known: &'static str,
    },
    /// Needs a function of a later version of the contract, or one with another type.
    #[error(
        "the component does not fit this host's contract ({message}); update the host, or build with an older SDK"
    )]
    Mismatch {
        /// What does not fit.
        message: String,
    },
    /// Functions of the contract that are not there.
    #[error("the component lacks the exports {}; export the whole world `trunnion:connector/connector` (the SDK does)", list(.exports))]
    MissingExports {
        /// Which.
        exports: Vec<String>,
    },
    /// An export with a type of its own.
    #[error(
        "the component's export {export} is not what the contract says: {message}; build it against `wit/connector/v1`"
    )]
    WrongExport {
        /// Which.
        export: String,
        /// How it differs.
        message: String,
    },
    /// `describe` failed.
    #[error("`describe` failed: {message}")]
    Describe {
        /// What happened.
        message: String,
    },
    /// `describe` answers differently each time.
    #[error(
        "`describe` gave two different manifests in a row; it must give the same text at every call, without clock or random"
    )]
    NotDeterministic,
    /// The manifest is wrong.
    #[error("the manifest is wrong: {0}")]
    Manifest(#[from] Problems),
    /// The host's own trouble.
    #[error("the host could not load the component: {message}")]
    Host {
        /// What happened and the remedy.
        message: String,
    },
}

impl LoadError {
    /// The stage that refused. What is read off compiled code (imports, exports) belongs to the check.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::NotWasm
            | Self::CoreModule
            | Self::TooLarge { .. }
            | Self::ForeignImports { .. }
            | Self::UnknownMajor { .. }
            | Self::Mismatch { .. }
            | Self::MissingExports { .. }
            | Self::WrongExport { .. } => Stage::Check,
            Self::Compile { .. } | Self::DoesNotFit { .. } | Self::Host { .. } => Stage::Compile,
            Self::Describe { .. } | Self::NotDeterministic | Self::Manifest(_) => Stage::Probe,
        }
    }

    /// The case's name, stable, for codes and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NotWasm => "not_wasm",
            Self::CoreModule => "core_module",
            Self::TooLarge { .. } => "too_large",
            Self::Compile { .. } => "compile",
            Self::DoesNotFit { .. } => "does_not_fit",
            Self::ForeignImports { .. } => "foreign_imports",
            Self::UnknownMajor { .. } => "unknown_major",
            Self::Mismatch { .. } => "mismatch",
            Self::MissingExports { .. } => "missing_exports",
            Self::WrongExport { .. } => "wrong_export",
            Self::Describe { .. } => "describe",
            Self::NotDeterministic => "not_deterministic",
            Self::Manifest(_) => "manifest",
            Self::Host { .. } => "host",
        }
    }
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
