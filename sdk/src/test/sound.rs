//! What must hold for every declaration, whatever the vendor.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    action::{Listing, Repeat},
    connector::Connector,
    trigger::Source,
};

/// Panics, with every problem at once, unless ids are unique, texts are there, and samples fit their types.
///
/// # Panics
/// Where the declaration is not sound; that is its use.
#[allow(clippy::panic, reason = "an assertion for tests")]
pub fn assert_sound(connector: &Connector) {
    let problems = problems(connector);
    assert!(problems.is_empty(), "connector `{}` is not sound:\n- {}", connector.id, problems.join("\n- "));
}

fn problems(connector: &Connector) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ids = BTreeSet::new();
    if connector.hosts.is_empty() {
        problems.push("`hosts` is empty, so no request can leave; name the vendor's hosts".into());
    }
    let lookups: Vec<_> = (connector.lookups)().iter().map(|lookup| lookup.id).collect();
    for action in (connector.actions)() {
        let id = action.id;
        check_id(id, &mut ids, &mut problems);
        if action.title.is_empty() {
            problems.push(format!("action `{id}` has no title"));
        }
        let mut named = Vec::new();
        looked_up(&(action.input_schema)(), &mut named);
        for name in named.iter().filter(|name| !lookups.contains(&name.as_str())) {
            problems
                .push(format!("action `{id}` names the lookup `{name}`, which `lookups` does not declare"));
        }
        if let Err(error) = (action.accepts)(action.sample_input) {
            problems.push(format!("action `{id}`: the sample input does not fit the input type: {error}"));
        }
        if let Some(batch) = &action.batch {
            if batch.size == 0 {
                problems.push(format!("action `{id}` takes batches of no item; say how many"));
            }
            if action.repeat == Repeat::Lookup {
                problems.push(format!(
                    "action `{id}` is looked up and takes batches, of whose items nobody could ask what became; drop one"
                ));
            }
        }
        if action.page.is_some()
            && serde_json::from_str::<Listing<Value, Value>>(action.sample_output).is_err()
        {
            problems.push(format!(
                "listing `{id}`: the sample output is no page; write `{{\"items\":[…],\"next\":null}}`"
            ));
        }
        if serde_json::from_str::<Value>(action.sample_output).is_err() {
            problems.push(format!(
                "action `{id}`: the sample output is not JSON; give one by `.sample(input, output)`"
            ));
        }
    }
    for trigger in (connector.triggers)() {
        let id = trigger.id;
        check_id(id, &mut ids, &mut problems);
        if trigger.title.is_empty() {
            problems.push(format!("trigger `{id}` has no title"));
        }
        if let Err(error) = (trigger.accepts)(trigger.sample) {
            problems.push(format!("trigger `{id}`: the sample does not fit the data type: {error}"));
        }
        if let Some(options) = &trigger.options {
            let mut named = Vec::new();
            looked_up(&(options.schema)(), &mut named);
            for name in named.iter().filter(|name| !lookups.contains(&name.as_str())) {
                problems.push(format!(
                    "trigger `{id}` names the lookup `{name}`, which `lookups` does not declare"
                ));
            }
            if let Err(error) = (options.accepts)(options.sample) {
                problems.push(format!(
                    "trigger `{id}`: the sample of the options does not fit their type: {error}"
                ));
            }
        }
        if let Source::Poll { polling, .. } = &trigger.source
            && !polling.reads.contains(&polling.writes)
        {
            let writes = polling.writes;
            problems.push(format!("trigger `{id}` writes cursors of format {writes} and does not read them"));
        }
    }
    problems
}

/// Every lookup that a field inside a schema names.
fn looked_up(schema: &Value, named: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            named.extend(members.get("x-lookup").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| looked_up(member, named));
        }
        Value::Array(items) => items.iter().for_each(|item| looked_up(item, named)),
        _ => {}
    }
}

fn check_id(id: &'static str, ids: &mut BTreeSet<&'static str>, problems: &mut Vec<String>) {
    let fits = !id.is_empty()
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !fits {
        problems.push(format!("`{id}` is not an id; use lower-case letters, digits and `_`"));
    }
    if !ids.insert(id) {
        problems.push(format!("`{id}` is declared twice"));
    }
}
