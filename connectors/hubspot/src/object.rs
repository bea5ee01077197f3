//! Objects as HubSpot has them: kinds, their properties (an account adds its own), and records as it gives them.
//!
//! Every property is a text at HubSpot; what a workflow gives is written as one here, so that nobody has to quote numbers.

use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Map;
use trunnion_sdk::{prelude::*, time::parse_rfc3339};

use crate::{
    lookups,
    samples::{self, Samples},
};

/// A kind of object, as a type: actions and triggers are the same for all, except for what is typed.
pub(crate) trait Kind: fmt::Debug + 'static {
    /// What its addresses, events and properties are called.
    const NAMES: &'static Names;
}

/// What the addresses, events and properties of a kind are called.
#[derive(Debug)]
pub(crate) struct Names {
    /// In addresses.
    pub(crate) plural: &'static str,
    /// In events: `contact.creation`.
    pub(crate) singular: &'static str,
    /// In events of newer apps, which all begin with `object.`.
    pub(crate) type_id: &'static str,
    /// The property that is the time of the last change.
    pub(crate) modified: &'static str,
    /// The properties that are read where a workflow names none.
    pub(crate) properties: &'static [&'static str],
    /// Those that a workflow usually sets, and what each is.
    pub(crate) settable: &'static [(&'static str, &'static str)],
    /// The lookup of its properties, for the member of an event that names one.
    pub(crate) changed: &'static [(&'static str, &'static str)],
    /// Examples.
    pub(crate) samples: &'static Samples,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident: $names:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) enum $kind {}

        impl Kind for $kind {
            const NAMES: &'static Names = &$names;
        }
    )*};
}

kinds! {
    /// A person.
    Contact: Names {
        plural: "contacts", singular: "contact", type_id: "0-1", modified: "lastmodifieddate",
        properties: &["email", "firstname", "lastname", "phone", "company", "jobtitle", "lifecyclestage",
            "hubspot_owner_id", "createdate", "lastmodifieddate"],
        settable: &[
            ("email", "The address, by which HubSpot knows a contact again."),
            ("firstname", "The first name."),
            ("lastname", "The last name."),
            ("phone", "The telephone number."),
            ("company", "The name of the company; associating one is another thing."),
            ("website", "The web address."),
            ("jobtitle", "What the person does there."),
            ("lifecyclestage", "How far the person has come: `lead`, `customer` …"),
            ("hubspot_owner_id", "Whose contact it is, by the owner's id."),
        ],
        changed: &[("propertyName", "contact_properties")],
        samples: &samples::CONTACT,
    };
    /// An organisation.
    Company: Names {
        plural: "companies", singular: "company", type_id: "0-2", modified: "hs_lastmodifieddate",
        properties: &["name", "domain", "phone", "city", "country", "industry", "lifecyclestage", "hubspot_owner_id",
            "createdate", "hs_lastmodifieddate"],
        settable: &[
            ("name", "The name."),
            ("domain", "The domain, as in `acme.example`; several companies may have the same."),
            ("phone", "The telephone number."),
            ("city", "The city."),
            ("country", "The country or region."),
            ("industry", "What it does: `COMPUTER_SOFTWARE` …"),
            ("lifecyclestage", "How far it has come: `lead`, `customer` …"),
            ("hubspot_owner_id", "Whose company it is, by the owner's id."),
        ],
        changed: &[("propertyName", "company_properties")],
        samples: &samples::COMPANY,
    };
    /// A sale under way.
    Deal: Names {
        plural: "deals", singular: "deal", type_id: "0-3", modified: "hs_lastmodifieddate",
        properties: &["dealname", "amount", "pipeline", "dealstage", "closedate", "hubspot_owner_id", "createdate",
            "hs_lastmodifieddate"],
        settable: &[
            ("dealname", "The name."),
            ("amount", "The amount, as in `1500.00`."),
            ("pipeline", "The pipeline, by its id; `default` where an account has one."),
            ("dealstage", "The stage, by its id: `appointmentscheduled`, `closedwon` …"),
            ("closedate", "When it closes, as in `2026-12-31T00:00:00Z`."),
            ("hubspot_owner_id", "Whose deal it is, by the owner's id."),
        ],
        changed: &[("propertyName", "deal_properties")],
        samples: &samples::DEAL,
    };
}

/// Properties that a workflow sets, by their internal names, as the texts that HubSpot takes.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub(crate) struct Properties(pub(crate) BTreeMap<String, String>);

impl TryFrom<Map<String, Value>> for Properties {
    type Error = String;

    fn try_from(given: Map<String, Value>) -> Result<Self, String> {
        let texts = given.into_iter().map(|(name, value)| Ok((name.clone(), text(&name, value)?)));
        texts.collect::<Result<_, String>>().map(Self)
    }
}

fn text(name: &str, value: Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        // Several choices are one text, as HubSpot's checkboxes have it.
        Value::Array(items)
            if items.iter().all(|item| item.is_string() || item.is_number() || item.is_boolean()) =>
        {
            let texts: Result<Vec<_>, _> = items.into_iter().map(|item| text(name, item)).collect();
            Ok(texts?.join(";"))
        }
        Value::Array(_) | Value::Object(_) => Err(format!(
            "`{name}` is an object, or a list with such or with nulls, and HubSpot's properties are texts, numbers, \
             booleans or lists of these; map one value of it"
        )),
    }
}

impl JsonSchema for Properties {
    fn schema_name() -> Cow<'static, str> {
        "Properties".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": {
            "type": ["string", "number", "boolean", "null", "array"],
            "items": {"type": ["string", "number", "boolean"]},
            "description": "A value; null or an empty text clears the property, a list sets several choices.",
        } })
    }
}

/// An input about a kind: read as any other, and described with the properties that records of this kind usually have.
///
/// A thin layer, so that what reads an input is there once, and not for each kind.
#[derive(Debug)]
pub(crate) struct Of<K, T> {
    /// The input.
    pub(crate) input: T,
    kind: PhantomData<K>,
}

impl<'de, K, T: Deserialize<'de>> Deserialize<'de> for Of<K, T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { input: T::deserialize(deserializer)?, kind: PhantomData })
    }
}

impl<K: Kind, T: JsonSchema> JsonSchema for Of<K, T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        describe(&mut schema, K::NAMES.settable);
        schema
    }
}

/// Names the usual properties in an input's `properties`.
fn describe(schema: &mut Schema, settable: &[(&str, &str)]) {
    let known = settable.iter().map(|(name, help)| {
        let mut known = json!({ "type": ["string", "number", "boolean", "null"], "description": help });
        if let (Some(lookup), Some(members)) = (offered(name), known.as_object_mut()) {
            members.insert("x-lookup".to_owned(), lookup.into());
        }
        ((*name).to_owned(), known)
    });
    let place =
        schema.ensure_object().get_mut("properties").and_then(|members| members.get_mut("properties"));
    if let Some(place) = place.and_then(Value::as_object_mut) {
        place.insert("properties".to_owned(), Value::Object(known.collect()));
    }
}

/// The lookup of a property's values.
fn offered(property: &str) -> Option<&'static str> {
    match property {
        "hubspot_owner_id" => Some(lookups::OWNER),
        "pipeline" => Some(lookups::DEAL_PIPELINES),
        "dealstage" => Some(lookups::DEAL_STAGES),
        _ => None,
    }
}

/// A record's id or its value of a unique property, given as a text or a number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Key(pub(crate) String);

impl TryFrom<Value> for Key {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::Number(number) => Ok(Self(number.to_string())),
            Value::String(text) => Ok(Self(text.trim().to_owned())),
            other => Err(format!("{other} is no id and no unique value; give a text or a number")),
        }
    }
}

impl JsonSchema for Key {
    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["integer", "string"]})
    }
}

/// An object's id, given as a number or as digits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct ObjectId(pub(crate) String);

impl TryFrom<Value> for ObjectId {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let digits = match &value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.trim().to_owned(),
            _ => String::new(),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{value} is not an object's id; give digits, as in `51`"));
        }
        Ok(Self(digits))
    }
}

impl JsonSchema for ObjectId {
    fn schema_name() -> Cow<'static, str> {
        "ObjectId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "description": "The record's id, as in `51`.",
            "pattern": "^[0-9]+$",
        })
    }
}

/// A record, whole as HubSpot gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Record(Map<String, Value>);

impl Record {
    /// Its id; empty where HubSpot gives none.
    pub(crate) fn id(&self) -> &str {
        self.0.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    /// Takes a member out of it that only concerns the request.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Whether HubSpot says that it was made just now.
    pub(crate) fn is_new(&self) -> bool {
        self.0.get("new").and_then(Value::as_bool).unwrap_or_default()
    }

    /// When it last changed, in milliseconds since 1970: by the property that searches go by.
    pub(crate) fn modified_ms(&self, names: &Names) -> Option<u64> {
        let property = self.0.get("properties").and_then(|properties| properties.get(names.modified));
        let text = property.and_then(Value::as_str).or_else(|| self.0.get("updatedAt")?.as_str());
        text.and_then(parse_rfc3339)
    }
}

impl JsonSchema for Record {
    fn schema_name() -> Cow<'static, str> {
        "Record".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        described(&[
            ("id", "string", "Its id."),
            (
                "properties",
                "object",
                "The properties that were asked for, as texts; null where they have no value.",
            ),
            ("createdAt", "string", "When it was made."),
            ("updatedAt", "string", "When it last changed."),
            ("archived", "boolean", "Whether it is in the recycling bin."),
            (
                "new",
                "boolean",
                "Whether it was made just now; only where it is made or changed by a unique property.",
            ),
        ])
    }
}

/// The schema of what HubSpot gives: these members, and whatever else it adds.
pub(crate) fn described(members: &[(&str, &str, &str)]) -> Schema {
    let one = |(name, kind, help): &(&str, &str, &str)| {
        ((*name).to_owned(), json!({ "type": kind, "description": help }))
    };
    let properties: Map<String, Value> = members.iter().map(one).collect();
    json_schema!({ "type": "object", "properties": properties })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_workflow_has_becomes_a_text() {
        let given =
            json!({"email": "ada@example.com", "score": 7.5, "vip": true, "phone": null, "topics": ["a", 2]});
        let properties: Properties = serde_json::from_value(given).unwrap();
        let texts: Vec<_> = properties.0.iter().map(|(name, text)| format!("{name}={text}")).collect();
        assert_eq!(texts, ["email=ada@example.com", "phone=", "score=7.5", "topics=a;2", "vip=true"]);
        for given in
            [json!({"address": {"street": "x"}}), json!({"address": [[1]]}), json!({"address": [null]})]
        {
            let error = serde_json::from_value::<Properties>(given).unwrap_err().to_string();
            assert!(error.contains("`address`") && error.contains("map one value"), "{error}");
        }
    }

    #[test]
    fn ids_are_digits_however_they_are_given() {
        for given in [json!(51), json!("51"), json!(" 51 ")] {
            assert_eq!(serde_json::from_value::<ObjectId>(given).unwrap().0, "51");
        }
        for given in [json!("5/1"), json!(""), json!(-5), json!(5.5), json!(null)] {
            assert!(serde_json::from_value::<ObjectId>(given.clone()).is_err(), "{given}");
        }
    }

    #[test]
    fn a_record_is_kept_whole_and_knows_when_it_changed() {
        let given = json!({
            "id": "51", "properties": {"lastmodifieddate": "2026-01-06T10:30:00.250Z", "phone": null},
            "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-06T10:30:01Z", "archived": false,
            "url": "https://app.hubspot.com/contacts/1/record/0-1/51",
        });
        let record: Record = serde_json::from_value(given.clone()).unwrap();
        assert_eq!(record.modified_ms(Contact::NAMES), Some(1_767_695_400_250));
        assert_eq!(record.modified_ms(Deal::NAMES), Some(1_767_695_401_000), "another kind's property");
        assert_eq!(serde_json::to_value(&record).unwrap(), given);
    }
}
