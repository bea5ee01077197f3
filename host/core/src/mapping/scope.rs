//! What expressions see: the environment, by path without copying, or as the engine's values.
//!
//! Invariant: each root is converted for the engine at most once per rendering, and only where an expression
//! needs it.

use std::{borrow::Cow, cell::OnceCell, fmt};

use serde_json::{Map, Value};

use super::{Environment, engine, tokens::Root};
use crate::payload::Part;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// A member of an object.
    Key(String),
    /// An item of a list.
    Index(usize),
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) if is_word(key) => write!(f, ".{key}"),
            Self::Key(key) => write!(f, "[{}]", Value::from(key.as_str())),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

fn is_word(key: &str) -> bool {
    key.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

pub(super) struct Scope<'a> {
    environment: &'a Environment<'a>,
    converted: [OnceCell<minijinja::Value>; Root::ALL.len()],
}

impl<'a> Scope<'a> {
    pub(super) fn new(environment: &'a Environment<'a>) -> Self {
        Self { environment, converted: Default::default() }
    }

    /// What stands at a path in the environment; `None` where nothing does.
    pub(super) fn found(&self, root: Root, segments: &[Segment]) -> Option<Part<'a>> {
        found(self.environment, root, segments)
    }

    /// The value at a path; `None` where there is none.
    pub(super) fn get(&self, root: Root, segments: &[Segment]) -> Option<Cow<'a, Value>> {
        if let Some(found) = self.found(root, segments) {
            return Some(found.to_value());
        }
        match (root, segments) {
            (Root::Index, []) => Some(Cow::Owned(Value::from(self.environment.item?.1))),
            (Root::User | Root::Run, [Segment::Key(name)]) => {
                self.whole(root).get(name).map(|value| Cow::Owned(value.clone()))
            }
            (Root::Steps | Root::Config | Root::User | Root::Run, []) => Some(Cow::Owned(self.whole(root))),
            _ => None,
        }
    }

    fn whole(&self, root: Root) -> Value {
        let environment = self.environment;
        match root {
            Root::Trigger => environment.trigger.to_value().into_owned(),
            Root::Steps => environment
                .steps
                .all()
                .into_iter()
                .map(|result| (result.id.clone(), result.output.to_value().into_owned()))
                .collect::<Map<_, _>>()
                .into(),
            Root::Config => environment
                .config
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect::<Map<_, _>>()
                .into(),
            Root::User => serde_json::json!({
                "id": environment.user.id.to_string(),
                "username": environment.user.username,
                "fullName": environment.user.full_name,
            }),
            Root::Run => serde_json::json!({"id": environment.run.to_string()}),
            Root::Item => environment.item.map(|(item, _)| item.to_value().into_owned()).unwrap_or_default(),
            Root::Index => environment.item.map(|(_, index)| Value::from(index)).unwrap_or_default(),
        }
    }

    /// The roots an expression uses, for the engine.
    pub(super) fn context(&self, roots: &[Root]) -> minijinja::Value {
        minijinja::Value::from_pairs(roots.iter().map(|root| {
            let value = self.converted.get(*root as usize).map(|cell| {
                cell.get_or_init(|| match root {
                    Root::Trigger => engine::from_json(&self.environment.trigger.to_value()),
                    root => engine::from_json(&self.whole(*root)),
                })
            });
            (root.name(), value.cloned().unwrap_or_default())
        }))
    }
}

/// The value at a path, where it stands in the environment as JSON.
pub(super) fn found<'a>(environment: &Environment<'a>, root: Root, segments: &[Segment]) -> Option<Part<'a>> {
    match (root, segments) {
        (Root::Trigger, rest) => below(environment.trigger, rest),
        (Root::Steps, [Segment::Key(id), rest @ ..]) => below(environment.steps.of(id)?.output.whole(), rest),
        (Root::Item, rest) => below(environment.item?.0, rest),
        (Root::Config, [Segment::Key(name), rest @ ..]) => {
            below(Part::Parsed(environment.config.get(name)?), rest)
        }
        _ => None,
    }
}

fn below<'v>(part: Part<'v>, segments: &[Segment]) -> Option<Part<'v>> {
    segments.iter().try_fold(part, |part, segment| match segment {
        Segment::Key(key) => part.get(key),
        Segment::Index(index) => part.item(*index),
    })
}
