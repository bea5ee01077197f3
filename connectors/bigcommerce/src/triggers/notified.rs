//! Triggers that follow one notice each: something was created or changed, and BigCommerce says which. What it is now is
//! read from the store, since a notice says little more than a number.

use std::{fmt, marker::PhantomData};

use trunnion_sdk::{host::Level, prelude::*};

use super::hooks::{self, Hooks};
use crate::{
    api,
    customer::{self, Customer},
    order::{Order, OrderId},
    product::{self, Product},
    record::not_understood,
};

/// What a trigger is told about.
pub(crate) trait Subject: 'static {
    /// The vendor's scopes of it.
    const SCOPES: &'static [&'static str];
    /// What workflows see as `trigger`.
    type Data: Serialize + serde::de::DeserializeOwned + JsonSchema;

    /// What a notice is about; none where the store has it no more.
    fn read(ctx: &Context, notice: &Notice) -> Result<Option<Self::Data>>;
}

/// A notice: which record, not what is in it.
#[derive(Debug)]
pub(crate) struct Notice {
    body: Value,
    id: u64,
    /// The store that it is of.
    store: String,
    /// The same where this notice is repeated, and another for the next change.
    occurrence: String,
    at_ms: Option<u64>,
}

impl Notice {
    fn of(ctx: &Context, delivery: &Delivery) -> Result<Box<Self>> {
        let body: Value = delivery.json()?;
        let id = body.pointer("/data/id").and_then(Value::as_u64);
        let id = id.ok_or_else(|| not_understood("says of no record: `data.id` is no whole number"))?;
        let store = api::store_hash(ctx)?.to_owned();
        let mut notice = Box::new(Self { body, id, store, occurrence: String::new(), at_ms: None });
        let (kind, scope, hash) = (notice.kind(), notice.text("scope"), notice.text("hash"));
        notice.occurrence = format!("{kind}/{id}/{scope}@{hash}");
        notice.at_ms = notice.number("/created_at").map(|seconds| seconds.saturating_mul(1000));
        Ok(notice)
    }

    fn kind(&self) -> &str {
        self.body.pointer("/data/type").and_then(Value::as_str).unwrap_or("record")
    }

    fn order(&self, ctx: &Context) -> Result<Option<Order>> {
        match Order::fetch(ctx, &OrderId::from(self.id)) {
            Ok(order) => Ok(Some(order)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn text(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, place: &str) -> Option<u64> {
        self.body.pointer(place).and_then(Value::as_u64)
    }
}

/// The trigger of a subject.
pub(crate) struct Notified<S>(PhantomData<S>);

impl<S> fmt::Debug for Notified<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notified")
    }
}

impl<S: Subject> Webhook for Notified<S> {
    type Data = S::Data;
    type State = Hooks;

    fn subscribe(ctx: &Context, target: &Target) -> Result<Hooks> {
        hooks::subscribe(ctx, S::SCOPES, &target.url)
    }

    fn unsubscribe(ctx: &Context, state: Hooks) -> Result<()> {
        hooks::unsubscribe(ctx, &state)
    }

    fn check(ctx: &Context, target: &Target, state: Hooks) -> Result<Health<Hooks>> {
        hooks::check(ctx, &target.url, state)
    }

    fn parse(ctx: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<S::Data>>> {
        let Some(notice) = noticed(ctx, delivery, S::SCOPES)? else { return Ok(Vec::new()) };
        let Some(data) = S::read(ctx, &notice)? else {
            gone(ctx, &notice);
            return Ok(Vec::new());
        };
        let Notice { store, occurrence, at_ms, .. } = &*notice;
        Ok(vec![Occurrence::new(store, occurrence, data).at_ms(*at_ms)])
    }
}

/// What a delivery tells of; none where it is another trigger's. Once for all subjects.
fn noticed(ctx: &Context, delivery: &Delivery, scopes: &[&str]) -> Result<Option<Box<Notice>>> {
    let notice = Notice::of(ctx, delivery)?;
    let scope = notice.text("scope");
    if scopes.contains(&scope) {
        return Ok(Some(notice));
    }
    ctx.log(Level::Warn, &format!("a notice of `{scope}` is ignored: this is another trigger's"));
    Ok(None)
}

fn gone(ctx: &Context, notice: &Notice) {
    let scope = notice.text("scope");
    ctx.log(Level::Info, &format!("{} {} is gone since `{scope}`", notice.kind(), notice.id));
}

/// An order changed in any way.
#[derive(Debug)]
pub(crate) struct OrderUpdated;

impl Subject for OrderUpdated {
    const SCOPES: &'static [&'static str] = &["store/order/updated"];
    type Data = Order;

    fn read(ctx: &Context, notice: &Notice) -> Result<Option<Order>> {
        notice.order(ctx)
    }
}

/// An order's status changed.
#[derive(Debug)]
pub(crate) struct OrderStatusUpdated;

/// The change, and the order as it is now.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct StatusChange {
    /// The status it had.
    previous_status_id: u64,
    /// The status it was given.
    new_status_id: u64,
    /// The order as it is now.
    order: Order,
}

impl Subject for OrderStatusUpdated {
    const SCOPES: &'static [&'static str] = &["store/order/statusUpdated"];
    type Data = StatusChange;

    fn read(ctx: &Context, notice: &Notice) -> Result<Option<StatusChange>> {
        let status = |name: &str| {
            let number = notice.number(&format!("/data/status/{name}"));
            number.ok_or_else(|| not_understood(&format!("says nothing of `data.status.{name}`")))
        };
        let (previous_status_id, new_status_id) = (status("previous_status_id")?, status("new_status_id")?);
        Ok(notice.order(ctx)?.map(|order| StatusChange { previous_status_id, new_status_id, order }))
    }
}

/// A customer was made.
#[derive(Debug)]
pub(crate) struct CustomerCreated;

impl Subject for CustomerCreated {
    const SCOPES: &'static [&'static str] = &["store/customer/created"];
    type Data = Customer;

    fn read(ctx: &Context, notice: &Notice) -> Result<Option<Customer>> {
        customer::by_id(ctx, notice.id)
    }
}

/// A customer changed.
#[derive(Debug)]
pub(crate) struct CustomerUpdated;

impl Subject for CustomerUpdated {
    const SCOPES: &'static [&'static str] = &["store/customer/updated"];
    type Data = Customer;

    fn read(ctx: &Context, notice: &Notice) -> Result<Option<Customer>> {
        customer::by_id(ctx, notice.id)
    }
}

/// A product was made.
#[derive(Debug)]
pub(crate) struct ProductCreated;

impl Subject for ProductCreated {
    const SCOPES: &'static [&'static str] = &["store/product/created"];
    type Data = Product;

    fn read(ctx: &Context, notice: &Notice) -> Result<Option<Product>> {
        product::by_id(ctx, notice.id)
    }
}

/// A product changed.
#[derive(Debug)]
pub(crate) struct ProductUpdated;

impl Subject for ProductUpdated {
    const SCOPES: &'static [&'static str] = &["store/product/updated"];
    type Data = Product;

    fn read(ctx: &Context, notice: &Notice) -> Result<Option<Product>> {
        product::by_id(ctx, notice.id)
    }
}

/// The stock of a product or of one of its variants changed, by hand or by an app.
#[derive(Debug)]
pub(crate) struct InventoryUpdated;

/// A change of stock, as the notice says it: the store need not be asked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct StockChange {
    /// The product's number.
    product_id: u64,
    /// The variant's number, where the variant's stock changed.
    variant_id: Option<u64>,
    /// The number of the stock keeping unit, where the variant's stock changed.
    sku_id: Option<u64>,
    /// `absolute`: the stock is `value` now; `relative`: it changed by `value`.
    method: String,
    /// How many.
    value: i64,
}

impl Subject for InventoryUpdated {
    const SCOPES: &'static [&'static str] = &[
        "store/product/inventory/updated",
        "store/product/inventory/order/updated",
        "store/sku/inventory/updated",
        "store/sku/inventory/order/updated",
    ];
    type Data = StockChange;

    fn read(_: &Context, notice: &Notice) -> Result<Option<StockChange>> {
        let inventory = notice.body.pointer("/data/inventory");
        let member = |name: &str| inventory.and_then(|inventory| inventory.get(name));
        let lacks = |name: &str| not_understood(&format!("says nothing of `data.inventory.{name}`"));
        Ok(Some(StockChange {
            product_id: member("product_id").and_then(Value::as_u64).ok_or_else(|| lacks("product_id"))?,
            variant_id: member("variant_id").and_then(Value::as_u64),
            sku_id: (notice.kind() == "sku").then_some(notice.id),
            method: member("method").and_then(Value::as_str).ok_or_else(|| lacks("method"))?.to_owned(),
            value: member("value").and_then(Value::as_i64).ok_or_else(|| lacks("value"))?,
        }))
    }
}

#[cfg(test)]
mod tests;
