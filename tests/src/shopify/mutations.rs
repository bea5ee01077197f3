//! What mutations of orders, customers, products and stock do to a shop. Their inputs' members are the judge's to check.
//!
//! Invariant: what `@idempotent` marks is carried out once for each key, and answered the same again.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use trunnion_core::clock::Timestamp;

use super::{
    graphql::Selected,
    order::iso,
    shops::{Shop, number_of},
};

/// What a shop has beside orders.
#[derive(Clone, Debug, Default)]
pub(super) struct Things {
    /// Customers and products, by their global ids.
    all: BTreeMap<String, Value>,
    /// How many of a stock item are at a location.
    stock: BTreeMap<(String, String), i64>,
    /// What was answered to each idempotency key.
    answered: BTreeMap<String, Value>,
    made: u64,
}

impl Things {
    pub(super) fn get(&self, id: &str) -> Option<&Value> {
        self.all.get(id)
    }

    pub(super) fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.all.values().filter(move |thing| thing.get("__typename").and_then(Value::as_str) == Some(kind))
    }

    pub(super) fn stock(&self, item: &str, location: &str) -> Option<i64> {
        self.stock.get(&(item.to_owned(), location.to_owned())).copied()
    }

    fn id(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("gid://shopify/{kind}/{}", 700 + self.made)
    }
}

/// Carries a mutation out; none where it is not one of these.
pub(super) fn carry_out(shop: &mut Shop, root: &Selected, now: Timestamp) -> Option<Value> {
    let argument = |name: &str| root.arguments.get(name).unwrap_or(&Value::Null);
    let input = argument("input");
    Some(match root.name.as_str() {
        "orderUpdate" => update_order(shop, input, now),
        "orderCancel" => cancel(shop, argument("orderId"), now),
        "fulfillmentCreate" => fulfil(shop, argument("fulfillment"), now),
        "tagsAdd" => tag(shop, argument("id"), |tags| tags.extend(texts(argument("tags")))),
        "tagsRemove" => {
            tag(shop, argument("id"), |tags| tags.retain(|tag| !texts(argument("tags")).contains(tag)))
        }
        "customerSet" => {
            let names =
                [("firstName", "firstName"), ("lastName", "lastName"), ("note", "note"), ("tags", "tags")];
            let name = [text(input, "firstName"), text(input, "lastName")].join(" ");
            let more = json!({
                "displayName": name.trim(),
                "defaultEmailAddress": { "emailAddress": input.get("email") },
                "defaultPhoneNumber": { "phoneNumber": input.get("phone") },
                "email": input.get("email"), "phone": input.get("phone"), "state": "DISABLED", "taxExempt": false,
            });
            upsert(shop, ("Customer", "customer"), argument("identifier"), (input, &names, more), now)
        }
        "productSet" => {
            let names =
                ["title", "handle", "status", "vendor", "productType", "tags"].map(|name| (name, name));
            let more = json!({ "totalInventory": 0, "variants": [] });
            upsert(shop, ("Product", "product"), argument("identifier"), (input, &names, more), now)
        }
        "inventorySetQuantities" => once(shop, root, |shop| set_stock(shop, input, now)),
        "refundCreate" => once(shop, root, |shop| refund(shop, input, now)),
        _ => return None,
    })
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn texts(value: &Value) -> Vec<String> {
    let all = value.as_array().into_iter().flatten();
    all.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// A payload that did what was asked.
fn done(member: &str, value: &Value) -> Value {
    json!({ member: value, "userErrors": [] })
}

fn refused(member: &str, field: &str, message: &str) -> Value {
    json!({ member: null, "userErrors": [{ "__typename": "UserError", "field": [field], "message": message,
            "code": "INVALID" }] })
}

fn order_of(id: &Value) -> Option<u64> {
    number_of(id.as_str()?, "Order")
}

fn update_order(shop: &mut Shop, input: &Value, now: Timestamp) -> Value {
    let id = input.get("id").and_then(order_of);
    let Some(order) = id.and_then(|id| shop.order_mut(id)) else {
        return refused("order", "id", "Order does not exist");
    };
    for name in ["email", "phone", "note", "tags", "poNumber", "customAttributes"] {
        if let Some(value) = input.get(name) {
            order.changes.insert(name.to_owned(), value.clone());
        }
    }
    order.changes.insert("updatedAt".to_owned(), iso(now).into());
    done("order", &order.to_graphql())
}

fn cancel(shop: &mut Shop, id: &Value, now: Timestamp) -> Value {
    let order = order_of(id).and_then(|id| shop.order_mut(id));
    let refusal = match order {
        None => Some("Order does not exist"),
        Some(order) if order.changes.contains_key("cancelledAt") => Some("Order has already been cancelled"),
        Some(order) => {
            order.changes.insert("cancelledAt".to_owned(), iso(now).into());
            None
        }
    };
    let errors: Vec<_> = refusal
        .map(|message| json!({ "field": ["orderId"], "message": message, "code": "INVALID" }))
        .into_iter()
        .collect();
    let job =
        errors.is_empty().then(|| json!({ "__typename": "Job", "id": shop.things.id("Job"), "done": true }));
    json!({ "job": job, "orderCancelUserErrors": errors })
}

/// One fulfilment order for each order, with its number.
fn fulfil(shop: &mut Shop, input: &Value, now: Timestamp) -> Value {
    let part = input.pointer("/lineItemsByFulfillmentOrder/0/fulfillmentOrderId").and_then(Value::as_str);
    let number = part.and_then(|id| number_of(id, "FulfillmentOrder"));
    let id = shop.things.id("Fulfillment");
    let Some(order) = number.and_then(|number| shop.order_mut(number)).filter(|order| order.is_open()) else {
        return refused("fulfillment", "fulfillment", "Fulfillment order does not exist or is not open");
    };
    let tracking = input.get("trackingInfo").cloned().unwrap_or_else(|| json!({}));
    let made = json!({
        "__typename": "Fulfillment", "id": id, "legacyResourceId": id.rsplit('/').next(),
        "name": format!("{}-F1", order.name()), "status": "SUCCESS", "createdAt": iso(now),
        "trackingInfo": [{ "company": tracking.get("company"), "number": tracking.get("number"),
                           "url": tracking.get("url") }],
    });
    order.changes.insert("fulfillments".to_owned(), json!([made]));
    order.changes.insert("displayFulfillmentStatus".to_owned(), "FULFILLED".into());
    done("fulfillment", &made)
}

fn tag(shop: &mut Shop, id: &Value, change: impl FnOnce(&mut Vec<String>)) -> Value {
    let sorted = |given: &Value| {
        let mut tags = texts(given);
        change(&mut tags);
        tags.sort();
        tags.dedup();
        json!(tags)
    };
    if let Some(order) = order_of(id).and_then(|id| shop.order_mut(id)) {
        let tags = sorted(order.to_graphql().get("tags").unwrap_or(&Value::Null));
        order.changes.insert("tags".to_owned(), tags);
        return done("node", &order.to_graphql());
    }
    match shop.things.all.get_mut(id.as_str().unwrap_or_default()).and_then(Value::as_object_mut) {
        Some(thing) => {
            let tags = sorted(thing.get("tags").unwrap_or(&Value::Null));
            thing.insert("tags".to_owned(), tags);
            done("node", &Value::Object(thing.clone()))
        }
        None => refused("node", "id", "Node does not exist"),
    }
}

/// Changes what `identifier` names, or makes it.
fn upsert(
    shop: &mut Shop,
    (kind, member): (&str, &str),
    identifier: &Value,
    (input, names, more): (&Value, &[(&str, &str)], Value),
    now: Timestamp,
) -> Value {
    let named = identifier.as_object().and_then(|members| members.iter().next());
    let Some((by, value)) = named else { return refused(member, "identifier", "An identifier is required") };
    let found = shop.things.of(kind).find(|thing| thing.get(by) == Some(value));
    let known = found.and_then(|thing| thing.get("id")?.as_str()).map(str::to_owned);
    if known.is_none() && by == "id" {
        return refused(member, "input", &format!("{kind} does not exist"));
    }
    let (id, is_new) = (known.clone().unwrap_or_else(|| shop.things.id(kind)), known.is_none());
    let thing = shop.things.all.entry(id.clone()).or_insert_with(|| {
        json!({ "__typename": kind, "id": id, "legacyResourceId": id.rsplit('/').next(), "tags": [],
                "createdAt": iso(now) })
    });
    let members: Map<String, Value> =
        names.iter().filter_map(|(name, of)| Some(((*name).to_owned(), input.get(*of)?.clone()))).collect();
    if let Some(thing) = thing.as_object_mut() {
        let more = more.as_object().cloned().unwrap_or_default();
        thing.extend(more.into_iter().filter(|(_, value)| is_new || !value.is_null()));
        thing.extend(members);
        thing.insert("updatedAt".to_owned(), iso(now).into());
    }
    done(member, thing)
}

/// Carries out what has to have a key, once for each.
fn once(shop: &mut Shop, root: &Selected, act: impl FnOnce(&mut Shop) -> Value) -> Value {
    let Some(key) = root.idempotency.clone() else {
        return refused(&root.name, "input", "The @idempotent directive is required for this mutation");
    };
    if let Some(answer) = shop.things.answered.get(&key) {
        return answer.clone();
    }
    let answer = act(shop);
    shop.things.answered.insert(key, answer.clone());
    answer
}

fn set_stock(shop: &mut Shop, input: &Value, now: Timestamp) -> Value {
    let mut changes = Vec::new();
    for quantity in input.get("quantities").and_then(Value::as_array).into_iter().flatten() {
        let place = (text(quantity, "inventoryItemId").to_owned(), text(quantity, "locationId").to_owned());
        let wanted = quantity.get("quantity").and_then(Value::as_i64).unwrap_or_default();
        let before = shop.things.stock.insert(place, wanted).unwrap_or_default();
        changes.push(
            json!({ "name": input.get("name"), "delta": wanted - before, "quantityAfterChange": wanted }),
        );
    }
    let group = json!({
        "__typename": "InventoryAdjustmentGroup", "id": shop.things.id("InventoryAdjustmentGroup"),
        "reason": input.get("reason"), "createdAt": iso(now), "changes": changes,
    });
    done("inventoryAdjustmentGroup", &group)
}

fn refund(shop: &mut Shop, input: &Value, now: Timestamp) -> Value {
    let id = shop.things.id("Refund");
    let number = input.get("orderId").and_then(order_of);
    let Some(order) = number.and_then(|number| shop.order_mut(number)) else {
        return refused("refund", "orderId", "Order does not exist");
    };
    let made = json!({
        "__typename": "Refund", "id": id, "legacyResourceId": id.rsplit('/').next(), "note": input.get("note"),
        "createdAt": iso(now),
        "totalRefundedSet": { "shopMoney": { "amount": "12.5", "currencyCode": order.currency } },
    });
    order.changes.insert("displayFinancialStatus".to_owned(), "PARTIALLY_REFUNDED".into());
    order.changes.insert("refunds".to_owned(), json!([made]));
    done("refund", &made)
}
