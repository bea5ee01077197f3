//! Portals and their objects, with HubSpot's rules: texts only, known properties, one contact for each address.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use trunnion_core::clock::Timestamp;

/// Properties that objects have of themselves, whatever the kind.
const OWN: [&str; 2] = ["hs_object_id", "createdate"];

/// Every portal, by id and by token.
#[derive(Debug, Default)]
pub(super) struct Portals {
    portals: HashMap<u64, Portal>,
    tokens: HashMap<String, u64>,
}

/// One portal.
#[derive(Debug)]
pub(super) struct Portal {
    pub(super) id: u64,
    objects: BTreeMap<(String, u64), Object>,
    last: u64,
}

/// An object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its id.
    pub id: u64,
    /// Its properties.
    pub properties: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
    /// What it is associated with: kind and id.
    pub associations: Vec<(String, u64)>,
}

/// A refusal in HubSpot's words.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) category: &'static str,
    pub(super) message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.category, self.message)
    }
}

impl std::error::Error for Refusal {}

pub(super) fn refusal(status: u16, category: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { status, category, message: message.into() }
}

/// The properties that an account has of a kind, beside those of every kind; none for a kind that there is not.
pub(super) fn known(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "contacts" => &[
            "email",
            "firstname",
            "lastname",
            "phone",
            "company",
            "jobtitle",
            "lifecyclestage",
            "hubspot_owner_id",
            "website",
            "lastmodifieddate",
        ],
        "companies" => &[
            "name",
            "domain",
            "phone",
            "city",
            "country",
            "industry",
            "lifecyclestage",
            "hubspot_owner_id",
            "erp_number",
            "hs_lastmodifieddate",
        ],
        "deals" => &[
            "dealname",
            "amount",
            "pipeline",
            "dealstage",
            "closedate",
            "hubspot_owner_id",
            "erp_number",
            "hs_lastmodifieddate",
        ],
        "tickets" => &[
            "subject",
            "content",
            "hs_pipeline",
            "hs_pipeline_stage",
            "hs_ticket_priority",
            "hubspot_owner_id",
            "hs_lastmodifieddate",
        ],
        "notes" => &["hs_note_body", "hs_timestamp", "hubspot_owner_id", "hs_lastmodifieddate"],
        _ => return None,
    })
}

/// The property of which each object of the kind has another value.
fn is_unique(kind: &str, property: &str) -> bool {
    matches!((kind, property), ("contacts", "email") | ("companies" | "deals", "erp_number"))
}

/// The property that is the time of the last change.
pub(super) fn modified_property(kind: &str) -> &'static str {
    if kind == "contacts" { "lastmodifieddate" } else { "hs_lastmodifieddate" }
}

impl Portals {
    pub(super) fn add(&mut self, id: u64, token: &str) {
        self.portals.insert(id, Portal { id, objects: BTreeMap::new(), last: 50 });
        self.tokens.insert(token.to_owned(), id);
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Result<&mut Portal> {
        self.portals.get_mut(&id).with_context(|| format!("the fake has no portal {id}"))
    }

    pub(super) fn of_token(&mut self, token: &str) -> Option<&mut Portal> {
        let id = self.tokens.get(token)?;
        self.portals.get_mut(id)
    }
}

impl Portal {
    /// Reads properties as HubSpot does: known ones, as texts.
    fn read(kind: &str, given: &Value) -> Result<BTreeMap<String, String>, Refusal> {
        let kinds = known(kind).ok_or_else(|| {
            refusal(400, "VALIDATION_ERROR", format!("Unable to infer object type from: {kind}"))
        })?;
        let given: &Map<String, Value> = given.as_object().ok_or_else(|| {
            refusal(400, "VALIDATION_ERROR", "Invalid input JSON: `properties` is no object")
        })?;
        let one = |(name, value): (&String, &Value)| {
            if !kinds.contains(&name.as_str()) && !OWN.contains(&name.as_str()) {
                let message = format!("Property values were not valid: property \"{name}\" does not exist");
                return Err(refusal(400, "VALIDATION_ERROR", message));
            }
            let text = value.as_str();
            let text =
                text.ok_or_else(|| refusal(400, "VALIDATION_ERROR", format!("`{name}` is not a string")))?;
            if name == "email" && !text.contains('@') {
                let message = format!("Email address {text} is invalid");
                return Err(refusal(400, "VALIDATION_ERROR", message));
            }
            Ok((name.clone(), text.to_owned()))
        };
        given.iter().map(one).collect()
    }

    pub(super) fn create(&mut self, kind: &str, given: &Value, now: Timestamp) -> Result<u64, Refusal> {
        let properties = Self::read(kind, given)?;
        for (name, value) in properties.iter().filter(|(name, _)| is_unique(kind, name)) {
            if let Some(known) = self.find(kind, name, value) {
                let what = if kind == "contacts" { "Contact" } else { "Object" };
                let message = format!("{what} already exists. Existing ID: {known}");
                return Err(refusal(409, "CONFLICT", message));
            }
        }
        self.last += 1;
        let id = self.last;
        let object = Object { id, properties, created: now, modified: now, associations: Vec::new() };
        self.objects.insert((kind.to_owned(), id), object);
        Ok(id)
    }

    pub(super) fn update(
        &mut self,
        kind: &str,
        id: u64,
        given: &Value,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let properties = Self::read(kind, given)?;
        let object = self.object_mut(kind, id)?;
        object.properties.extend(properties);
        object.modified = now;
        Ok(())
    }

    pub(super) fn set(
        &mut self,
        kind: &str,
        id: u64,
        name: &str,
        value: &str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.update(kind, id, &json!({ name: value }), now)
    }

    pub(super) fn delete(&mut self, kind: &str, id: u64) -> Result<(), Refusal> {
        self.object_mut(kind, id)?;
        self.objects.remove(&(kind.to_owned(), id));
        Ok(())
    }

    /// Makes or changes by a unique property: the id, and whether it is new.
    pub(super) fn upsert(
        &mut self,
        kind: &str,
        (property, value): (&str, &str),
        given: &Value,
        now: Timestamp,
    ) -> Result<(u64, bool), Refusal> {
        if !is_unique(kind, property) {
            let message = format!("The property \"{property}\" does not have unique values");
            return Err(refusal(400, "VALIDATION_ERROR", message));
        }
        if let Some(id) = self.find(kind, property, value) {
            self.update(kind, id, given, now)?;
            return Ok((id, false));
        }
        let mut given = given.clone();
        if let Some(members) = given.as_object_mut() {
            members.insert(property.to_owned(), json!(value));
        }
        Ok((self.create(kind, &given, now)?, true))
    }

    pub(super) fn associate(&mut self, from: (&str, u64), to: (&str, u64)) -> Result<(), Refusal> {
        self.object_mut(to.0, to.1)?;
        let object = self.object_mut(from.0, from.1)?;
        let end = (to.0.to_owned(), to.1);
        if !object.associations.contains(&end) {
            object.associations.push(end);
        }
        Ok(())
    }

    /// The object whose property has this value; texts are compared as HubSpot does, without case.
    pub(super) fn find(&self, kind: &str, property: &str, value: &str) -> Option<u64> {
        let has = |object: &&Object| {
            object.properties.get(property).is_some_and(|own| own.eq_ignore_ascii_case(value))
        };
        self.of(kind).find(has).map(|object| object.id)
    }

    pub(super) fn object(&self, kind: &str, id: u64) -> Option<&Object> {
        self.objects.get(&(kind.to_owned(), id))
    }

    pub(super) fn objects(&self, kind: &str) -> Vec<Object> {
        self.of(kind).cloned().collect()
    }

    pub(super) fn of(&self, kind: &str) -> impl Iterator<Item = &Object> {
        let kind = kind.to_owned();
        self.objects.range((kind.clone(), 0)..=(kind, u64::MAX)).map(|(_, object)| object)
    }

    fn object_mut(&mut self, kind: &str, id: u64) -> Result<&mut Object, Refusal> {
        let missing = || refusal(404, "OBJECT_NOT_FOUND", format!("Object not found. objectId: {id}"));
        self.objects.get_mut(&(kind.to_owned(), id)).ok_or_else(missing)
    }
}

impl Object {
    /// As HubSpot writes it, with the properties that were asked for.
    pub(super) fn json(&self, kind: &str, asked: &[String]) -> Value {
        let mut properties = Map::new();
        let own = [
            ("hs_object_id", self.id.to_string()),
            ("createdate", self.created.to_string()),
            (modified_property(kind), self.modified.to_string()),
        ];
        for (name, value) in own {
            properties.insert(name.to_owned(), json!(value));
        }
        for name in asked {
            properties.entry(name.clone()).or_insert_with(|| json!(self.properties.get(name)));
        }
        if asked.is_empty() {
            properties.extend(self.properties.iter().map(|(name, value)| (name.clone(), json!(value))));
        }
        json!({
            "id": self.id.to_string(), "properties": properties, "createdAt": self.created.to_string(),
            "updatedAt": self.modified.to_string(), "archived": false,
        })
    }
}
