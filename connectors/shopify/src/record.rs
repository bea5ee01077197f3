//! What actions take and what workflows see: JSON that a table describes. One kind of value for all of them, since a
//! struct with derived readers for each would double the component.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Map;
use trunnion_sdk::prelude::*;

use crate::{
    graphql::not_understood,
    shape::{self, Member, Others, snake_case},
};

/// A table of members, with a name for its schema.
pub(crate) trait Table: 'static {
    const NAME: &'static str;
    const MEMBERS: &'static [Member];
}

/// What an action takes.
#[derive(Deserialize)]
#[serde(transparent, bound = "")]
pub(crate) struct Given<T> {
    value: Value,
    #[serde(skip)]
    table: PhantomData<T>,
}

impl<T: Table> Given<T> {
    /// Its members under Shopify's names, once they fit.
    pub(crate) fn read(&self) -> Result<Map<String, Value>> {
        shape::read(T::MEMBERS, &self.value, "")
    }
}

/// What workflows see: a record with the members of the table and, mostly, more.
#[derive(Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub(crate) struct Record<T> {
    members: Map<String, Value>,
    #[serde(skip)]
    table: PhantomData<T>,
}

impl<T> Record<T> {
    /// A node of an answer, in the form of [`plain`].
    pub(crate) fn of_node(node: &Value) -> Result<Self> {
        match plain(node) {
            Value::Object(members) => Ok(Self { members, table: PhantomData }),
            _ => Err(not_understood("lacks the thing that was asked for")),
        }
    }

    /// Of these members, as they are.
    pub(crate) fn of_members<const N: usize>(given: [(&str, Value); N]) -> Self {
        let mut members = Map::new();
        members.extend(given.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Self { members, table: PhantomData }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name).and_then(Value::as_str)
    }

    /// Of this object, as it is.
    pub(crate) const fn of_map(members: Map<String, Value>) -> Self {
        Self { members, table: PhantomData }
    }

    /// All of it, as JSON text.
    pub(crate) fn written(&self) -> String {
        Value::from(self.members.clone()).to_string()
    }
}

impl<T> fmt::Debug for Given<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T> fmt::Debug for Record<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.members.fmt(f)
    }
}

impl<T: Table> JsonSchema for Given<T> {
    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        shape::schema(T::MEMBERS, Others::Refused)
    }
}

impl<T: Table> JsonSchema for Record<T> {
    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        shape::schema(T::MEMBERS, Others::Kept)
    }
}

/// Shopify's nodes without what GraphQL needs around them: connections become lists, money an amount with its currency,
/// and names are in snake case, the longest of them shorter.
pub(crate) fn plain(node: &Value) -> Value {
    match node {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => {
            if let Some(money) = members.get("shopMoney") {
                return json!({ "amount": money.get("amount"), "currency": money.get("currencyCode") });
            }
            if let Some(nodes) = members.get("nodes") {
                return plain(nodes);
            }
            if let Some(only) = members.get("emailAddress").or_else(|| members.get("phoneNumber")) {
                return only.clone();
            }
            let member = |(name, value): (&String, &Value)| (renamed(name), plain(value));
            members.iter().map(member).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

fn renamed(name: &str) -> String {
    match name {
        "legacyResourceId" => "legacy_id".to_owned(),
        "defaultEmailAddress" => "email".to_owned(),
        "defaultPhoneNumber" => "phone".to_owned(),
        "totalPriceSet" => "total".to_owned(),
        "displayFinancialStatus" => "financial_status".to_owned(),
        "displayFulfillmentStatus" => "fulfillment_status".to_owned(),
        other => snake_case(other.strip_suffix("Set").unwrap_or(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_lose_what_graphql_needs_around_them() {
        let money = json!({"shopMoney": {"amount": "12.5", "currencyCode": "EUR"}});
        let node = json!({
            "id": "gid://shopify/Order/7", "legacyResourceId": "7", "totalPriceSet": money, "totalRefundedSet": money,
            "displayFinancialStatus": "PAID", "defaultEmailAddress": {"emailAddress": "ada@example.com"},
            "defaultPhoneNumber": null, "tags": ["a"],
            "variants": {"nodes": [{"inventoryItem": {"id": "x"}}], "pageInfo": {"hasNextPage": false}},
        });
        let money = json!({"amount": "12.5", "currency": "EUR"});
        let expected = json!({
            "id": "gid://shopify/Order/7", "legacy_id": "7", "total": money, "total_refunded": money,
            "financial_status": "PAID", "email": "ada@example.com", "phone": null, "tags": ["a"],
            "variants": [{"inventory_item": {"id": "x"}}],
        });
        assert_eq!(plain(&node), expected);
    }

    #[test]
    fn nothing_where_a_node_stands_is_an_error() {
        assert!(Record::<()>::of_node(&Value::Null).is_err());
    }
}
