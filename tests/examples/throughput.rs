//! Throughput of both workflows beside a bare axum→reqwest proxy that does the same two hops, in one run.
//!
//! `cargo build --release -p trunnion && cargo run --release -p trunnion-tests --example throughput -- \
//!    target/release/trunnion target/connectors/bigcommerce.wasm [EVENTS]`
//!
//! Everything is loopback: a vendor and a receiver that answer at once and count, the host as a process of its
//! own, 32 connections. Measured from the first request until the last effect arrived at the other side, so
//! that work which was only accepted does not count. Proxy and host take turns.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement that prints, and stops at the first surprise"
)]

use std::{
    process::Stdio,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{any, get, post},
};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::Command,
    task::JoinSet,
};

const CONNECTIONS: u64 = 32;
const ROUNDS: usize = 3;

/// Counts what reached the other side.
type Count = Arc<AtomicU64>;

async fn spawn(router: Router) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}"))
}

fn order(id: u64) -> Value {
    json!({
        "id": id, "status_id": 1, "status": "Pending", "customer_id": 7, "currency_code": "EUR",
        "date_created": "Tue, 20 Nov 2012 00:00:00 +0000", "total_inc_tax": "336.3200", "items_total": 2,
        "billing_address": { "first_name": "Ann", "last_name": "Example", "city": "Berlin", "email": "ann@example.com" },
    })
}

/// The order webhook that the connector registered: path and secret.
type Hook = Arc<OnceLock<(String, String)>>;

fn vendor(done: Count, hook: Hook) -> Router {
    let hooks = Arc::new(AtomicU64::new(1));
    Router::new()
        .route("/stores/{store}/v2/store", get(async || Json(json!({ "id": "shop", "name": "Bench store" }))))
        .route(
            "/stores/{store}/v3/hooks",
            post(async move |Json(body): Json<Value>| {
                let id = hooks.fetch_add(1, Ordering::Relaxed);
                let path = body["destination"].as_str().unwrap().replace("https://bench.example", "");
                let secret = body["headers"].as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
                hook.get_or_init(|| (path, secret));
                Json(json!({ "data": { "id": id, "scope": body["scope"], "destination": body["destination"], "is_active": true,
                    "headers": body["headers"] }, "meta": {} }))
            })
            .get(async || Json(json!({ "data": [], "meta": {} }))),
        )
        .route(
            "/stores/{store}/v2/orders/{id}",
            get(async |Path((_, id)): Path<(String, u64)>| Json(order(id))).put(
                async |State(done): State<Count>, Path((_, id)): Path<(String, u64)>, _: axum::body::Bytes| {
                    done.fetch_add(1, Ordering::Relaxed);
                    Json(order(id))
                },
            ),
        )
        .with_state(done)
}

fn proxy(to: String) -> Router {
    let client = Client::new();
    Router::new().fallback(any(async move |body: axum::body::Bytes| {
        client.put(&to).body(body).send().await.unwrap().bytes().await.unwrap()
    }))
}

/// Sends `total` requests over 32 connections and waits until the other side has counted them.
async fn load(
    total: u64,
    done: &Count,
    send: impl Fn(Client, u64) -> reqwest::RequestBuilder + Clone + Send + 'static,
) -> Result<f64> {
    let before = done.load(Ordering::Relaxed);
    let next = Arc::new(AtomicU64::new(0));
    #[expect(clippy::disallowed_methods, reason = "measuring is this program's job")]
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (next, send) = (Arc::clone(&next), send.clone());
        let client = Client::builder().pool_max_idle_per_host(1).build()?;
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total {
                    return Ok(());
                }
                let answer = send(client.clone(), number).send().await?;
                if !answer.status().is_success() {
                    bail!("{}: {}", answer.status(), answer.text().await?);
                }
                answer.bytes().await?;
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    let mut look = tokio::time::interval(Duration::from_millis(1));
    while done.load(Ordering::Relaxed) < before + total {
        look.tick().await;
        if start.elapsed() > Duration::from_secs(300) {
            bail!("only {} of {total} arrived", done.load(Ordering::Relaxed) - before);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    Ok(total as f64 / start.elapsed().as_secs_f64())
}

struct Host {
    base: String,
    key: String,
    client: Client,
    _child: tokio::process::Child,
    data: tempfile::TempDir,
}

impl Host {
    async fn start(binary: &str, component: &str, vendor: &str) -> Result<Self> {
        let data = tempfile::tempdir()?;
        std::fs::create_dir(data.path().join("connectors"))?;
        std::fs::copy(component, data.path().join("connectors/bigcommerce.wasm"))?;
        #[expect(clippy::disallowed_methods, reason = "measuring is this program's job")]
        let start = Instant::now();
        let mut child = Command::new(binary)
            .args([
                "serve",
                "--dev",
                "--listen",
                "127.0.0.1:0",
                "--public-url",
                "https://bench.example",
                "--data-dir",
            ])
            .arg(data.path())
            .arg("--rewrite-host")
            .arg(format!("*.bigcommerce.com={vendor}"))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("stdout")?).read_line(&mut line).await?;
        println!(
            "host ready after {:.0} ms (compiling its connector)",
            start.elapsed().as_secs_f64() * 1_000.0
        );
        let base = line
            .trim()
            .strip_prefix("listening on ")
            .context("the host did not say where it listens")?
            .to_owned();
        let keys: Value = serde_json::from_slice(&std::fs::read(data.path().join("keys.json"))?)?;
        let key = keys["development"].as_str().context("key")?.to_owned();
        Ok(Self { base, key, client: Client::new(), _child: child, data })
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: Value) -> Result<Value> {
        let request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        let answer = request.header("content-type", "application/json").body(body.to_string()).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("{path}: {status} {text}");
        }
        Ok(serde_json::from_str(&text)?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let binary = arguments.next().context("the host's binary")?;
    let component = arguments.next().context("the component")?;
    let total: u64 = arguments.next().map_or(Ok(20_000), |text| text.parse())?;

    let updated = Count::default();
    let streamed = Count::default();
    let hook = Hook::default();
    let vendor = spawn(vendor(Arc::clone(&updated), Arc::clone(&hook))).await?;
    let receiver = {
        let streamed = Arc::clone(&streamed);
        spawn(Router::new().fallback(any(async move |_: axum::body::Bytes| {
            streamed.fetch_add(1, Ordering::Relaxed);
        })))
        .await?
    };
    let host = Host::start(&binary, &component, &vendor).await?;
    let post = reqwest::Method::POST;
    let put = reqwest::Method::PUT;
    let user = host.call(post.clone(), "/users", json!({ "username": "bench" })).await?["userId"].clone();
    host.call(
        put.clone(),
        "/v1/events/Fulfillment%20Updated",
        json!({ "sample": { "orderId": "1", "status": "FULFILLED" } }),
    )
    .await?;
    host.call(put, "/v1/streams/acmeco-orders", json!({ "url": receiver })).await?;
    let integration =
        host.call(post.clone(), "/v1/integrations", json!({ "app": "bigcommerce" })).await?["id"].clone();
    for definition in [trunnion_tests::scenario::order_created(), trunnion_tests::scenario::fulfilment()] {
        let body = json!({ "integration_id": integration, "definition": definition });
        let workflow = host.call(post.clone(), "/v1/workflows", body).await?["id"].clone();
        host.call(post.clone(), &format!("/v1/workflows/{}/releases", workflow.as_str().unwrap()), json!({}))
            .await?;
    }
    let credential = json!({ "type": "bigcommerce", "data": { "store_hash": "bench", "access_token": "t0ken-of-the-bench" } });
    host.call(post.clone(), "/headless/credentials", json!({ "userId": user, "credential": credential }))
        .await?;
    let started = host
        .call(
            post.clone(),
            "/headless/startInstallation",
            json!({ "userId": user, "integrationId": integration }),
        )
        .await?;
    let body = json!({ "installationId": started["installationId"], "data": [] });
    host.call(post.clone(), "/headless/completeInstallation", body).await?;

    let proxied = spawn(proxy(format!("{vendor}/stores/bench/v2/orders/1"))).await?;
    let event = json!({ "event": "Fulfillment Updated", "userId": user, "data": { "orderId": "123", "status": "FULFILLED" } }).to_string();
    let (path, secret) = hook.get().context("the connector registered no webhook")?.clone();
    let mut ratios = [Vec::new(), Vec::new()];
    for round in 1..=ROUNDS {
        let (url, body) = (proxied.clone(), event.clone());
        let bare = load(total, &updated, move |client, _| client.post(&url).body(body.clone())).await?;
        let (url, key, body) = (format!("{}/run/event", host.base), host.key.clone(), event.clone());
        let runs =
            load(total, &updated, move |client, _| client.post(&url).bearer_auth(&key).body(body.clone()))
                .await?;
        let (url, secret) = (format!("{}{path}", host.base), secret.clone());
        let first = total * u64::try_from(round)? + 1_000_000;
        let deliveries = load(total, &streamed, move |client, number| {
            let order = first + number;
            let body = json!({
                "scope": "store/order/created", "store_id": "1", "data": { "type": "order", "id": order },
                "hash": format!("{order:040x}"), "created_at": 1_700_000_000, "producer": "stores/bench",
            });
            client.post(&url).header("x-trunnion-secret", &secret).body(body.to_string())
        })
        .await?;
        println!(
            "round {round}: proxy {bare:.0}/s; event → action → vendor {runs:.0}/s ({:.3}); \
             webhook → parse + enrich → stream {deliveries:.0}/s ({:.3})",
            runs / bare,
            deliveries / bare,
        );
        ratios[0].push(runs / bare);
        ratios[1].push(deliveries / bare);
    }
    for (name, mut ratios) in ["event → vendor", "webhook → stream"].into_iter().zip(ratios) {
        ratios.sort_by(f64::total_cmp);
        println!("{name}: median ratio {:.3}", ratios[ROUNDS / 2]);
    }
    println!(
        "data directory {} KB after {} runs",
        size(host.data.path())? / 1024,
        2 * total * u64::try_from(ROUNDS)?
    );
    Ok(())
}

fn size(path: &std::path::Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
