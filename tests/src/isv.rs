//! AcmeCo's receiver: records what the host streams to it and verifies the Standard Webhooks signature with
//! the `standardwebhooks` crate, which shares no code with the host.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Bytes,
    extract::State as Shelf,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header::RETRY_AFTER},
    routing::any,
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    gate::{self, Gate, Held},
    record::Recorded,
    wait,
};

/// A running receiver; stops with the last clone.
#[derive(Clone)]
pub struct Isv {
    shared: Arc<Shared>,
    base: String,
    _server: Arc<Server>,
}

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    secret: Option<String>,
    posts: Vec<Post>,
    /// The key of every call that came in, answered or not.
    arrivals: Vec<String>,
    answers: VecDeque<(StatusCode, HeaderMap)>,
    holds: VecDeque<Gate>,
}

/// A POST as AcmeCo got it.
#[derive(Clone, Debug)]
pub struct Post {
    /// The request and what was answered.
    pub request: Recorded,
    /// Whether its signature is right; why not.
    pub signature: Result<(), String>,
}

struct Server(JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Isv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Isv").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Post {
    /// The idempotency key: the `webhook-id`.
    #[must_use]
    pub fn key(&self) -> &str {
        self.request.header("webhook-id")
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        self.request.json()
    }

    /// Whether AcmeCo accepted it.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.request.status.is_success()
    }
}

impl Isv {
    /// Starts on a free loopback port.
    pub async fn start() -> Result<Self> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.context("AcmeCo's receiver needs a loopback port")?;
        let base = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(any(receive)).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { shared, base, _server: Arc::new(Server(server)) })
    }

    /// A destination for a stream.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The `whsec_…` secret that the host signs with.
    pub fn trust(&self, secret: &str) {
        self.shared.state().secret = Some(secret.to_owned());
    }

    /// The next calls get these answers, one each; afterwards 200 again.
    pub fn answer_next(&self, statuses: &[StatusCode]) {
        self.shared.state().answers.extend(statuses.iter().map(|status| (*status, HeaderMap::new())));
    }

    /// The next call is answered 429, asking to wait this long.
    pub fn limit_next(&self, retry_after: Duration) {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from(retry_after.as_secs()))]);
        self.shared.state().answers.push_back((StatusCode::TOO_MANY_REQUESTS, headers));
    }

    /// Keeps the next call waiting.
    #[must_use]
    pub fn hold_next(&self) -> Held {
        let (gate, held) = gate::gate();
        self.shared.state().holds.push_back(gate);
        held
    }

    /// Every POST so far.
    #[must_use]
    pub fn posts(&self) -> Vec<Post> {
        self.shared.state().posts.clone()
    }

    /// The idempotency keys of all calls in order, also of those whose caller went away before the answer.
    #[must_use]
    pub fn arrivals(&self) -> Vec<String> {
        self.shared.state().arrivals.clone()
    }

    /// Waits for an accepted POST that `is` describes.
    pub async fn wait_for(&self, what: &str, is: impl Fn(&Post) -> bool) -> Result<Post> {
        wait::until(&format!("{what} to reach AcmeCo"), || async {
            self.posts().into_iter().find(|post| post.accepted() && is(post))
        })
        .await
    }

    /// Waits for the accepted POST about this order.
    pub async fn wait_for_order(&self, order: u64) -> Result<Post> {
        self.wait_for(&format!("order {order}"), |post| order_of(post) == Some(order)).await
    }

    /// Every accepted POST about this order.
    #[must_use]
    pub fn orders(&self, order: u64) -> Vec<Post> {
        self.posts().into_iter().filter(|post| post.accepted() && order_of(post) == Some(order)).collect()
    }
}

/// The order a POST is about.
#[must_use]
pub fn order_of(post: &Post) -> Option<u64> {
    post.json().get("id")?.as_u64()
}

async fn receive(
    Shelf(shared): Shelf<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap) {
    let ((status, answer), gate, secret) = {
        let mut state = shared.state();
        let key = headers.get("webhook-id").and_then(|key| key.to_str().ok()).unwrap_or_default();
        state.arrivals.push(key.to_owned());
        let answer = state.answers.pop_front().unwrap_or_default();
        (answer, state.holds.pop_front(), state.secret.clone())
    };
    if let Some(gate) = gate {
        gate.pass().await;
    }
    let signature = verify(secret.as_deref(), &headers, &body);
    shared.state().posts.push(Post { request: Recorded { method, uri, headers, body, status }, signature });
    (status, answer)
}

fn verify(secret: Option<&str>, headers: &HeaderMap, body: &[u8]) -> Result<(), String> {
    let secret = secret.ok_or("the receiver was not told the stream's secret; call `trust`")?;
    let webhook = standardwebhooks::Webhook::new(secret).map_err(|error| format!("secret: {error}"))?;
    webhook.verify(body, headers).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_signature_is_checked_and_answers_are_as_told() {
        let isv = Isv::start().await.unwrap();
        let key = b"0123456789abcdef0123456789abcdef".to_vec();
        isv.trust("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
        isv.answer_next(&[StatusCode::SERVICE_UNAVAILABLE]);
        let webhook = standardwebhooks::Webhook::from_bytes(key).unwrap();
        let body = r#"{"id":7}"#;
        for tampered in [false, true] {
            let seconds = i64::try_from(wait::wall_clock().as_secs()).unwrap();
            let signature = webhook.sign("msg_1", seconds, body.as_bytes()).unwrap();
            let sent = if tampered { r#"{"id":8}"# } else { body };
            reqwest::Client::new()
                .post(isv.url("/orders"))
                .header("webhook-id", "msg_1")
                .header("webhook-timestamp", seconds.to_string())
                .header("webhook-signature", signature)
                .body(sent)
                .send()
                .await
                .unwrap();
        }
        let posts = isv.posts();
        assert!(!posts[0].accepted() && posts[0].signature.is_ok());
        assert!(posts[1].accepted() && posts[1].signature.is_err());
    }
}
