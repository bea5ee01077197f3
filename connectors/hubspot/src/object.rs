//! Objects as HubSpot has them: kinds, their properties (an account adds its own), and records as it gives them.
//!
//! Every property is a text at HubSpot; what a workflow gives is written as one here, so that nobody has to quote numbers.

use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde_json::Map;
use trunnion_sdk::{prelude::*, time::parse_rfc3339};

use crate::samples::{self, Samples};

/// A kind of object, as a type: actions and triggers are the same for all, except for what is typed.
pub(crate) trait Kind: fmt::Debug + 'static {
    /// What its addresses, events and properties are called.
    const NAMES: &'static Names;
    /// The schema of its properties, those that every account has.
    type Properties: JsonSchema;
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
    /// Examples.
    pub(crate) samples: &'static Samples,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $shape:ident: $names:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) enum $kind {}

        impl Kind for $kind {
            const NAMES: &'static Names = &$names;
            type Properties = $shape;
        }
    )*};
}

kinds! {
    /// A person.
    Contact, ContactShape: Names {
        plural: "contacts", singular: "contact", type_id: "0-1", modified: "lastmodifieddate",
        properties: &["email", "firstname", "lastname", "phone", "company", "jobtitle", "lifecyclestage",
            "hubspot_owner_id", "createdate", "lastmodifieddate"],
        samples: &samples::CONTACT,
    };
    /// An organisation.
    Company, CompanyShape: Names {
        plural: "companies", singular: "company", type_id: "0-2", modified: "hs_lastmodifieddate",
        properties: &["name", "domain", "phone", "city", "country", "industry", "lifecyclestage", "hubspot_owner_id",
            "createdate", "hs_lastmodifieddate"],
        samples: &samples::COMPANY,
    };
    /// A sale under way.
    Deal, DealShape: Names {
        plural: "deals", singular: "deal", type_id: "0-3", modified: "hs_lastmodifieddate",
        properties: &["dealname", "amount", "pipeline", "dealstage", "closedate", "hubspot_owner_id", "createdate",
            "hs_lastmodifieddate"],
        samples: &samples::DEAL,
    };
}

/// A contact's properties; any other of the account's, by its internal name.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ContactShape {
    /// The address, by which HubSpot knows a contact again.
    email: Option<String>,
    /// The first name.
    firstname: Option<String>,
    /// The last name.
    lastname: Option<String>,
    /// The telephone number.
    phone: Option<String>,
    /// The name of the company; associating one is another thing.
    company: Option<String>,
    /// The web address.
    website: Option<String>,
    /// What the person does there.
    jobtitle: Option<String>,
    /// How far the person has come: `lead`, `customer` …
    lifecyclestage: Option<String>,
    /// Whose contact it is, by the owner's id.
    hubspot_owner_id: Option<String>,
    #[serde(flatten)]
    #[schemars(with = "BTreeMap<String, PropertyValue>")]
    own: BTreeMap<String, Value>,
}

/// A company's properties; any other of the account's, by its internal name.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct CompanyShape {
    /// The name.
    name: Option<String>,
    /// The domain, as in `acme.example`; several companies may have the same.
    domain: Option<String>,
    /// The telephone number.
    phone: Option<String>,
    /// The city.
    city: Option<String>,
    /// The country or region.
    country: Option<String>,
    /// What it does: `COMPUTER_SOFTWARE` …
    industry: Option<String>,
    /// How far it has come: `lead`, `customer` …
    lifecyclestage: Option<String>,
    /// Whose company it is, by the owner's id.
    hubspot_owner_id: Option<String>,
    #[serde(flatten)]
    #[schemars(with = "BTreeMap<String, PropertyValue>")]
    own: BTreeMap<String, Value>,
}

/// A deal's properties; any other of the account's, by its internal name.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct DealShape {
    /// The name.
    dealname: Option<String>,
    /// The amount, as in `1500.00`.
    #[schemars(with = "Option<PropertyValue>")]
    amount: Option<Value>,
    /// The pipeline, by its id; `default` where an account has one.
    pipeline: Option<String>,
    /// The stage, by its id: `appointmentscheduled`, `closedwon` …
    dealstage: Option<String>,
    /// When it closes, as in `2026-12-31T00:00:00Z`.
    closedate: Option<String>,
    /// Whose deal it is, by the owner's id.
    hubspot_owner_id: Option<String>,
    #[serde(flatten)]
    #[schemars(with = "BTreeMap<String, PropertyValue>")]
    own: BTreeMap<String, Value>,
}

/// The schema of a property's value.
pub(crate) enum PropertyValue {}

impl JsonSchema for PropertyValue {
    fn schema_name() -> Cow<'static, str> {
        "PropertyValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "number", "boolean", "null", "array"],
            "items": {"type": ["string", "number", "boolean"]},
            "description": "A value; null or an empty text clears the property, a list sets several choices.",
        })
    }
}

/// Properties that a workflow sets, by their internal names, as the texts that HubSpot takes.
#[derive(Debug)]
pub(crate) struct Properties<K> {
    /// Name and text.
    pub(crate) texts: BTreeMap<String, String>,
    kind: PhantomData<K>,
}

/// As `Properties`, of a kind that is not known.
pub(crate) fn texts(given: Map<String, Value>) -> Result<BTreeMap<String, String>, String> {
    given.into_iter().map(|(name, value)| Ok((name.clone(), text(&name, value)?))).collect()
}

fn text(name: &str, value: Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        // Several choices are one text, as HubSpot's checkboxes have it.
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            let texts: Result<Vec<_>, _> = items.into_iter().map(|item| text(name, item)).collect();
            Ok(texts?.join(";"))
        }
        Value::Array(_) | Value::Object(_) => Err(format!(
            "`{name}` is an object or a list of such, and HubSpot's properties are texts, numbers, booleans or lists of these; \
             map one value of it"
        )),
    }
}

impl<'de, K> Deserialize<'de> for Properties<K> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = texts(Map::deserialize(deserializer)?).map_err(D::Error::custom)?;
        Ok(Self { texts, kind: PhantomData })
    }
}

impl<K: Kind> JsonSchema for Properties<K> {
    fn schema_name() -> Cow<'static, str> {
        K::Properties::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        K::Properties::json_schema(generator)
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    /// Its id.
    pub(crate) id: String,
    /// The properties that were asked for, as texts; null where they have no value.
    pub(crate) properties: BTreeMap<String, Option<String>>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created_at: Option<String>,
    /// When it last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) updated_at: Option<String>,
    /// Whether it is in the recycling bin.
    #[serde(default)]
    pub(crate) archived: bool,
    /// Whatever else HubSpot says of it.
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

impl Record {
    /// When it last changed, in milliseconds since 1970: by the property that searches go by.
    pub(crate) fn modified_ms(&self, names: &Names) -> Option<u64> {
        let property = self.properties.get(names.modified).and_then(Option::as_deref);
        property.or(self.updated_at.as_deref()).and_then(parse_rfc3339)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_workflow_has_becomes_a_text() {
        let given =
            json!({"email": "ada@example.com", "score": 7.5, "vip": true, "phone": null, "topics": ["a", 2]});
        let properties: Properties<Contact> = serde_json::from_value(given).unwrap();
        let texts: Vec<_> = properties.texts.iter().map(|(name, text)| format!("{name}={text}")).collect();
        assert_eq!(texts, ["email=ada@example.com", "phone=", "score=7.5", "topics=a;2", "vip=true"]);
        for given in [json!({"address": {"street": "x"}}), json!({"address": [[1]]})] {
            let error = serde_json::from_value::<Properties<Contact>>(given).unwrap_err().to_string();
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
