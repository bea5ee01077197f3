//! `wasi:clocks` and `wasi:random`, over the sandbox's own clock and random source.

use std::{sync::Arc, time::Duration};

use trunnion_core::clock::Clock;
use wasmtime::component::Resource;
use wasmtime_wasi_io::{
    async_trait,
    poll::{DynPollable, Pollable, subscribe},
};

use super::bindings::wasi::{
    clocks::{
        monotonic_clock,
        wall_clock::{self, Datetime},
    },
    random::{insecure, insecure_seed, random},
};
use crate::state::State;

const NANOS_PER_MS: u64 = 1_000_000;
/// Random bytes of one call: libraries fill their pools at once.
const MAX_RANDOM_BYTES: u64 = 65_536;
/// How long a sleep may last before the clock is looked at again.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// Ready once the clock says so.
struct Alarm {
    clock: Arc<dyn Clock>,
    due_ms: u64,
}

#[async_trait]
impl Pollable for Alarm {
    async fn ready(&mut self) {
        loop {
            let left = self.due_ms.saturating_sub(self.clock.now().as_millis());
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(left).min(LONGEST_NAP)).await;
        }
    }
}

impl State {
    fn monotonic_ms(&mut self) -> u64 {
        let now_ms = self.shared.clock.now().as_millis();
        let wasi = self.wasi();
        wasi.latest_ms = wasi.latest_ms.max(now_ms);
        wasi.latest_ms
    }

    fn alarm(&mut self, due_ms: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let alarm = self.table.push(Alarm { clock: Arc::clone(&self.shared.clock), due_ms })?;
        subscribe(&mut self.table, alarm)
    }

    fn random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.count_host_call()?;
        if length > MAX_RANDOM_BYTES {
            return Err(self.stop(format!(
                "it asked for {length} random bytes at once, {MAX_RANDOM_BYTES} are allowed"
            )));
        }
        let mut bytes = vec![0; usize::try_from(length)?];
        self.shared.random.fill(&mut bytes);
        Ok(bytes)
    }

    fn random_number(&mut self) -> wasmtime::Result<u64> {
        self.count_host_call()?;
        let mut bytes = [0; 8];
        self.shared.random.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }
}

impl monotonic_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.count_host_call()?;
        Ok(self.monotonic_ms().saturating_mul(NANOS_PER_MS))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        self.count_host_call()?;
        Ok(NANOS_PER_MS)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.count_host_call()?;
        self.alarm(when.div_ceil(NANOS_PER_MS))
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.count_host_call()?;
        let due_ms = self.shared.clock.now().as_millis().saturating_add(duration.div_ceil(NANOS_PER_MS));
        self.alarm(due_ms)
    }
}

impl wall_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<Datetime> {
        self.count_host_call()?;
        let ms = self.shared.clock.now().as_millis();
        let nanoseconds = u32::try_from(ms % 1_000 * NANOS_PER_MS)?;
        Ok(Datetime { seconds: ms / 1_000, nanoseconds })
    }

    fn resolution(&mut self) -> wasmtime::Result<Datetime> {
        self.count_host_call()?;
        Ok(Datetime { seconds: 0, nanoseconds: 1_000_000 })
    }
}

impl random::Host for State {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(length)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random_number()
    }
}

impl insecure::Host for State {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(length)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random_number()
    }
}

impl insecure_seed::Host for State {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.random_number()?, self.random_number()?))
    }
}
