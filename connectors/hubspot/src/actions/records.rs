//! The five things that can be done with any kind of object.

use std::collections::BTreeMap;

use trunnion_sdk::{
    action::{Listing, Reconciled},
    http::encode,
    prelude::*,
};

use super::batch::{self, Input};
use crate::{
    api,
    object::{Kind, Names, ObjectId, Properties, Record},
    search::{FilterGroup, PAGE, Search, search},
};

/// What a new object has.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(bound = "")]
pub(crate) struct Create<K: Kind> {
    /// What it has.
    pub(crate) properties: Properties<K>,
}

/// Which object, by its id, or by a property of which every object has another value.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Which {
    /// The record's id, or its value of `id_property`.
    id: IdOrValue,
    /// A unique property, such as a contact's `email`; the id where absent.
    #[serde(default)]
    id_property: Option<String>,
}

/// An id or a unique value, as a text or a number.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum IdOrValue {
    Number(u64),
    Text(String),
}

/// Which object, and what is set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(bound = "")]
pub(crate) struct Update<K: Kind> {
    #[serde(flatten)]
    pub(crate) record: Which,
    /// What is set.
    pub(crate) properties: Properties<K>,
}

/// By what the object is known, and what it has.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(bound = "")]
#[schemars(bound = "")]
pub(crate) struct Upsert<K: Kind> {
    /// A unique property: a contact's `email`, or one of the account's own with unique values.
    pub(crate) id_property: String,
    /// The record's value of it.
    pub(crate) id: String,
    /// What it has, or what is set.
    pub(crate) properties: Properties<K>,
}

/// Which object, and what of it.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Get {
    #[serde(flatten)]
    record: Which,
    /// The properties to read, by their internal names; the usual ones where none are named.
    #[serde(default)]
    properties: Vec<String>,
    /// Kinds of objects whose associations are read: `companies`, `deals` …
    #[serde(default)]
    associations: Vec<String>,
}

/// What is looked for.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Find {
    /// Conditions: all filters of a group must hold, of one of up to five groups.
    #[serde(default)]
    filter_groups: Vec<FilterGroup>,
    /// Words to look for in the usual text properties.
    #[serde(default)]
    query: Option<String>,
    /// The property to sort by; with a `-` before it, backwards.
    #[serde(default)]
    sort: Option<String>,
    /// The properties to read; the usual ones where none are named.
    #[serde(default)]
    properties: Vec<String>,
    /// How many of a page, up to 200; 100 where absent.
    #[serde(default)]
    limit: Option<u32>,
}

/// A record that was made or changed; `new` says which.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Upserted {
    record: Record,
}

impl Which {
    /// Its path below the kind's. An empty id would be the path of all of them.
    fn path(&self, names: &Names) -> Result<String> {
        let wrong = |message: String| Error::invalid_input("/id", message);
        let text = match &self.id {
            IdOrValue::Number(number) => number.to_string(),
            IdOrValue::Text(text) => text.trim().to_owned(),
        };
        let id = match &self.id_property {
            None => ObjectId::try_from(Value::String(text)).map_err(wrong)?.0,
            Some(_) if text.is_empty() => return Err(wrong("is empty; give the unique value".to_owned())),
            Some(_) => encode(&text),
        };
        Ok(api::objects(&format!("{}/{id}", names.plural)))
    }
}

pub(crate) fn create(ctx: &Context, names: &Names, properties: &BTreeMap<String, String>) -> Result<Record> {
    let body = json!({ "properties": properties });
    api::post(ctx, &api::objects(names.plural)).json(&body)?.send()?.json()
}

/// Whether a contact was made: by its address, of which there is one contact.
pub(crate) fn made(ctx: &Context, properties: &BTreeMap<String, String>) -> Result<Reconciled<Record>> {
    let Some(email) = properties.get("email").filter(|email| !email.trim().is_empty()) else {
        let why = "a contact without an address cannot be found again; look for it in HubSpot";
        return Ok(Reconciled::Unknown(why.to_owned()));
    };
    let path = api::objects(&format!("contacts/{}", encode(email.trim())));
    let asked = api::get(ctx, &path).query("idProperty", "email");
    match asked.query("properties", "email").send() {
        Ok(answer) => Ok(Reconciled::Found(answer.json()?)),
        Err(Error::NotFound(_)) => Ok(Reconciled::Absent),
        Err(error) => Err(error),
    }
}

pub(crate) fn update(
    ctx: &Context,
    names: &Names,
    which: &Which,
    properties: &BTreeMap<String, String>,
) -> Result<Record> {
    let mut request = api::patch(ctx, &which.path(names)?).repeatable();
    if let Some(property) = &which.id_property {
        request = request.query("idProperty", property);
    }
    request.json(&json!({ "properties": properties }))?.send()?.json()
}

/// As a batch, the only way in which HubSpot takes a unique property for a record that may not exist.
pub(crate) fn upsert_all<K: Kind>(ctx: &Context, records: Vec<Upsert<K>>) -> Result<Vec<Result<Upserted>>> {
    let read = |record: Upsert<K>| Input {
        id_property: record.id_property,
        id: record.id,
        properties: record.properties.texts,
    };
    let written = batch::write(ctx, K::NAMES.plural, records.into_iter().map(read).collect())?;
    Ok(written.into_iter().map(|written| written.map(|record| Upserted { record })).collect())
}

pub(crate) fn upsert<K: Kind>(ctx: &Context, record: Upsert<K>) -> Result<Upserted> {
    if record.id.trim().is_empty() {
        return Err(Error::invalid_input("/id", "is empty; give the record's value of `id_property`"));
    }
    let none = || Err(Error::Uncertain("HubSpot did not say what became of the record".into()));
    upsert_all(ctx, vec![record])?.pop().unwrap_or_else(none)
}

pub(crate) fn get(ctx: &Context, names: &Names, input: &Get) -> Result<Record> {
    let usual = || names.properties.iter().map(|name| (*name).to_owned()).collect();
    let properties = if input.properties.is_empty() { usual() } else { input.properties.clone() };
    let mut request = api::get(ctx, &input.record.path(names)?);
    for property in &properties {
        request = request.query("properties", property);
    }
    for kind in &input.associations {
        request = request.query("associations", kind);
    }
    if let Some(property) = &input.record.id_property {
        request = request.query("idProperty", property);
    }
    request.send()?.json()
}

pub(crate) fn find(
    ctx: &Context,
    names: &Names,
    (input, after): (Find, Option<String>),
) -> Result<Listing<Record>> {
    let Find { filter_groups, query, sort, properties, limit } = input;
    let usual = || names.properties.iter().map(|name| (*name).to_owned()).collect();
    let asked = Search {
        filter_groups,
        query,
        sorts: sort.into_iter().collect(),
        properties: if properties.is_empty() { usual() } else { properties },
        limit: limit.unwrap_or(100).clamp(1, PAGE),
        after,
    };
    let found = search(ctx, names, &asked)?;
    let next = found.after().map(str::to_owned);
    Ok(Listing { items: found.results, next })
}

#[cfg(test)]
mod tests;
