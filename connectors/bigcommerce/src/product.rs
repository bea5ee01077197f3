//! Products of the catalogue: v3, whose dates are RFC 3339.

use serde_json::Map;
use trunnion_sdk::prelude::*;

use crate::{
    api,
    record::{Record, Wrapped, data, list},
};

/// A product.
pub(crate) type Product = Record<Shape>;

/// The members a workflow is most likely to map.
#[derive(JsonSchema)]
#[schemars(rename = "Product")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Shape {
    /// The product's number.
    id: u64,
    /// What it is called.
    name: String,
    /// `physical` or `digital`.
    r#type: Option<String>,
    /// The stock keeping unit.
    sku: Option<String>,
    /// The description, as HTML.
    description: Option<String>,
    /// The price.
    price: Option<f64>,
    /// The weight, in the store's unit.
    weight: Option<f64>,
    /// How many are in stock, where the product's own stock is tracked.
    inventory_level: Option<i64>,
    /// `none`, `product` or `variant`.
    inventory_tracking: Option<String>,
    /// Whether shoppers see it.
    is_visible: Option<bool>,
    /// The numbers of its categories.
    categories: Option<Vec<u64>>,
    /// When it was made, as in `2026-01-06T09:30:00+00:00`.
    date_created: Option<String>,
    /// When it last changed.
    date_modified: Option<String>,
    /// Custom fields, where they were asked for.
    custom_fields: Option<Vec<Map<String, Value>>>,
}

/// The product with this number; none where the catalogue has none.
pub(crate) fn by_id(ctx: &Context, id: u64) -> Result<Option<Product>> {
    match api::get(ctx, &format!("/v3/catalog/products/{id}"))?.send() {
        Ok(answer) => Product::of(data(&answer)?).map(Some),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The product whose own stock keeping unit this is.
pub(crate) fn by_sku(ctx: &Context, sku: &str) -> Result<Option<Product>> {
    let answer = api::get(ctx, "/v3/catalog/products")?.query("sku", sku).send()?;
    Ok(list::<Shape>(&answer, Wrapped::InData)?.into_iter().find(|product| product.text("sku") == Some(sku)))
}
