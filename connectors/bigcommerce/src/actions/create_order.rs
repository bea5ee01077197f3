//! Creates an order, and finds out whether an attempt with a lost answer did.
//!
//! BigCommerce takes no idempotency key. The order's `external_order_id` is what finds it again: the caller's own id, or
//! the step's key where none is given.

use serde_json::Map;
use trunnion_sdk::{action::Reconciled, prelude::*};

use crate::{
    api,
    order::{self, Order},
    record::{Number, Wrapped, list},
};

/// An order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateOrder {
    /// What is ordered: products of the catalogue by `product_id`, or anything with a `name` and prices.
    #[schemars(length(min = 1))]
    products: Vec<Item>,
    /// Who pays.
    billing_address: Address,
    /// Where it goes; the billing address where none is given.
    #[serde(default)]
    shipping_addresses: Vec<Address>,
    /// The customer's number; a guest's order where none is given.
    customer_id: Option<Number>,
    /// The first status; 1 (pending) where none is given.
    #[schemars(extend("x-lookup" = "order_statuses"))]
    status_id: Option<u32>,
    /// The id that another system knows the order by; the run's own key where none is given. With one that is taken, a
    /// lost answer is resolved to the order that has it.
    external_order_id: Option<String>,
    /// What the shopper wrote.
    customer_message: Option<String>,
    /// Notes that only the store's staff sees.
    staff_notes: Option<String>,
    /// How it is paid, as shoppers read it.
    payment_method: Option<String>,
    /// The currency the shopper pays in, as in `EUR`, where the store has several.
    default_currency_code: Option<String>,
    /// Any other member that `POST /v2/orders` takes.
    #[serde(default)]
    more: Map<String, Value>,
}

/// One position.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    /// The product's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<Number>,
    /// The variant's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    variant_id: Option<Number>,
    /// What it is called; required without `product_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The stock keeping unit, of what the catalogue does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<String>,
    /// How many.
    #[schemars(range(min = 1))]
    quantity: u64,
    /// The price of one with tax; required without `product_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_inc_tax: Option<f64>,
    /// The price of one without tax; required without `product_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_ex_tax: Option<f64>,
    /// The chosen options, each with `id` and `value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    product_options: Vec<Map<String, Value>>,
}

/// An address. BigCommerce wants the country's name, or its two letters.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Address {
    first_name: String,
    last_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    company: Option<String>,
    street_1: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    street_2: Option<String>,
    city: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    zip: String,
    /// The country's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    /// The country's two letters, as in `GB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    country_iso2: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// How it is sent; of a shipping address only.
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping_method: Option<String>,
}

impl CreateOrder {
    fn external_id(&self, key: &str) -> String {
        self.external_order_id.as_deref().unwrap_or(key).to_owned()
    }

    fn body(self, key: &str) -> Result<Value> {
        for (index, item) in self.products.iter().enumerate() {
            let priced = item.name.is_some() && item.price_inc_tax.is_some() && item.price_ex_tax.is_some();
            if item.product_id.is_none() && !priced {
                let message = "needs `product_id`, or `name`, `price_inc_tax` and `price_ex_tax`; give one or the other";
                return Err(Error::invalid_input(format!("/products/{index}"), message));
            }
        }
        if self.products.is_empty() {
            return Err(Error::invalid_input("/products", "is empty; an order needs at least one product"));
        }
        let mut body = self.more.clone();
        let external_id = self.external_id(key);
        let members = [
            ("products", Some(json!(self.products))),
            ("billing_address", Some(json!(self.billing_address))),
            (
                "shipping_addresses",
                (!self.shipping_addresses.is_empty()).then(|| json!(self.shipping_addresses)),
            ),
            ("customer_id", self.customer_id.map(|Number(id)| id.into())),
            ("status_id", self.status_id.map(Value::from)),
            ("external_order_id", Some(external_id.into())),
            ("customer_message", self.customer_message.map(Value::from)),
            ("staff_notes", self.staff_notes.map(Value::from)),
            ("payment_method", self.payment_method.map(Value::from)),
            ("default_currency_code", self.default_currency_code.map(Value::from)),
        ];
        body.extend(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(body.into())
    }
}

pub(crate) fn create_order(ctx: &Context, input: CreateOrder) -> Result<Order> {
    let body = input.body(ctx.idempotency_key())?;
    api::post(ctx, "/v2/orders")?.json(&body)?.send()?.json()
}

/// Looks for the order that bears the id.
pub(crate) fn reconcile(ctx: &Context, input: CreateOrder, key: &str) -> Result<Reconciled<Order>> {
    let id = input.external_id(key);
    let answer = api::get(ctx, "/v2/orders")?.query("external_order_id", &id).query("limit", "50").send()?;
    let orders = list::<order::Shape>(&answer, Wrapped::No)?;
    // A filter that is not known would be ignored, and every order listed.
    let found = orders.into_iter().find(|order| order.text("external_order_id") == Some(&id));
    Ok(found.map_or(Reconciled::Absent, Reconciled::Found))
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::{
        http::SendError,
        test::{Answer, FakeHost},
    };

    use crate::{
        api::testing::{STORE, host},
        connector,
    };

    use super::*;

    const KEY: &str = "5f0c4e0a-3c1e-4d0b-9a52-0d6f5b1f9c11";

    fn input() -> Value {
        serde_json::from_str(include_str!("../../samples/create_order.json")).unwrap()
    }

    fn run(host: &FakeHost, input: &Value) -> Result<String> {
        connector().run(&host.calling("create_order"), &input.to_string())
    }

    #[test]
    fn the_order_bears_the_steps_key_unless_it_has_an_id_of_its_own() {
        let host = host();
        host.http().on("POST", &format!("{STORE}/v2/orders"), |_| Answer::json(201, &json!({"id": 9})));
        assert_eq!(run(&host, &input()).unwrap(), r#"{"id":9}"#);
        let mut own = input();
        own["external_order_id"] = json!("ERP-1");
        own["more"] = json!({"channel_id": 2});
        run(&host, &own).unwrap();
        let bodies: Vec<_> = host.http().requests().iter().map(|request| request.json()).collect();
        assert_eq!(bodies[0]["external_order_id"], KEY);
        assert_eq!(bodies[0]["products"][0], json!({"product_id": 77, "quantity": 2}));
        assert!(bodies[0].get("more").is_none() && bodies[0].get("customer_id").is_none());
        assert_eq!((&bodies[1]["external_order_id"], &bodies[1]["channel_id"]), (&json!("ERP-1"), &json!(2)));
    }

    #[test]
    fn a_lost_answer_is_uncertain_and_looked_up() {
        let host = host();
        host.http().once(
            "POST",
            &format!("{STORE}/v2/orders"),
            Answer::fail(SendError::TimedOut("30 s".into())),
        );
        assert!(matches!(run(&host, &input()), Err(Error::Uncertain(_))));
        let look_up = |answer: Answer| {
            host.http().once("GET", &format!("{STORE}/v2/orders"), answer);
            connector().reconcile(&host.calling("create_order"), &input().to_string(), KEY).unwrap()
        };
        assert_eq!(look_up(Answer::empty(204)), Reconciled::Absent);
        let another = json!([{"id": 1, "external_order_id": null}]);
        assert_eq!(
            look_up(Answer::json(200, &another)),
            Reconciled::Absent,
            "a filter that was ignored finds nothing"
        );
        let found = json!([{"id": 9, "external_order_id": KEY}]);
        let Reconciled::Found(order) = look_up(Answer::json(200, &found)) else { panic!("it is there") };
        assert!(order.contains("\"id\":9"), "{order}");
    }

    #[test]
    fn what_no_order_can_be_made_of_sends_nothing() {
        let host = host();
        let mut nameless = input();
        nameless["products"] = json!([{"quantity": 1}]);
        let mut empty = input();
        empty["products"] = json!([]);
        for (input, at) in [(nameless, "/products/0"), (empty, "/products")] {
            let Err(Error::InvalidInput { field, .. }) = run(&host, &input) else { panic!("{input}") };
            assert_eq!(field, at);
        }
        assert!(host.http().requests().is_empty());
    }
}
