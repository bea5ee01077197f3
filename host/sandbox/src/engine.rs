//! The wasm engine: its configuration, and the thread that advances its epoch.
//!
//! Code generation must be the same in the compiling child, which has no pool: everything that changes it
//! stands in `base`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use crate::options::Options;

/// Time between two epochs: how long a guest may keep a worker thread before it must yield.
const TICK: Duration = Duration::from_millis(5);
/// Ticks without any call after which the ticker sleeps until the next one.
const IDLE_TICKS: u32 = 200;
/// Core instances, memories and tables of one component; wit-component makes three core instances.
const CORE_INSTANCES: u32 = 8;
const MEMORIES: u32 = 2;
const TABLES: u32 = 4;
/// Pages that stay mapped when a slot is freed: clearing them is cheaper than faulting them in again.
const KEEP_RESIDENT: usize = 2 << 20;

fn base() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_component_model(true)
        // Costs nothing where a component says nothing about its source, as shipped ones do not.
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .memory_init_cow(true);
    config
}

/// The engine of the compiling child: the same code, no pool.
pub(crate) fn compiling() -> wasmtime::Result<Engine> {
    Engine::new(&base())
}

/// The engine that runs guests.
pub(crate) fn running(options: &Options) -> wasmtime::Result<Engine> {
    let slots = options.pool_size.saturating_add(options.warm.max_instances);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES))
        .total_memories(slots.saturating_mul(MEMORIES))
        .total_tables(slots.saturating_mul(TABLES))
        .total_stacks(slots)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_memory_size(options.max_memory_bytes)
        .table_elements(options.max_table_elements)
        .max_unused_warm_slots(options.pool_size)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = base();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .max_wasm_stack(options.max_stack_bytes)
        .async_stack_size(options.max_stack_bytes.saturating_add(512 << 10));
    Engine::new(&config)
}

/// Advances the epoch while calls are under way. Stops when dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Ticking>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Ticking {
    active: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// One call under way: while it lives, the epoch advances.
#[derive(Debug)]
pub(crate) struct Ticked(Arc<Ticking>);

impl Ticker {
    /// Starts the thread. `each_second` runs about once a second while calls are under way, and once before
    /// the thread falls asleep.
    pub(crate) fn start(engine: &Engine, each_second: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Ticking::default());
        let ticking = Arc::clone(&shared);
        let engine = engine.weak();
        let thread = thread::Builder::new().name("sandbox-epoch".to_owned()).spawn(move || {
            let mut idle = 0;
            let mut ticks = 0_u32;
            while !ticking.stop.load(Ordering::Acquire) {
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
                drop(engine);
                ticks = ticks.wrapping_add(1);
                if ticks.is_multiple_of(IDLE_TICKS) {
                    each_second();
                }
                idle = if ticking.active.load(Ordering::Acquire) == 0 { idle + 1 } else { 0 };
                if idle < IDLE_TICKS {
                    thread::park_timeout(TICK);
                    continue;
                }
                ticking.asleep.store(true, Ordering::SeqCst);
                // A call that began before `asleep` was set did not wake us: look again.
                if ticking.active.load(Ordering::SeqCst) == 0 && !ticking.stop.load(Ordering::SeqCst) {
                    each_second();
                    // Parked instances age while nothing runs; once in a while is often enough.
                    thread::park_timeout(Duration::from_secs(10));
                }
                ticking.asleep.store(false, Ordering::SeqCst);
                idle = 0;
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Marks a call as under way.
    pub(crate) fn tick(&self) -> Ticked {
        self.shared.active.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        Ticked(Arc::clone(&self.shared))
    }
}

impl Drop for Ticked {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // `each_second` may hold the last reference to what owns this ticker: then we are that thread.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                tracing::error!(
                    "the sandbox's epoch thread panicked; CPU budgets may not have been enforced"
                );
            }
        }
    }
}
