//! Every bound of the sandbox, with its unit and default.

use std::{ffi::OsString, fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

/// Bounds on guests and how they are compiled. All sizes are bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Linear memory and tables' backing of one instance, bytes. Default: 64 MiB.
    pub max_memory_bytes: usize,
    /// CPU time one call may spend inside the guest, milliseconds. Waiting for a vendor is not charged.
    /// Default: 2,000.
    pub cpu_budget_ms: u64,
    /// Time one call may take from admission to answer, milliseconds. Default: 120,000.
    pub wall_time_ms: u64,
    /// Time one call may wait for a free instance slot, milliseconds. Default: 30,000.
    pub admission_wait_ms: u64,
    /// Host calls (sends, log lines, clock, random, …) of one call. Default: 10,000.
    pub max_host_calls: u32,
    /// Requests one call may send to vendors. Default: 500.
    pub max_requests: u32,
    /// Requests of one `send-all` that are under way at once. Default: 8.
    pub max_parallel_requests: usize,
    /// Bytes a guest may hand to the host in one host call or answer. Default: 16 MiB.
    pub max_output_bytes: usize,
    /// Bytes in all blobs of one call. Default: 64 MiB.
    pub max_blob_bytes: u64,
    /// Log lines kept of one call; later ones are counted and dropped. Default: 200.
    pub max_log_lines: usize,
    /// Bytes kept of one log line. Default: 4,096.
    pub max_log_line_bytes: usize,
    /// Calls that may be inside guests at once. Default: 256.
    pub pool_size: u32,
    /// Calls of one connector that may be inside guests at once. Default: 128.
    pub max_calls_per_connector: u32,
    /// Elements of one table of a guest. Default: 20,000.
    pub max_table_elements: usize,
    /// Bytes of a component that is accepted, uploaded or from a file. Default: 32 MiB.
    pub max_component_bytes: usize,
    /// Bytes of stack inside a guest. Default: 512 KiB.
    pub max_stack_bytes: usize,
    /// Reused instances.
    pub warm: WarmOptions,
    /// How components become native code.
    pub compile: CompileOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_memory_bytes: 64 << 20,
            cpu_budget_ms: 2_000,
            wall_time_ms: 120_000,
            admission_wait_ms: 30_000,
            max_host_calls: 10_000,
            max_requests: 500,
            max_parallel_requests: 8,
            max_output_bytes: 16 << 20,
            max_blob_bytes: 64 << 20,
            max_log_lines: 200,
            max_log_line_bytes: 4_096,
            pool_size: 256,
            max_calls_per_connector: 128,
            max_table_elements: 20_000,
            max_component_bytes: 32 << 20,
            max_stack_bytes: 512 << 10,
            warm: WarmOptions::default(),
            compile: CompileOptions::default(),
        }
    }
}

impl Options {
    pub(crate) const fn cpu_budget(&self) -> Duration {
        Duration::from_millis(self.cpu_budget_ms)
    }

    pub(crate) const fn wall_time(&self) -> Duration {
        Duration::from_millis(self.wall_time_ms)
    }

    pub(crate) const fn admission_wait(&self) -> Duration {
        Duration::from_millis(self.admission_wait_ms)
    }
}

/// Instances kept between calls of the same (scope, user, connection, digest).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WarmOptions {
    /// Instances kept in all; 0 keeps none. Default: 64.
    pub max_instances: u32,
    /// Calls one instance serves before it is dropped. Default: 100.
    pub max_calls: u32,
    /// Age at which an instance is dropped, milliseconds. Default: 60,000.
    pub max_age_ms: u64,
}

impl Default for WarmOptions {
    fn default() -> Self {
        Self { max_instances: 64, max_calls: 100, max_age_ms: 60_000 }
    }
}

/// How components become native code.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompileOptions {
    /// The command of the compiling child process; one argument with its settings is added, and it must
    /// call [`crate::compile::child_main`] with that. Empty: compile inside this process, unbounded: for
    /// tests only.
    #[serde(skip)]
    pub command: Vec<OsString>,
    /// Address space of the child, bytes. Default: 4 GiB.
    pub max_memory_bytes: u64,
    /// CPU seconds of the child. Default: 120.
    pub max_cpu_seconds: u64,
    /// Time after which the child is killed, milliseconds. Default: 180,000.
    pub max_wall_ms: u64,
    /// Where compiled files are kept (made with mode 0700). Absent: they are not kept. Set by the host, from
    /// its data directory.
    #[serde(skip)]
    pub cache_dir: Option<PathBuf>,
    /// The key that authenticates compiled files; with an empty one nothing is kept, since native code from
    /// an unauthenticated file is never loaded. Set by the host, from its master key.
    #[serde(skip)]
    pub cache_key: Vec<u8>,
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            max_memory_bytes: 4 << 30,
            max_cpu_seconds: 120,
            max_wall_ms: 180_000,
            cache_dir: None,
            cache_key: Vec::new(),
        }
    }
}

impl fmt::Debug for CompileOptions {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompileOptions")
            .field("command", &self.command)
            .field("max_memory_bytes", &self.max_memory_bytes)
            .field("max_cpu_seconds", &self.max_cpu_seconds)
            .field("max_wall_ms", &self.max_wall_ms)
            .field("cache_dir", &self.cache_dir)
            .finish_non_exhaustive()
    }
}
