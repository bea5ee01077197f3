//! Names to addresses, and the one place where an address is judged for a name.
//!
//! The HTTP client connects to exactly what this returns: there is no second look-up for a name to answer
//! differently.

use std::{fmt, future::Future, io, net::IpAddr, net::SocketAddr, pin::Pin, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::Guard;

/// A look-up under way.
pub type LookingUp = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Resolves names.
pub trait LookUp: fmt::Debug + Send + Sync + 'static {
    /// The addresses of `host`.
    fn look_up(&self, host: String) -> LookingUp;
}

/// The system's resolver.
#[derive(Debug)]
pub(super) struct System;

impl LookUp for System {
    fn look_up(&self, host: String) -> LookingUp {
        Box::pin(async move {
            Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
        })
    }
}

/// Which addresses a client may use.
#[derive(Clone, Copy, Debug)]
pub(super) enum Judge {
    /// Public ones, and those the operator allows.
    Public,
    /// Those the operator allows.
    AllowedOnly,
    /// Any: the operator named the destination.
    Anything,
}

impl Judge {
    /// Why `address` may not be used.
    pub(super) fn refuses(self, guard: &Guard, address: IpAddr) -> Option<String> {
        match self {
            Self::Public => guard.refuses(address),
            Self::AllowedOnly if guard.allows(address) => None,
            Self::AllowedOnly => Some(format!("plain http to address {address} is not allowed; use https")),
            Self::Anything => None,
        }
    }
}

/// A look-up whose answers are judged.
#[derive(Debug)]
pub(super) struct Checked {
    look_up: Arc<dyn LookUp>,
    guard: Arc<Guard>,
    judge: Judge,
}

impl Checked {
    pub(super) fn new(look_up: Arc<dyn LookUp>, guard: Arc<Guard>, judge: Judge) -> Self {
        Self { look_up, guard, judge }
    }
}

/// A name all of whose addresses are refused.
#[derive(Debug, thiserror::Error)]
#[error("host `{host}`: {why}")]
pub(super) struct Refused {
    host: String,
    why: String,
}

/// A name without addresses.
#[derive(Debug, thiserror::Error)]
#[error("host `{0}` has no address")]
struct NoAddress(String);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let answer = self.look_up.look_up(host.clone());
        let (guard, judge) = (Arc::clone(&self.guard), self.judge);
        Box::pin(async move {
            let mut why = None;
            let mut usable = Vec::new();
            for address in answer.await? {
                match judge.refuses(&guard, address) {
                    None => usable.push(SocketAddr::new(address, 0)),
                    Some(reason) => why = Some(reason),
                }
            }
            match (usable.is_empty(), why) {
                (false, _) => Ok(Box::new(usable.into_iter()) as Addrs),
                (true, Some(why)) => Err(Refused { host, why }.into()),
                (true, None) => Err(NoAddress(host).into()),
            }
        })
    }
}
