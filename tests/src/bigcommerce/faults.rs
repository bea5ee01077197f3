//! Faults on demand: the next so many matching calls go wrong in a way the vendor's calls go wrong.

use std::time::Duration;

use crate::gate::Gate;

/// How a call goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429 with the rate-limit headers, asking to wait this long.
    RateLimited {
        /// Until the window starts anew.
        reset: Duration,
    },
    /// 429 without headers: the vendor's platform is overloaded.
    Overloaded,
    /// 503, as in maintenance.
    Unavailable,
    /// 500.
    Broken,
    /// Carried out, and never answered.
    NoAnswer,
    /// Carried out, answered late.
    Slow {
        /// How late.
        by: Duration,
    },
    /// Carried out, answered 200 with something that is not JSON.
    Garbage,
    /// Carried out, and the connection breaks in the middle of the answer.
    HangUp,
    /// A redirect, not carried out.
    Redirect {
        /// Where to.
        location: String,
    },
}

/// Which calls go wrong.
#[derive(Clone, Debug, Default)]
pub struct Match {
    method: Option<String>,
    path_contains: Option<String>,
}

impl Match {
    /// Every call.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Calls of this method whose path contains this text.
    #[must_use]
    pub fn call(method: &str, path_contains: &str) -> Self {
        Self { method: Some(method.to_owned()), path_contains: Some(path_contains.to_owned()) }
    }

    fn fits(&self, method: &str, path: &str) -> bool {
        self.method.as_deref().is_none_or(|wanted| wanted == method)
            && self.path_contains.as_deref().is_none_or(|part| path.contains(part))
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
    pub(super) fn take(&mut self, method: &str, path: &str) -> Option<Fault> {
        let (left, _, fault) =
            self.faults.iter_mut().find(|(left, matching, _)| *left > 0 && matching.fits(method, path))?;
        *left -= 1;
        Some(fault.clone())
    }

    pub(super) fn hold(&mut self, matching: Match, gate: Gate) {
        self.holds.push((matching, gate));
    }

    /// The gate that this call waits at; each keeps one call.
    pub(super) fn gate(&mut self, method: &str, path: &str) -> Option<Gate> {
        let at = self.holds.iter().position(|(matching, _)| matching.fits(method, path))?;
        Some(self.holds.remove(at).1)
    }
}
