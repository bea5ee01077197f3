//! Shapes as tables: one gives the JSON Schema that people map to and, of an input, the reading into Shopify's
//! form, in which names are in camel case.
//!
//! Tables, because typed structs with derived readers and schemas make the component 110 KB larger. What is
//! absent or null in an input stays absent: a null would override Shopify's own defaults.

use schemars::{Schema, json_schema};
use serde_json::Map;
use trunnion_sdk::prelude::*;

use crate::{ids, money};

/// Members that a table does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// A mistake: nothing would read them.
    Refused,
    /// There may be more than the table says.
    Kept,
}

/// What a member holds.
#[derive(Debug)]
pub(crate) enum Kind {
    Text,
    Flag,
    /// A whole number.
    Number,
    /// A whole number from 1.
    Count,
    /// A decimal amount of money.
    Amount,
    /// The global id of a thing of this kind.
    Id(&'static str),
    /// The same, which a person chooses from this lookup.
    Lookup(&'static str, &'static str),
    /// A global id of any kind, in full.
    AnyId,
    AnyIds,
    OneOf(&'static [&'static str]),
    Texts,
    Numbers,
    Object(&'static [Member]),
    /// An object whose members are its own business.
    AnyObject,
    List(&'static [Member]),
    /// A list with at least one object.
    NonEmptyList(&'static [Member]),
}

/// A member of an object.
#[derive(Debug)]
pub(crate) struct Member {
    name: &'static str,
    kind: Kind,
    required: bool,
    help: &'static str,
}

/// A member that may be left out.
pub(crate) const fn optional(name: &'static str, kind: Kind, help: &'static str) -> Member {
    Member { name, kind, required: false, help }
}

/// A member that has to be there.
pub(crate) const fn required(name: &'static str, kind: Kind, help: &'static str) -> Member {
    Member { name, kind, required: true, help }
}

/// The JSON Schema of an object with these members.
pub(crate) fn schema(members: &[Member], others: Others) -> Schema {
    let mut properties = Map::new();
    let mut names = Vec::new();
    for Member { name, kind, required, help } in members {
        let mut member = schema_of(kind, others);
        if !required {
            allow_null(&mut member);
        }
        if let Some(member) = member.as_object_mut().filter(|_| !help.is_empty()) {
            member.insert("description".into(), (*help).into());
        }
        properties.insert((*name).into(), member);
        if *required {
            names.push(*name);
        }
    }
    let mut schema = json_schema!({ "type": "object", "properties": properties, "required": names });
    if others == Others::Refused {
        schema.insert("additionalProperties".into(), false.into());
    }
    schema
}

fn allow_null(schema: &mut Value) {
    match schema.get_mut("type") {
        Some(Value::Array(types)) => types.push("null".into()),
        Some(one) => *one = json!([one.take(), "null"]),
        None => {}
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    }
}

fn schema_of(kind: &Kind, others: Others) -> Value {
    let list = |members, least: u32| {
        let items = Value::from(schema(members, others));
        json!({ "type": "array", "items": items, "minItems": least })
    };
    let plain = |name: &str| json!({ "type": name });
    match kind {
        Kind::Text => plain("string"),
        Kind::Flag => plain("boolean"),
        Kind::Number => plain("integer"),
        Kind::Count => json!({ "type": "integer", "minimum": 1 }),
        Kind::Amount => {
            json!({ "type": ["string", "number"], "pattern": r"^[0-9]+(\.[0-9]+)?$", "minimum": 0 })
        }
        Kind::Id(kind) => ids::schema(kind).into(),
        Kind::Lookup(kind, lookup) => {
            let mut schema = ids::schema(kind);
            schema.insert("x-lookup".into(), (*lookup).into());
            schema.into()
        }
        Kind::AnyId => json!({ "type": "string", "pattern": "^gid://shopify/[A-Za-z]+/[0-9]+$" }),
        Kind::AnyIds => json!({ "type": "array", "items": schema_of(&Kind::AnyId, others) }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::Texts => json!({ "type": "array", "items": plain("string") }),
        Kind::Numbers => json!({ "type": "array", "items": plain("integer") }),
        Kind::Object(members) => schema(members, others).into(),
        Kind::AnyObject => plain("object"),
        Kind::List(members) => list(members, 0),
        Kind::NonEmptyList(members) => list(members, 1),
    }
}

/// Reads an object; `at` is its JSON pointer inside the input.
///
/// # Errors
/// `InvalidInput` naming the first member that does not fit.
pub(crate) fn read(members: &[Member], value: &Value, at: &str) -> Result<Map<String, Value>> {
    let Some(given) = value.as_object() else {
        return Err(Error::invalid_input(at, format!("{value} is not an object; give its members by name")));
    };
    let known = |name: &str| members.iter().any(|member| member.name == name);
    if let Some(name) = given.keys().find(|name| !known(name)) {
        let names: Vec<&str> = members.iter().map(|member| member.name).collect();
        let message = format!("there is no `{name}` here; it takes {}", names.join(", "));
        return Err(Error::invalid_input(format!("{at}/{name}"), message));
    }
    let mut object = Map::new();
    for member in members {
        let at = format!("{at}/{}", member.name);
        match given.get(member.name).filter(|value| !value.is_null()) {
            Some(value) => {
                object.insert(camel_case(member.name), read_kind(&member.kind, value, &at)?);
            }
            None if member.required => {
                return Err(Error::invalid_input(at, "is missing; it is required"));
            }
            None => {}
        }
    }
    Ok(object)
}

fn read_kind(kind: &Kind, value: &Value, at: &str) -> Result<Value> {
    let wrong = |what: &str| Err(format!("{value} is not {what}"));
    let read = match (kind, value) {
        (Kind::Text, Value::String(_))
        | (Kind::Flag, Value::Bool(_))
        | (Kind::AnyObject, Value::Object(_)) => Ok(value.clone()),
        (Kind::Number, _) if value.is_u64() => Ok(value.clone()),
        (Kind::Count, _) if value.as_u64().is_some_and(|count| count > 0) => Ok(value.clone()),
        (Kind::OneOf(words), Value::String(word)) if words.contains(&word.as_str()) => Ok(value.clone()),
        (Kind::Amount, _) => money::amount(value).map(Value::from),
        (Kind::Id(kind) | Kind::Lookup(kind, _), _) => ids::gid(kind, value).map(Value::from),
        (Kind::AnyId, _) => ids::any(value).map(Value::from),
        (Kind::AnyIds, Value::Array(items)) => {
            return read_list(items, at, |item, at| read_kind(&Kind::AnyId, item, at));
        }
        (Kind::Object(members), _) => return read(members, value, at).map(Value::from),
        (Kind::Texts, Value::Array(items)) => {
            return read_list(items, at, |item, at| read_kind(&Kind::Text, item, at));
        }
        (Kind::Numbers, Value::Array(items)) => {
            return read_list(items, at, |item, at| read_kind(&Kind::Number, item, at));
        }
        (Kind::NonEmptyList(_), Value::Array(items)) if items.is_empty() => {
            Err("is empty; give at least one".to_owned())
        }
        (Kind::List(members) | Kind::NonEmptyList(members), Value::Array(items)) => {
            return read_list(items, at, |item, at| read(members, item, at).map(Value::from));
        }
        (Kind::Text, _) => wrong("a text; put it into quotes"),
        (Kind::Flag, _) => wrong("`true` or `false`; write one of them"),
        (Kind::Number, _) => wrong("a whole number; write digits only"),
        (Kind::Count, _) => wrong("a whole number from 1; write how many"),
        (Kind::OneOf(words), _) => wrong(&format!("one of {}; write it as it stands here", words.join(", "))),
        (Kind::AnyObject, _) => wrong("an object; give its members by name"),
        (Kind::Texts | Kind::Numbers | Kind::AnyIds | Kind::List(_) | Kind::NonEmptyList(_), _) => {
            wrong("a list; put it into brackets")
        }
    };
    read.map_err(|message| Error::invalid_input(at, message))
}

fn read_list(items: &[Value], at: &str, read: impl Fn(&Value, &str) -> Result<Value>) -> Result<Value> {
    let items = items.iter().enumerate().map(|(index, item)| read(item, &format!("{at}/{index}")));
    items.collect::<Result<Vec<_>>>().map(Value::from)
}

/// `lineItems` as `line_items`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut characters = word.chars();
        camel.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(characters.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: &[Member] = &[required("key", Kind::Text, "")];

    const ALL: &[Member] = &[
        optional("a_text", Kind::Text, "A text."),
        optional("flag", Kind::Flag, ""),
        optional("number", Kind::Number, ""),
        required("count", Kind::Count, ""),
        optional("amount", Kind::Amount, ""),
        optional("some_id", Kind::Id("Order"), ""),
        optional("one_of", Kind::OneOf(&["A", "B"]), ""),
        optional("texts", Kind::Texts, ""),
        optional("numbers", Kind::Numbers, ""),
        optional("object", Kind::Object(INNER), ""),
        optional("any", Kind::AnyObject, ""),
        optional("list", Kind::List(INNER), ""),
        optional("some", Kind::NonEmptyList(INNER), ""),
    ];

    #[test]
    fn the_schema_says_what_reading_takes() {
        let schema = Value::from(schema(ALL, Others::Refused));
        assert_eq!(schema["required"], json!(["count"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        let properties = &schema["properties"];
        assert_eq!(properties["a_text"], json!({"type": ["string", "null"], "description": "A text."}));
        assert_eq!(properties["count"], json!({"type": "integer", "minimum": 1}));
        assert_eq!(properties["amount"]["type"], json!(["string", "number", "null"]));
        assert_eq!(properties["one_of"]["enum"], json!(["A", "B", null]));
        assert_eq!(properties["some"]["minItems"], 1);
        assert_eq!(properties["list"]["items"]["required"], json!(["key"]));
        assert_eq!(properties["list"]["items"]["additionalProperties"], json!(false));
    }

    #[test]
    fn a_schema_of_more_than_the_table_says_so() {
        let schema = Value::from(schema(ALL, Others::Kept));
        assert!(schema.get("additionalProperties").is_none());
        assert!(schema["properties"]["object"].get("additionalProperties").is_none());
    }

    #[test]
    fn what_fits_is_read_under_shopifys_names() {
        let given = json!({
            "a_text": "t", "flag": false, "number": 0, "count": 1, "amount": 1.5, "some_id": 7, "one_of": "B",
            "texts": ["x"], "numbers": [7], "object": {"key": "k"}, "any": {"x_y": 1}, "list": [], "some": [{"key": "k"}],
        });
        let expected = json!({
            "aText": "t", "flag": false, "number": 0, "count": 1, "amount": "1.5",
            "someId": "gid://shopify/Order/7", "oneOf": "B", "texts": ["x"], "numbers": [7], "object": {"key": "k"},
            "any": {"x_y": 1}, "list": [], "some": [{"key": "k"}],
        });
        assert_eq!(Value::from(read(ALL, &given, "").unwrap()), expected);
    }

    #[test]
    fn what_does_not_fit_is_named_with_a_remedy() {
        for (member, value, at, remedy) in [
            ("a_text", json!(1), "/a_text", "put it into quotes"),
            ("flag", json!("true"), "/flag", "write one of them"),
            ("number", json!(-1), "/number", "digits only"),
            ("count", json!(0), "/count", "how many"),
            ("amount", json!("1,5"), "/amount", "`12.50`"),
            ("some_id", json!("#1"), "/some_id", "`gid://shopify/Order/123`"),
            ("one_of", json!("C"), "/one_of", "one of A, B"),
            ("texts", json!(["x", 1]), "/texts/1", "put it into quotes"),
            ("object", json!([]), "/object", "by name"),
            ("object", json!({}), "/object/key", "required"),
            ("object", json!({"key": "k", "kye": 1}), "/object/kye", "it takes key"),
            ("any", json!("x"), "/any", "by name"),
            ("list", json!({}), "/list", "into brackets"),
            ("list", json!([{"key": null}]), "/list/0/key", "required"),
            ("some", json!([]), "/some", "at least one"),
        ] {
            let mut given = json!({"count": 1});
            given[member] = value;
            let Err(Error::InvalidInput { field, message }) = read(ALL, &given, "") else {
                panic!("{given} does not fit")
            };
            assert_eq!(field, at, "{message}");
            assert!(message.contains(remedy), "{message}");
        }
    }
}
