//! JSON types as a set, and the set that a JSON Schema takes.

use std::{
    fmt,
    ops::{BitAnd, BitOr},
};

use serde_json::Value;

/// How deep references and branches are followed: schemas may refer to themselves.
const DEPTH: usize = 16;

/// A set of JSON types. Whole and fractional numbers are apart, since `integer` takes only the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Types(u8);

impl Types {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const NULL: Self = Self(1);
    pub(crate) const BOOLEAN: Self = Self(1 << 1);
    pub(crate) const INTEGER: Self = Self(1 << 2);
    pub(crate) const FRACTION: Self = Self(1 << 3);
    pub(crate) const STRING: Self = Self(1 << 4);
    pub(crate) const ARRAY: Self = Self(1 << 5);
    pub(crate) const OBJECT: Self = Self(1 << 6);
    pub(crate) const NUMBER: Self = Self(Self::INTEGER.0 | Self::FRACTION.0);
    pub(crate) const ALL: Self = Self((1 << 7) - 1);

    /// The type of a value; JSON Schema counts `1.0` as whole.
    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() != 0.0) => {
                Self::FRACTION
            }
            Value::Number(_) => Self::INTEGER,
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    /// Whether the two have a type in common.
    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Types {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Types {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("nothing");
        }
        if *self == Self::ALL {
            return f.write_str("any value");
        }
        let number = if self.meets(Self::FRACTION) { "a number" } else { "a whole number" };
        let parts = [
            (Self::STRING, "a text"),
            (Self::NUMBER, number),
            (Self::BOOLEAN, "true or false"),
            (Self::OBJECT, "an object"),
            (Self::ARRAY, "a list"),
            (Self::NULL, "null"),
        ];
        let mut first = true;
        for (_, name) in parts.into_iter().filter(|(types, _)| self.meets(*types)) {
            if !first {
                f.write_str(" or ")?;
            }
            f.write_str(name)?;
            first = false;
        }
        Ok(())
    }
}

/// The schema that a chain of `$ref`s inside `root` leads to; the schema itself where it leads nowhere.
pub(crate) fn resolve<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    let mut schema = schema;
    for _ in 0..DEPTH {
        let target = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| reference.strip_prefix('#'))
            .and_then(|pointer| root.pointer(pointer));
        match target {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// The alternatives of a schema (`anyOf`, `oneOf`), or the schema alone.
pub(crate) fn branches<'s>(schema: &'s Value, root: &'s Value) -> Vec<&'s Value> {
    let alternatives = ["anyOf", "oneOf"].into_iter().find_map(|keyword| schema.get(keyword)?.as_array());
    match alternatives {
        Some(alternatives) => alternatives.iter().map(|branch| resolve(branch, root)).collect(),
        None => vec![schema],
    }
}

/// The types that a schema takes; all of them where it does not say.
pub(crate) fn allowed(schema: &Value, root: &Value) -> Types {
    at_depth(schema, root, DEPTH)
}

fn at_depth(schema: &Value, root: &Value, depth: usize) -> Types {
    let Some(depth) = depth.checked_sub(1) else { return Types::ALL };
    let schema = resolve(schema, root);
    let Value::Object(keywords) = schema else {
        return if schema == &Value::Bool(false) { Types::NONE } else { Types::ALL };
    };
    let union = |schemas: &Vec<Value>| {
        schemas.iter().fold(Types::NONE, |types, schema| types | at_depth(schema, root, depth))
    };
    let mut types = match keywords.get("type") {
        Some(Value::String(name)) => named(name),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).fold(Types::NONE, |types, name| types | named(name))
        }
        _ => Types::ALL,
    };
    if let Some(value) = keywords.get("const") {
        types = types & Types::of(value);
    }
    if let Some(Value::Array(values)) = keywords.get("enum") {
        types = types & values.iter().fold(Types::NONE, |types, value| types | Types::of(value));
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(Value::Array(schemas)) = keywords.get(keyword) {
            types = types & union(schemas);
        }
    }
    if let Some(Value::Array(schemas)) = keywords.get("allOf") {
        types = schemas.iter().fold(types, |types, schema| types & at_depth(schema, root, depth));
    }
    types
}

fn named(name: &str) -> Types {
    match name {
        "null" => Types::NULL,
        "boolean" => Types::BOOLEAN,
        "integer" => Types::INTEGER,
        "number" => Types::NUMBER,
        "string" => Types::STRING,
        "array" => Types::ARRAY,
        "object" => Types::OBJECT,
        // An unknown name is the schema's own problem, not the template's.
        _ => Types::ALL,
    }
}
