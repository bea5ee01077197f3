//! What somebody wants to be tried: checked against the draft, everything that is wrong at once, and completed by what is
//! known: the trigger's own sample, and what the user's copy of the workflow has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use trunnion_core::{
    definition::{Definition, Step, StepKind, Trigger},
    id::ConnectionId,
    payload::Part,
    problem::Problem,
    records::{Installation, User, Workflow},
    release::Catalog as _,
    schedule::Tick,
    scope::Scope,
};

use super::{ITEMS, MOST_ITEMS, Trials, Wish};
use crate::{
    error::{Error, Result},
    workflows::{
        catalog::Catalog,
        install::{fits, takes},
    },
};

/// Bytes of the sample and of all outputs given, roughly.
const MOST_BYTES: usize = 1 << 20;

/// A wish that can be granted.
pub(super) struct Granted {
    pub(super) trigger: Value,
    pub(super) connections: BTreeMap<String, ConnectionId>,
    pub(super) config: BTreeMap<String, Value>,
    pub(super) outputs: BTreeMap<String, Value>,
    pub(super) perform: BTreeSet<String>,
    pub(super) items: usize,
}

impl Trials {
    /// Completes a wish, or says everything that is wrong with it.
    pub(super) async fn grant(
        &self,
        scope: &Scope,
        (workflow, catalog, problems): (&Workflow, &Catalog, &[Problem]),
        wish: Wish,
        user: Option<&User>,
    ) -> Result<Granted> {
        let definition = &workflow.draft;
        let mut faults = Vec::new();
        let bytes = wish
            .sample
            .iter()
            .chain(wish.outputs.values())
            .map(|given| Part::Parsed(given).bytes())
            .sum::<usize>();
        if bytes > MOST_BYTES {
            let message =
                format!("`sample` and `outputs` have about {bytes} bytes; at most {MOST_BYTES} are taken");
            faults.push(Problem::new("/sample", message));
        }
        let items = wish.items.unwrap_or(ITEMS);
        if !(1..=MOST_ITEMS).contains(&items) {
            faults.push(Problem::new("/items", format!("is {items}; write 1 to {MOST_ITEMS}")));
        }
        let copy = match user {
            Some(user) => self.installer.find(scope, user.id, workflow.id).await?,
            None => None,
        };
        let connections =
            self.connections(scope, (definition, user, copy.as_ref()), &wish, &mut faults).await?;
        let config = configured(definition, &wish.config, copy.as_ref(), &mut faults);
        stood_in(definition, &wish.outputs, &mut faults);
        carried_out(definition, (problems, user.is_some(), &connections), &wish.perform, &mut faults);
        if !faults.is_empty() {
            let listed: Vec<_> = faults.iter().map(ToString::to_string).collect();
            let message = format!("the draft cannot be tried like this: {}", listed.join("; "));
            return Err(Error::Invalid { code: "test-invalid", message, problems: faults });
        }
        let trigger = match wish.sample {
            Some(sample) => sample,
            None => self.sample(scope, workflow, catalog).await?,
        };
        let perform = wish.perform.into_iter().collect();
        Ok(Granted { trigger, connections, config, outputs: wish.outputs, perform, items })
    }

    /// The connection for each app: what is wished, else what the user's copy has, else the only one there is.
    async fn connections(
        &self,
        scope: &Scope,
        (definition, user, copy): (&Definition, Option<&User>, Option<&Installation>),
        wish: &Wish,
        faults: &mut Vec<Problem>,
    ) -> Result<BTreeMap<String, ConnectionId>> {
        let at = |app: &str| format!("/connections/{}", app.replace('~', "~0").replace('/', "~1"));
        let Some(user) = user else {
            let fault =
                |app: &String| Problem::new(at(app), "is nobody's; name whose connection it is as `user`");
            faults.extend(wish.connections.keys().map(fault));
            return Ok(BTreeMap::new());
        };
        let owned = self.vault.connections(scope, user.id).await?;
        let apps = definition.connected_apps();
        for (app, id) in &wish.connections {
            let message = if apps.contains(&app.as_str()) {
                match owned.iter().find(|known| known.id == *id) {
                    Some(known) if known.app == *app => continue,
                    Some(known) => format!("the connection `{id}` is to `{}`", known.app),
                    None => format!("user `{}` has no connection `{id}`", user.username),
                }
            } else {
                format!("no step of the draft works on a user's connection to `{app}`; leave it out")
            };
            faults.push(Problem::new(at(app), message));
        }
        let choose = |app: &str| {
            let only = || {
                let mut all = owned.iter().filter(|known| known.app == app);
                all.next().filter(|_| all.next().is_none()).map(|known| known.id)
            };
            let of_copy = || copy.and_then(|copy| copy.connections.get(app).copied());
            wish.connections.get(app).copied().or_else(of_copy).or_else(only)
        };
        Ok(apps.into_iter().filter_map(|app| Some((app.to_owned(), choose(app)?))).collect())
    }

    /// The trigger's own sample.
    async fn sample(&self, scope: &Scope, workflow: &Workflow, catalog: &Catalog) -> Result<Value> {
        let request = |body: &Value| json!({ "method": "POST", "query": {}, "headers": {}, "body": body });
        Ok(match &workflow.draft.trigger {
            Trigger::App { app, trigger, .. } => {
                let manifest = catalog.manifest(app);
                manifest
                    .and_then(|manifest| Some(manifest.trigger(trigger)?.sample.clone()))
                    .unwrap_or_default()
            }
            Trigger::Event { event } => catalog.event_sample(event).unwrap_or_default(),
            Trigger::Schedule(_) => Tick { at: self.context.now(), count: 1 }.data(),
            Trigger::Request { sample } | Trigger::Preprocess { sample } => request(sample),
            Trigger::Call { sample } => sample.clone(),
            trigger @ (Trigger::Installed | Trigger::Removed) => {
                let integration = self.library.integration(scope, workflow.integration).await?;
                let kind = if matches!(trigger, Trigger::Installed) { "installed" } else { "removed" };
                let this = json!({
                    "id": workflow.id.to_string(), "name": workflow.draft.name, "trigger": kind,
                    "release": workflow.latest_release.saturating_add(1), "previous_release": null, "active": true,
                    "webhook_url": null, "request_url": null,
                });
                let (workflows, removed) =
                    if kind == "installed" { (vec![this], Vec::new()) } else { (Vec::new(), vec![this]) };
                let integration = json!({ "id": integration.id.to_string(), "app": integration.app });
                json!({ "integration": integration, "workflows": workflows, "removed": removed })
            }
        })
    }
}

/// The values of the fields: what is wished, else what the user's copy has, else the default; null where there is none.
fn configured(
    definition: &Definition,
    wished: &BTreeMap<String, Value>,
    copy: Option<&Installation>,
    faults: &mut Vec<Problem>,
) -> BTreeMap<String, Value> {
    let at = |name: &str| format!("/config/{}", name.replace('~', "~0").replace('/', "~1"));
    for (name, value) in wished {
        match definition.fields.iter().find(|field| field.name == *name) {
            Some(field) if fits(field, value) || value.is_null() => {}
            Some(field) => {
                faults.push(Problem::new(at(name), format!("cannot be {value}; it takes {}", takes(field))))
            }
            None => faults.push(Problem::new(at(name), "the draft has no such field; leave it out")),
        }
    }
    let fields = definition.fields.iter().map(|field| {
        let kept = copy.and_then(|copy| copy.config.get(&field.name)).filter(|kept| fits(field, kept));
        let value = wished.get(&field.name).or(kept).or(field.default.as_ref());
        (field.name.clone(), value.cloned().unwrap_or_default())
    });
    fields.collect()
}

/// Whether outputs are given for steps that can be stood in for.
fn stood_in(definition: &Definition, outputs: &BTreeMap<String, Value>, faults: &mut Vec<Problem>) {
    for (id, output) in outputs {
        let message = match step(definition, id).map(|step| &step.kind) {
            Some(StepKind::Action { .. } | StepKind::Stream { .. } | StepKind::Call { .. }) => continue,
            Some(StepKind::ForEach { from: Some(_), .. } | StepKind::Batch { from: Some(_), .. }) => {
                if output.is_array() {
                    continue;
                }
                "stands for what the listing gives; write a list of items".to_owned()
            }
            Some(_) => "is computed by the test-run itself; only actions, streams, calls and listings are stood in for"
                .to_owned(),
            None => format!("there is no step `{id}`"),
        };
        faults.push(Problem::new(format!("/outputs/{}", id.replace('~', "~0").replace('/', "~1")), message));
    }
}

/// Whether steps can be carried out.
fn carried_out(
    definition: &Definition,
    (problems, known_user, connections): (&[Problem], bool, &BTreeMap<String, ConnectionId>),
    perform: &[String],
    faults: &mut Vec<Problem>,
) {
    for (index, id) in perform.iter().enumerate() {
        let mut fault = |message: String| faults.push(Problem::new(format!("/perform/{index}"), message));
        let every = definition.every_step();
        let Some((at, step)) = every.into_iter().find(|(_, step)| step.id == *id) else {
            fault(format!("there is no step `{id}`"));
            continue;
        };
        let within = |place: &str| {
            place.strip_prefix(&at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some(problem) = problems.iter().find(|problem| within(&problem.at)) {
            fault(format!("`{id}` cannot be carried out as it is: {problem}"));
        }
        let Some(asks) = asks(step) else {
            fault(format!(
                "`{id}` cannot be carried out; only actions, streams, batches and listings can be"
            ));
            continue;
        };
        for app in asks.into_iter().filter(|app| !connections.contains_key(*app)) {
            fault(if known_user {
                format!("`{id}` needs a connection to `{app}`; name one of the user's in `connections`")
            } else {
                format!("`{id}` needs a user's connection to `{app}`; name the user as `user`")
            });
        }
    }
}

/// The apps whose connections of a user's a step needs to be carried out; none where it cannot be.
fn asks(step: &Step) -> Option<Vec<&str>> {
    let mut apps = Vec::new();
    match &step.kind {
        StepKind::Stream { .. } => {}
        StepKind::Action { app, connection, .. } => apps.extend(connection.is_none().then_some(app.as_str())),
        StepKind::Batch { app, connection, from, .. } => {
            apps.extend(connection.is_none().then_some(app.as_str()));
            let from = from.as_ref().filter(|from| from.connection.is_none());
            apps.extend(from.map(|from| from.app.as_str()));
        }
        StepKind::ForEach { from: Some(from), .. } => {
            apps.extend(from.connection.is_none().then_some(from.app.as_str()));
        }
        _ => return None,
    }
    apps.dedup();
    Some(apps)
}

fn step<'d>(definition: &'d Definition, id: &str) -> Option<&'d Step> {
    definition.every_step().into_iter().map(|(_, step)| step).find(|step| step.id == id)
}
