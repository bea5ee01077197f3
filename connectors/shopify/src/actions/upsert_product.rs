//! Makes a product, or makes the one with the same handle or id what is given (`productSet`), so that it may be repeated.
//!
//! Lists are whole: variants, options and tags that are given replace those that are there.

use trunnion_sdk::prelude::*;

use crate::{
    graphql::{Mutation, Repeat},
    record::{Given, Record, Table},
    shape::{Kind, Member, optional, required},
    tables,
};

const PRODUCT_SET: Mutation =
    Mutation::new(include_str!("../documents/product_set.graphql"), "productSet", Repeat::Harmless);

/// A product.
pub(crate) struct UpsertProduct;

impl Table for UpsertProduct {
    const NAME: &'static str = "UpsertProduct";
    const MEMBERS: &'static [Member] = &[
        optional("id", Kind::Id("Product"), "Of a product that is there."),
        optional(
            "handle",
            Kind::Text,
            "The name in its address, by which it is known where no `id` is given.",
        ),
        optional("title", Kind::Text, "What it is called; required of a new product."),
        optional("description_html", Kind::Text, "The description."),
        optional("status", Kind::OneOf(&["ACTIVE", "DRAFT", "ARCHIVED"]), "Active where absent."),
        optional("vendor", Kind::Text, "Who makes it."),
        optional("product_type", Kind::Text, "The kind of product."),
        optional("tags", Kind::Texts, "All tags."),
        optional("product_options", Kind::List(OPTION), "All options; required with `variants`."),
        optional("variants", Kind::List(VARIANT), "All variants; others are deleted."),
        optional("metafields", Kind::List(METAFIELD), "Metafields to set."),
    ];
}

const OPTION: &[Member] = &[
    required("name", Kind::Text, "As in `Size`."),
    required("values", Kind::NonEmptyList(NAME), "All values."),
];

const NAME: &[Member] = &[required("name", Kind::Text, "")];

const VARIANT: &[Member] = &[
    optional("id", Kind::Id("ProductVariant"), "Of a variant that is there."),
    required("option_values", Kind::List(OPTION_VALUE), "Which value of each option it has."),
    optional("sku", Kind::Text, "The stock keeping unit."),
    optional("barcode", Kind::Text, ""),
    optional("price", Kind::Amount, "The price."),
    optional("compare_at_price", Kind::Amount, "The price before a reduction."),
    optional("taxable", Kind::Flag, ""),
    optional("inventory_quantities", Kind::List(STOCK), "How many are where, of a new variant."),
];

const OPTION_VALUE: &[Member] =
    &[required("option_name", Kind::Text, "As in `Size`."), required("name", Kind::Text, "As in `Large`.")];

const STOCK: &[Member] = &[
    required("location_id", Kind::Id("Location"), ""),
    required("name", Kind::OneOf(&["available", "on_hand"]), "Which quantity."),
    required("quantity", Kind::Number, "How many."),
];

const METAFIELD: &[Member] = &[
    required("namespace", Kind::Text, ""),
    required("key", Kind::Text, ""),
    required("type", Kind::Text, "As in `single_line_text_field`."),
    required("value", Kind::Text, ""),
];

pub(crate) fn upsert_product(ctx: &Context, input: Given<UpsertProduct>) -> Result<Record<tables::Product>> {
    let mut product = input.read()?;
    let id = product.remove("id");
    let identifier = match (id, product.get("handle")) {
        (Some(id), _) => json!({ "id": id }),
        (None, Some(handle)) => json!({ "handle": handle }),
        (None, None) => {
            return Err(Error::invalid_input(
                "/handle",
                "is missing; give it, or `id`, to know the product by",
            ));
        }
    };
    let payload = PRODUCT_SET.send(ctx, &json!({ "identifier": identifier, "input": product }))?;
    Record::of_node(payload.get("product").unwrap_or(&Value::Null))
}
