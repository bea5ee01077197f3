//! Stores, their orders and hooks, and the vendor's rules about them.
//!
//! Invariant: one hook per scope and destination, at most ten per scope.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};
use axum::http::StatusCode;
use serde_json::{Value, json};
use trunnion_core::clock::Timestamp;

use super::{
    catalogue::Catalogue,
    order::{STATUSES, merge, name_status, rfc2822, sample_order},
};

/// The vendor's limit of hooks per store, client and scope.
const HOOKS_PER_SCOPE: usize = 10;

/// Every store by its hash.
#[derive(Debug, Default)]
pub(super) struct Stores(HashMap<String, Store>);

/// One store.
#[derive(Clone, Debug)]
pub struct Store {
    /// The numeric id that deliveries carry.
    pub id: u64,
    /// What `X-Auth-Token` must be.
    pub token: String,
    first_order: u64,
    orders: BTreeMap<u64, Value>,
    hooks: BTreeMap<u64, Hook>,
    next_hook: u64,
    pub(super) catalogue: Catalogue,
    /// Requests left in the present rate-limit window.
    pub(super) requests_left: u64,
    pub(super) window_ends: Timestamp,
}

/// A registered webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its id.
    pub id: u64,
    /// `store/order/created`, or with a wildcard `store/order/*`.
    pub scope: String,
    /// Where it delivers.
    pub destination: String,
    /// Whether it delivers.
    pub is_active: bool,
    /// What every delivery carries, by the registrant's wish.
    pub headers: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Something that hooks fire for.
#[derive(Clone, Debug)]
pub(super) struct HookEvent {
    pub(super) scope: String,
    pub(super) order: u64,
    pub(super) data: Value,
}

/// Why the vendor refuses: its status and the text of its answer.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) title: String,
    /// Field and message.
    pub(super) fields: Vec<(String, String)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, title: &str) -> Self {
        Self { status, title: title.to_owned(), fields: Vec::new() }
    }

    pub(super) fn field(field: &str, message: &str) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            title: "JSON data is missing or invalid".to_owned(),
            fields: vec![(field.to_owned(), message.to_owned())],
        }
    }
}

impl Hook {
    pub(super) fn wants(&self, scope: &str) -> bool {
        let covered = match self.scope.strip_suffix('*') {
            Some(prefix) => scope.starts_with(prefix),
            None => self.scope == scope,
        };
        self.is_active && covered
    }

    pub(super) fn to_json(&self, hash: &str) -> Value {
        json!({
            "id": self.id,
            "client_id": "fake-client",
            "store_hash": hash,
            "scope": self.scope,
            "destination": self.destination,
            "headers": self.headers,
            "is_active": self.is_active,
            "created_at": self.created_at.as_secs(),
            "updated_at": self.updated_at.as_secs(),
        })
    }
}

impl Stores {
    pub(super) fn add(&mut self, hash: &str, token: &str) {
        let number = self.0.len() as u64;
        let store = Store {
            id: 1_000_000 + number,
            // Far enough apart that an order's number tells whose it is.
            first_order: 100 + 10_000 * number,
            token: token.to_owned(),
            orders: BTreeMap::new(),
            hooks: BTreeMap::new(),
            next_hook: 18_048_287,
            catalogue: Catalogue::default(),
            requests_left: 0,
            window_ends: Timestamp::ZERO,
        };
        self.0.insert(hash.to_owned(), store);
    }

    pub(super) fn change_token(&mut self, hash: &str, token: &str) {
        if let Some(store) = self.0.get_mut(hash) {
            token.clone_into(&mut store.token);
        }
    }

    pub(super) fn get(&self, hash: &str) -> Option<&Store> {
        self.0.get(hash)
    }

    /// Switches all hooks of a store off.
    pub(super) fn switch_hooks_off(&mut self, hash: &str) {
        let store = self.get_mut(hash);
        store.into_iter().flat_map(|store| store.hooks.values_mut()).for_each(|hook| hook.is_active = false);
    }

    pub(super) fn get_mut(&mut self, hash: &str) -> Option<&mut Store> {
        self.0.get_mut(hash)
    }

    pub(super) fn create_order(
        &mut self,
        hash: &str,
        fields: &Value,
        now: Timestamp,
    ) -> Result<(u64, Vec<HookEvent>)> {
        let store =
            self.0.get_mut(hash).with_context(|| format!("the fake has no store `{hash}`; add_store it"))?;
        Ok(store.create_order(hash, fields, now))
    }

    pub(super) fn update_order(
        &mut self,
        hash: &str,
        id: u64,
        fields: &Value,
        now: Timestamp,
    ) -> Result<Vec<HookEvent>> {
        let store =
            self.0.get_mut(hash).with_context(|| format!("the fake has no store `{hash}`; add_store it"))?;
        match store.update_order(id, fields, now) {
            Ok((_, events)) => Ok(events),
            Err(refusal) => {
                anyhow::bail!("order {id} of store `{hash}`: {} {}", refusal.status, refusal.title)
            }
        }
    }
}

impl Store {
    /// Its customers.
    pub fn customers(&self) -> impl Iterator<Item = &Value> {
        self.catalogue.customers.values()
    }

    /// Its products.
    pub fn products(&self) -> impl Iterator<Item = &Value> {
        self.catalogue.products.values()
    }

    /// Shipments of an order.
    #[must_use]
    pub fn shipments(&self, order: u64) -> &[Value] {
        self.catalogue.shipments.get(&order).map(Vec::as_slice).unwrap_or_default()
    }

    /// Refunds of an order.
    #[must_use]
    pub fn refunds(&self, order: u64) -> &[Value] {
        self.catalogue.refunds.get(&order).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many of a unit are at a location; none where nobody has said.
    #[must_use]
    pub fn stock(&self, location: u64, sku: &str) -> Option<i64> {
        self.catalogue.stock.get(&(location, sku.to_owned())).copied()
    }

    pub(super) fn order(&self, id: u64) -> Option<&Value> {
        self.orders.get(&id)
    }

    pub(super) fn orders(&self) -> impl Iterator<Item = &Value> {
        self.orders.values()
    }

    pub(super) fn hooks(&self) -> impl Iterator<Item = &Hook> {
        self.hooks.values()
    }

    pub(super) fn hook(&self, id: u64) -> Option<&Hook> {
        self.hooks.get(&id)
    }

    pub(super) fn remove_hook(&mut self, id: u64) -> Option<Hook> {
        self.hooks.remove(&id)
    }

    pub(super) fn deactivate_hook(&mut self, id: u64) {
        if let Some(hook) = self.hooks.get_mut(&id) {
            hook.is_active = false;
        }
    }

    pub(super) fn create_order(
        &mut self,
        hash: &str,
        fields: &Value,
        now: Timestamp,
    ) -> (u64, Vec<HookEvent>) {
        let id = self.orders.keys().next_back().map_or(self.first_order, |last| last + 1);
        let mut order = sample_order(11);
        merge(&mut order, fields);
        let links = json!({
            "id": id,
            "date_created": rfc2822(now),
            "date_modified": rfc2822(now),
            "products": { "url": format!("https://api.bigcommerce.com/stores/{hash}/v2/orders/{id}/products"),
                          "resource": format!("/orders/{id}/products") },
            "shipping_addresses": {
                "url": format!("https://api.bigcommerce.com/stores/{hash}/v2/orders/{id}/shippingaddresses"),
                "resource": format!("/orders/{id}/shippingaddresses") },
        });
        merge(&mut order, &links);
        name_status(&mut order);
        self.orders.insert(id, order);
        let data = json!({ "type": "order", "id": id });
        (id, vec![HookEvent { scope: "store/order/created".to_owned(), order: id, data }])
    }

    pub(super) fn update_order(
        &mut self,
        id: u64,
        fields: &Value,
        now: Timestamp,
    ) -> Result<(Value, Vec<HookEvent>), Refusal> {
        let Some(order) = self.orders.get_mut(&id) else {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "The requested resource was not found."));
        };
        let asked = fields.get("status_id");
        if asked.is_some_and(|status| !STATUSES.iter().any(|(id, _)| status.as_u64() == Some(*id))) {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "The field 'status_id' is invalid."));
        }
        let before = order.get("status_id").and_then(Value::as_u64).unwrap_or_default();
        merge(order, fields);
        merge(order, &json!({ "id": id, "date_modified": rfc2822(now) }));
        name_status(order);
        let after = order.get("status_id").and_then(Value::as_u64).unwrap_or_default();
        let mut events = vec![HookEvent {
            scope: "store/order/updated".to_owned(),
            order: id,
            data: json!({ "type": "order", "id": id }),
        }];
        if after != before {
            let data = json!({ "type": "order", "id": id,
                "status": { "previous_status_id": before, "new_status_id": after } });
            events.push(HookEvent { scope: "store/order/statusUpdated".to_owned(), order: id, data });
        }
        Ok((order.clone(), events))
    }

    pub(super) fn create_hook(&mut self, body: &Value, now: Timestamp) -> Result<Hook, Refusal> {
        let id = self.next_hook;
        let blank = Hook {
            id,
            scope: String::new(),
            destination: String::new(),
            is_active: true,
            headers: BTreeMap::new(),
            created_at: now,
            updated_at: now,
        };
        for field in ["scope", "destination"] {
            if body.get(field).is_none_or(Value::is_null) {
                return Err(Refusal::field(field, "error.path.missing."));
            }
        }
        let hook = self.checked(blank, body)?;
        if self.hooks.values().filter(|other| other.scope == hook.scope).count() >= HOOKS_PER_SCOPE {
            return Err(Refusal::field(
                "scope",
                "The maximum of 10 webhooks for this scope has been reached.",
            ));
        }
        self.next_hook += 1;
        self.hooks.insert(id, hook.clone());
        Ok(hook)
    }

    pub(super) fn update_hook(&mut self, id: u64, body: &Value, now: Timestamp) -> Result<Hook, Refusal> {
        let Some(hook) = self.hooks.get(&id).cloned() else {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "No webhook with this id exists."));
        };
        let mut hook = self.checked(hook, body)?;
        hook.updated_at = now;
        self.hooks.insert(id, hook.clone());
        Ok(hook)
    }

    /// `hook` with the members of `body`, if the vendor accepts the result.
    fn checked(&self, mut hook: Hook, body: &Value) -> Result<Hook, Refusal> {
        let Some(members) = body.as_object() else {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "Input is invalid."));
        };
        if let Some(scope) = members.get("scope") {
            let known = scope.as_str().filter(|scope| scope.starts_with("store/"));
            known
                .ok_or_else(|| Refusal::field("scope", "The scope is invalid."))?
                .clone_into(&mut hook.scope);
        }
        if let Some(destination) = members.get("destination") {
            let fit = destination.as_str().filter(|url| https_on_443(url));
            let fit = fit.ok_or_else(|| {
                Refusal::field("destination", "The destination must be an https URL served on port 443.")
            })?;
            fit.clone_into(&mut hook.destination);
        }
        if let Some(active) = members.get("is_active") {
            hook.is_active =
                active.as_bool().ok_or_else(|| Refusal::field("is_active", "error.expected.jsboolean"))?;
        }
        if let Some(headers) = members.get("headers").filter(|headers| !headers.is_null()) {
            hook.headers =
                text_map(headers).ok_or_else(|| Refusal::field("headers", "error.expected.jsstring"))?;
        }
        let twin = self.hooks.values().any(|other| {
            other.id != hook.id && other.scope == hook.scope && other.destination == hook.destination
        });
        if twin {
            let title = "A webhook with this scope and destination already exists.";
            return Err(Refusal::new(StatusCode::CONFLICT, title));
        }
        Ok(hook)
    }
}

fn text_map(value: &Value) -> Option<BTreeMap<String, String>> {
    value.as_object()?.iter().map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned()))).collect()
}

fn https_on_443(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| {
        url.scheme() == "https" && url.port_or_known_default() == Some(443) && url.has_host()
    })
}
