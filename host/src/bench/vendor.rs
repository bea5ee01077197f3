//! A vendor that answers at once: the part of BigCommerce that the scenarios' connector calls.
//!
//! It notes when the call for each order arrived, and can hold the answer to one order back. Orders are
//! numbered by the scenario, one for each event, so that an arrival names its event.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    routing::{get, put},
    serve::ListenerExt,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

/// The vendor, until it is dropped.
#[derive(Debug)]
pub(super) struct Vendor {
    book: Arc<Book>,
    url: String,
    server: JoinHandle<()>,
}

/// The calls for one order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calls {
    /// When the first arrived.
    pub(super) first: Option<Instant>,
    /// How many there were.
    pub(super) count: u32,
}

#[derive(Debug, Default)]
struct Book {
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    /// By the order's number.
    calls: Vec<Calls>,
    expected: HashMap<u64, oneshot::Sender<()>>,
    held: Option<(u64, watch::Receiver<bool>)>,
}

/// Holds the answer to one order until it is dropped.
#[derive(Debug)]
pub(super) struct Hold(watch::Sender<bool>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

impl Book {
    fn open(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call, and says until when its answer is held back.
    fn arrived(&self, order: u64) -> Option<watch::Receiver<bool>> {
        let now = Instant::now();
        let mut pages = self.open();
        let at = usize::try_from(order).unwrap_or(usize::MAX);
        if pages.calls.len() <= at {
            pages.calls.resize(at.saturating_add(1), Calls::default());
        }
        if let Some(calls) = pages.calls.get_mut(at) {
            calls.first.get_or_insert(now);
            calls.count += 1;
        }
        if let Some(expected) = pages.expected.remove(&order) {
            // Whoever expected it may have given up.
            let _gone = expected.send(());
        }
        pages.held.as_ref().filter(|(held, _)| *held == order).map(|(_, released)| released.clone())
    }
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

    /// The calls for an order so far.
    pub(super) fn calls(&self, order: u64) -> Calls {
        let at = usize::try_from(order).unwrap_or(usize::MAX);
        self.book.open().calls.get(at).copied().unwrap_or_default()
    }

    /// Resolves when the first call for an order arrives from now on.
    pub(super) fn expect(&self, order: u64) -> oneshot::Receiver<()> {
        let (told, arrival) = oneshot::channel();
        self.book.open().expected.insert(order, told);
        arrival
    }

    /// Holds the answers to an order back for as long as the value lives.
    pub(super) fn hold(&self, order: u64) -> Hold {
        let (release, released) = watch::channel(false);
        self.book.open().held = Some((order, released));
        Hold(release)
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
    if let Some(mut released) = book.arrived(order) {
        // An error means that the holder is gone, which releases as well.
        let _released = released.wait_for(|released| *released).await;
    }
    Json(json!({
        "id": order, "status_id": 2, "status": "Shipped", "customer_id": 7, "currency_code": "EUR",
        "date_created": "Tue, 20 Nov 2012 00:00:00 +0000", "total_inc_tax": "336.3200", "items_total": 2,
        "billing_address": { "first_name": "Ann", "last_name": "Example", "city": "Berlin", "email": "ann@example.com" },
    }))
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
        let arrival = vendor.expect(7);
        assert_eq!((put(&vendor, 7).await, put(&vendor, 7).await), (200, 200));
        arrival.await.unwrap();
        let calls = vendor.calls(7);
        assert_eq!((calls.first.is_some(), calls.count), (true, 2));
        assert_eq!((vendor.calls(6).count, vendor.calls(8).count), (0, 0));
    }

    #[tokio::test]
    async fn only_the_held_order_waits_and_only_until_it_is_released() {
        let vendor = Arc::new(Vendor::start().await.unwrap());
        let hold = vendor.hold(3);
        let arrival = vendor.expect(3);
        let caller = Arc::clone(&vendor);
        let held = tokio::spawn(async move { put(&caller, 3).await });
        arrival.await.unwrap();
        assert_eq!(put(&vendor, 4).await, 200, "others are answered meanwhile");
        assert!(!held.is_finished(), "the held order's call has arrived and is not answered");
        drop(hold);
        assert_eq!(held.await.unwrap(), 200);
    }
}
