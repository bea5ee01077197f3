//! What Shopify delivers: kept whole, in the form of the older REST API, with amounts as the texts they are. The tables
//! have the members that a workflow is most likely to map.

use crate::{
    record::Table,
    shape::{Kind, Member, optional, required},
};

const ADMIN_ID: Member = optional(
    "admin_graphql_api_id",
    Kind::Text,
    "The id in the Admin API, as in `gid://shopify/Order/6824239235305`.",
);
const CREATED_AT: Member =
    optional("created_at", Kind::Text, "When it was made, as in `2026-11-22T09:30:00+01:00`.");
const UPDATED_AT: Member = optional("updated_at", Kind::Text, "When it last changed, in the same form.");

/// An order.
pub(crate) struct Order;

impl Table for Order {
    const NAME: &'static str = "DeliveredOrder";
    const MEMBERS: &'static [Member] = MEMBERS;
}

/// A customer.
pub(crate) struct Customer;

impl Table for Customer {
    const NAME: &'static str = "DeliveredCustomer";
    const MEMBERS: &'static [Member] = &[
        required("id", Kind::Number, "The customer's number."),
        ADMIN_ID,
        optional("email", Kind::Text, "The e-mail address."),
        optional("first_name", Kind::Text, "The first name."),
        optional("last_name", Kind::Text, "The last name."),
        optional("phone", Kind::Text, "The phone number."),
        optional("note", Kind::Text, "The note."),
        optional("state", Kind::Text, "As in `enabled`, `disabled`."),
        optional("verified_email", Kind::Flag, "Whether the address is theirs."),
        optional("default_address", Kind::AnyObject, "The address they use."),
        CREATED_AT,
        UPDATED_AT,
    ];
}

const VARIANT: &[Member] = &[
    required("id", Kind::Number, "The variant's number."),
    optional("title", Kind::Text, "What it is called."),
    optional("sku", Kind::Text, "The stock keeping unit."),
    optional("price", Kind::Text, "The price, as in `12.50`."),
    optional("inventory_item_id", Kind::Number, "Whose stock is kept."),
];

/// A product.
pub(crate) struct Product;

impl Table for Product {
    const NAME: &'static str = "DeliveredProduct";
    const MEMBERS: &'static [Member] = &[
        required("id", Kind::Number, "The product's number."),
        ADMIN_ID,
        optional("title", Kind::Text, "What it is called."),
        optional("handle", Kind::Text, "The name in its address."),
        optional("status", Kind::Text, "`active`, `draft` or `archived`."),
        optional("vendor", Kind::Text, "Who makes it."),
        optional("product_type", Kind::Text, "The kind of product."),
        optional("tags", Kind::Text, "Tags, separated by commas."),
        optional("variants", Kind::List(VARIANT), "Its variants."),
        CREATED_AT,
        UPDATED_AT,
    ];
}

/// How many of something are at a location.
pub(crate) struct InventoryLevel;

impl Table for InventoryLevel {
    const NAME: &'static str = "DeliveredInventoryLevel";
    const MEMBERS: &'static [Member] = &[
        required("inventory_item_id", Kind::Number, "Of which stock item; a variant names its own."),
        required("location_id", Kind::Number, "Where."),
        optional(
            "available",
            Kind::Number,
            "How many can be sold; null where the stock is not tracked, or fewer than none.",
        ),
        UPDATED_AT,
    ];
}

/// A shop.
pub(crate) struct Shop;

impl Table for Shop {
    const NAME: &'static str = "DeliveredShop";
    const MEMBERS: &'static [Member] = &[
        required("id", Kind::Number, "The shop's number."),
        optional("name", Kind::Text, "What it is called."),
        optional("myshopify_domain", Kind::Text, "Its first address, which is the connection's account."),
        optional("domain", Kind::Text, "Its own address."),
        optional("email", Kind::Text, "Its owner's e-mail address."),
    ];
}

const SHOP_ID: Member = required("shop_id", Kind::Number, "The shop's number.");
const SHOP_DOMAIN: Member =
    required("shop_domain", Kind::Text, "Its first address, which is the connection's account.");
const PERSON: Member = required("customer", Kind::Object(PERSON_MEMBERS), "Who.");
const PERSON_MEMBERS: &[Member] = &[
    optional("id", Kind::Number, "The customer's number."),
    optional("email", Kind::Text, "The e-mail address."),
    optional("phone", Kind::Text, "The phone number."),
];

/// That a customer wants to know what is kept.
pub(crate) struct DataRequest;

impl Table for DataRequest {
    const NAME: &'static str = "DeliveredDataRequest";
    const MEMBERS: &'static [Member] = &[
        SHOP_ID,
        SHOP_DOMAIN,
        PERSON,
        optional("orders_requested", Kind::Numbers, "The orders it is about."),
        optional(
            "data_request",
            Kind::Object(&[optional("id", Kind::Number, "Its number.")]),
            "The request.",
        ),
    ];
}

/// That a customer is to be erased.
pub(crate) struct CustomerRedact;

impl Table for CustomerRedact {
    const NAME: &'static str = "DeliveredCustomerRedact";
    const MEMBERS: &'static [Member] = &[
        SHOP_ID,
        SHOP_DOMAIN,
        PERSON,
        optional("orders_to_redact", Kind::Numbers, "The orders that are to be erased too."),
    ];
}

/// That everything of a shop is to be erased.
pub(crate) struct ShopRedact;

impl Table for ShopRedact {
    const NAME: &'static str = "DeliveredShopRedact";
    const MEMBERS: &'static [Member] = &[SHOP_ID, SHOP_DOMAIN];
}

const MEMBERS: &[Member] = &[
    required("id", Kind::Number, "The order's number."),
    ADMIN_ID,
    optional("name", Kind::Text, "What people call the order, as in `#1001`."),
    optional("order_number", Kind::Number, "The number in that name."),
    CREATED_AT,
    UPDATED_AT,
    optional("email", Kind::Text, "The buyer's e-mail address."),
    optional("phone", Kind::Text, "The buyer's phone number."),
    optional("currency", Kind::Text, "The shop's currency, as in `EUR`."),
    optional("total_price", Kind::Text, "The total with tax, as in `414.95`."),
    optional(
        "subtotal_price",
        Kind::Text,
        "The price of the items with discounts, before shipping and, mostly, tax.",
    ),
    optional("total_tax", Kind::Text, "The tax."),
    optional("financial_status", Kind::Text, "As in `paid`, `pending`, `voided`."),
    optional("fulfillment_status", Kind::Text, "As in `fulfilled`, `partial`; null while nothing is."),
    optional("note", Kind::Text, "What the buyer or the shop noted."),
    optional("tags", Kind::Text, "Tags, separated by commas."),
    optional("test", Kind::Flag, "Whether it is a test."),
    optional("source_name", Kind::Text, "Where it came from, as in `web`, `pos`."),
    optional(
        "source_identifier",
        Kind::Text,
        "The id at the place it came from; of an order that `create_order` made, the key of its step.",
    ),
    optional("customer", Kind::AnyObject, "Who ordered."),
    optional("billing_address", Kind::AnyObject, "Who pays."),
    optional("shipping_address", Kind::AnyObject, "Where it goes."),
    required("line_items", Kind::List(LINE_ITEM), "What is ordered."),
];

const LINE_ITEM: &[Member] = &[
    optional("id", Kind::Number, "The position's number."),
    optional("title", Kind::Text, "What it is called."),
    optional("sku", Kind::Text, "The stock keeping unit."),
    required("quantity", Kind::Number, "How many."),
    optional("price", Kind::Text, "The price of one, as in `12.50`."),
    optional("product_id", Kind::Number, "The product's number."),
    optional("variant_id", Kind::Number, "The variant's number."),
];
