//! Vendor and receiver in one: the part of BigCommerce and Shopify that the scenarios' connectors call, a listing to
//! poll, and a destination of streams. Everything is answered at once, but for the listing.
//!
//! It notes what arrived when ([`Arrivals`]), and can hold one answer back. Orders are numbered by the scenario,
//! one for each event.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post, put},
    serve::ListenerExt,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::arrivals::Arrivals;

/// How long a listing takes.
const LISTING: Duration = Duration::from_millis(50);

/// The vendor, until it is dropped.
#[derive(Debug)]
pub(super) struct Vendor {
    book: Arc<Book>,
    url: String,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Book {
    arrivals: Arc<Arrivals>,
    /// Where the host wants Shopify's deliveries.
    hook: OnceLock<String>,
    /// Polls that were answered.
    polls: AtomicU64,
}

impl Vendor {
    /// Starts it on a free port of this machine.
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the vendor found no free port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::warn!(%error, "a connection of the vendor keeps its delay");
            }
        });
        let book = Arc::new(Book::default());
        let router = Router::new()
            .route("/stores/{store}/v2/store", get(async || Json(json!({ "name": "Bench store" }))))
            .route("/stores/{store}/v2/orders/{order}", put(update))
            .route("/admin/api/{version}/graphql.json", post(graphql))
            .route("/stream", post(stream))
            .route("/me", get(me))
            .route("/items", get(items))
            .route("/echo", post(async |body: Bytes| ([("content-type", "application/json")], body)))
            .with_state(Arc::clone(&book));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the vendor ended");
            }
        });
        Ok(Self { book, url, server })
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What arrived.
    pub(super) fn arrivals(&self) -> Arc<Arrivals> {
        Arc::clone(&self.book.arrivals)
    }

    /// Polls that were answered so far.
    pub(super) fn polls(&self) -> u64 {
        self.book.polls.load(Ordering::Relaxed)
    }

    /// The URL that the host registered for Shopify's deliveries.
    pub(super) fn hook(&self) -> Result<&str> {
        self.book.hook.get().map(String::as_str).context("the host registered no webhook at the vendor")
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn update(
    State(book): State<Arc<Book>>,
    Path((_, order)): Path<(String, u64)>,
    _: Bytes,
) -> Json<Value> {
    if let Some(mut released) = book.arrivals.arrived(order) {
        // An error means that the holder is gone, which releases as well.
        let _released = released.wait_for(|released| *released).await;
    }
    Json(json!({
        "id": order, "status_id": 2, "status": "Shipped", "customer_id": 7, "currency_code": "EUR",
        "date_created": "Tue, 20 Nov 2012 00:00:00 +0000", "total_inc_tax": "336.3200", "items_total": 2,
        "billing_address": { "first_name": "Ann", "last_name": "Example", "city": "Berlin", "email": "ann@example.com" },
    }))
}

/// Whose shop it is, or that the webhook is registered: all that the connector asks before deliveries come.
async fn graphql(State(book): State<Arc<Book>>, headers: HeaderMap, Json(asked): Json<Value>) -> Json<Value> {
    let Some(uri) = asked.pointer("/variables/webhook/uri").and_then(Value::as_str) else {
        let shop = headers.get("x-forwarded-host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        return Json(json!({ "data": { "shop": { "name": "Bench shop", "myshopifyDomain": shop } } }));
    };
    book.hook.get_or_init(|| uri.to_owned());
    let registered = json!({ "id": "gid://shopify/WebhookSubscription/1" });
    let payload = json!({ "webhookSubscription": registered, "userErrors": [] });
    Json(json!({ "data": { "webhookSubscriptionCreate": payload } }))
}

/// What a stream carries: an order, or what a workflow made of one.
#[derive(Deserialize)]
struct Streamed {
    #[serde(alias = "id")]
    number: u64,
}

async fn stream(State(book): State<Arc<Book>>, body: Bytes) -> StatusCode {
    match serde_json::from_slice::<Streamed>(&body) {
        Ok(streamed) => {
            let _nothing_is_held = book.arrivals.arrived(streamed.number);
            StatusCode::OK
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

/// The account is called as its key is.
async fn me(headers: HeaderMap) -> Json<Value> {
    let key = headers.get("x-api-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    Json(json!({ "id": key }))
}

/// There is nothing new, and it takes a while to say so.
async fn items(State(book): State<Arc<Book>>) -> Json<Value> {
    tokio::time::sleep(LISTING).await;
    book.polls.fetch_add(1, Ordering::Relaxed);
    Json(json!([]))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn put(vendor: &Vendor, order: u64) -> u16 {
        let url = format!("{}/stores/x/v2/orders/{order}", vendor.url());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.put(url).body("{}").send().await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn arrivals_are_noted_and_told() {
        let vendor = Vendor::start().await.unwrap();
        let arrivals = vendor.arrivals();
        let arrival = arrivals.expect(7);
        assert_eq!((put(&vendor, 7).await, put(&vendor, 7).await), (200, 200));
        arrival.await.unwrap();
        let calls = arrivals.calls(7);
        assert_eq!((calls.first.is_some(), calls.count), (true, 2));
        assert_eq!((arrivals.calls(6).count, arrivals.calls(8).count), (0, 0));
    }

    #[tokio::test]
    async fn a_stream_arrives_with_its_number_whoever_sent_it() {
        let vendor = Vendor::start().await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for (body, status) in
            [(r#"{"number":3,"order":{"id":9}}"#, 200), (r#"{"id":4}"#, 200), ("not JSON", 400)]
        {
            let sent = client.post(format!("{}/stream", vendor.url())).body(body).send().await.unwrap();
            assert_eq!(sent.status().as_u16(), status, "{body}");
        }
        let count = |number| vendor.arrivals().calls(number).count;
        assert_eq!((count(3), count(4), count(9)), (1, 1, 0));
    }

    #[tokio::test]
    async fn only_the_held_order_waits_and_only_until_it_is_released() {
        let vendor = Arc::new(Vendor::start().await.unwrap());
        let arrivals = vendor.arrivals();
        let hold = arrivals.hold(3);
        let arrival = arrivals.expect(3);
        let caller = Arc::clone(&vendor);
        let held = tokio::spawn(async move { put(&caller, 3).await });
        arrival.await.unwrap();
        assert_eq!(put(&vendor, 4).await, 200, "others are answered meanwhile");
        assert!(!held.is_finished(), "the held order's call has arrived and is not answered");
        drop(hold);
        assert_eq!(held.await.unwrap(), 200);
    }
}
