//! Sets how many of something are at a location. Shopify recognises the step's key, so it may be repeated.

use trunnion_sdk::prelude::*;

use crate::{
    graphql::{Mutation, Repeat},
    record::{Given, Record, Table},
    shape::{Kind, Member, optional, required},
    tables,
};

const SET: Mutation = Mutation::new(
    include_str!("../documents/inventory_set.graphql"),
    "inventorySetQuantities",
    Repeat::Harmless,
);

/// The most that Shopify takes at once.
const MOST: usize = 250;

/// New levels of stock.
pub(crate) struct SetInventory;

impl Table for SetInventory {
    const NAME: &'static str = "SetInventory";
    const MEMBERS: &'static [Member] = &[
        required("quantities", Kind::NonEmptyList(QUANTITY), "At most 250."),
        optional("name", Kind::OneOf(&["available", "on_hand"]), "Which quantity; `available` where absent."),
        optional(
            "reason",
            Kind::Text,
            "Shopify's word for why, as in `cycle_count_available`; `correction` where absent.",
        ),
        optional(
            "reference_document_uri",
            Kind::Text,
            "Where the change comes from, as in `gid://my-app/Count/7`.",
        ),
    ];
}

const QUANTITY: &[Member] = &[
    required("inventory_item_id", Kind::Id("InventoryItem"), "A variant's `inventory_item`."),
    required("location_id", Kind::Lookup("Location", "locations"), ""),
    required("quantity", Kind::Number, "How many there are."),
    optional(
        "change_from_quantity",
        Kind::Number,
        "How many there were to be: where there are others, nothing is changed. Whatever there is where absent.",
    ),
];

pub(crate) fn set_inventory(
    ctx: &Context,
    input: Given<SetInventory>,
) -> Result<Record<tables::StockChange>> {
    let mut input = input.read()?;
    for (name, usual) in [("name", "available"), ("reason", "correction")] {
        input.entry(name).or_insert_with(|| usual.into());
    }
    let count = input.get("quantities").and_then(Value::as_array).map(Vec::len).unwrap_or_default();
    if count > MOST {
        return Err(Error::invalid_input("/quantities", format!("has {count}; give at most {MOST} at once")));
    }
    let payload = SET.send(ctx, &json!({ "input": input, "key": ctx.idempotency_key() }))?;
    let group = payload.get("inventoryAdjustmentGroup").filter(|group| !group.is_null());
    // Nothing had to change.
    Record::of_node(group.unwrap_or(&json!({ "changes": [] })))
}
