//! WASI 0.2 for components of other languages, whose runtimes import it whether they use it or not.
//!
//! Clocks and random are the sandbox's own, standard output is the connector's log, `wasi:http` goes through
//! the broker. The file system, the environment and the network are empty: there is no code here that could
//! open a file or a socket, and an attempt is an error in the guest and a line in its log. Invariants: every
//! function counts as a host call; the meter stops only where a guest waits; what the host keeps for a guest
//! (header fields, bodies) comes out of one budget per instance. A component that imports no WASI is linked
//! without any of this.

mod bindings;
mod clocks;
mod console;
mod files;
mod http;
mod sockets;
mod streams;

use std::sync::{Arc, Mutex};

use wasmtime::{
    Engine,
    component::{
        Component, HasSelf, Linker, LinkerInstance,
        types::{ComponentInstance, ComponentItem},
    },
};
use wasmtime_wasi_io::bindings::wasi::io;

use self::console::Printed;
pub(crate) use self::console::Unfinished;
pub(crate) use self::http::Sending;
use crate::{answer::LogLevel, broker::ByteBudget, state::State};

/// The version of WASI that is linked; a guest's own 0.2 version is resolved to it.
const VERSION: &str = "0.2.12";
/// Attempts that one call's log shows; a runtime that looks for its files everywhere must not drown the rest.
const MAX_ATTEMPTS_SHOWN: u32 = 20;
/// Longest name of a file or host that the log shows.
const MAX_NAME: usize = 200;

/// What an instance keeps for WASI over calls.
pub(crate) struct Wasi {
    room: ByteBudget,
    printed: Arc<Mutex<Vec<Printed>>>,
    /// The latest moment that was told: the monotonic clock never goes back, whatever happens to the date.
    latest_ms: u64,
}

/// Adds what `component` imports of WASI to a linker that has the contract.
pub(crate) fn link(
    linker: &mut Linker<State>,
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    for (name, item) in component.component_type().imports(engine) {
        if let (Some(interface), ComponentItem::ComponentInstance(instance)) = (interface(name), item.ty) {
            let linked = format!("wasi:{interface}@{VERSION}");
            absent(linker.instance(&linked)?, engine, &linked, &instance)?;
        }
    }
    // In front of what was just put there.
    io::error::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    io::poll::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    io::streams::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    bindings::Guest::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

/// `wasi:cli/stdout@0.2.6` as `cli/stdout`.
pub(crate) fn interface(import: &str) -> Option<&str> {
    let (interface, version) = import.strip_prefix("wasi:")?.split_once('@')?;
    version.strip_prefix("0.2.")?;
    Some(interface)
}

/// Lets everything of an interface be imported; a call traps. It stays for what no guest can get as far as
/// calling, since the thing it belongs to is never given out.
fn absent(
    mut linker: LinkerInstance<'_, State>,
    engine: &Engine,
    name: &str,
    instance: &ComponentInstance,
) -> wasmtime::Result<()> {
    for (export, item) in instance.exports(engine) {
        if let ComponentItem::ComponentFunc(_) = item.ty {
            let function = format!("{name}#{export}");
            linker.func_new(export, move |mut store, _, _, _| {
                let what = format!("it called `{function}`, which connectors do not have");
                Err(store.data_mut().stop(what))
            })?;
        }
    }
    Ok(())
}

impl State {
    /// Made when it is first asked for: most instances never do.
    fn wasi(&mut self) -> &mut Wasi {
        let max_memory_bytes = self.shared.options.max_memory_bytes;
        self.wasi.get_or_insert_with(|| {
            let room = ByteBudget::new(max_memory_bytes);
            Box::new(Wasi { room, printed: Arc::default(), latest_ms: 0 })
        })
    }

    /// Writes down what a guest tried in vain, and why it cannot be.
    fn attempted(&mut self, what: &str, name: &str, why: &str) {
        self.current.attempts = self.current.attempts.saturating_add(1);
        if self.current.attempts > MAX_ATTEMPTS_SHOWN {
            return;
        }
        let name: String = name.chars().take(MAX_NAME).collect();
        let name = if name.is_empty() { name } else { format!(" `{name}`") };
        self.log(LogLevel::Warn, &format!("it tried to {what}{name}: {why}"));
        if self.current.attempts == MAX_ATTEMPTS_SHOWN {
            self.log(LogLevel::Warn, "further attempts of this call are not shown");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interfaces_of_wasi_0_2() {
        for (import, expected) in [
            ("wasi:cli/stdout@0.2.0", Some("cli/stdout")),
            ("wasi:http/types@0.2.12", Some("http/types")),
            ("wasi:http/types@0.3.0", None),
            ("wasi:http/types", None),
            ("wasi:http/types@0.20.0", None),
            ("trunnion:connector/http@1.0.0", None),
        ] {
            assert_eq!(interface(import), expected, "{import}");
        }
    }
}
