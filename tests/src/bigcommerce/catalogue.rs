//! What a store has beside orders: shipments and refunds of them, customers, products, stock.
//!
//! Invariants: no two customers have one e-mail address, no two products one stock keeping unit.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::{Json, Path, RawQuery, State as Shelf},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde_json::{Value, json};

use super::{
    Shared,
    order::{merge, rfc2822},
    routes::{App, no_store, with_store},
    stores::{Refusal, Store},
};
use crate::desk::{form, member};

/// What a store has beside orders.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalogue {
    pub(super) customers: BTreeMap<u64, Value>,
    pub(super) products: BTreeMap<u64, Value>,
    /// Shipments and refunds, by order.
    pub(super) shipments: BTreeMap<u64, Vec<Value>>,
    pub(super) refunds: BTreeMap<u64, Vec<Value>>,
    /// Levels by location and stock keeping unit.
    pub(super) stock: BTreeMap<(u64, String), i64>,
}

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/stores/{hash}/v2/orders/{id}/shipping_addresses", get(addresses))
        .route("/stores/{hash}/v2/orders/{id}/products", get(positions))
        .route("/stores/{hash}/v2/orders/{id}/shipments", get(shipments).post(ship))
        .route("/stores/{hash}/v3/orders/{id}/payment_actions/refund_quotes", post(quote))
        .route("/stores/{hash}/v3/orders/{id}/payment_actions/refunds", get(refunds).post(refund))
        .route("/stores/{hash}/v3/customers", get(customers).post(make_customers).put(change_customers))
        .route("/stores/{hash}/v3/catalog/products", get(products).post(make_product))
        .route("/stores/{hash}/v3/catalog/products/{id}", put(change_product))
        .route("/stores/{hash}/v3/inventory/adjustments/absolute", put(set_stock))
}

type Answer = Result<Json<Value>, Refusal>;
type OfOrder = Path<(String, u64)>;

fn data(data: &Value) -> Json<Value> {
    Json(json!({ "data": data, "meta": {} }))
}

/// Does something with a store that has this order.
fn with_order<T>(
    shared: &Shared,
    (hash, order): &(String, u64),
    act: impl FnOnce(&mut Store) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    with_store(shared, hash, |store| {
        store.order(*order).ok_or_else(no_store)?;
        act(store)
    })
}

/// The address of an order has its number; its one position too.
async fn addresses(Shelf(shared): App, Path(of): OfOrder) -> Result<Json<Value>, Refusal> {
    with_order(&shared, &of, |_| Ok(Json(json!([{ "id": of.1, "order_id": of.1 }]))))
}

async fn positions(Shelf(shared): App, Path(of): OfOrder) -> Answer {
    with_order(&shared, &of, |store| {
        let shipped: u64 = store
            .catalogue
            .shipments
            .get(&of.1)
            .into_iter()
            .flatten()
            .filter_map(|shipment| shipment.pointer("/items/0/quantity")?.as_u64())
            .sum();
        Ok(Json(json!([{ "id": of.1, "order_id": of.1, "order_address_id": of.1, "quantity": 2,
                         "quantity_shipped": shipped, "name": "Mug" }])))
    })
}

/// Nothing is 204 without a body.
async fn shipments(Shelf(shared): App, Path(of): OfOrder) -> Response {
    let found = with_order(&shared, &of, |store| {
        Ok(store.catalogue.shipments.get(&of.1).cloned().unwrap_or_default())
    });
    match found {
        Ok(none) if none.is_empty() => StatusCode::NO_CONTENT.into_response(),
        Ok(some) => Json(some).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn ship(
    Shelf(shared): App,
    Path(of): OfOrder,
    Json(mut body): Json<Value>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let now = shared.now();
    let made = with_order(&shared, &of, |store| {
        if body.get("order_address_id").and_then(Value::as_u64) != Some(of.1) {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "The field 'order_address_id' is invalid."));
        }
        let id = 10 * of.1 + store.catalogue.shipments.get(&of.1).map_or(0, Vec::len) as u64;
        merge(&mut body, &json!({ "id": id, "order_id": of.1, "date_created": rfc2822(now) }));
        store.catalogue.shipments.entry(of.1).or_default().push(body.clone());
        store.update_order(of.1, &json!({ "status_id": 2 }), now)?;
        Ok(body)
    })?;
    Ok((StatusCode::CREATED, Json(made)))
}

async fn quote(Shelf(shared): App, Path(of): OfOrder, Json(body): Json<Value>) -> Answer {
    with_order(&shared, &of, |_| {
        if body.get("items").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            return Err(Refusal::field("items", "error.expected.items"));
        }
        let way = json!([{ "provider_id": "custom", "amount": 20.5, "offline": true }]);
        Ok(data(&json!({ "order_id": of.1, "total_refund_amount": 20.5, "refund_methods": [way] })))
    })
}

async fn refunds(Shelf(shared): App, Path(of): OfOrder) -> Answer {
    with_order(&shared, &of, |store| Ok(data(&json!(store.catalogue.refunds.get(&of.1)))))
}

async fn refund(
    Shelf(shared): App,
    Path(of): OfOrder,
    Json(body): Json<Value>,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let now = shared.now();
    let made = with_order(&shared, &of, |store| {
        let amounts = body.get("payments").and_then(Value::as_array).into_iter().flatten();
        let total: f64 = amounts.filter_map(|payment| payment.get("amount")?.as_f64()).sum();
        let made = json!({ "id": 30 + of.1, "order_id": of.1, "total_amount": total, "items": body.get("items"),
            "payments": body.get("payments") });
        store.catalogue.refunds.entry(of.1).or_default().push(made.clone());
        store.update_order(of.1, &json!({ "status_id": 14 }), now)?;
        Ok(made)
    })?;
    Ok((StatusCode::CREATED, data(&made)))
}

async fn customers(Shelf(shared): App, Path(hash): Path<String>, RawQuery(query): RawQuery) -> Answer {
    let query = form(query.unwrap_or_default().as_bytes());
    let wanted: Vec<String> = member(&query, "email:in").split(',').map(str::to_lowercase).collect();
    with_store(&shared, &hash, |store| {
        let all = store.catalogue.customers.values();
        let found: Vec<_> = all.filter(|it| wanted.contains(&address(it))).cloned().collect();
        Ok(data(&Value::Array(found)))
    })
}

fn address(customer: &Value) -> String {
    customer.get("email").and_then(Value::as_str).unwrap_or_default().to_lowercase()
}

async fn make_customers(
    Shelf(shared): App,
    Path(hash): Path<String>,
    Json(body): Json<Vec<Value>>,
) -> Answer {
    with_store(&shared, &hash, |store| {
        let known = &mut store.catalogue.customers;
        if body.len() > 10 || body.iter().any(|new| known.values().any(|old| address(old) == address(new))) {
            return Err(Refusal::field(".customer_create", "email already in use"));
        }
        let mut made = Vec::new();
        for mut customer in body {
            let id = 250 + known.len() as u64;
            merge(&mut customer, &json!({ "id": id }));
            known.insert(id, customer.clone());
            made.push(customer);
        }
        Ok(data(&Value::Array(made)))
    })
}

async fn change_customers(
    Shelf(shared): App,
    Path(hash): Path<String>,
    Json(body): Json<Vec<Value>>,
) -> Answer {
    with_store(&shared, &hash, |store| {
        let mut changed = Vec::new();
        for customer in body {
            let id = customer.get("id").and_then(Value::as_u64).unwrap_or_default();
            let known = store.catalogue.customers.get_mut(&id).ok_or_else(no_store)?;
            merge(known, &customer);
            changed.push(known.clone());
        }
        Ok(data(&Value::Array(changed)))
    })
}

async fn products(Shelf(shared): App, Path(hash): Path<String>, RawQuery(query): RawQuery) -> Answer {
    let query = form(query.unwrap_or_default().as_bytes());
    with_store(&shared, &hash, |store| {
        let all = store.catalogue.products.values();
        let found: Vec<_> = all.filter(|it| unit(it) == member(&query, "sku")).cloned().collect();
        Ok(data(&Value::Array(found)))
    })
}

fn unit(product: &Value) -> &str {
    product.get("sku").and_then(Value::as_str).unwrap_or_default()
}

async fn make_product(Shelf(shared): App, Path(hash): Path<String>, Json(mut body): Json<Value>) -> Answer {
    with_store(&shared, &hash, |store| {
        let known = &mut store.catalogue.products;
        if known.values().any(|product| unit(product) == unit(&body)) {
            return Err(Refusal::new(StatusCode::CONFLICT, "The product sku is a duplicate"));
        }
        for required in ["name", "type", "weight", "price"] {
            if body.get(required).is_none() {
                return Err(Refusal::field(required, "error.path.missing"));
            }
        }
        let id = 77 + known.len() as u64;
        merge(&mut body, &json!({ "id": id }));
        known.insert(id, body.clone());
        Ok(data(&body))
    })
}

async fn change_product(Shelf(shared): App, Path(of): OfOrder, Json(body): Json<Value>) -> Answer {
    with_store(&shared, &of.0, |store| {
        let known = store.catalogue.products.get_mut(&of.1).ok_or_else(no_store)?;
        merge(known, &body);
        Ok(data(known))
    })
}

async fn set_stock(Shelf(shared): App, Path(hash): Path<String>, Json(body): Json<Value>) -> Answer {
    with_store(&shared, &hash, |store| {
        for item in body.get("items").and_then(Value::as_array).into_iter().flatten() {
            let location = item.get("location_id").and_then(Value::as_u64).unwrap_or_default();
            let quantity = item.get("quantity").and_then(Value::as_i64).unwrap_or_default();
            if !store.catalogue.products.values().any(|product| unit(product) == unit(item)) {
                return Err(Refusal::field("items", "no such stock keeping unit"));
            }
            store.catalogue.stock.insert((location, unit(item).to_owned()), quantity);
        }
        Ok(Json(json!({ "transaction_id": "9d1c6a3e-0000-4000-8000-000000000001" })))
    })
}
