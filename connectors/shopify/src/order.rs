//! Orders as workflows see them after `create_order` and `get_order`, read from the Admin API's answers.
//!
//! Members are read one by one: a derived reader for each of Shopify's nested objects would double the code.

use trunnion_sdk::prelude::*;

use crate::{
    graphql::{Query, not_understood},
    ids::OrderId,
    money::Money,
};

/// What every app with access to orders may read: nothing in it is protected customer data.
const ORDER: Query = Query::new(include_str!("documents/order.graphql"));

/// The order with its buyer's data and line items.
const ORDER_DETAILS: Query = Query::new(include_str!("documents/order_details.graphql"));

/// An order.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Order {
    /// The id, as in `gid://shopify/Order/6824239235305`.
    id: String,
    /// The number at the id's end, which webhooks and older APIs call the order's id.
    legacy_id: String,
    /// What people call the order, as in `#1001`.
    name: String,
    /// When it was created, as in `2026-11-22T09:30:00Z`.
    created_at: String,
    /// As in `PAID`, `PENDING`; null where Shopify does not say.
    financial_status: Option<String>,
    /// As in `UNFULFILLED`, `FULFILLED`.
    fulfillment_status: String,
    /// The total with tax, in the shop's currency.
    total: Option<Money>,
    /// Whether it is a test.
    test: bool,
    /// The id at the place it came from; of an order that `create_order` made, the key of its step.
    source_identifier: Option<String>,
}

/// An order with its buyer's data and line items.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OrderDetails {
    // Written out once more: flattening the other struct would add 10 KB to the component.
    /// The id, as in `gid://shopify/Order/6824239235305`.
    id: String,
    /// The number at the id's end, which webhooks and older APIs call the order's id.
    legacy_id: String,
    /// What people call the order, as in `#1001`.
    name: String,
    /// When it was created, as in `2026-11-22T09:30:00Z`.
    created_at: String,
    /// As in `PAID`, `PENDING`; null where Shopify does not say.
    financial_status: Option<String>,
    /// As in `UNFULFILLED`, `FULFILLED`.
    fulfillment_status: String,
    /// The total with tax, in the shop's currency.
    total: Option<Money>,
    /// Whether it is a test.
    test: bool,
    /// The id at the place it came from; of an order that `create_order` made, the key of its step.
    source_identifier: Option<String>,
    /// The buyer's e-mail address.
    email: Option<String>,
    /// The buyer's phone number.
    phone: Option<String>,
    /// The note.
    note: Option<String>,
    /// The tags.
    tags: Vec<String>,
    /// When it last changed.
    updated_at: String,
    /// When it was cancelled.
    cancelled_at: Option<String>,
    /// The first 100 line items.
    line_items: Vec<LineItem>,
    /// Whether there are more than 100.
    more_line_items: bool,
}

/// One position of an order.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LineItem {
    /// The id, as in `gid://shopify/LineItem/123`.
    id: String,
    /// What it is called.
    title: String,
    /// The stock keeping unit.
    sku: Option<String>,
    /// How many.
    quantity: u64,
    /// The product variant's id; absent for an item that the shop's catalogue does not have.
    variant_id: Option<String>,
    /// The price of one, before discounts.
    price: Option<Money>,
}

impl Order {
    /// The order `id`; none where the shop has no such order.
    pub(crate) fn fetch(ctx: &Context, id: &str) -> Result<Option<Self>> {
        let data = ORDER.send(ctx, &json!({ "id": id }))?;
        data.get("order").filter(|order| !order.is_null()).map(Self::of_node).transpose()
    }

    /// Reads the answer's `order`.
    pub(crate) fn of_node(node: &Value) -> Result<Self> {
        Ok(Self {
            id: required(node, "id")?,
            legacy_id: required(node, "legacyResourceId")?,
            name: required(node, "name")?,
            created_at: required(node, "createdAt")?,
            financial_status: text(node, "displayFinancialStatus"),
            fulfillment_status: required(node, "displayFulfillmentStatus")?,
            total: node.get("totalPriceSet").and_then(Money::of_bag),
            test: flag(node, "test"),
            source_identifier: text(node, "sourceIdentifier"),
        })
    }
}

impl OrderDetails {
    /// The order `id`.
    pub(crate) fn fetch(ctx: &Context, id: &OrderId) -> Result<Self> {
        let OrderId(id) = id;
        let data = ORDER_DETAILS.send(ctx, &json!({ "id": id }))?;
        let Some(node) = data.get("order").filter(|order| !order.is_null()) else {
            return Err(Error::NotFound(format!(
                "Shopify has no order {id} that the app may see; orders older than 60 days need the scope `read_all_orders`"
            )));
        };
        let order = Order::of_node(node)?;
        let items = node.pointer("/lineItems/nodes").and_then(Value::as_array).into_iter().flatten();
        let tags = node.get("tags").and_then(Value::as_array).into_iter().flatten();
        Ok(Self {
            id: order.id,
            legacy_id: order.legacy_id,
            name: order.name,
            created_at: order.created_at,
            financial_status: order.financial_status,
            fulfillment_status: order.fulfillment_status,
            total: order.total,
            test: order.test,
            source_identifier: order.source_identifier,
            email: text(node, "email"),
            phone: text(node, "phone"),
            note: text(node, "note"),
            tags: tags.filter_map(Value::as_str).map(str::to_owned).collect(),
            updated_at: required(node, "updatedAt")?,
            cancelled_at: text(node, "cancelledAt"),
            line_items: items.map(LineItem::of_node).collect::<Result<_>>()?,
            more_line_items: node
                .get("lineItems")
                .and_then(|items| items.get("pageInfo"))
                .is_some_and(|page| flag(page, "hasNextPage")),
        })
    }
}

impl LineItem {
    fn of_node(node: &Value) -> Result<Self> {
        Ok(Self {
            id: required(node, "id")?,
            title: required(node, "title")?,
            sku: text(node, "sku"),
            quantity: node
                .get("quantity")
                .and_then(Value::as_u64)
                .ok_or_else(|| not_understood("has a line item without `quantity`"))?,
            variant_id: node.get("variant").and_then(|variant| text(variant, "id")),
            price: node.get("originalUnitPriceSet").and_then(Money::of_bag),
        })
    }
}

fn text(node: &Value, name: &str) -> Option<String> {
    node.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn required(node: &Value, name: &str) -> Result<String> {
    text(node, name)
        .ok_or_else(|| not_understood(&format!("has no text in `{name}`, where an order has one")))
}

fn flag(node: &Value, name: &str) -> bool {
    node.get(name).and_then(Value::as_bool).unwrap_or_default()
}
