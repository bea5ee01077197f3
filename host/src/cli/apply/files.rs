//! The files: what they want, and which line says it.
//!
//! Invariant: every fault of every file is told at once, each with its file and line; what is wanted has been read whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use anyhow::Context;
use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde::Deserialize;
use serde_json::{Map, Number, Value};
use trunnion_core::{definition::Definition, records::Signature};

use crate::cli::remote::variable;

/// What a folder says.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) items: Vec<Item>,
    pub(super) faults: Vec<Fault>,
}

/// One thing that is wanted, and where that is said.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) wanted: Wanted,
    pub(super) said: Rc<Said>,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Integration { app: String },
    Event { name: String, description: String, sample: Value },
    Stream { name: String, url: String, signatures: Option<BTreeSet<Signature>> },
    Workflow { app: String, integration: Option<String>, definition: Box<Definition> },
}

/// A document of a file, and the line of each of its members.
#[derive(Debug, Default)]
pub(super) struct Said {
    file: PathBuf,
    /// By JSON pointer.
    lines: BTreeMap<String, usize>,
}

/// Where something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    file: PathBuf,
    line: Option<usize>,
}

/// What is wrong, and where.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) message: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file.display()),
            None => write!(f, "{}", self.file.display()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl Said {
    /// Where the member at a JSON pointer is said, or the nearest that is there around it.
    pub(super) fn at(&self, pointer: &str) -> Place {
        let mut pointer = pointer;
        let line = loop {
            match (self.lines.get(pointer), pointer.rsplit_once('/')) {
                (Some(line), _) => break Some(*line),
                (None, Some((around, _))) => pointer = around,
                (None, None) => break None,
            }
        };
        Place { file: self.file.clone(), line }
    }

    /// A fault there.
    pub(super) fn fault(&self, pointer: &str, message: impl Into<String>) -> Fault {
        Fault { place: self.at(pointer), message: message.into() }
    }
}

/// A document as it is written.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Written {
    Integration {
        app: String,
    },
    Event {
        name: String,
        #[serde(default)]
        description: String,
        sample: Value,
    },
    Stream {
        name: String,
        url: String,
        signatures: Option<BTreeSet<Signature>>,
    },
    Workflow {
        app: String,
        integration: Option<String>,
        definition: Value,
    },
}

/// Reads every file of a folder, and of those in it, in the order of their names.
pub(super) fn read(folder: &Path) -> anyhow::Result<Files> {
    let mut paths = Vec::new();
    find(folder, &mut paths).with_context(|| format!("`{}` could not be read", folder.display()))?;
    paths.sort();
    let mut files = Files::default();
    for path in paths {
        let text =
            fs::read_to_string(&path).with_context(|| format!("`{}` could not be read", path.display()))?;
        for (value, said) in documents(&path, &text, &mut files.faults) {
            let said = Rc::new(said);
            if let Some(wanted) = wanted(value, &said, &mut files.faults) {
                files.items.push(Item { wanted, said });
            }
        }
    }
    Ok(files)
}

fn find(folder: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            find(&path, paths)?;
        } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json") {
            paths.push(path);
        }
    }
    Ok(())
}

/// The documents of a file; JSON is read as such, so that no number changes, and its lines as YAML's, of which it is one.
fn documents(path: &Path, text: &str, faults: &mut Vec<Fault>) -> Vec<(Value, Said)> {
    let said = || Said { file: path.to_owned(), lines: BTreeMap::new() };
    let marked = MarkedYaml::load_from_str(text);
    if path.extension().is_some_and(|end| end == "json") {
        return match serde_json::from_str(text) {
            Ok(value) => {
                let mut said = said();
                if let Ok(Some(root)) = marked.as_deref().map(<[_]>::first) {
                    // Faults of the other reading are none of JSON's.
                    convert(root, "", &mut said, &mut Vec::new());
                }
                vec![(value, said)]
            }
            Err(error) => {
                let place = Place { file: path.to_owned(), line: Some(error.line()) };
                faults.push(Fault { place, message: format!("this is no JSON: {error}") });
                Vec::new()
            }
        };
    }
    match marked {
        Ok(documents) => documents
            .iter()
            .map(|document| {
                let mut said = said();
                let value = convert(document, "", &mut said, faults);
                (value, said)
            })
            .filter(|(value, _)| !value.is_null())
            .collect(),
        Err(error) => {
            let place = Place { file: path.to_owned(), line: Some(error.marker().line()) };
            faults.push(Fault { place, message: format!("this is no YAML: {}", error.info()) });
            Vec::new()
        }
    }
}

/// YAML as JSON, noting the line of every member.
fn convert(node: &MarkedYaml<'_>, at: &str, said: &mut Said, faults: &mut Vec<Fault>) -> Value {
    said.lines.insert(at.to_owned(), node.span.start.line());
    match &node.data {
        YamlData::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(value) => Value::Bool(*value),
            Scalar::Integer(value) => Value::from(*value),
            Scalar::FloatingPoint(value) => Number::from_f64(value.into_inner()).map_or_else(
                || {
                    faults.push(said.fault(at, "this number has no form in JSON; give a finite one"));
                    Value::Null
                },
                Value::Number,
            ),
            Scalar::String(text) => Value::from(text.as_ref()),
        },
        YamlData::Sequence(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| convert(item, &format!("{at}/{index}"), said, faults))
            .collect(),
        YamlData::Mapping(members) => {
            let mut object = Map::new();
            for (key, value) in members {
                let Some(name) = key.data.as_str() else {
                    faults.push(Fault {
                        place: Place { file: said.file.clone(), line: Some(key.span.start.line()) },
                        message: "a member's name must be text; put it in quotes".to_owned(),
                    });
                    continue;
                };
                let below = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                let value = convert(value, &below, said, faults);
                // A member begins where its name stands.
                said.lines.insert(below, key.span.start.line());
                object.insert(name.to_owned(), value);
            }
            Value::Object(object)
        }
        YamlData::Representation(..) | YamlData::Tagged(..) | YamlData::Alias(_) | YamlData::BadValue => {
            faults.push(
                said.fault(
                    at,
                    "tags and values of other types than JSON's mean nothing here; write it plainly",
                ),
            );
            Value::Null
        }
    }
}

/// What a document wants; `None` where that is not to be told, and why is among the faults.
fn wanted(value: Value, said: &Said, faults: &mut Vec<Fault>) -> Option<Wanted> {
    let written = match Written::deserialize(value) {
        Ok(written) => written,
        Err(error) => {
            let kinds = "a document has `kind: integration`, `event`, `stream` or `workflow`";
            faults.push(
                said.fault("", format!("{error}; {kinds}, with the members that host/docs/APPLY.md shows")),
            );
            return None;
        }
    };
    match written {
        Written::Integration { app } => Some(Wanted::Integration { app }),
        Written::Event { name, description, sample } => Some(Wanted::Event { name, description, sample }),
        Written::Stream { name, url, signatures } => match expand(&url, variable) {
            Ok(url) => Some(Wanted::Stream { name, url, signatures }),
            Err(message) => {
                faults.push(said.fault("/url", message));
                None
            }
        },
        Written::Workflow { app, integration, definition } => match Definition::parse(&definition) {
            Ok(definition) => Some(Wanted::Workflow { app, integration, definition: Box::new(definition) }),
            Err(problems) => {
                let faulty = problems
                    .0
                    .iter()
                    .map(|problem| said.fault(&format!("/definition{}", problem.at), problem.to_string()));
                faults.extend(faulty);
                None
            }
        },
    }
}

/// `${NAME}` in a URL is the environment variable of that name, since it differs between environments.
fn expand(text: &str, variable: impl Fn(&str) -> anyhow::Result<Option<String>>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after.split_once('}').ok_or_else(|| format!("`${{` in `{text}` has no `}}`"))?;
        let value = variable(name).map_err(|error| error.to_string())?;
        let value =
            value.ok_or_else(|| format!("the environment variable {name} is not set; `{text}` needs it"))?;
        expanded.push_str(before);
        expanded.push_str(value.trim());
        rest = behind;
    }
    Ok(expanded + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, text: &str) -> (usize, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), text).unwrap();
        let files = read(folder.path()).unwrap();
        let prefix = format!("{}/", folder.path().display());
        (files.items.len(), files.faults.iter().map(|fault| fault.to_string().replace(&prefix, "")).collect())
    }

    #[test]
    fn faults_are_told_at_their_lines_all_at_once() {
        let text = "kind: integration\napp: acme\n---\nkind: workflow\napp: acme\ndefinition:\n  name: A\n  \
                    trigger:\n    type: event\n    evnt: X\n  steps: {}\n---\nkind: strem\n";
        let (items, faults) = told("a.yaml", text);
        assert_eq!(items, 1);
        let lines: Vec<_> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert!(
            lines.contains(&"a.yaml:10") && lines.contains(&"a.yaml:11") && lines.contains(&"a.yaml:13"),
            "{faults:#?}"
        );
        assert!(faults.iter().any(|fault| fault.contains("evnt")), "{faults:#?}");
        let json = "{\n  \"kind\": \"workflow\",\n  \"app\": \"acme\",\n  \"definition\": {\n    \"name\": 1\n  }\n}";
        let (_, faults) = told("a.json", json);
        assert!(faults.iter().any(|fault| fault.starts_with("a.json:5: ")), "{faults:#?}");
        assert!(told("b.json", "{\n]").1[0].starts_with("b.json:2: this is no JSON"));
        assert!(told("b.yml", "kind: a\n  b: c\n").1[0].starts_with("b.yml:2: this is no YAML"));
    }

    #[test]
    fn a_url_takes_variables_and_says_which_is_missing() {
        let known = |name: &str| Ok((name == "HOST").then(|| "acme.example".to_owned()));
        assert_eq!(expand("https://${HOST}/x", known).unwrap(), "https://acme.example/x");
        assert!(expand("https://${OTHER}/x", known).unwrap_err().contains("OTHER is not set"));
        assert!(expand("https://${HOST/x", known).unwrap_err().contains("has no `}`"));
    }
}
