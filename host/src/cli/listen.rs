//! `trunnion listen`: a development environment's streams, on this machine.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use trunnion_core::clock::Clock;
use url::Url;

use super::{remote::InEnvironment, say};
use crate::{
    client::{Client, Error},
    real::SystemClock,
};

/// How long the host lets a request wait.
const WAIT_SECS: u64 = 15;
/// How long the receiver may take: less than a stream's time.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Between two attempts to reach the host again.
const AGAIN: Duration = Duration::from_secs(2);

/// Forwards a development environment's streams to a receiver on this machine, in the place of their destinations.
///
/// Deliveries are signed as for the destination, and the receiver's answer is the destination's: a run goes on, is tried
/// again or fails by it. Ends with ^C; then streams go to their destinations again.
#[derive(Debug, Args)]
pub(super) struct Listen {
    /// The receiver, such as http://127.0.0.1:3000/orders.
    #[arg(long, value_name = "URL")]
    forward_to: Url,
    /// The streams to take, each by its name; all where none is named.
    #[arg(long, value_name = "NAME")]
    stream: Vec<String>,
    #[command(flatten)]
    to: InEnvironment,
}

/// What the host has to deliver.
#[derive(Debug, Deserialize)]
struct ToDeliver {
    listener: String,
    deliveries: Vec<Delivery>,
}

/// One request, as the destination would get it.
#[derive(Debug, Deserialize)]
struct Delivery {
    id: String,
    stream: String,
    headers: std::collections::BTreeMap<String, String>,
    body: String,
}

/// What the receiver answered; why it did not.
type Answered = Result<(u16, Option<u64>), String>;

/// The host, and this machine's receiver.
struct Listening {
    client: Client,
    http: reqwest::Client,
    receiver: Url,
    streams: Vec<String>,
}

pub(super) fn run(listen: Listen) -> anyhow::Result<()> {
    let client = listen.to.client()?;
    let builder = reqwest::Client::builder().timeout(TIMEOUT).no_proxy();
    let http = builder.redirect(reqwest::redirect::Policy::none()).build();
    let http = http.context("no HTTP client could be made")?;
    let listening = Arc::new(Listening { client, http, receiver: listen.forward_to, streams: listen.stream });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("the runtime did not start")?.block_on(listening.until_stopped())
}

impl Listening {
    async fn until_stopped(self: Arc<Self>) -> anyhow::Result<()> {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .context("SIGTERM cannot be waited for")?;
        let first = self.ask(None, &[], 0).await?;
        let listener = first.listener.clone();
        let which = match self.streams.as_slice() {
            [] => "every stream".to_owned(),
            names => format!("stream {}", names.join(", ")),
        };
        say(&format!("listening: {which} of this environment comes to {} until ^C", self.receiver));
        let stopped = tokio::select! {
            never = Arc::clone(&self).forward(first) => never,
            _ = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => interrupted.context("an interrupt cannot be waited for"),
        };
        // Streams go to their destinations again at once; without this, after half a minute.
        let left = self.client.post("/v1/listeners", &json!({ "listener": listener, "leave": true })).await;
        stopped?;
        left.map(drop).context("the host was not told that nobody listens any more; it finds out by itself")
    }

    async fn forward(self: Arc<Self>, first: ToDeliver) -> anyhow::Result<()> {
        let (to_deliver, mut deliveries) = mpsc::channel::<ToDeliver>(64);
        let ToDeliver { mut listener, deliveries: given } = first;
        let pass_on = |listener: &str, given: Vec<Delivery>| {
            for delivery in given {
                let (this, listener, more) = (Arc::clone(&self), listener.to_owned(), to_deliver.clone());
                tokio::spawn(async move { this.pass_on(listener, delivery, more).await });
            }
        };
        pass_on(&listener, given);
        loop {
            let told = {
                let asking = self.ask(Some(&listener), &[], WAIT_SECS);
                tokio::pin!(asking);
                // A request that waits is never given up: the host might just be answering it.
                loop {
                    tokio::select! {
                        told = &mut asking => break told,
                        Some(more) = deliveries.recv() => pass_on(&listener, more.deliveries),
                    }
                }
            };
            match told {
                Ok(told) => {
                    listener = told.listener;
                    pass_on(&listener, told.deliveries);
                }
                // A host that starts again is waited for.
                Err(error @ Error::Unreachable { .. }) => {
                    say(&format!("{error}; trying again"));
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Hands one delivery to the receiver, and its answer to the host, which may have more to deliver by then.
    async fn pass_on(&self, listener: String, delivery: Delivery, more: mpsc::Sender<ToDeliver>) {
        let began = SystemClock.now();
        let answered = self.deliver(&delivery).await;
        let took = SystemClock.now().since(began).as_millis();
        let event = delivery.headers.get("webhook-id").map_or("", String::as_str);
        let line = match &answered {
            Ok((status, _)) => format!("{} {status} in {took} ms  {event}", delivery.stream),
            Err(why) => format!("{} no answer ({why})  {event}", delivery.stream),
        };
        // A closed standard output leaves nobody to tell; the deliveries go on.
        let _gone = writeln!(io::stdout().lock(), "{line}");
        let answer = match answered {
            Ok((status, retry_after)) => {
                json!({ "delivery": delivery.id, "status": status, "retry_after_secs": retry_after })
            }
            Err(_) => json!({ "delivery": delivery.id }),
        };
        match self.ask(Some(&listener), &[answer], 0).await {
            Ok(told) => drop(more.send(told).await),
            Err(error) => say(&format!("the host was not told of {event}: {error}")),
        }
    }

    async fn deliver(&self, delivery: &Delivery) -> Answered {
        let mut headers = HeaderMap::new();
        for (name, value) in &delivery.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
            {
                headers.insert(name, value);
            }
        }
        let request = self.http.post(self.receiver.clone()).headers(headers).body(delivery.body.clone());
        let answer = request.send().await.map_err(|error| reason(&error))?;
        let retry_after = answer.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Ok((answer.status().as_u16(), retry_after))
    }

    async fn ask(
        &self,
        listener: Option<&str>,
        answers: &[Value],
        wait_secs: u64,
    ) -> Result<ToDeliver, Error> {
        let call = "/v1/listeners";
        let body = json!({
            "listener": listener, "streams": self.streams, "answers": answers, "wait_secs": wait_secs,
        });
        let told = self.client.post(call, &body).await?;
        serde_json::from_value(told).map_err(|source| Error::Unknown { call: format!("POST {call}"), source })
    }
}

/// Why there was no answer, in a word or two.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        "it took too long".to_owned()
    } else if error.is_connect() {
        "nothing listens there".to_owned()
    } else {
        error.to_string()
    }
}
