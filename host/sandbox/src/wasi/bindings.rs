//! What `wit/wasi.wit` generates. Streams and pollables are those of `wasmtime-wasi-io`.
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
    path: "wit",
    world: "trunnion:wasi/guest",
    imports: { default: trappable },
    require_store_data_send: true,
    with: {
        "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
        "wasi:filesystem/types.descriptor": super::files::Root,
        "wasi:filesystem/types.directory-entry-stream": super::files::NoEntries,
        "wasi:sockets/network.network": super::sockets::NoNetwork,
        "wasi:http/types.fields": super::http::fields::Fields,
        "wasi:http/types.outgoing-request": super::http::request::OutgoingRequest,
        "wasi:http/types.outgoing-body": super::http::request::OutgoingBody,
        "wasi:http/types.request-options": super::http::request::RequestOptions,
        "wasi:http/types.future-incoming-response": super::http::response::Response,
        "wasi:http/types.incoming-response": super::http::response::IncomingResponse,
        "wasi:http/types.incoming-body": super::http::response::IncomingBody,
        "wasi:http/types.future-trailers": super::http::response::NoTrailers,
    },
});
