//! Makes a product, or changes the one with the same stock keeping unit.
//!
//! No two products of a store share a unit, so doing it again changes what is there: it may be repeated.

use serde_json::Map;
use trunnion_sdk::prelude::*;

use crate::{
    api,
    product::{self, Product},
    record::data,
};

/// A product; what is not given stays as it is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpsertProduct {
    /// The stock keeping unit, by which the product is known.
    sku: String,
    /// What it is called; required of a new product.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// `physical` or `digital`; a new product is physical where nothing else is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<Kind>,
    /// The price; required of a new product.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<f64>,
    /// The weight in the store's unit; a new product weighs nothing where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<f64>,
    /// The description, as HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// The numbers of its categories.
    #[serde(skip_serializing_if = "Option::is_none")]
    categories: Option<Vec<u64>>,
    /// The brand's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    brand_name: Option<String>,
    /// Whether shoppers see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_visible: Option<bool>,
    /// Any other member that `/v3/catalog/products` takes.
    #[serde(default, skip_serializing)]
    more: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Physical,
    Digital,
}

pub(crate) fn upsert_product(ctx: &Context, input: UpsertProduct) -> Result<Product> {
    if input.sku.is_empty() {
        return Err(Error::invalid_input("/sku", "is empty; it is what the product is known by"));
    }
    if let Some(known) = product::by_sku(ctx, &input.sku)? {
        return change(ctx, known.id()?, &input);
    }
    match create(ctx, &input) {
        // Made meanwhile, or by an attempt whose answer was lost.
        Err(refusal @ Error::Conflict(_)) => match product::by_sku(ctx, &input.sku)? {
            Some(known) => change(ctx, known.id()?, &input),
            None => Err(refusal),
        },
        other => other,
    }
}

fn members(input: &UpsertProduct) -> Map<String, Value> {
    let mut members = input.more.clone();
    if let Value::Object(own) = json!(input) {
        members.extend(own);
    }
    members
}

fn change(ctx: &Context, id: u64, input: &UpsertProduct) -> Result<Product> {
    let answer = api::put(ctx, &format!("/v3/catalog/products/{id}"))?.json(&members(input))?.send()?;
    Product::of(data(&answer)?)
}

fn create(ctx: &Context, input: &UpsertProduct) -> Result<Product> {
    for (name, there) in [("name", input.name.is_some()), ("price", input.price.is_some())] {
        if !there {
            let message =
                format!("is missing: there is no product `{}` yet, and a new one needs it", input.sku);
            return Err(Error::invalid_input(format!("/{name}"), message));
        }
    }
    // One by one: a map that is collected is sorted first, by 4 KB of code.
    let mut product = Map::new();
    product.insert("type".to_owned(), "physical".into());
    product.insert("weight".to_owned(), 0.into());
    product.extend(members(input));
    // No two products share a unit, so that doing it twice makes one.
    let answer = api::post(ctx, "/v3/catalog/products")?.repeatable().json(&product)?.send()?;
    Product::of(data(&answer)?)
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost};

    use crate::{
        api::testing::{STORE, host},
        connector,
    };

    use super::*;

    fn url() -> String {
        format!("{STORE}/v3/catalog/products")
    }

    fn found(host: &FakeHost, products: Value) {
        host.http().once("GET", &url(), Answer::json(200, &json!({"data": products, "meta": {}})));
    }

    fn run(host: &FakeHost, input: &Value) -> Result<String> {
        connector().run(&host.calling("upsert_product"), &input.to_string())
    }

    #[test]
    fn a_known_unit_is_changed() {
        let host = host();
        found(&host, json!([{"id": 8, "sku": "G-10"}, {"id": 7, "sku": "G-1"}]));
        host.http().on("PUT", &format!("{}/7", url()), |_| Answer::json(200, &json!({"data": {"id": 7}})));
        let input = json!({"sku": "G-1", "price": 2.5, "more": {"is_featured": true}});
        assert_eq!(run(&host, &input).unwrap(), r#"{"id":7}"#);
        let seen = host.http().requests();
        assert_eq!(seen[0].query(), "sku=G-1");
        assert_eq!(seen[1].json(), json!({"sku": "G-1", "price": 2.5, "is_featured": true}));
    }

    #[test]
    fn a_new_unit_is_made_and_one_made_meanwhile_is_changed() {
        let host = host();
        let input = json!({"sku": "G-1", "name": "Gear", "price": 2.5});
        found(&host, json!([]));
        host.http().once("POST", &url(), Answer::json(200, &json!({"data": {"id": 7}})));
        assert_eq!(run(&host, &input).unwrap(), r#"{"id":7}"#);
        let made = json!({"sku": "G-1", "name": "Gear", "price": 2.5, "type": "physical", "weight": 0});
        assert_eq!(host.http().requests()[1].json(), made);
        found(&host, json!([]));
        host.http().once(
            "POST",
            &url(),
            Answer::json(409, &json!({"title": "The product sku is a duplicate"})),
        );
        found(&host, json!([{"id": 7, "sku": "G-1"}]));
        host.http().on("PUT", &format!("{}/7", url()), |_| Answer::json(200, &json!({"data": {"id": 7}})));
        assert_eq!(run(&host, &input).unwrap(), r#"{"id":7}"#);
    }

    #[test]
    fn a_new_product_needs_a_name_and_a_price() {
        let host = host();
        for (input, at) in [
            (json!({"sku": "G-1", "price": 1}), "/name"),
            (json!({"sku": "G-1", "name": "Gear"}), "/price"),
            (json!({"sku": ""}), "/sku"),
        ] {
            found(&host, json!([]));
            let Err(Error::InvalidInput { field, .. }) = run(&host, &input) else { panic!("{input}") };
            assert_eq!(field, at);
        }
    }

    #[test]
    fn a_conflict_about_something_else_stays_one() {
        let host = host();
        found(&host, json!([]));
        found(&host, json!([]));
        host.http().once(
            "POST",
            &url(),
            Answer::json(409, &json!({"title": "The product name is a duplicate"})),
        );
        let error = run(&host, &json!({"sku": "G-1", "name": "Gear", "price": 1})).unwrap_err();
        assert!(matches!(&error, Error::Conflict(said) if said.contains("name is a duplicate")), "{error}");
    }
}
