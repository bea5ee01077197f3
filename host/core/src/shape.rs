//! Shapes: what members a document may have, so that everything that is wrong with one is said at once and
//! with its JSON pointer. serde stops at the first problem and knows no pointers.
//!
//! Invariant: a document that fits its shape is one that the serde type reads (tests keep the two together);
//! rules between members belong to the document's own check.

use serde_json::{Map, Value};

use crate::{mapping::escape, problem::Problem};

/// What a value must look like.
#[derive(Debug)]
pub(crate) enum Shape {
    Any,
    Text,
    /// A whole number from 0 to this one.
    Whole(u64),
    Flag,
    Version,
    /// One of these texts.
    Word(&'static [&'static str]),
    List(&'static Self),
    /// An object whose members are named freely.
    Named(&'static Self),
    Object(&'static [Field]),
    /// An object whose member `tag` says which further members it has.
    Tagged {
        tag: &'static str,
        common: &'static [Field],
        cases: &'static [(&'static str, &'static [Field])],
    },
    /// What this gives: for shapes that stand inside themselves.
    Inside(fn() -> &'static Self),
    /// One of these texts, or an object with exactly one of these members.
    WordOrMember(&'static [&'static str], &'static [Field]),
}

/// A member of an object.
#[derive(Debug)]
pub(crate) struct Field {
    name: &'static str,
    shape: Shape,
    need: Need,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
    /// Optional, and null means absent.
    Nullable,
}

pub(crate) const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, need: Need::Required }
}

pub(crate) const fn optional(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, need: Need::Optional }
}

pub(crate) const fn nullable(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, need: Need::Nullable }
}

impl Shape {
    /// Everything about `value` that does not fit.
    pub(crate) fn problems(&self, value: &Value) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check(value, "", &mut problems);
        problems
    }

    fn check(&self, value: &Value, at: &str, problems: &mut Vec<Problem>) {
        let fits = match (self, value) {
            (Self::Inside(shape), _) => {
                shape().check(value, at, problems);
                true
            }
            (Self::Any, _) | (Self::Text, Value::String(_)) | (Self::Flag, Value::Bool(_)) => true,
            (Self::Whole(most), Value::Number(number)) => {
                number.as_u64().is_some_and(|number| number <= *most)
            }
            (Self::Version, Value::String(text)) => semver::Version::parse(text).is_ok(),
            (Self::Word(words) | Self::WordOrMember(words, _), Value::String(text)) => {
                words.contains(&text.as_str())
            }
            (Self::List(item), Value::Array(items)) => {
                for (index, value) in items.iter().enumerate() {
                    item.check(value, &format!("{at}/{index}"), problems);
                }
                true
            }
            (Self::Named(member), Value::Object(members)) => {
                for (name, value) in members {
                    member.check(value, &format!("{at}/{}", escape(name)), problems);
                }
                true
            }
            (Self::Object(fields), Value::Object(members)) => {
                object(members, &[fields], at, problems);
                true
            }
            (Self::Tagged { tag, common, cases }, Value::Object(members)) => {
                tagged(members, tag, common, cases, at, problems);
                true
            }
            (Self::WordOrMember(_, fields), Value::Object(members)) if members.len() == 1 => {
                let only: Vec<_> = fields.iter().filter(|field| members.contains_key(field.name)).collect();
                for field in &only {
                    if let Some(value) = members.get(field.name) {
                        field.shape.check(value, &format!("{at}/{}", field.name), problems);
                    }
                }
                !only.is_empty()
            }
            _ => false,
        };
        if !fits {
            problems.push(Problem::new(at, format!("is {}; write {}", kind(value), self.describe())));
        }
    }

    fn describe(&self) -> String {
        let words =
            |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Inside(shape) => shape().describe(),
            Self::Any => "any value".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Whole(most) if *most == u64::MAX => "a whole number, not negative".to_owned(),
            Self::Whole(most) => format!("a whole number from 0 to {most}"),
            Self::Flag => "true or false".to_owned(),
            Self::Version => "a semantic version such as `1.2.0`".to_owned(),
            Self::Word(known) => format!("one of {}", words(known)),
            Self::List(_) => "a list".to_owned(),
            Self::Named(_) | Self::Object(_) | Self::Tagged { .. } => "an object".to_owned(),
            Self::WordOrMember(known, fields) => {
                let members: Vec<_> =
                    fields.iter().map(|field| format!("{{\"{}\": …}}", field.name)).collect();
                format!("one of {}, {}", words(known), members.join(", "))
            }
        }
    }
}

fn tagged(
    members: &Map<String, Value>,
    tag: &'static str,
    common: &'static [Field],
    cases: &[(&'static str, &'static [Field])],
    at: &str,
    problems: &mut Vec<Problem>,
) {
    let known = || cases.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match members.get(tag) {
        Some(Value::String(given)) => match cases.iter().find(|(name, _)| name == given) {
            Some((_, fields)) => {
                let tag = [required(tag, Shape::Text)];
                object(members, &[&tag, common, fields], at, problems);
            }
            None => problems.push(Problem::new(
                format!("{at}/{tag}"),
                format!("`{given}` is not known; use {}", known()),
            )),
        },
        Some(other) => {
            problems.push(Problem::new(
                format!("{at}/{tag}"),
                format!("is {}; write one of {}", kind(other), known()),
            ));
        }
        None => problems.push(Problem::new(at, format!("lacks `{tag}`; add it: one of {}", known()))),
    }
}

fn object(members: &Map<String, Value>, fields: &[&[Field]], at: &str, problems: &mut Vec<Problem>) {
    let fields = || fields.iter().copied().flatten();
    for field in fields() {
        match members.get(field.name) {
            Some(Value::Null) if field.need == Need::Nullable => {}
            Some(value) => field.shape.check(value, &format!("{at}/{}", field.name), problems),
            None if field.need == Need::Required => {
                problems.push(Problem::new(
                    at,
                    format!("lacks `{}`; add it: {}", field.name, field.shape.describe()),
                ));
            }
            None => {}
        }
    }
    for name in members.keys().filter(|name| !fields().any(|field| field.name == name.as_str())) {
        let known = fields().map(|field| format!("`{}`", field.name)).collect::<Vec<_>>().join(", ");
        problems.push(Problem::new(
            format!("{at}/{}", escape(name)),
            format!("`{name}` is not known here; remove it or correct its name: {known}"),
        ));
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("`{}`", text.chars().take(80).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
