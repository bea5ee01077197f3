//! The network: stands in for the host's own requests, which are streams to the ISV.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header};
use trunnion_core::call::CallError;
use trunnion_sandbox::{
    Outbound,
    broker::{Post, Posted, SendError},
};

use crate::{
    faults::Fate,
    seen::{Answer, Asked, Class},
    vendor::{begin, done, end, fate, linger, of},
    world::{Life, World},
};

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
        let body = serde_json::from_slice(&post.body).map_err(|_| denied("JSON"))?;
        let unit = of(&body).ok_or_else(|| denied("a unit"))?;
        let key = post.headers.get("webhook-id").and_then(|id| id.to_str().ok());
        let key = key.ok_or_else(|| denied("a `webhook-id`"))?.to_owned();
        let place = begin(&self.world, &unit, Class::Stream, Asked::Perform, &key);
        linger(&self.world, &self.life).await;
        let fate = fate(&self.world);
        if matches!(fate, Fate::Done | Fate::Doubtful { done: true, .. }) {
            done(&self.world, &key);
        }
        linger(&self.world, &self.life).await;
        let answer = match &fate {
            Fate::Done => Answer::Done,
            Fate::Refused(error) | Fate::Doubtful { error, .. } => Answer::Failed(error.clone()),
        };
        end(&self.world, place, answer);
        match fate {
            Fate::Done => Ok(posted(204, None)),
            Fate::Refused(CallError::RateLimited { retry_after_ms }) => Ok(posted(429, retry_after_ms)),
            Fate::Refused(CallError::Unavailable { message }) => Err(SendError::Unreachable(message)),
            Fate::Refused(CallError::Rejected { .. }) => Ok(posted(410, None)),
            Fate::Refused(_) => Ok(posted(503, None)),
            Fate::Doubtful { error: CallError::Uncertain { message }, .. } => {
                Err(SendError::TimedOut(message))
            }
            Fate::Doubtful { error, .. } => Err(SendError::Interrupted(error.to_string())),
        }
    }
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
