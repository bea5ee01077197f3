//! Faults on demand: the next so many matching calls go wrong in a way the vendor's calls go wrong.

use std::time::Duration;

use axum::http::StatusCode;

use crate::gate::Gate;

/// How a call goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not carried out, answered with this status.
    Status(StatusCode),
    /// 429 with `Retry-After`, not carried out.
    RateLimited {
        /// How long the vendor asks to wait.
        retry_after: Duration,
    },
    /// 200 with a GraphQL error of this code and message, not carried out.
    Error {
        /// `INTERNAL_SERVER_ERROR`, `ACCESS_DENIED`, …
        code: String,
        /// The vendor's words.
        message: String,
    },
    /// Carried out, and never answered.
    NoAnswer,
    /// Carried out, answered 200 with something that is not JSON.
    Garbage,
    /// Carried out, and the connection breaks in the middle of the answer.
    HangUp,
}

/// Which calls go wrong.
#[derive(Clone, Debug, Default)]
pub struct Match {
    shop: Option<String>,
    root: Option<String>,
}

impl Match {
    /// Every call.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Calls that ask for this field of the query or mutation, such as `orderCreate`.
    #[must_use]
    pub fn operation(root: &str) -> Self {
        Self { shop: None, root: Some(root.to_owned()) }
    }

    /// Only calls to this shop.
    #[must_use]
    pub fn at(self, shop: &str) -> Self {
        Self { shop: Some(shop.to_owned()), ..self }
    }

    fn fits(&self, shop: &str, roots: &[String]) -> bool {
        self.shop.as_deref().is_none_or(|wanted| wanted == shop)
            && self.root.as_ref().is_none_or(|wanted| roots.contains(wanted))
    }
}

/// Faults that are still to happen, and calls that are to wait.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: Vec<(u32, Match, Fault)>,
    holds: Vec<(Match, Gate)>,
}

impl Faults {
    pub(super) fn add(&mut self, times: u32, matching: Match, fault: Fault) {
        self.faults.push((times, matching, fault));
    }

    /// The fault of this call; each is used up one by one, in the order they were added.
    pub(super) fn take(&mut self, shop: &str, roots: &[String]) -> Option<Fault> {
        let (left, _, fault) =
            self.faults.iter_mut().find(|(left, matching, _)| *left > 0 && matching.fits(shop, roots))?;
        *left -= 1;
        Some(fault.clone())
    }

    pub(super) fn hold(&mut self, matching: Match, gate: Gate) {
        self.holds.push((matching, gate));
    }

    /// The gate that this call waits at; each keeps one call.
    pub(super) fn gate(&mut self, shop: &str, roots: &[String]) -> Option<Gate> {
        let at = self.holds.iter().position(|(matching, _)| matching.fits(shop, roots))?;
        Some(self.holds.remove(at).1)
    }
}
