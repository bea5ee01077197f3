//! What is to change, from what files want and what the host has: pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    rc::Rc,
};

use serde_json::{Value, json};
use trunnion_core::definition::Definition;

use super::{
    files::{Fault, Item, Said, Wanted},
    present::{Present, Workflow},
};

/// Everything that is to be done, in the order in which it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) acts: Vec<Act>,
    /// What is as the files say.
    unchanged: usize,
    /// What only the host has.
    others: Vec<String>,
    /// The integration of each app, where there is one.
    pub(super) integrations: BTreeMap<String, String>,
}

/// One change.
#[derive(Clone, Debug)]
pub(super) struct Act {
    pub(super) what: What,
    /// The thing, in words.
    pub(super) name: String,
    /// Members that differ; empty where it is new.
    differs: Vec<String>,
    pub(super) said: Rc<Said>,
}

/// What is done.
#[derive(Clone, Debug)]
pub(super) enum What {
    Integrate { app: String },
    SetEvent { name: String, body: Value },
    SetStream { name: String, body: Value, new: bool },
    NewWorkflow { app: String, integration: Option<String>, definition: Value, release: bool },
    Draft { id: String, definition: Value, release: bool },
    Release { id: String },
}

impl Plan {
    /// Whether anything is to be done.
    pub(super) const fn changes(&self) -> bool {
        !self.acts.is_empty()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Act { what, name, differs, said } in &self.acts {
            let sign = match what {
                What::Release { .. } => '^',
                _ if differs.is_empty() => '+',
                _ => '~',
            };
            write!(f, "{sign} {name}")?;
            if !differs.is_empty() {
                write!(f, " ({})", differs.join(", "))?;
            }
            if matches!(what, What::NewWorkflow { release: true, .. } | What::Draft { release: true, .. }) {
                f.write_str(", released")?;
            }
            writeln!(f, "  {}", said.at(""))?;
        }
        for other in &self.others {
            writeln!(f, "? {other} is on the host only; it stays")?;
        }
        if self.unchanged > 0 || self.acts.is_empty() {
            writeln!(f, "= {} as the files say", self.unchanged)?;
        }
        Ok(())
    }
}

/// The plan; or what in the files cannot be meant.
pub(super) fn make(items: Vec<Item>, present: &Present, release: bool) -> Result<Plan, Vec<Fault>> {
    let mut planning =
        Planning { present, release, plan: Plan::default(), faults: Vec::new(), named: BTreeMap::new() };
    for integration in &present.integrations {
        // The first is the oldest; where there are more, a file has to say which.
        planning.plan.integrations.entry(integration.app.clone()).or_insert_with(|| integration.id.clone());
    }
    // What others stand on comes first; among equals, the files' order.
    let mut items = items;
    items.sort_by_key(|item| match item.wanted {
        Wanted::Integration { .. } => 0,
        Wanted::Event { .. } => 1,
        Wanted::Stream { .. } => 2,
        Wanted::Workflow { .. } => 3,
    });
    for item in items {
        planning.take(item);
    }
    planning.others();
    if planning.faults.is_empty() { Ok(planning.plan) } else { Err(planning.faults) }
}

struct Planning<'a> {
    present: &'a Present,
    release: bool,
    plan: Plan,
    faults: Vec<Fault>,
    /// What files speak of, and where.
    named: BTreeMap<String, Rc<Said>>,
}

impl Planning<'_> {
    fn take(&mut self, Item { wanted, said }: Item) {
        let name = match &wanted {
            Wanted::Integration { app } => format!("integration `{app}`"),
            Wanted::Event { name, .. } => format!("event `{name}`"),
            Wanted::Stream { name, .. } => format!("stream `{name}`"),
            Wanted::Workflow { app, integration: None, definition } => workflow_name(&definition.name, app),
            Wanted::Workflow { app, integration: Some(id), definition } => {
                workflow_name(&definition.name, &format!("{app}/{id}"))
            }
        };
        if let Some(before) = self.named.insert(name.clone(), Rc::clone(&said)) {
            let message = format!("{name} is said at {} already; say it once", before.at(""));
            self.faults.push(said.fault("", message));
            return;
        }
        match wanted {
            Wanted::Integration { app } => {
                let there = self.present.integrations.iter().any(|integration| integration.app == app);
                self.note(there.then(Vec::new), What::Integrate { app }, name, said);
            }
            Wanted::Event { name: event, description, sample } => {
                let known = self.present.events.iter().find(|known| known.name == event);
                let differs = known.map(|known| {
                    differing([
                        ("description", known.description != description),
                        ("sample", known.sample != sample),
                    ])
                });
                let body = json!({ "description": description, "sample": sample });
                self.note(differs, What::SetEvent { name: event, body }, name, said);
            }
            Wanted::Stream { name: stream, url, signatures } => {
                let known = self.present.streams.iter().find(|known| known.name == stream);
                let differs = known.map(|known| {
                    let others = signatures.as_ref().is_some_and(|wanted| *wanted != known.signatures);
                    differing([("url", known.url != url), ("signatures", others)])
                });
                let mut body = json!({ "url": url });
                if let (Some(signatures), Some(members)) = (signatures, body.as_object_mut()) {
                    members.insert("signatures".to_owned(), json!(signatures));
                }
                let new = known.is_none();
                self.note(differs, What::SetStream { name: stream, body, new }, name, said);
            }
            Wanted::Workflow { app, integration, definition } => {
                self.workflow((app, integration), &definition, name, said);
            }
        }
    }

    /// `differs` is absent where the thing is new.
    fn note(&mut self, differs: Option<Vec<String>>, what: What, name: String, said: Rc<Said>) {
        match differs {
            Some(differs) if differs.is_empty() => self.plan.unchanged += 1,
            Some(differs) => self.plan.acts.push(Act { what, name, differs, said }),
            None => self.plan.acts.push(Act { what, name, differs: Vec::new(), said }),
        }
    }

    fn workflow(
        &mut self,
        (app, integration): (String, Option<String>),
        definition: &Definition,
        name: String,
        said: Rc<Said>,
    ) {
        let Some(integration) = self.integration(&app, integration, &said) else { return };
        let wanted = json!(definition);
        let there: Vec<_> = match &integration {
            Some(id) => {
                self.present.workflows.iter().filter(|known| named(known, id, &definition.name)).collect()
            }
            None => Vec::new(),
        };
        let release = self.release;
        match there.as_slice() {
            [] => {
                let what = What::NewWorkflow { app, integration, definition: wanted, release };
                self.note(None, what, name, said);
            }
            [known] => {
                let draft = same_form(&known.definition);
                let differs = differing_members(&draft, &wanted);
                let released = known.released.as_ref().is_some_and(|released| same_form(released) == wanted);
                let id = known.id.clone();
                if differs.is_empty() && release && !released {
                    let name = format!("release of {name}");
                    self.note(None, What::Release { id }, name, said);
                } else {
                    self.note(Some(differs), What::Draft { id, definition: wanted, release }, name, said);
                }
            }
            several => {
                let ids: Vec<_> = several.iter().map(|known| known.id.as_str()).collect();
                let message =
                    format!("the host has several of {name} ({}); rename all but one there", ids.join(", "));
                self.faults.push(said.fault("/definition/name", message));
            }
        }
    }

    /// The integration that a workflow belongs to; absent inside where it is yet to be made.
    fn integration(&mut self, app: &str, wanted: Option<String>, said: &Said) -> Option<Option<String>> {
        let of_app = || self.present.integrations.iter().filter(|integration| integration.app == app);
        if let Some(wanted) = wanted {
            if of_app().any(|integration| integration.id == wanted) {
                return Some(Some(wanted));
            }
            let message =
                format!("there is no integration `{wanted}` of `{app}`; leave it out where `{app}` has one");
            self.faults.push(said.fault("/integration", message));
            return None;
        }
        let ids: Vec<_> = of_app().map(|integration| integration.id.clone()).collect();
        match ids.as_slice() {
            [id] => Some(Some(id.clone())),
            [] if self.named.contains_key(&format!("integration `{app}`")) => Some(None),
            [] => {
                let message = format!(
                    "`{app}` has no integration; say `kind: integration` and `app: {app}` in some file"
                );
                self.faults.push(said.fault("/app", message));
                None
            }
            _ => {
                let message = format!(
                    "`{app}` has several integrations; say which as `integration`: {}",
                    ids.join(", ")
                );
                self.faults.push(said.fault("/app", message));
                None
            }
        }
    }

    /// What only the host has.
    fn others(&mut self) {
        let app_of = |id: &str| {
            let integration = self.present.integrations.iter().find(|integration| integration.id == id);
            integration.map_or("", |integration| &integration.app)
        };
        let mut all: Vec<String> = Vec::new();
        all.extend(self.present.integrations.iter().map(|it| format!("integration `{}`", it.app)));
        all.extend(self.present.events.iter().map(|it| format!("event `{}`", it.name)));
        all.extend(self.present.streams.iter().map(|it| format!("stream `{}`", it.name)));
        all.retain(|name| !self.named.contains_key(name));
        for Workflow { definition, integration_id, .. } in &self.present.workflows {
            let name = definition.get("name").and_then(Value::as_str).unwrap_or_default();
            let app = app_of(integration_id);
            let names = [workflow_name(name, app), workflow_name(name, &format!("{app}/{integration_id}"))];
            if names.iter().all(|name| !self.named.contains_key(name)) {
                all.extend(names.into_iter().next());
            }
        }
        all.dedup();
        self.plan.others = all;
    }
}

fn workflow_name(name: &str, app: &str) -> String {
    format!("workflow `{name}` of `{app}`")
}

fn named(known: &Workflow, integration: &str, name: &str) -> bool {
    known.integration_id == integration && known.definition.get("name").and_then(Value::as_str) == Some(name)
}

fn differing<const N: usize>(members: [(&str, bool); N]) -> Vec<String> {
    members.into_iter().filter(|(_, differs)| *differs).map(|(member, _)| member.to_owned()).collect()
}

/// The members that only one of two definitions has, or that differ.
fn differing_members(one: &Value, other: &Value) -> Vec<String> {
    let names =
        |of: &Value| of.as_object().map_or_else(Vec::new, |members| members.keys().cloned().collect());
    let all: BTreeSet<String> = [names(one), names(other)].concat().into_iter().collect();
    all.into_iter().filter(|name| one.get(name) != other.get(name)).collect()
}

/// A host's definition in the form in which this program writes them; as it is, where a newer host wrote it.
fn same_form(definition: &Value) -> Value {
    Definition::parse(definition).map_or_else(|_| definition.clone(), |definition| json!(definition))
}
