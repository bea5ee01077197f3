//! The five things that can be done with any kind of object.

use trunnion_sdk::{
    action::{Listing, Reconciled},
    http::encode,
    prelude::*,
};

use super::batch::{self, Input};
use crate::{
    api,
    object::{Key, Names, ObjectId, Properties, Record},
    search::{FilterGroup, PAGE, Search, search},
};

/// What a new object has.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Create {
    /// What it has, by internal names.
    pub(crate) properties: Properties,
}

/// Which object, and what is set.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Update {
    /// The record's id, or its value of `id_property`.
    id: Key,
    /// A unique property, such as a contact's `email`; the id where absent.
    #[serde(default)]
    id_property: Option<String>,
    /// What is set, by internal names.
    properties: Properties,
}

/// By what the object is known, and what it has.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Upsert {
    /// A unique property: a contact's `email`, or one of the account's own with unique values.
    id_property: String,
    /// The record's value of it.
    id: Key,
    /// What it has, or what is set, by internal names.
    properties: Properties,
}

/// Which object, and what of it.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Get {
    /// The record's id, or its value of `id_property`.
    id: Key,
    /// A unique property, such as a contact's `email`; the id where absent.
    #[serde(default)]
    id_property: Option<String>,
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

/// The path of a record, by its id or a unique property. An empty one would be the path of all of them.
fn path(names: &Names, id: &Key, id_property: Option<&str>) -> Result<String> {
    let wrong = |message: String| Error::invalid_input("/id", message);
    let id = match id_property {
        None => ObjectId::try_from(Value::from(id.0.as_str())).map_err(wrong)?.0,
        Some(_) if id.0.is_empty() => return Err(wrong("is empty; give the unique value".to_owned())),
        Some(_) => encode(&id.0),
    };
    Ok(api::objects(&format!("{}/{id}", names.plural)))
}

pub(crate) fn create(ctx: &Context, names: &Names, input: &Create) -> Result<Record> {
    let body = json!({ "properties": input.properties.0 });
    api::post(ctx, &api::objects(names.plural)).json(&body)?.send()?.json()
}

/// Whether a contact was made: by its address, of which there is one contact.
pub(crate) fn made(ctx: &Context, input: &Create) -> Result<Reconciled<Record>> {
    let Some(email) = input.properties.0.get("email").filter(|email| !email.trim().is_empty()) else {
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

pub(crate) fn update(ctx: &Context, names: &Names, input: &Update) -> Result<Record> {
    let Update { id, id_property, properties } = input;
    let mut request = api::patch(ctx, &path(names, id, id_property.as_deref())?).repeatable();
    if let Some(property) = id_property {
        request = request.query("idProperty", property);
    }
    request.json(&json!({ "properties": properties.0 }))?.send()?.json()
}

/// As a batch, the only way in which HubSpot takes a unique property for a record that may not exist.
pub(crate) fn upsert_all(ctx: &Context, names: &Names, records: Vec<Upsert>) -> Result<Vec<Result<Record>>> {
    let read = |record: Upsert| {
        let Upsert { id_property, id, properties } = record;
        Input { id_property, id: id.0, properties: properties.0 }
    };
    batch::write(ctx, names.plural, records.into_iter().map(read).collect())
}

pub(crate) fn upsert(ctx: &Context, names: &Names, record: Upsert) -> Result<Record> {
    if record.id.0.is_empty() {
        return Err(Error::invalid_input("/id", "is empty; give the record's value of `id_property`"));
    }
    let none = || Err(Error::Uncertain("HubSpot did not say what became of the record".into()));
    upsert_all(ctx, names, vec![record])?.pop().unwrap_or_else(none)
}

pub(crate) fn get(ctx: &Context, names: &Names, input: &Get) -> Result<Record> {
    let usual = || names.properties.iter().map(|name| (*name).to_owned()).collect();
    let properties = if input.properties.is_empty() { usual() } else { input.properties.clone() };
    let mut request = api::get(ctx, &path(names, &input.id, input.id_property.as_deref())?);
    for property in &properties {
        request = request.query("properties", property);
    }
    for kind in &input.associations {
        request = request.query("associations", kind);
    }
    if let Some(property) = &input.id_property {
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
