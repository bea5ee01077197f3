//! Searches: what one asks for and how a page of the answer is read.
//!
//! A search's index lags behind by moments, and beyond 10,000 results HubSpot answers 400: whoever wants all goes on by
//! a filter (`triggers::updated`), not by `after`.

use trunnion_sdk::prelude::*;

use crate::{
    api,
    object::{Names, Record},
};

/// Results of a page at most.
pub(crate) const PAGE: u32 = 200;

/// A search, as HubSpot takes it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Search {
    pub(crate) filter_groups: Vec<FilterGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query: Option<String>,
    pub(crate) sorts: Vec<String>,
    pub(crate) properties: Vec<String>,
    pub(crate) limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
}

/// Filters that must all hold; of several groups one has to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct FilterGroup {
    /// The filters.
    pub(crate) filters: Vec<Filter>,
}

/// A condition on one property.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all(serialize = "camelCase"))]
pub(crate) struct Filter {
    /// The property's internal name.
    #[serde(alias = "propertyName")]
    pub(crate) property_name: String,
    /// How it is compared.
    pub(crate) operator: Operator,
    /// With what; times as milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    /// The upper end of `BETWEEN`.
    #[serde(default, alias = "highValue", skip_serializing_if = "Option::is_none")]
    pub(crate) high_value: Option<String>,
    /// The values of `IN` and `NOT_IN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) values: Option<Vec<String>>,
}

/// A comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Operator {
    #[default]
    Eq,
    Neq,
    Lt,
    Lte,
    Gt,
    Gte,
    Between,
    In,
    NotIn,
    HasProperty,
    NotHasProperty,
    ContainsToken,
    NotContainsToken,
}

/// A page of what was found.
#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    pub(crate) results: Vec<Record>,
    #[serde(default)]
    paging: Option<Paging>,
}

#[derive(Debug, Deserialize)]
struct Paging {
    #[serde(default)]
    next: Option<Next>,
}

#[derive(Debug, Deserialize)]
struct Next {
    after: String,
}

impl Filter {
    /// `property operator value`.
    pub(crate) fn new(property: &str, operator: Operator, value: impl ToString) -> Self {
        let value = Some(value.to_string());
        Self { property_name: property.to_owned(), operator, value, ..Self::default() }
    }
}

impl Found {
    /// Where the next page is; none at the last.
    pub(crate) fn after(&self) -> Option<&str> {
        Some(&self.paging.as_ref()?.next.as_ref()?.after)
    }
}

/// One page.
pub(crate) fn search(ctx: &Context, names: &Names, search: &Search) -> Result<Found> {
    api::search(ctx, &api::objects(&format!("{}/search", names.plural))).json(search)?.send()?.json()
}
