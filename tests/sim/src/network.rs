//! The network: stands in for the host's own requests, which are streams to the ISV and answers to who asked for them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use trunnion_core::{answer, call::CallError, id::RunId};
use trunnion_sandbox::{
    Outbound,
    broker::{Post, Posted, SendError},
};

use crate::{
    faults::Fate,
    seen::{Answer, Asked, CalledBack, Class},
    vendor::{begin, done, end, fate, linger, of},
    world::{Life, World},
};

/// Where late answers go.
pub const ANSWERS: &str = "https://isv.example/answers";

/// The network as one life sees it.
#[derive(Debug)]
pub struct Network {
    world: Arc<World>,
    life: Arc<Life>,
}

impl Network {
    /// Of a life.
    #[must_use]
    pub const fn new(world: Arc<World>, life: Arc<Life>) -> Self {
        Self { world, life }
    }

    async fn exchange(&self, post: Post) -> Result<Posted, SendError> {
        self.life.living().await;
        let denied = |what: &str| SendError::Denied(format!("the simulation's streams carry {what}"));
        let body: Value = serde_json::from_slice(&post.body).map_err(|_| denied("JSON"))?;
        let key = post.headers.get("webhook-id").and_then(|id| id.to_str().ok());
        let key = key.ok_or_else(|| denied("a `webhook-id`"))?;
        let to_caller = post.url == ANSWERS;
        let written = if to_caller {
            let (run, told) = told(&body).ok_or_else(|| denied("an answer there"))?;
            self.called_back(run, told, key)
        } else {
            let unit = of(&body).ok_or_else(|| denied("a unit"))?;
            Written::Stream(begin(&self.world, &unit, Class::Stream, Asked::Perform, key))
        };
        linger(&self.world, &self.life).await;
        let fate = fate(&self.world);
        if matches!(fate, Fate::Done | Fate::Doubtful { done: true, .. }) {
            done(&self.world, key);
        }
        linger(&self.world, &self.life).await;
        let answer = match &fate {
            Fate::Done => Answer::Done,
            Fate::Refused(error) | Fate::Doubtful { error, .. } => Answer::Failed(error.clone()),
        };
        match written {
            Written::Stream(place) => end(&self.world, place, answer),
            Written::Callback(place) => {
                self.world.note(format_args!("callback {place} answered {answer:?}"));
                if let Some(callback) = self.world.state().seen.callbacks.get_mut(place) {
                    callback.answer = Some(answer);
                }
            }
        }
        match fate {
            Fate::Done => Ok(posted(204, None)),
            Fate::Refused(CallError::RateLimited { retry_after_ms }) => Ok(posted(429, retry_after_ms)),
            Fate::Refused(CallError::Unavailable { message }) => Err(SendError::Unreachable(message)),
            // Of a stream it would switch the destination off, for every later story as well.
            Fate::Refused(CallError::Rejected { .. }) if to_caller => Ok(posted(410, None)),
            Fate::Refused(_) => Ok(posted(503, None)),
            Fate::Doubtful { error: CallError::Uncertain { message }, .. } => {
                Err(SendError::TimedOut(message))
            }
            Fate::Doubtful { error, .. } => Err(SendError::Interrupted(error.to_string())),
        }
    }

    fn called_back(&self, run: RunId, told: answer::Answer, key: &str) -> Written {
        let status = told.status;
        let place = {
            let mut state = self.world.state();
            let callback = CalledBack { run, key: key.to_owned(), told, life: state.life, answer: None };
            state.seen.callbacks.push(callback);
            state.seen.callbacks.len() - 1
        };
        self.world.note(format_args!("callback {place} of run {run}: {status} {key}"));
        Written::Callback(place)
    }
}

/// Where a request was written down.
enum Written {
    Stream(usize),
    Callback(usize),
}

/// What a callback tells, and of which run.
fn told(body: &Value) -> Option<(RunId, answer::Answer)> {
    Some((body.get("run_id")?.as_str()?.parse().ok()?, serde_json::from_value(body.clone()).ok()?))
}

fn posted(status: u16, retry_after_ms: Option<u64>) -> Posted {
    let mut headers = HeaderMap::new();
    if let Some(ms) = retry_after_ms {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
    }
    Posted { status, headers, body: Bytes::new(), duration: Duration::ZERO }
}

impl Outbound for Network {
    fn post(&self, post: Post) -> BoxFuture<'_, Result<Posted, SendError>> {
        Box::pin(self.exchange(post))
    }
}
