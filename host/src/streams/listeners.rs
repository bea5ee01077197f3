//! Listeners: developers' machines that take a development environment's streams in the place of their destinations.
//!
//! A listener asks again and again, is given what is to be delivered, signed as for the destination, and tells what its
//! own receiver answered; that counts as the destination's answer. So a stream can be tried on a machine that nobody
//! reaches, retries and all. Everything is in memory: a listener is there while it asks and a little longer, and what
//! it was given and did not answer is tried again as with any destination.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use tokio::sync::{Notify, oneshot};
use trunnion_core::{
    clock::Timestamp,
    id::Id,
    scope::{Environment, Scope},
};
use trunnion_sandbox::broker::{Post, Posted, SendError};

use crate::{
    context::Context,
    error::{Error, Result},
};

/// How long a listener counts as there after it last asked.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may wait for something to be delivered.
pub const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Listeners of one environment; with one more, the oldest goes.
const MOST: usize = 8;

/// Who listens. A cheap handle.
#[derive(Clone, Debug)]
pub struct Listeners {
    context: Context,
    /// The newest last.
    listeners: Arc<Mutex<BTreeMap<Scope, Vec<Listener>>>>,
}

#[derive(Debug)]
struct Listener {
    id: Id,
    /// Which streams it takes; all where none is named.
    streams: BTreeSet<String>,
    /// It counts as there until then.
    until: Timestamp,
    waiting: Vec<Delivery>,
    owed: HashMap<Id, oneshot::Sender<Told>>,
    called: Arc<Notify>,
}

/// What a listener is to deliver.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    /// Names it in the answer.
    pub id: Id,
    /// The stream's name.
    pub stream: String,
    /// The stream's own destination, which `X-Alloy-Signature` is over.
    pub url: String,
    /// The headers, every signature among them.
    pub headers: BTreeMap<String, String>,
    /// The body, which the signatures are over byte for byte.
    pub body: String,
}

/// What a listener's own receiver answered.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// The status; absent where there was no answer.
    pub status: Option<u16>,
    /// Its Retry-After, in seconds.
    pub retry_after: Option<u64>,
}

/// What a listener asks.
#[derive(Debug)]
pub struct Asked {
    /// Who it is; absent the first time, and unknown after it was away.
    pub listener: Option<Id>,
    /// Which streams it takes; all where none is named.
    pub streams: BTreeSet<String>,
    /// What became of deliveries.
    pub answers: Vec<(Id, Told)>,
    /// How long it waits for a delivery.
    pub wait: Duration,
    /// It does not come back.
    pub leaves: bool,
}

/// The way to a listener.
#[derive(Debug)]
pub(super) struct Line {
    listeners: Listeners,
    scope: Scope,
    listener: Id,
    stream: String,
}

impl Listeners {
    /// Over `context`; nobody listens yet.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context, listeners: Arc::default() }
    }

    /// Takes in answers, and gives the listener's id with what it is to deliver, as soon as there is something or its
    /// time is over.
    pub async fn ask(&self, scope: &Scope, asked: Asked) -> Result<(Id, Vec<Delivery>)> {
        if scope.environment == Environment::Production {
            let message =
                "streams of production go to their destinations alone; listen with a development key";
            return Err(Error::invalid("listener-production", message));
        }
        let Asked { listener, streams, answers, wait, leaves } = asked;
        let wait = wait.min(LONGEST_WAIT);
        let (id, called) = {
            let mut all = self.all();
            let here = all.entry(*scope).or_default();
            let known = here.iter().position(|known| Some(known.id) == listener);
            if leaves {
                let id = listener.unwrap_or_else(|| self.context.ids.next());
                here.retain(|known| known.id != id);
                return Ok((id, Vec::new()));
            }
            let mut listener = match known {
                Some(place) => here.remove(place),
                None => Listener::new(self.context.ids.next()),
            };
            for (delivery, told) in answers {
                if let Some(owed) = listener.owed.remove(&delivery) {
                    // Whoever waited has given up: then it was tried again.
                    let _late = owed.send(told);
                }
            }
            listener.streams = streams;
            listener.until = self.context.now() + wait + PATIENCE;
            let (id, called) = (listener.id, Arc::clone(&listener.called));
            here.push(listener);
            if here.len() > MOST {
                here.remove(0);
            }
            (id, called)
        };
        let mut given = self.given(scope, id);
        if given.is_empty() && !wait.is_zero() {
            // A call between the two looks is remembered by the notice.
            let _over = tokio::time::timeout(wait, called.notified()).await;
            given = self.given(scope, id);
        }
        Ok((id, given))
    }

    fn given(&self, scope: &Scope, id: Id) -> Vec<Delivery> {
        self.with(scope, id, |listener| std::mem::take(&mut listener.waiting)).unwrap_or_default()
    }

    /// The way to the newest listener that takes this stream.
    pub(super) fn line(&self, scope: &Scope, stream: &str) -> Option<Line> {
        let now = self.context.now();
        let mut all = self.all();
        let here = all.get_mut(scope)?;
        here.retain(|listener| listener.until > now);
        let takes = |listener: &&Listener| listener.streams.is_empty() || listener.streams.contains(stream);
        let listener = here.iter().rev().find(takes)?.id;
        Some(Line { listeners: self.clone(), scope: *scope, listener, stream: stream.to_owned() })
    }

    fn with<T>(&self, scope: &Scope, id: Id, act: impl FnOnce(&mut Listener) -> T) -> Option<T> {
        let mut all = self.all();
        all.get_mut(scope)?.iter_mut().find(|listener| listener.id == id).map(act)
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Scope, Vec<Listener>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    fn new(id: Id) -> Self {
        Self {
            id,
            streams: BTreeSet::new(),
            until: Timestamp::ZERO,
            waiting: Vec::new(),
            owed: HashMap::new(),
            called: Arc::default(),
        }
    }
}

impl Line {
    /// Hands a request to the listener, and waits for what its receiver answers.
    pub(super) async fn post(&self, post: Post) -> Result<Posted, SendError> {
        let Self { listeners, scope, listener, stream } = self;
        let began = listeners.context.now();
        let id = listeners.context.ids.next();
        let delivery = Delivery {
            id,
            stream: stream.clone(),
            url: post.url,
            headers: post
                .headers
                .iter()
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                })
                .collect(),
            body: String::from_utf8_lossy(&post.body).into_owned(),
        };
        let (owed, told) = oneshot::channel();
        let handed = listeners.with(scope, *listener, |listener| {
            listener.waiting.push(delivery);
            listener.owed.insert(id, owed);
            listener.called.notify_one();
        });
        let gone = || SendError::Unreachable("the listener went away".to_owned());
        handed.ok_or_else(gone)?;
        let told = tokio::time::timeout(post.timeout, told).await;
        let Told { status, retry_after } = match told {
            Ok(told) => told.map_err(|_| gone())?,
            Err(_) => {
                listeners.with(scope, *listener, |listener| {
                    listener.waiting.retain(|delivery| delivery.id != id);
                    listener.owed.remove(&id);
                });
                return Err(SendError::TimedOut("the listener told no answer in time".to_owned()));
            }
        };
        let unanswered = || SendError::Unreachable("the listener's receiver did not answer".to_owned());
        let status = status.ok_or_else(unanswered)?;
        let headers = retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds)));
        Ok(Posted {
            status,
            headers: HeaderMap::from_iter(headers),
            body: Bytes::new(),
            duration: listeners.context.now().since(began),
        })
    }
}
