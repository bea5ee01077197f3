//! Orders: taken from an `OrderCreateOrderInput`, shown as the GraphQL type and as the REST-shaped resource
//! that webhooks carry. Money is counted in hundredths.

use serde_json::{Map, Value, json};
use trunnion_core::clock::Timestamp;

/// An order at a shop.
#[derive(Clone, Debug)]
pub struct Order {
    /// The number behind `gid://shopify/Order/`.
    pub id: u64,
    /// What people call it: 1001, 1002, …
    pub number: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// The identifier on the platform it comes from.
    pub source_identifier: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The phone number.
    pub phone: Option<String>,
    /// What is ordered.
    pub lines: Vec<Line>,
    /// The currency of every amount.
    pub currency: String,
    /// The rest as it was given.
    pub input: Value,
    /// What has changed since, by the names of GraphQL.
    pub changes: Map<String, Value>,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The number behind `gid://shopify/LineItem/`.
    pub id: u64,
    /// What is ordered.
    pub title: String,
    /// How many.
    pub quantity: u64,
    /// The stock-keeping unit.
    pub sku: Option<String>,
    /// The variant's global id.
    pub variant: Option<String>,
    /// The price of one, in hundredths.
    pub price: u64,
}

/// What a shopper orders at the shop: two mugs and a lamp.
#[must_use]
pub fn sample_order() -> Value {
    json!({
        "email": "wilhelmina.q@example.net",
        "phone": "+351210000123",
        "currency": "EUR",
        "note": "Leave it in the backyard – \"behind\" the shed",
        "tags": ["gift"],
        "lineItems": [
            { "title": "Mug \"Harbour\"", "sku": "MUG-1", "quantity": 2,
              "priceSet": { "shopMoney": { "amount": "12.50", "currencyCode": "EUR" } } },
            { "title": "Lamp", "sku": "LAMP-7", "quantity": 1,
              "priceSet": { "shopMoney": { "amount": "54.84", "currencyCode": "EUR" } } },
        ],
        "shippingAddress": { "firstName": "Wilhelmina", "lastName": "Q", "address1": "1 Harbour Street",
            "city": "Porto", "zip": "4000", "countryCode": "PT" },
    })
}

/// An amount in hundredths; `None` where the text is no amount.
fn hundredths(amount: &Value) -> Option<u64> {
    let text = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let part: u64 = if part.is_empty() { 0 } else { format!("{part:0<2}").parse().ok()? };
    whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(part)
}

/// GraphQL answers amounts with as few digits as they need, one at least.
fn short(hundredths: u64) -> String {
    let long = long(hundredths);
    long.strip_suffix('0').unwrap_or(&long).to_owned()
}

/// Webhooks carry amounts with two digits.
fn long(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// The vendor's dates.
pub(super) fn iso(at: Timestamp) -> String {
    formatted(at, "%Y-%m-%dT%H:%M:%SZ")
}

fn formatted(at: Timestamp, format: &str) -> String {
    i64::try_from(at.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map(|at| at.strftime(format).to_string())
        .unwrap_or_default()
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn money(hundredths: u64, currency: &str) -> Value {
    let money = json!({ "amount": short(hundredths), "currencyCode": currency });
    json!({ "shopMoney": money, "presentmentMoney": money })
}

fn rest_money(hundredths: u64, currency: &str) -> Value {
    let money = json!({ "amount": long(hundredths), "currency_code": currency });
    json!({ "shop_money": money, "presentment_money": money })
}

fn rest_address(input: &Value) -> Value {
    let names = [
        ("first_name", "firstName"),
        ("last_name", "lastName"),
        ("address1", "address1"),
        ("city", "city"),
        ("zip", "zip"),
        ("country_code", "countryCode"),
    ];
    let members = names.map(|(rest, name)| (rest.to_owned(), input.get(name).cloned().unwrap_or_default()));
    if input.is_null() { Value::Null } else { Value::Object(members.into_iter().collect()) }
}

impl Line {
    fn new(id: u64, input: &Value) -> Self {
        let amount = input.pointer("/priceSet/shopMoney/amount");
        Self {
            id,
            title: text(input, "title").unwrap_or_else(|| "Untitled".to_owned()),
            quantity: input.get("quantity").and_then(Value::as_u64).unwrap_or_default(),
            sku: text(input, "sku"),
            variant: text(input, "variantId"),
            price: amount.and_then(hundredths).unwrap_or_default(),
        }
    }

    fn to_graphql(&self, currency: &str) -> Value {
        json!({
            "__typename": "LineItem",
            "id": format!("gid://shopify/LineItem/{}", self.id),
            "title": self.title,
            "name": self.title,
            "quantity": self.quantity,
            "currentQuantity": self.quantity,
            "sku": self.sku,
            "variant": self.variant.as_ref().map(|id| json!({ "__typename": "ProductVariant", "id": id })),
            "originalUnitPriceSet": money(self.price, currency),
            "originalTotalSet": money(self.price * self.quantity, currency),
        })
    }

    fn to_rest(&self, currency: &str) -> Value {
        let variant = self.variant.as_deref().and_then(|id| id.rsplit('/').next()?.parse::<u64>().ok());
        json!({
            "id": self.id,
            "admin_graphql_api_id": format!("gid://shopify/LineItem/{}", self.id),
            "title": self.title,
            "name": self.title,
            "quantity": self.quantity,
            "current_quantity": self.quantity,
            "sku": self.sku,
            "variant_id": variant,
            "price": long(self.price),
            "price_set": rest_money(self.price, currency),
            "requires_shipping": true,
            "taxable": true,
        })
    }
}

impl Order {
    pub(super) fn new(id: u64, number: u64, input: &Value, now: Timestamp) -> Self {
        let lines = input.get("lineItems").and_then(Value::as_array).into_iter().flatten();
        Self {
            id,
            number,
            created_at: now,
            source_identifier: text(input, "sourceIdentifier"),
            email: text(input, "email"),
            phone: text(input, "phone"),
            lines: (id * 10..).zip(lines).map(|(id, line)| Line::new(id, line)).collect(),
            currency: text(input, "currency").unwrap_or_else(|| "EUR".to_owned()),
            input: input.clone(),
            changes: Map::new(),
        }
    }

    /// `gid://shopify/Order/…`.
    #[must_use]
    pub fn gid(&self) -> String {
        format!("gid://shopify/Order/{}", self.id)
    }

    /// `#1001`.
    #[must_use]
    pub fn name(&self) -> String {
        text(&self.input, "name").unwrap_or_else(|| format!("#{}", self.number))
    }

    fn total(&self) -> u64 {
        self.lines.iter().map(|line| line.price * line.quantity).sum()
    }

    fn given(&self, name: &str) -> Value {
        self.input.get(name).cloned().unwrap_or(Value::Null)
    }

    fn tags(&self) -> Vec<String> {
        let mut tags: Vec<_> = self.given("tags").as_array().into_iter().flatten().cloned().collect();
        tags.sort_by_key(ToString::to_string);
        tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
    }

    /// Whether something of it can be fulfilled.
    pub(super) fn is_open(&self) -> bool {
        !["cancelledAt", "fulfillments"].iter().any(|name| self.changes.contains_key(*name))
    }

    /// Every field that the fake's schema knows of.
    pub(super) fn to_graphql(&self) -> Value {
        let total = money(self.total(), &self.currency);
        let attributes = self.given("customAttributes");
        let at = iso(self.created_at);
        let actions = if self.is_open() { json!([{ "action": "CREATE_FULFILLMENT" }]) } else { json!([]) };
        let mut order = json!({
            "__typename": "Order",
            "id": self.gid(),
            "legacyResourceId": self.id.to_string(),
            "name": self.name(),
            "number": self.number,
            "email": self.email,
            "phone": self.phone,
            "note": self.given("note"),
            "tags": self.tags(),
            "test": self.given("test").as_bool().unwrap_or_default(),
            "poNumber": self.given("poNumber"),
            "customAttributes": if attributes.is_null() { json!([]) } else { attributes },
            "sourceIdentifier": self.source_identifier,
            "sourceName": self.given("sourceName"),
            "currencyCode": self.currency,
            "presentmentCurrencyCode": self.currency,
            "createdAt": at,
            "processedAt": at,
            "updatedAt": at,
            "cancelledAt": null,
            "closedAt": null,
            "confirmed": true,
            "displayFinancialStatus": "PENDING",
            "displayFulfillmentStatus": "UNFULFILLED",
            "subtotalPriceSet": total,
            "currentSubtotalPriceSet": total,
            "totalPriceSet": total,
            "currentTotalPriceSet": total,
            "totalTaxSet": money(0, &self.currency),
            "lineItems": self.lines.iter().map(|line| line.to_graphql(&self.currency)).collect::<Vec<_>>(),
            "fulfillments": [],
            "fulfillmentOrders": [{
                "__typename": "FulfillmentOrder", "id": format!("gid://shopify/FulfillmentOrder/{}", self.id),
                "status": if self.is_open() { "OPEN" } else { "CLOSED" }, "supportedActions": actions,
            }],
        });
        if let Some(members) = order.as_object_mut() {
            members.extend(self.changes.clone());
        }
        order
    }

    /// The resource as webhooks carry it.
    #[must_use]
    pub fn to_rest(&self) -> Value {
        let at = formatted(self.created_at, "%Y-%m-%dT%H:%M:%S+00:00");
        let address = rest_address(&self.given("shippingAddress"));
        json!({
            "id": self.id,
            "admin_graphql_api_id": self.gid(),
            "name": self.name(),
            "number": self.number - 1_000,
            "order_number": self.number,
            "email": self.email.clone().unwrap_or_default(),
            "contact_email": self.email,
            "phone": self.phone,
            "created_at": at,
            "processed_at": at,
            "updated_at": at,
            "cancelled_at": null,
            "closed_at": null,
            "confirmed": true,
            "test": self.given("test").as_bool().unwrap_or_default(),
            "currency": self.currency,
            "presentment_currency": self.currency,
            "subtotal_price": long(self.total()),
            "total_price": long(self.total()),
            "total_price_set": rest_money(self.total(), &self.currency),
            "total_tax": long(0),
            "financial_status": "pending",
            "fulfillment_status": null,
            "note": self.given("note"),
            "tags": self.tags().join(", "),
            "source_name": self.given("sourceName").as_str().unwrap_or("web"),
            "source_identifier": self.source_identifier,
            "line_items": self.lines.iter().map(|line| line.to_rest(&self.currency)).collect::<Vec<_>>(),
            "shipping_address": address,
            "billing_address": address,
        })
    }
}
