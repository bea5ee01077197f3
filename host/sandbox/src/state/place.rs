//! Where in its source a guest ended, for components that kept their source lines.

use wasmtime::{FrameSymbol, WasmBacktrace};

/// Source folders that an author did not write: dependencies as the connector build names them, cargo's own copies, and
/// the standard library.
const LIBRARIES: [&str; 3] = ["/registry/src/", "/rustc/", "/library/"];
/// Functions of the SDK, whose folder can have any name.
const SDK: &str = "trunnion_sdk::";

/// The innermost line of the author's own code, as `src/lib.rs:12 (acme::create_task)`; else the innermost line that
/// is known at all.
pub(super) fn of(error: &wasmtime::Error) -> Option<String> {
    let backtrace = error.downcast_ref::<WasmBacktrace>()?;
    let symbols = || {
        backtrace.frames().iter().flat_map(|frame| frame.symbols()).filter(|symbol| symbol.file().is_some())
    };
    let own = |symbol: &&FrameSymbol| {
        authored(symbol.file().unwrap_or_default(), symbol.name().unwrap_or_default())
    };
    shown(symbols().find(own).or_else(|| symbols().next())?)
}

fn authored(file: &str, function: &str) -> bool {
    let library = file.starts_with("registry/") || LIBRARIES.iter().any(|folder| file.contains(folder));
    !library && !function.trim_start_matches('<').starts_with(SDK)
}

fn shown(symbol: &FrameSymbol) -> Option<String> {
    let mut text = symbol.file()?.to_owned();
    if let Some(line) = symbol.line() {
        text.push_str(&format!(":{line}"));
    }
    if let Some(name) = symbol.name() {
        text.push_str(&format!(" ({name})"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_not_the_authors() {
        assert!(authored("/home/ada/acme/src/lib.rs", "trunnion_connector_acme::create_task"));
        for (file, function) in [
            ("registry/index/serde_json-1.0/src/value.rs", "serde_json::value"),
            ("/home/ada/.cargo/registry/src/index/serde-1/src/lib.rs", "serde::x"),
            ("/rustc/abc/library/core/src/panicking.rs", "core::panicking::panic"),
            ("/usr/lib/rust/library/std/src/panicking.rs", "std::panicking"),
            ("/src/trunnion/sdk/src/action.rs", "trunnion_sdk::action::Action::new::{{closure}}"),
            ("/src/trunnion/sdk/src/action.rs", "<trunnion_sdk::export::Exports<D> as Guest>::run"),
        ] {
            assert!(!authored(file, function), "{file}");
        }
    }
}
