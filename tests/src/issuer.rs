//! A vendor that issues tokens: what the guest `tokens` is connected to, by consent, client credentials, a service
//! account, Basic or a key.
//!
//! Codes serve once and are bound to client, redirect URL and proof key. A refresh token is replaced at each use; what
//! the old one is worth then, a test says. Error texts repeat what was sent, so that whoever shows them must clean them.
//!
//! Invariants: an access token works until a test ends it, whatever was said of its time; every token request is recorded, with what
//! came of it; every secret that was ever issued is known, to be looked for.

mod routes;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result, bail};
use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

use crate::{
    gate::{self, Gate, Held},
    host::TestHost,
    wait,
};

/// What the guest's manifest calls the vendor's hosts.
pub const DOMAIN: &str = "tokens.example";

/// A running fake; stops with the last clone.
#[derive(Clone)]
pub struct Issuer {
    shared: Arc<Shared>,
    base: String,
    _server: Arc<Server>,
}

struct Shared {
    state: Mutex<State>,
    key: KeyPair,
}

#[derive(Default)]
struct State {
    /// Client secrets, by client.
    clients: BTreeMap<String, String>,
    /// What else opens an account: keys, and `user:password`.
    keys: BTreeMap<String, String>,
    codes: BTreeMap<String, Code>,
    /// Accounts by access token.
    access: BTreeMap<String, String>,
    refresh: BTreeMap<String, Refresh>,
    /// How long the next tokens are said to last; an hour where nothing is said.
    lifetimes: Vec<u64>,
    old_tokens: OldTokens,
    asked: Vec<Asked>,
    said: Vec<String>,
    unauthorized: usize,
    issued: Vec<String>,
    hold: Option<Gate>,
    unavailable: usize,
    distrust: bool,
    counter: u64,
}

struct Code {
    client: String,
    redirect_uri: String,
    challenge: String,
    shop: String,
}

struct Refresh {
    account: String,
    worth: Worth,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Worth {
    /// It is the account's newest.
    Newest,
    /// Another one replaced it, which nobody used yet.
    Replaced,
    Nothing,
}

/// What a refresh token is worth once it was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OldTokens {
    /// Nothing.
    #[default]
    Refused,
    /// As much as before, until the one that replaced it is used: as Shopify has it.
    UntilNewIsUsed,
}

/// A token request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `authorization_code`, `refresh_token`, …
    pub grant: String,
    /// The status it was answered with.
    pub status: u16,
}

struct Server(JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A new secret; `kind` makes it readable in failures.
    fn fresh(&mut self, kind: &str) -> String {
        self.counter += 1;
        let secret = format!("{kind}-{:04}-cnry-5e81f0c2a7d94b36", self.counter);
        self.issued.push(secret.clone());
        secret
    }
}

impl Issuer {
    /// Starts on a free loopback port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the vendor needs a loopback port")?;
        let base = format!("http://{}", listener.local_addr()?);
        let key = KeyPair::generate(KeySize::Rsa2048).context("making an RSA key")?;
        let shared = Arc::new(Shared { state: Mutex::default(), key });
        let router = routes::router(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { shared, base, _server: Arc::new(Server(server)) })
    }

    /// Where it listens.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// Registers a client, or gives it another secret.
    pub fn add_client(&self, id: &str, secret: &str) {
        self.shared.state().clients.insert(id.to_owned(), secret.to_owned());
    }

    /// Opens an account to a key, or to `user:password`.
    pub fn add_key(&self, account: &str, key: &str) {
        self.shared.state().keys.insert(key.to_owned(), account.to_owned());
    }

    /// Says what refresh tokens are worth once they were used.
    pub fn old_tokens(&self, worth: OldTokens) {
        self.shared.state().old_tokens = worth;
    }

    /// The next tokens are said to last so many seconds.
    pub fn next_lasts(&self, seconds: u64) {
        self.shared.state().lifetimes.push(seconds);
    }

    /// Every access token of an account ends at once.
    pub fn end_access(&self, account: &str) {
        self.shared.state().access.retain(|_, of| of != account);
    }

    /// The account's refresh tokens are worth nothing any more.
    pub fn revoke(&self, account: &str) {
        self.end_access(account);
        for refresh in self.shared.state().refresh.values_mut().filter(|refresh| refresh.account == account) {
            refresh.worth = Worth::Nothing;
        }
    }

    /// So many token requests meet 503.
    pub fn unavailable(&self, requests: usize) {
        self.shared.state().unavailable = requests;
    }

    /// Whether no assertion is believed, as after a key was withdrawn.
    pub fn distrust(&self, distrust: bool) {
        self.shared.state().distrust = distrust;
    }

    /// Keeps the next token answer back, after the tokens were issued.
    #[must_use]
    pub fn hold_next_answer(&self) -> Held {
        let (gate, held) = gate::gate();
        self.shared.state().hold = Some(gate);
        held
    }

    /// Every token request, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.state().asked.clone()
    }

    /// How many requests to refresh there were.
    #[must_use]
    pub fn refreshes(&self) -> usize {
        self.asked().iter().filter(|asked| asked.grant == "refresh_token").count()
    }

    /// What was said, by whomever.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        self.shared.state().said.clone()
    }

    /// Requests that were refused for their credential.
    #[must_use]
    pub fn unauthorized(&self) -> usize {
        self.shared.state().unauthorized
    }

    /// Every code and token that was ever issued.
    #[must_use]
    pub fn issued(&self) -> Vec<String> {
        self.shared.state().issued.clone()
    }

    /// A service account's key file, and its private key as one of the file's lines has it.
    pub fn service_account(&self, email: &str) -> Result<(String, String)> {
        let der: Pkcs8V1Der<'_> = self.shared.key.as_der().context("writing the key")?;
        let text = BASE64_STANDARD.encode(der.as_ref());
        let lines: Vec<String> =
            text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        let secret = lines.get(5).context("an RSA key has many lines")?.clone();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        let file: Value = json!({
            "type": "service_account", "client_email": email, "private_key": pem, "private_key_id": "k1",
            "token_uri": format!("https://api.{DOMAIN}/token"),
        });
        Ok((file.to_string(), secret))
    }

    /// A refresh token of an account, as consent at some other time gave it.
    #[must_use]
    pub fn refresh_token(&self, account: &str) -> String {
        let issued = routes::issue(&mut self.shared.state(), account, true);
        issued.get("refresh_token").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Consents as a person does at the address that the host gave: where the vendor sends them back to.
    pub async fn consent(&self, url: &str) -> Result<Url> {
        consent_at(&self.base, url).await
    }

    /// The whole way: consents, and goes back to the host. What the host then answers.
    pub async fn connect(&self, host: &TestHost, url: &str) -> Result<reqwest::Response> {
        come_back(host, &self.consent(url).await?).await
    }
}

/// Consents at a vendor that is really at `base`: where it sends the person back to.
pub async fn consent_at(base: &str, url: &str) -> Result<Url> {
    let url = Url::parse(url).context("the address to consent at")?;
    let host = url.host_str().context("the address has a host")?.to_owned();
    let here = format!("{base}{}?{}", url.path(), url.query().unwrap_or_default());
    let answer = browser()?.get(here).header("x-forwarded-host", host).send().await?;
    sent_to(answer).await
}

/// Goes to the host's callback with what the vendor gave.
pub async fn come_back(host: &TestHost, to: &Url) -> Result<reqwest::Response> {
    let query = to.query().unwrap_or_default();
    Ok(browser()?.get(format!("{}{}?{query}", host.base_url(), to.path())).send().await?)
}

/// Where an answer sends its reader.
pub async fn sent_to(answer: reqwest::Response) -> Result<Url> {
    let status = answer.status();
    let Some(to) = answer.headers().get(header::LOCATION).cloned() else {
        bail!("no redirect but {status}: {}", answer.text().await?);
    };
    anyhow::ensure!(matches!(status, StatusCode::SEE_OTHER | StatusCode::FOUND), "{status}");
    Ok(Url::parse(to.to_str()?)?)
}

/// Follows nothing by itself.
fn browser() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?)
}

fn seconds() -> u64 {
    wait::wall_clock().as_millis() / 1_000
}

fn public_key(key: &KeyPair) -> &[u8] {
    key.public_key().as_ref()
}
