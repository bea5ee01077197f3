//! `connector!`: the one declaration that turns functions and types into a component, and the glue between
//! the contract's generated types and the SDK's.
//!
//! Invariant: every export of the contract is answered. What a connector does not declare answers the typed
//! error `not-declared` (code of `Error::Other`), which names what is missing.
//!
//! ```
//! use trunnion_sdk::{auth::Account, prelude::*};
//!
//! fn check(_: &Context) -> Result<Account> {
//!     Ok(Account::new("1", "Acme"))
//! }
//!
//! trunnion_sdk::connector! {
//!     id: "acme",
//!     title: "Acme",
//!     hosts: ["api.acme.com"],
//!     connection: Connection::new(),
//!     check: check,
//! }
//!
//! # fn main() {
//! assert!(connector().manifest().contains(r#""id":"acme""#));
//! # }
//! ```

/// What the exports call.
#[doc(hidden)]
#[cfg(any(target_arch = "wasm32", doc))]
pub mod guest;

#[cfg(any(target_arch = "wasm32", doc))]
mod abi;
#[cfg(any(target_arch = "wasm32", doc))]
mod imports;
mod packed;
#[cfg(any(target_arch = "wasm32", doc))]
mod records;

#[doc(hidden)]
#[cfg(any(target_arch = "wasm32", doc))]
pub use abi::{at_place, of_words};
#[doc(hidden)]
pub use packed::unpacked;

use crate::connector::Connector;

/// A type that stands for a declared connector; implemented by [`crate::connector!`].
pub trait Declared {
    /// The declaration.
    fn connector() -> Connector;

    /// The manifest, packed, where the build has asked for it already.
    const MANIFEST: Option<&'static [u8]>;
}

/// Whether the build has asked for the manifest already: what only the manifest says need not be in the component then.
pub const DESCRIBED: bool = cfg!(trunnion_described);

/// The manifest that the build has packed and put where the variable says.
#[cfg(trunnion_described)]
#[doc(hidden)]
#[macro_export]
macro_rules! manifest_of_build {
    () => {
        Some(include_bytes!(env!("TRUNNION_CONNECTOR_MANIFEST")))
    };
}

/// The build has not asked for the manifest yet.
#[cfg(not(trunnion_described))]
#[doc(hidden)]
#[macro_export]
macro_rules! manifest_of_build {
    () => {
        None
    };
}

/// Declares a connector: generates `pub fn connector() -> Connector` for tests and, in a build for wasm32, the
/// component's exports.
///
/// Members, in this order: `id`, `title`, `help` (optional), `icon` (optional, a `data:` URL), `hosts`,
/// `connection`, `check`, `buckets`, `triggers`, `actions`, `lookups` (the last four optional). The version is
/// the crate's, unless the build names another.
#[macro_export]
macro_rules! connector {
    (
        id: $id:expr,
        title: $title:expr,
        $(help: $help:expr,)?
        $(icon: $icon:expr,)?
        hosts: [$($host:expr),* $(,)?],
        connection: $connection:expr,
        check: $check:expr
        $(, buckets: [$($bucket:expr),* $(,)?])?
        $(, triggers: [$($trigger:expr),* $(,)?])?
        $(, actions: [$($action:expr),* $(,)?])?
        $(, lookups: [$($lookup:expr),* $(,)?])?
        $(,)?
    ) => {
        /// The declared connector.
        #[must_use]
        pub fn connector() -> $crate::connector::Connector {
            $crate::connector::Connector {
                id: $id,
                // A release pipeline stamps its version with `trunnion connector build --version`.
                version: match option_env!("TRUNNION_CONNECTOR_VERSION") {
                    Some(version) => version,
                    None => env!("CARGO_PKG_VERSION"),
                },
                title: $title,
                help: concat!($($help)?),
                icon: concat!($($icon)?),
                hosts: &[$($host),*],
                connection: if $crate::export::DESCRIBED {
                    $crate::auth::Connection::new
                } else {
                    || $connection
                },
                check: $check,
                buckets: || ::std::vec![$($($bucket),*)?],
                triggers: || ::std::vec![$($($trigger),*)?],
                actions: || ::std::vec![$($($action),*)?],
                lookups: || ::std::vec![$($($lookup),*)?],
            }
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Declaration;

            impl $crate::export::Declared for Declaration {
                const MANIFEST: Option<&'static [u8]> = $crate::manifest_of_build!();

                fn connector() -> $crate::connector::Connector {
                    connector()
                }
            }

            $crate::exports!(Declaration);
        };
    };
}

/// Every export of the contract. A call is eleven words, and what follows it is handed over word by word as well, up to
/// sixteen in all; more lie at a place.
#[doc(hidden)]
#[macro_export]
macro_rules! exports {
    ($declared:ty) => {
        #[allow(unsafe_code, reason = "the component's exported symbols are raw functions")]
        const _: () = {
            #[unsafe(export_name = "trunnion:connector/manifest@1.0.0#describe")]
            extern "C" fn describe() -> *const () {
                $crate::export::guest::describe::<$declared>()
            }
        };
        $crate::exports!(@words $declared, run "trunnion:connector/actions@1.0.0#run" [input length]);
        $crate::exports!(@words $declared, run_batch "trunnion:connector/actions@1.0.0#run-batch" [items length]);
        $crate::exports!(@words $declared, page "trunnion:connector/actions@1.0.0#page" [input length present cursor size]);
        $crate::exports!(@words $declared, reconcile "trunnion:connector/actions@1.0.0#reconcile" [input length key size]);
        $crate::exports!(@place $declared, subscribe "trunnion:connector/triggers@1.0.0#subscribe");
        $crate::exports!(@words $declared, unsubscribe "trunnion:connector/triggers@1.0.0#unsubscribe" [state length]);
        $crate::exports!(@place $declared, check_subscription "trunnion:connector/triggers@1.0.0#check");
        $crate::exports!(@place $declared, parse "trunnion:connector/triggers@1.0.0#parse");
        $crate::exports!(@place $declared, handshake "trunnion:connector/triggers@1.0.0#handshake");
        $crate::exports!(@words $declared, poll "trunnion:connector/triggers@1.0.0#poll" [present cursor length]);
        $crate::exports!(@words $declared, check_connection "trunnion:connector/connection@1.0.0#check" []);
        $crate::exports!(@place $declared, options "trunnion:connector/lookups@1.0.0#options");
        $crate::exports!(@words $declared, schema "trunnion:connector/lookups@1.0.0#schema" [action length values size]);
    };
    (@words $declared:ty, $function:ident $name:literal [$($more:ident)*]) => {
        #[allow(unsafe_code, reason = "the component's exported symbols are raw functions")]
        const _: () = {
            #[unsafe(export_name = $name)]
            unsafe extern "C" fn export(
                a: usize, b: usize, c: usize, d: usize, e: usize, f: usize, g: usize, h: usize, i: usize, j: usize,
                k: usize, $($more: usize),*
            ) -> *const () {
                let words = [a, b, c, d, e, f, g, h, i, j, k, $($more),*];
                // SAFETY: only the host calls this, with what the contract says.
                $crate::export::guest::$function::<$declared>(unsafe { $crate::export::of_words(words) })
            }
        };
    };
    (@place $declared:ty, $function:ident $name:literal) => {
        #[allow(unsafe_code, reason = "the component's exported symbols are raw functions")]
        const _: () = {
            #[unsafe(export_name = $name)]
            unsafe extern "C" fn export(place: usize) -> *const () {
                // SAFETY: only the host calls this, with the place where it has put what the contract says.
                let given = unsafe { $crate::export::at_place(place as *mut _) };
                $crate::export::guest::$function::<$declared>(given)
            }
        };
    };
}
