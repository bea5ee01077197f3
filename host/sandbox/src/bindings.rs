//! What `wit/connector/v1` generates. Only types and imports are used: exports are looked up one by one in
//! `exports.rs`, since the generated look-up would demand every function of the newest 1.x.
#![allow(
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    dead_code,
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_imports,
    clippy::use_self,
    clippy::uninlined_format_args,
    clippy::large_futures,
    reason = "generated code"
)]

wasmtime::component::bindgen!({
    path: "../../wit/connector/v1",
    world: "connector",
    imports: {
        "trunnion:connector/http.send": async | trappable,
        "trunnion:connector/http.send-all": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: { "trunnion:connector/http.blob": crate::blobs::Blob },
});
