//! Whether a compiled component is a connector: what it imports, and of which contract.

use wasmtime::{Engine, component::Component};

use crate::{load::LoadError, wasi};

/// The package whose interfaces a connector may import.
const PACKAGE: &str = "trunnion:connector/";
/// The contract's interfaces that may be imported; `types` holds types only.
const OFFERED: &[&str] = &["types", "http", "limits", "signing", "log", "clock", "random"];
const KNOWN: &str = "trunnion:connector@1";
/// What the libraries of other languages import of WASI 0.2.
const WASI: &[&str] = &[
    "cli/environment",
    "cli/exit",
    "cli/stdin",
    "cli/stdout",
    "cli/stderr",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "cli/terminal-stderr",
    "clocks/monotonic-clock",
    "clocks/wall-clock",
    "filesystem/preopens",
    "filesystem/types",
    "http/outgoing-handler",
    "http/types",
    "io/error",
    "io/poll",
    "io/streams",
    "random/insecure",
    "random/insecure-seed",
    "random/random",
    "sockets/instance-network",
    "sockets/ip-name-lookup",
    "sockets/network",
    "sockets/tcp",
    "sockets/tcp-create-socket",
    "sockets/udp",
    "sockets/udp-create-socket",
];

/// What a component imports, all of it to be had.
#[derive(Debug)]
pub(crate) struct Imports {
    pub(crate) names: Vec<String>,
    pub(crate) world: World,
}

/// What must be linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum World {
    /// The contract alone.
    Contract,
    /// WASI beside it.
    WithWasi,
}

/// The first bytes of a component and of a core module.
const MAGIC: &[u8] = b"\0asm";
const COMPONENT_LAYER: &[u8] = &[0x0d, 0x00, 0x01, 0x00];

/// Judges bytes before anything is spent on them.
pub(crate) fn bytes(component: &[u8], limit: usize) -> Result<(), LoadError> {
    if component.len() > limit {
        return Err(LoadError::TooLarge { size: component.len(), limit });
    }
    if component.get(..4) != Some(MAGIC) {
        return Err(LoadError::NotWasm);
    }
    if component.get(4..8) != Some(COMPONENT_LAYER) {
        return Err(LoadError::CoreModule);
    }
    Ok(())
}

/// A component's imports, if all are of the contract or of WASI.
pub(crate) fn imports(engine: &Engine, component: &Component) -> Result<Imports, LoadError> {
    let kind = component.component_type();
    let names: Vec<String> = kind.imports(engine).map(|(name, _)| name.to_owned()).collect();
    let exports = kind.exports(engine).map(|(name, _)| name.to_owned());
    let found: Vec<String> = names.iter().cloned().chain(exports).filter(|name| other_major(name)).collect();
    if !found.is_empty() {
        return Err(LoadError::UnknownMajor { found, known: KNOWN });
    }
    let later = names.iter().find(|name| contract(name).is_some() && !offered(name));
    if let Some(later) = later {
        return Err(LoadError::Mismatch {
            message: format!("it imports `{later}`, which this host does not have"),
        });
    }
    let foreign: Vec<String> =
        names.iter().filter(|name| !offered(name) && !of_wasi(name)).cloned().collect();
    if !foreign.is_empty() {
        return Err(LoadError::ForeignImports { imports: foreign });
    }
    let world = if names.iter().any(|name| of_wasi(name)) { World::WithWasi } else { World::Contract };
    Ok(Imports { names, world })
}

fn of_wasi(name: &str) -> bool {
    wasi::interface(name).is_some_and(|interface| WASI.contains(&interface))
}

/// `trunnion:connector/http@1.2.0` as (`http`, `1`).
fn contract(name: &str) -> Option<(&str, &str)> {
    let (interface, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
    Some((interface, version.split('.').next().unwrap_or_default()))
}

fn other_major(name: &str) -> bool {
    contract(name).is_some_and(|(_, major)| major != "1")
}

fn offered(name: &str) -> bool {
    contract(name).is_some_and(|(interface, _)| OFFERED.contains(&interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_imported() {
        for (name, is_offered, is_other_major, is_wasi) in [
            ("trunnion:connector/http@1.0.0", true, false, false),
            ("trunnion:connector/http@1.7.2", true, false, false),
            ("trunnion:connector/http@2.0.0", true, true, false),
            ("trunnion:connector/actions@1.0.0", false, false, false),
            ("trunnion:connector/http", false, false, false),
            ("wasi:io/streams@0.2.0", false, false, true),
            ("wasi:io/streams@0.3.0", false, false, false),
            ("wasi:keyvalue/store@0.2.0", false, false, false),
            ("wasi:http/incoming-handler@0.2.0", false, false, false),
            ("env", false, false, false),
        ] {
            assert_eq!(of_wasi(name), is_wasi, "{name}");
            assert_eq!(offered(name), is_offered, "{name}");
            assert_eq!(other_major(name), is_other_major, "{name}");
        }
    }

    #[test]
    fn bytes_that_are_no_component() {
        for (candidate, kind) in [
            (b"".as_slice(), "not_wasm"),
            (b"{\"json\":true}", "not_wasm"),
            (b"\0asm\x01\0\0\0", "core_module"),
            (b"\0asm", "core_module"),
            (&[0; 200], "too_large"),
        ] {
            assert_eq!(bytes(candidate, 100).unwrap_err().kind(), kind);
        }
    }
}
