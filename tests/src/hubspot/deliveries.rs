//! The app's webhook: events in batches, signed as HubSpot signs (third version).

use anyhow::{Context as _, Result};
use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};
use trunnion_core::clock::Timestamp;

/// Events of one delivery at most.
pub const MOST_EVENTS: usize = 100;

/// The app that portals have installed.
#[derive(Debug, Default)]
pub(super) struct App {
    client_secret: String,
    target: Option<Target>,
    events: Vec<Value>,
    told: u64,
}

/// Where the app's webhook calls.
#[derive(Clone, Debug)]
pub(super) struct Target {
    client_secret: String,
    url: String,
    /// Where that really is.
    at: String,
}

/// A delivery that was made.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What was sent.
    pub body: String,
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// The URL that was signed.
    pub url: String,
    /// The status of the answer.
    pub status: u16,
}

impl App {
    pub(super) fn new(client_secret: &str) -> Self {
        Self { client_secret: client_secret.to_owned(), ..Self::default() }
    }

    pub(super) fn route(&mut self, target: &str, public: &str, local: &str) {
        let at = target.replacen(public, local, 1);
        let client_secret = self.client_secret.clone();
        self.target = Some(Target { client_secret, url: target.to_owned(), at });
    }

    pub(super) fn target(&self) -> Result<Target> {
        self.target.clone().context("the app has no webhook; call `subscribe`")
    }

    pub(super) fn tell(
        &mut self,
        portal: u64,
        kind: &str,
        what: &str,
        object: u64,
        at: Timestamp,
        more: &[(&str, &str)],
    ) {
        let singular = match kind {
            "contacts" => "contact",
            "companies" => "company",
            "deals" => "deal",
            // The app has no subscriptions for others.
            _ => return,
        };
        let subscription = match what {
            "creation" => 1_001,
            "propertyChange" => 1_002,
            _ => 1_003,
        };
        self.told += 1;
        let mut event = json!({
            "eventId": self.told, "subscriptionId": subscription, "portalId": portal,
            "appId": 54_321, "occurredAt": at.as_millis(), "subscriptionType": format!("{singular}.{what}"),
            "attemptNumber": 0, "objectId": object, "changeSource": "CRM_UI",
        });
        if let Some(members) = event.as_object_mut() {
            members.extend(
                more.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<Map<_, _>>(),
            );
        }
        self.events.push(event);
    }

    pub(super) fn take(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }
}

impl Target {
    pub(super) async fn send(&self, http: &reqwest::Client, body: String, now: Timestamp) -> Result<Batch> {
        let time = now.as_millis().to_string();
        let signature = sign(&self.client_secret, "POST", &self.url, &body, &time);
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-hubspot-signature-v3", signature),
            ("x-hubspot-request-timestamp", time),
        ];
        let mut request = http.post(&self.at).body(body.clone());
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        let status = request.send().await.context("the webhook's target was not reached")?.status().as_u16();
        Ok(Batch { body, headers, url: self.url.clone(), status })
    }
}

impl Batch {
    /// The events.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The body of the next attempt.
    pub(super) fn next_attempt(&self) -> String {
        let mut events = self.events();
        for event in &mut events {
            if let Some(attempt) = event.get_mut("attemptNumber") {
                *attempt = json!(attempt.as_u64().unwrap_or(0) + 1);
            }
        }
        Value::Array(events).to_string()
    }
}

/// The signature of `X-HubSpot-Signature-v3`. The URL has the characters plain that HubSpot's library decodes.
#[must_use]
pub fn sign(client_secret: &str, method: &str, url: &str, body: &str, time: &str) -> String {
    let mut plain = url.to_owned();
    for (encoded, character) in [
        ("%3A", ":"),
        ("%2F", "/"),
        ("%3F", "?"),
        ("%40", "@"),
        ("%21", "!"),
        ("%24", "$"),
        ("%27", "'"),
        ("%28", "("),
        ("%29", ")"),
        ("%2A", "*"),
        ("%2C", ","),
        ("%3B", ";"),
    ] {
        plain = plain.replace(encoded, character);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, client_secret.as_bytes());
    let message = [method, &plain, body, time].concat();
    BASE64_STANDARD.encode(hmac::sign(&key, message.as_bytes()))
}
