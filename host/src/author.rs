//! What connector authors' commands stand on: connectors in the real sandbox, without a host around them.
//!
//! Owns the way from a file or crate to a connector that can be called (`source`, `workshop`, on behalf of a `credential`), what is said of one
//! before it runs (`lint`) and when it is tried (`suite`, against a `vendor` on this machine), recordings (`cassette`), and new crates (`template`, `openapi`). The sandbox, its limits and its way out are the host's own; what
//! is absent is the store, so nothing done here lasts. It does not print: that is the command line's.

pub mod cassette;
pub mod credential;
pub mod lint;
pub mod loading;
pub mod openapi;
pub mod source;
pub mod suite;
pub mod template;
pub mod vendor;
pub mod workshop;
