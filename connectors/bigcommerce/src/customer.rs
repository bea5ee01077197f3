//! Customers: v3, whose dates are RFC 3339.

use serde_json::Map;
use trunnion_sdk::prelude::*;

use crate::{
    api,
    record::{Record, Wrapped, list},
};

/// A customer.
pub(crate) type Customer = Record<Shape>;

/// The members a workflow is most likely to map.
#[derive(JsonSchema)]
#[schemars(rename = "Customer")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Shape {
    /// The customer's number.
    id: u64,
    /// The e-mail address, which no two customers share.
    email: String,
    /// The first name.
    first_name: Option<String>,
    /// The last name.
    last_name: Option<String>,
    /// The company.
    company: Option<String>,
    /// The phone number.
    phone: Option<String>,
    /// Notes of the store's staff.
    notes: Option<String>,
    /// The group, 0 for none.
    customer_group_id: Option<u64>,
    /// When the customer was made, as in `2026-01-06T09:30:00Z`.
    date_created: Option<String>,
    /// When it last changed.
    date_modified: Option<String>,
    /// Addresses, where they were asked for.
    addresses: Option<Vec<Map<String, Value>>>,
}

/// The customer with this number; none where the store has none.
pub(crate) fn by_id(ctx: &Context, id: u64) -> Result<Option<Customer>> {
    Ok(find(ctx, "id:in", &id.to_string())?.into_iter().next())
}

/// Customers whose member `filter` names has one of `values`, which are separated by commas.
pub(crate) fn find(ctx: &Context, filter: &str, values: &str) -> Result<Vec<Customer>> {
    let request = api::get(ctx, "/v3/customers")?.query(filter, values).query("limit", "250");
    list(&request.send()?, Wrapped::InData)
}
