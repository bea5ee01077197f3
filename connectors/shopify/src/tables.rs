//! What workflows see of Shopify's things after actions and polls. Webhooks deliver another form, which
//! `triggers::delivered` describes.

use crate::{
    record::Table,
    shape::{Kind, Member, optional, required},
};

const MONEY: &[Member] = &[
    required("amount", Kind::Text, "The amount, as in `12.5`."),
    required("currency", Kind::Text, "The currency, as in `EUR`."),
];

const ID: Member = required("id", Kind::Text, "The id, as in `gid://shopify/Order/123`.");
const LEGACY_ID: Member = optional(
    "legacy_id",
    Kind::Text,
    "The number at the id's end, which webhooks and older APIs call the id.",
);
const NOTE: Member = optional("note", Kind::Text, "The note.");
const TAGS: Member = optional("tags", Kind::Texts, "The tags.");
const EMAIL: Member = optional("email", Kind::Text, "The e-mail address.");
const PHONE: Member = optional("phone", Kind::Text, "The phone number.");
const CREATED_AT: Member =
    optional("created_at", Kind::Text, "When it was made, as in `2026-11-22T09:30:00Z`.");
const UPDATED_AT: Member = optional("updated_at", Kind::Text, "When it last changed.");

/// An order without its line items.
pub(crate) struct Order;

impl Table for Order {
    const NAME: &'static str = "Order";
    const MEMBERS: &'static [Member] = &[
        ID,
        LEGACY_ID,
        required("name", Kind::Text, "What people call the order, as in `#1001`."),
        CREATED_AT,
        UPDATED_AT,
        optional("cancelled_at", Kind::Text, "When it was cancelled."),
        optional("financial_status", Kind::Text, "As in `PAID`, `PENDING`."),
        optional("fulfillment_status", Kind::Text, "As in `UNFULFILLED`, `FULFILLED`."),
        optional("total", Kind::Object(MONEY), "The total with tax, in the shop's currency."),
        EMAIL,
        PHONE,
        NOTE,
        TAGS,
        optional("test", Kind::Flag, "Whether it is a test."),
        optional("source_identifier", Kind::Text, "The id at the place it came from."),
    ];
}

/// A customer.
pub(crate) struct Customer;

impl Table for Customer {
    const NAME: &'static str = "Customer";
    const MEMBERS: &'static [Member] = &[
        ID,
        LEGACY_ID,
        optional("display_name", Kind::Text, "What people call them."),
        optional("first_name", Kind::Text, "The first name."),
        optional("last_name", Kind::Text, "The last name."),
        EMAIL,
        PHONE,
        NOTE,
        TAGS,
        optional("state", Kind::Text, "As in `ENABLED`, `DISABLED`."),
        optional("locale", Kind::Text, "The language, as in `en`."),
        optional("tax_exempt", Kind::Flag, "Whether they pay no tax."),
        CREATED_AT,
        UPDATED_AT,
    ];
}

const VARIANT: &[Member] = &[
    required("id", Kind::Text, "The id, as in `gid://shopify/ProductVariant/123`."),
    optional("title", Kind::Text, "What it is called."),
    optional("sku", Kind::Text, "The stock keeping unit."),
    optional("price", Kind::Text, "The price, as in `12.50`."),
    optional("inventory_item", Kind::AnyObject, "Whose stock is kept, with its `id`."),
];

/// A product.
pub(crate) struct Product;

impl Table for Product {
    const NAME: &'static str = "Product";
    const MEMBERS: &'static [Member] = &[
        ID,
        LEGACY_ID,
        required("title", Kind::Text, "What it is called."),
        optional("handle", Kind::Text, "The name in its address."),
        optional("status", Kind::Text, "`ACTIVE`, `DRAFT` or `ARCHIVED`."),
        optional("vendor", Kind::Text, "Who makes it."),
        optional("product_type", Kind::Text, "The kind of product."),
        TAGS,
        CREATED_AT,
        UPDATED_AT,
        optional("variants", Kind::List(VARIANT), "After `upsert_product`, the first 100 variants."),
    ];
}

const TRACKING: &[Member] = &[
    optional("company", Kind::Text, "The carrier."),
    optional("number", Kind::Text, "The tracking number."),
    optional("url", Kind::Text, "Where the parcel can be followed."),
];

/// A fulfilment.
pub(crate) struct Fulfillment;

impl Table for Fulfillment {
    const NAME: &'static str = "Fulfillment";
    const MEMBERS: &'static [Member] = &[
        ID,
        LEGACY_ID,
        optional("name", Kind::Text, "As in `#1001-F1`."),
        optional("status", Kind::Text, "As in `SUCCESS`."),
        CREATED_AT,
        optional("tracking_info", Kind::List(TRACKING), "How the parcels can be followed."),
    ];
}

/// A refund.
pub(crate) struct Refund;

impl Table for Refund {
    const NAME: &'static str = "Refund";
    const MEMBERS: &'static [Member] = &[
        ID,
        LEGACY_ID,
        NOTE,
        CREATED_AT,
        optional("total_refunded", Kind::Object(MONEY), "How much was refunded."),
    ];
}

/// A cancellation that was asked for.
pub(crate) struct Cancellation;

impl Table for Cancellation {
    const NAME: &'static str = "Cancellation";
    const MEMBERS: &'static [Member] = &[
        required("order_id", Kind::Text, "The order's id."),
        required(
            "cancelled",
            Kind::Flag,
            "Whether the order is cancelled already; Shopify may still be working on it.",
        ),
    ];
}

/// Something with tags.
pub(crate) struct Tagged;

impl Table for Tagged {
    const NAME: &'static str = "Tagged";
    const MEMBERS: &'static [Member] = &[ID, TAGS];
}

const CHANGE: &[Member] = &[
    optional("name", Kind::Text, "Which quantity, as in `available`."),
    optional(
        "quantity_after_change",
        Kind::Number,
        "How many there are now; null where Shopify does not say.",
    ),
];

/// A change of stock.
pub(crate) struct StockChange;

impl Table for StockChange {
    const NAME: &'static str = "StockChange";
    const MEMBERS: &'static [Member] = &[
        optional("id", Kind::Text, "The change's id; null where nothing had to change."),
        optional("reason", Kind::Text, "Why."),
        CREATED_AT,
        optional("changes", Kind::List(CHANGE), "What changed."),
    ];
}

/// Things by their ids.
pub(crate) struct Nodes;

impl Table for Nodes {
    const NAME: &'static str = "Nodes";
    const MEMBERS: &'static [Member] = &[
        required(
            "nodes",
            Kind::List(&[]),
            "In the order of the ids; an id that the app may not see is left out.",
        ),
        required("missing", Kind::Texts, "Ids of which Shopify has nothing that the app may see."),
    ];
}

/// Any answer.
pub(crate) struct Answer;

impl Table for Answer {
    const NAME: &'static str = "Answer";
    const MEMBERS: &'static [Member] = &[required("data", Kind::AnyObject, "What the document asked for.")];
}
