//! What each operation does to a shop, and what the vendor answers.

use std::time::Duration;

use serde_json::{Map, Value, json};
use trunnion_core::clock::Timestamp;

use super::{
    VERSION,
    graphql::{Operation, Selected},
    mutations,
    order::{Order, iso},
    shops::{Shop, UserError, no_subscription, number_of},
};

/// What carrying an operation out gave.
#[derive(Debug, Default)]
pub(super) struct Executed {
    /// `data` of the answer.
    pub(super) data: Map<String, Value>,
    /// What it cost.
    pub(super) cost: u64,
    /// The orders that came into being.
    pub(super) orders: Vec<Order>,
}

/// When, and how far the search index is behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) search_lag: Duration,
}

/// Carries out the fields of an operation one after another.
pub(super) fn execute(shop: &mut Shop, operation: &Operation, moment: Moment) -> Executed {
    let mut executed = Executed::default();
    for root in &operation.roots {
        let (value, order) = carry_out(shop, root, moment);
        let answer = root.project(&value);
        executed.cost += root.actual_cost(&answer);
        executed.data.insert(root.key.clone(), answer);
        executed.orders.extend(order);
    }
    executed
}

fn carry_out(shop: &mut Shop, root: &Selected, moment: Moment) -> (Value, Option<Order>) {
    let argument = |name: &str| root.arguments.get(name).unwrap_or(&Value::Null);
    let id = |kind: &str| argument("id").as_str().and_then(|gid| number_of(gid, kind));
    let now = moment.now;
    let value = match root.name.as_str() {
        "shop" => shop.to_graphql(),
        "order" => id("Order").and_then(|id| shop.order(id)).map_or(Value::Null, Order::to_graphql),
        "orders" => orders(shop, root, moment),
        "webhookSubscription" => {
            let found = id("WebhookSubscription").and_then(|id| shop.subscription(id));
            found.map_or(Value::Null, |subscription| subscription.to_graphql(VERSION))
        }
        "webhookSubscriptions" => subscriptions(shop, root),
        "orderCreate" => {
            return match shop.create_order(argument("order"), now) {
                Ok(order) => (json!({ "order": order.to_graphql(), "userErrors": [] }), Some(order)),
                Err(errors) => {
                    let errors: Vec<_> =
                        errors.iter().map(|error| error.to_json("OrderCreateUserError")).collect();
                    (json!({ "order": null, "userErrors": errors }), None)
                }
            };
        }
        "webhookSubscriptionCreate" => {
            let topic = argument("topic").as_str().unwrap_or_default();
            let made = shop.create_subscription(topic, argument("webhookSubscription"), now);
            payload(made.map(|made| ("webhookSubscription", made.to_graphql(VERSION))), "webhookSubscription")
        }
        "webhookSubscriptionUpdate" => {
            let input = argument("webhookSubscription");
            let changed = shop.update_subscription(id("WebhookSubscription"), input, now);
            payload(
                changed.map(|changed| ("webhookSubscription", changed.to_graphql(VERSION))),
                "webhookSubscription",
            )
        }
        "webhookSubscriptionDelete" => {
            let gone = id("WebhookSubscription").is_some_and(|id| shop.remove_subscription(id));
            let deleted = "deletedWebhookSubscriptionId";
            payload(
                if gone { Ok((deleted, argument("id").clone())) } else { Err(no_subscription()) },
                deleted,
            )
        }
        "locations" => {
            json!([{ "__typename": "Location", "id": "gid://shopify/Location/1", "name": "Shop" }])
        }
        "nodes" => nodes(shop, argument("ids")),
        "__typename" => Value::from("QueryRoot"),
        _ => mutations::carry_out(shop, root, now).unwrap_or_default(),
    };
    (value, None)
}

fn nodes(shop: &Shop, ids: &Value) -> Value {
    let one = |id: &Value| {
        let id = id.as_str()?;
        let order = || shop.order(number_of(id, "Order")?).map(Order::to_graphql);
        shop.things.get(id).cloned().or_else(order)
    };
    ids.as_array().into_iter().flatten().map(|id| one(id).unwrap_or_default()).collect()
}

fn payload(done: Result<(&str, Value), UserError>, absent: &str) -> Value {
    let (name, value, errors) = match done {
        Ok((name, value)) => (name, value, json!([])),
        Err(error) => (absent, Value::Null, json!([error.to_json("UserError")])),
    };
    json!({ name: value, "userErrors": errors })
}

fn orders(shop: &Shop, root: &Selected, moment: Moment) -> Value {
    let query = root.arguments.get("query").and_then(Value::as_str).unwrap_or_default().trim();
    let found = shop.orders().filter(|order| {
        // The listing reads the orders themselves; a search reads an index that follows them.
        let indexed = query.is_empty() || order.created_at + moment.search_lag <= moment.now;
        indexed && terms(query).all(|(name, wanted)| matches(order, name, &wanted))
    });
    listed(root, found.map(Order::to_graphql).collect())
}

fn subscriptions(shop: &Shop, root: &Selected) -> Value {
    let uri = root.arguments.get("uri").and_then(Value::as_str);
    let topics = root.arguments.get("topics").and_then(Value::as_array);
    let found = shop.subscriptions().filter(|subscription| {
        uri.is_none_or(|uri| uri == subscription.uri)
            && topics.is_none_or(|topics| topics.iter().any(|topic| *topic == subscription.topic.as_str()))
    });
    listed(root, found.map(|subscription| subscription.to_graphql(VERSION)).collect())
}

/// In order of creation, which is the order of every key that the fake's schema has.
fn listed(root: &Selected, mut found: Vec<Value>) -> Value {
    if root.arguments.get("reverse").and_then(Value::as_bool) == Some(true) {
        found.reverse();
    }
    Value::Array(found)
}

/// `name:value name:'value' …` of a search.
fn terms(query: &str) -> impl Iterator<Item = (&str, String)> {
    query.split_whitespace().filter_map(|term| {
        let (name, value) = term.split_once(':')?;
        Some((name, value.trim_matches(['\'', '"']).replace('\\', "")))
    })
}

/// Fields that the vendor does not know are no condition; it warns of them.
fn matches(order: &Order, name: &str, wanted: &str) -> bool {
    match name {
        "source_identifier" => order.source_identifier.as_deref() == Some(wanted),
        "email" => order.email.as_deref() == Some(wanted),
        "name" => order.name() == wanted || order.name() == format!("#{wanted}"),
        "id" => order.id.to_string() == wanted,
        "created_at" | "processed_at" | "updated_at" => since(order, wanted),
        _ => true,
    }
}

fn since(order: &Order, wanted: &str) -> bool {
    let at = iso(order.created_at);
    let compared = |text: &str| text.trim_matches(['\'', '"']).to_owned();
    // Times of one form compare as texts.
    if let Some(bound) = wanted.strip_prefix(">=") {
        return at >= compared(bound);
    }
    if let Some(bound) = wanted.strip_prefix('>') {
        return at > compared(bound);
    }
    if let Some(bound) = wanted.strip_prefix("<=") {
        return at <= compared(bound);
    }
    wanted.strip_prefix('<').map_or_else(|| at == wanted, |bound| at < compared(bound))
}
