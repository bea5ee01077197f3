//! What an order looks like: statuses, dates and a sample, in the vendor's words.

use serde_json::{Map, Value, json};
use trunnion_core::clock::Timestamp;

/// Status ids and names, in the vendor's words.
pub(super) const STATUSES: [(u64, &str); 15] = [
    (0, "Incomplete"),
    (1, "Pending"),
    (2, "Shipped"),
    (3, "Partially Shipped"),
    (4, "Refunded"),
    (5, "Cancelled"),
    (6, "Declined"),
    (7, "Awaiting Payment"),
    (8, "Awaiting Pickup"),
    (9, "Awaiting Shipment"),
    (10, "Completed"),
    (11, "Awaiting Fulfillment"),
    (12, "Manual Verification Required"),
    (13, "Disputed"),
    (14, "Partially Refunded"),
];

/// Takes over the members of `from`.
pub(super) fn merge(into: &mut Value, from: &Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}

/// Names the status that `status_id` stands for.
pub(super) fn name_status(order: &mut Value) {
    let id = order.get("status_id").and_then(Value::as_u64);
    if let Some((_, name)) = STATUSES.iter().find(|(status, _)| Some(*status) == id) {
        merge(order, &json!({ "status": name, "custom_status": name }));
    }
}

/// The vendor writes v2 dates like `Tue, 05 Mar 2019 21:40:11 +0000`.
pub(super) fn rfc2822(at: Timestamp) -> String {
    i64::try_from(at.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map(|at| at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string())
        .unwrap_or_default()
}

/// An order of two mugs with this status, in the shape the vendor answers with.
#[must_use]
pub fn sample_order(status: u64) -> Value {
    let mut order = Map::new();
    let money = [
        ("subtotal_ex_tax", "62.6800"),
        ("subtotal_inc_tax", "67.8400"),
        ("subtotal_tax", "5.1600"),
        ("shipping_cost_ex_tax", "11.0900"),
        ("shipping_cost_inc_tax", "12.0000"),
        ("shipping_cost_tax", "0.9100"),
        ("total_ex_tax", "73.7700"),
        ("total_inc_tax", "79.8400"),
        ("total_tax", "6.0700"),
        ("refunded_amount", "0.0000"),
        ("discount_amount", "0.0000"),
        ("coupon_discount", "0.0000"),
    ];
    order.extend(money.map(|(name, amount)| (name.to_owned(), Value::from(amount))));
    let mut order = Value::Object(order);
    let rest = json!({
        "customer_id": 11,
        "date_shipped": "",
        "status_id": status,
        "items_total": 2,
        "items_shipped": 0,
        "payment_method": "Cash",
        "payment_status": "authorized",
        "currency_code": "USD",
        "currency_exchange_rate": "1.0000000000",
        "order_is_digital": false,
        "staff_notes": "",
        "customer_message": "Leave it in the backyard – \"behind\" the shed",
        "billing_address": {
            "first_name": "Ada", "last_name": "Example", "company": "", "street_1": "1 Harbour Street", "street_2": "",
            "city": "Porto", "state": "", "zip": "4000", "country": "Portugal", "country_iso2": "PT",
            "phone": "", "email": "wilhelmina.q@example.net",
        },
        "channel_id": 1,
        "external_source": null,
        "external_id": null,
        "is_deleted": false,
    });
    merge(&mut order, &rest);
    order
}
