//! Shops, their orders and webhook subscriptions, and the vendor's rules about them.
//!
//! The words of refusals are the vendor's recorded ones; where none was recorded (what an order lacks, an
//! address that is taken) they are what its users report.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use trunnion_core::clock::Timestamp;

use super::{
    limits::Bucket,
    mutations::Things,
    order::{Order, iso},
};

/// Every shop by its name.
pub(super) type Shops = HashMap<String, Shop>;

/// One shop, with the app that its merchant made for AcmeCo.
#[derive(Clone, Debug)]
pub struct Shop {
    /// The NAME of `NAME.myshopify.com`.
    pub name: String,
    /// What `X-Shopify-Access-Token` must be.
    pub token: String,
    /// The key of the webhooks' signature.
    pub client_secret: String,
    pub(super) bucket: Bucket,
    number: u64,
    orders: BTreeMap<u64, Order>,
    subscriptions: BTreeMap<u64, Subscription>,
    next_subscription: u64,
    pub(super) things: Things,
}

/// A webhook subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The number behind `gid://shopify/WebhookSubscription/`.
    pub id: u64,
    /// `ORDERS_CREATE`, …
    pub topic: String,
    /// Where it delivers.
    pub uri: String,
    /// What deliveries carry as `X-Shopify-Name`.
    pub name: Option<String>,
    /// The fields that deliveries are reduced to; all where empty.
    pub include_fields: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// An entry of `userErrors`.
#[derive(Clone, Debug)]
pub(super) struct UserError {
    field: Vec<String>,
    message: String,
    code: Option<&'static str>,
}

impl UserError {
    fn new(field: &[&str], message: &str) -> Self {
        let field = field.iter().map(|&part| part.to_owned()).collect();
        Self { field, message: message.to_owned(), code: None }
    }

    fn invalid(field: &[&str], message: &str) -> Self {
        Self { code: Some("INVALID"), ..Self::new(field, message) }
    }

    pub(super) fn to_json(&self, typename: &str) -> Value {
        json!({ "__typename": typename, "field": self.field, "message": self.message, "code": self.code })
    }
}

impl Subscription {
    /// `gid://shopify/WebhookSubscription/…`.
    #[must_use]
    pub fn gid(&self) -> String {
        format!("gid://shopify/WebhookSubscription/{}", self.id)
    }

    pub(super) fn to_graphql(&self, version: &str) -> Value {
        json!({
            "__typename": "WebhookSubscription",
            "id": self.gid(),
            "legacyResourceId": self.id.to_string(),
            "topic": self.topic,
            "uri": self.uri,
            "callbackUrl": self.uri,
            "format": "JSON",
            "name": self.name,
            "filter": null,
            "includeFields": self.include_fields,
            "metafieldNamespaces": [],
            "createdAt": iso(self.created_at),
            "updatedAt": iso(self.updated_at),
            "apiVersion": { "__typename": "ApiVersion", "handle": version, "displayName": version, "supported": true },
            "endpoint": { "__typename": "WebhookHttpEndpoint", "callbackUrl": self.uri },
        })
    }
}

/// Why the vendor would not deliver there; in its words.
fn address_refused(uri: &str) -> Option<String> {
    let trimmed = uri.trim();
    if trimmed.is_empty() {
        return Some("Address can't be blank".to_owned());
    }
    match trimmed.split_once("://") {
        Some(("https", _)) => {}
        Some((scheme, _)) => return Some(format!("Address protocol {scheme}:// is not supported")),
        None => return Some("Address is invalid".to_owned()),
    }
    let Ok(url) = url::Url::parse(trimmed) else { return Some("Address is invalid".to_owned()) };
    let host = url.host_str().unwrap_or_default();
    let internal = ["localhost", "shopify.com", "myshopify.com"];
    let is_internal = internal.iter().any(|name| host == *name || host.ends_with(&format!(".{name}")))
        || host == "127.0.0.1";
    is_internal.then(|| "Address cannot be a Shopify or an internal domain".to_owned())
}

/// The number at the end of a global id of this type.
pub(super) fn number_of(gid: &str, kind: &str) -> Option<u64> {
    gid.strip_prefix("gid://shopify/")?.strip_prefix(kind)?.strip_prefix('/')?.parse().ok()
}

impl Shop {
    pub(super) fn new(name: &str, token: &str, client_secret: &str, index: usize, now: Timestamp) -> Self {
        let index = index as u64;
        Self {
            name: name.to_owned(),
            token: token.to_owned(),
            client_secret: client_secret.to_owned(),
            bucket: Bucket::full(now),
            // Far enough apart that an order's number tells whose it is.
            number: 5_678_901_230_000 + 10_000 * index,
            orders: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            things: Things::default(),
            next_subscription: 1_967_038_398_770 + 10_000 * index,
        }
    }

    /// `NAME.myshopify.com`.
    #[must_use]
    pub fn domain(&self) -> String {
        format!("{}.myshopify.com", self.name)
    }

    pub(super) fn to_graphql(&self) -> Value {
        json!({
            "__typename": "Shop",
            "id": format!("gid://shopify/Shop/{}", self.number / 1_000),
            "name": format!("Shop {}", self.name),
            "email": format!("owner@{}.example", self.name),
            "contactEmail": format!("owner@{}.example", self.name),
            "myshopifyDomain": self.domain(),
            "url": format!("https://{}", self.domain()),
            "currencyCode": "EUR",
            "ianaTimezone": "Europe/Lisbon",
            "createdAt": "2024-03-05T21:40:11Z",
            "plan": { "__typename": "ShopPlan", "displayName": "Development", "publicDisplayName": "Development",
                      "partnerDevelopment": true, "shopifyPlus": false },
            "primaryDomain": { "__typename": "Domain", "host": self.domain(), "url": format!("https://{}", self.domain()) },
        })
    }

    pub(super) fn order(&self, id: u64) -> Option<&Order> {
        self.orders.get(&id)
    }

    pub(super) fn order_mut(&mut self, id: u64) -> Option<&mut Order> {
        self.orders.get_mut(&id)
    }

    pub(super) fn orders(&self) -> impl DoubleEndedIterator<Item = &Order> {
        self.orders.values()
    }

    pub(super) fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.values()
    }

    pub(super) fn subscription(&self, id: u64) -> Option<&Subscription> {
        self.subscriptions.get(&id)
    }

    /// Removes a subscription; whether there was one.
    pub(super) fn remove_subscription(&mut self, id: u64) -> bool {
        self.subscriptions.remove(&id).is_some()
    }

    /// Takes an order that the vendor accepts.
    pub(super) fn create_order(&mut self, input: &Value, now: Timestamp) -> Result<Order, Vec<UserError>> {
        let errors = order_errors(input);
        if !errors.is_empty() {
            return Err(errors);
        }
        let count = self.orders.len() as u64;
        let order = Order::new(self.number + count, 1_001 + count, input, now);
        self.orders.insert(order.id, order.clone());
        Ok(order)
    }

    pub(super) fn create_subscription(
        &mut self,
        topic: &str,
        input: &Value,
        now: Timestamp,
    ) -> Result<Subscription, UserError> {
        let blank = Subscription {
            id: self.next_subscription,
            topic: topic.to_owned(),
            uri: String::new(),
            name: None,
            include_fields: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        let made = self.checked(blank, input, now)?;
        self.next_subscription += 32_768;
        self.subscriptions.insert(made.id, made.clone());
        Ok(made)
    }

    pub(super) fn update_subscription(
        &mut self,
        id: Option<u64>,
        input: &Value,
        now: Timestamp,
    ) -> Result<Subscription, UserError> {
        let known = id.and_then(|id| self.subscriptions.get(&id)).cloned();
        let known = known.ok_or_else(no_subscription)?;
        let changed = self.checked(known, input, now)?;
        self.subscriptions.insert(changed.id, changed.clone());
        Ok(changed)
    }

    /// `subscription` with the members of `input`, if the vendor accepts the result.
    fn checked(
        &self,
        mut subscription: Subscription,
        input: &Value,
        now: Timestamp,
    ) -> Result<Subscription, UserError> {
        let address = ["webhookSubscription", "callbackUrl"];
        if let Some(uri) = ["uri", "callbackUrl"].iter().find_map(|name| input.get(*name)?.as_str()) {
            uri.clone_into(&mut subscription.uri);
        }
        if let Some(refused) = address_refused(&subscription.uri) {
            return Err(UserError::new(&address, &refused));
        }
        let twin = self.subscriptions.values().any(|other| {
            other.id != subscription.id && other.topic == subscription.topic && other.uri == subscription.uri
        });
        if twin {
            return Err(UserError::new(&address, "Address for this topic has already been taken"));
        }
        if let Some(name) = input.get("name") {
            subscription.name = name.as_str().map(str::to_owned);
        }
        if let Some(fields) = input.get("includeFields").and_then(Value::as_array) {
            subscription.include_fields =
                fields.iter().filter_map(|field| field.as_str().map(str::to_owned)).collect();
        }
        subscription.updated_at = now;
        Ok(subscription)
    }
}

pub(super) fn no_subscription() -> UserError {
    UserError::new(&["id"], "Webhook subscription does not exist")
}

fn order_errors(input: &Value) -> Vec<UserError> {
    let mut errors = Vec::new();
    let lines = input.get("lineItems").and_then(Value::as_array);
    let Some(lines) = lines.filter(|lines| !lines.is_empty()) else {
        return vec![UserError::invalid(
            &["order", "lineItems"],
            "Line items must have at least one line item",
        )];
    };
    for (index, line) in lines.iter().enumerate() {
        let index = index.to_string();
        let named = ["title", "variantId", "productId"].iter().any(|name| line.get(*name).is_some_and(given));
        if !named {
            errors.push(UserError::invalid(&["order", "lineItems", &index, "title"], "Title can't be blank"));
        }
        if line.get("quantity").and_then(Value::as_i64).is_none_or(|quantity| quantity < 1) {
            let field = ["order", "lineItems", &index, "quantity"];
            errors.push(UserError::invalid(&field, "Quantity must be greater than or equal to 1"));
        }
    }
    let email = input.get("email").and_then(Value::as_str);
    if email.is_some_and(|email| !email.contains('@') || email.contains(' ')) {
        errors.push(UserError::invalid(&["order", "email"], "Email is invalid"));
    }
    let phone = input.get("phone").and_then(Value::as_str);
    if phone.is_some_and(|phone| phone.bytes().filter(u8::is_ascii_digit).count() < 7) {
        errors.push(UserError::invalid(&["order", "phone"], "Phone is invalid"));
    }
    errors
}

fn given(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}
