//! What many answers have in common, as types whose schemas the OpenAPI document has.

use std::{borrow::Cow, fmt::Display};

use serde::Serialize;
use trunnion_core::call::CallError;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

/// An id: 24 lower-case hex digits.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Id(String);

/// A moment in UTC, as RFC 3339 has it.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Moment(String);

impl Id {
    pub(super) fn of(id: impl Display) -> Self {
        Self(id.to_string())
    }
}

impl Moment {
    pub(super) fn of(at: impl Display) -> Self {
        Self(at.to_string())
    }
}

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9a-f]{24}$"));
        text.description(Some("24 lower-case hex digits; sorts by when it was made.")).into()
    }
}

impl ToSchema for Id {
    fn name() -> Cow<'static, str> {
        "Id".into()
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        let text = ObjectBuilder::new().schema_type(Type::String).format(Some(format));
        text.description(Some("A moment in UTC, to the millisecond.")).into()
    }
}

impl ToSchema for Moment {
    fn name() -> Cow<'static, str> {
        "Moment".into()
    }
}

/// Everything there is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listed<T> {
    /// Every one.
    pub(super) data: Vec<T>,
}

impl<T> FromIterator<T> for Listed<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        Self { data: all.into_iter().collect() }
    }
}

/// A page of what there is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// Those of this page.
    pub(super) data: Vec<T>,
    /// The `cursor` of the next page; null on the last one.
    #[schema(required)]
    pub(super) next_cursor: Option<String>,
}

/// One thing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct One<T> {
    /// It.
    pub(super) data: T,
}

/// That it was done, in words.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Done)]
pub(super) struct Done {
    /// `Success`, `success`, or a sentence.
    pub(super) message: &'static str,
}

/// That it was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Success {
    /// Always true.
    pub(super) success: bool,
}

/// What is gone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Deleted {
    /// Always true.
    pub(super) deleted: bool,
}

/// An address to send a person to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Address {
    /// Where.
    pub(super) url: String,
}

/// What a call of a vendor, a connector or a destination failed with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Fault {
    /// What kind of failure it is, such as `rate_limited`.
    pub(super) kind: &'static str,
    /// What happened and what to do.
    pub(super) message: String,
}

impl From<&CallError> for Fault {
    fn from(error: &CallError) -> Self {
        Self { kind: error.kind(), message: error.to_string() }
    }
}

/// A value that there is to choose.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Choosable {
    /// What is stored.
    value: serde_json::Value,
    /// What a person reads.
    title: String,
}

/// A page of values to choose from.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Choices {
    /// The values.
    data: Vec<Choosable>,
    /// The `cursor` of the next page, in the connector's own form; null on the last one.
    #[schema(required)]
    next: Option<serde_json::Value>,
}

impl From<crate::lookups::Found> for Choices {
    fn from(found: crate::lookups::Found) -> Self {
        let data = found.items.into_iter().map(|(value, title)| Choosable { value, title }).collect();
        Self { data, next: found.next }
    }
}
