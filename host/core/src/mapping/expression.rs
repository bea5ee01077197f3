//! One compiled expression: evaluated along a plain path where it is one, else by the engine.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    Names,
    engine::{self, ENGINE},
    scope::{Scope, Segment},
    tokens::{self, Reference, Root},
};

/// An expression longer than this is a program, and belongs in a connector.
const LONGEST: usize = 4096;

#[derive(Debug)]
pub(crate) struct Expression {
    source: String,
    /// The roots the engine must be given.
    roots: Vec<Root>,
    /// The steps that it names.
    steps: Vec<String>,
    path: Option<Reference>,
    program: minijinja::Expression<'static, 'static>,
}

impl Expression {
    /// Compiles the text between the braces; every problem at once, each a full sentence.
    pub(super) fn compile(source: &str, names: &Names) -> Result<Self, Vec<String>> {
        let source = source.trim();
        if source.is_empty() {
            return Err(vec!["an expression is empty; name a value, as in `{{ trigger.id }}`".to_owned()]);
        }
        if source.len() > LONGEST {
            return Err(vec![format!(
                "an expression has {} bytes; at most {LONGEST} are allowed: divide it over several fields",
                source.len()
            )]);
        }
        if source.starts_with('-') || source.starts_with('+') {
            // Jinja reads `{{-` as white-space control, arithmetic as a sign: neither must be guessed.
            return Err(vec![format!(
                "`{{{{ {source} }}}}` begins with a sign; write white space yourself, and a negative number in parentheses"
            )]);
        }
        let program = ENGINE.compile_expression_owned(source.to_owned()).map_err(|error| {
            vec![format!(
                "`{{{{ {source} }}}}` is not an expression: {}; correct it",
                engine::explain(&error)
            )]
        })?;
        let words = tokens::words(source);
        let mut problems = Vec::new();
        let mut roots = Vec::new();
        for name in sorted(program.undeclared_variables(false)) {
            match Root::of(&name) {
                Some(Root::Item | Root::Index) if !names.item => problems.push(format!(
                    "`{name}` in `{{{{ {source} }}}}` is only there inside a `for_each`; put the step into one"
                )),
                Some(root) => roots.push(root),
                None if engine::FUNCTIONS.contains(&name.as_str()) => {}
                None => problems.push(format!(
                    "`{name}` in `{{{{ {source} }}}}` is not known; use `trigger`, `steps.<id>`, `config.<field>`, `user` or \
                     `run`, and put text in quotes"
                )),
            }
        }
        problems.extend(words.references.iter().filter_map(|reference| unknown(reference, names)));
        for filter in words.filters.iter().filter(|name| !engine::has_filter(name)) {
            problems.push(format!(
                "there is no filter `{filter}`; the page MAPPING lists them all, such as `default`, `text`, `number`, `replace`, \
                 `decimal_round`, `date_format`, `join`, `to_json`"
            ));
        }
        for test in words.tests.iter().filter(|name| !engine::has_test(name)) {
            problems.push(format!(
                "there is no test `is {test}`; those of minijinja are there, such as `defined`, `none`, `string`, `number`"
            ));
        }
        if !problems.is_empty() {
            problems.dedup();
            return Err(problems);
        }
        let steps = words.references.into_iter().filter(|reference| reference.root == Root::Steps);
        let steps = steps.filter_map(|reference| match reference.segments.into_iter().next() {
            Some(Segment::Key(id)) => Some(id),
            Some(Segment::Index(_)) | None => None,
        });
        Ok(Self { source: source.to_owned(), roots, steps: steps.collect(), path: words.path, program })
    }

    /// The ids of the steps that it names.
    pub(super) fn steps(&self) -> &[String] {
        &self.steps
    }

    /// The text between the braces.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Where it points, if it is nothing but a path.
    pub(crate) fn path(&self) -> Option<(Root, &[Segment])> {
        self.path.as_ref().map(|path| (path.root, path.segments.as_slice()))
    }

    /// Its value, with its JSON type.
    pub(super) fn value(&self, scope: &Scope<'_>) -> Result<Value, String> {
        match self.direct(scope) {
            Some(value) => Ok(value.into_owned()),
            None => self.evaluate(scope),
        }
    }

    /// Appends its value as JSON text.
    pub(super) fn write_json(&self, scope: &Scope<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let found = self.path.as_ref().and_then(|path| scope.found(path.root, &path.segments));
        let written = match found {
            Some(part) => part.write(out),
            None => serde_json::to_writer(out, &self.value(scope)?),
        };
        written.map_err(|error| error.to_string())
    }

    /// Appends its value as text.
    pub(super) fn write(&self, scope: &Scope<'_>, text: &mut String) -> Result<(), String> {
        let value = match self.direct(scope) {
            Some(value) => value,
            None => Cow::Owned(self.evaluate(scope)?),
        };
        match &*value {
            Value::Null => {}
            Value::String(value) => text.push_str(value),
            other => text.push_str(&other.to_string()),
        }
        Ok(())
    }

    fn direct<'a>(&self, scope: &Scope<'a>) -> Option<Cow<'a, Value>> {
        self.path.as_ref().and_then(|path| scope.get(path.root, &path.segments))
    }

    /// By the engine: whatever is no plain path, and paths that lead nowhere along JSON's own members.
    pub(super) fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, String> {
        let result = self.program.eval(scope.context(&self.roots));
        let reason = match result {
            Ok(value) if !value.is_undefined() => match engine::to_json(&value) {
                Ok(value) => return Ok(value),
                Err(reason) => reason,
            },
            other => {
                if let Some(missing) = self.path.as_ref().and_then(|path| missing(path, scope)) {
                    return Err(missing);
                }
                match other {
                    Ok(_) => {
                        "is not there; correct its name, or give a value for that case with `| default(…)`"
                            .to_owned()
                    }
                    Err(error) => format!("failed: {}", engine::explain(&error)),
                }
            }
        };
        Err(format!("`{{{{ {} }}}}` {reason}", self.source))
    }
}

fn sorted(names: std::collections::HashSet<String>) -> Vec<String> {
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_unstable();
    names
}

/// What a reference names that the workflow does not have.
fn unknown(reference: &Reference, names: &Names) -> Option<String> {
    let Some(Segment::Key(name)) = reference.segments.first() else {
        return None;
    };
    match reference.root {
        Root::Trigger | Root::Item | Root::Index => None,
        Root::Steps if names.steps.contains(name) => None,
        Root::Steps if names.later_steps.contains(name) => Some(format!(
            "`steps.{name}` is not there yet when this step runs; use {} or move this step behind `{name}`",
            one_of(&names.steps, "a value of `trigger`")
        )),
        Root::Steps => Some(format!(
            "there is no step `{name}`; use {}",
            one_of(&names.steps, "a value of `trigger`: there is no step before this one")
        )),
        Root::Config if names.config.contains(name) => None,
        Root::Config => Some(format!(
            "there is no field `{name}` for `config.{name}`; add it to the workflow's `fields`, or use {}",
            one_of(&names.config, "a fixed value: there are no fields yet")
        )),
        Root::User => fixed("user", name, &["id", "username", "fullName"]),
        Root::Run => fixed("run", name, &["id"]),
    }
}

fn fixed(root: &str, name: &str, members: &[&str]) -> Option<String> {
    if members.contains(&name) {
        return None;
    }
    let known = members.iter().map(|member| format!("`{root}.{member}`")).collect::<Vec<_>>().join(", ");
    Some(format!("there is no `{root}.{name}`; use {known}"))
}

fn one_of(known: &[String], none: &str) -> String {
    if known.is_empty() {
        return none.to_owned();
    }
    known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Says where a path leaves what is there, and what is there instead.
fn missing(path: &Reference, scope: &Scope<'_>) -> Option<String> {
    const SHOWN: usize = 12;
    let whole = written(path.root, &path.segments);
    for length in (0..path.segments.len()).rev() {
        let (there, rest) = path.segments.split_at_checked(length)?;
        let Some(value) = scope.get(path.root, there) else { continue };
        let parent = written(path.root, there);
        let next = written(path.root, path.segments.get(..=length)?);
        let has = match &*value {
            Value::Object(members) if members.is_empty() => "is an empty object".to_owned(),
            Value::Object(members) => {
                let names: Vec<_> = members.keys().take(SHOWN).map(|name| format!("`{name}`")).collect();
                let more = if members.len() > SHOWN { ", …" } else { "" };
                format!("has {}{more}", names.join(", "))
            }
            Value::Array(items) => format!("is a list of {} items", items.len()),
            other => format!("is {}", super::named(other)),
        };
        let what = if rest.len() > 1 {
            format!("`{whole}` is not there, since `{next}` is not")
        } else {
            format!("`{whole}` is not there")
        };
        return Some(format!(
            "{what}: `{parent}` {has}; correct the name, or give a value for that case with `| default(…)`"
        ));
    }
    None
}

/// A path as a person writes it.
pub(crate) fn written(root: Root, segments: &[Segment]) -> String {
    segments.iter().fold(root.name().to_owned(), |mut text, segment| {
        text.push_str(&segment.to_string());
        text
    })
}
