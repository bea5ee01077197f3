//! Which occurrences of an app's trigger start a workflow: `only` holds members of what the trigger gives against values,
//! fixed ones or what the user chose at installation.
//!
//! Decided where an occurrence is accepted, so that what nobody asked for is no run and costs none.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::check::listed;
use crate::{
    definition::{ConfigField, Trigger},
    manifest::TriggerSpec,
    mapping::escape,
    payload::Part,
    problem::Problem,
};

/// Whether a trigger's occurrences can be told apart by these members and values.
pub(super) fn problems(
    spec: &TriggerSpec,
    only: &BTreeMap<String, Vec<Value>>,
    fields: &[ConfigField],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |at: String, message: String| problems.push(Problem { at, message });
    let members = [Some(&spec.sample), spec.schema.get("properties")].into_iter().flatten();
    let members = members.filter_map(Value::as_object).flat_map(|members| members.keys());
    let known: BTreeSet<&str> = members.map(String::as_str).collect();
    for (member, values) in only {
        let at = format!("/trigger/only/{}", escape(member));
        if !known.contains(member.as_str()) {
            let known = listed(known.iter().copied());
            problem(at.clone(), format!("`{}` gives no `{member}`; it gives {known}", spec.id));
        }
        if values.is_empty() {
            problem(
                at.clone(),
                "has no value, so that nothing would ever start; give one, or leave it out".into(),
            );
        }
        for (index, value) in values.iter().enumerate() {
            let fault = match chosen(value) {
                Some(name) if fields.iter().any(|field| field.name == name) => None,
                Some(name) => Some(format!("there is no field `{name}`; add it to `fields`")),
                None if value.as_str().is_some_and(|text| text.contains("{{")) => {
                    Some("is compared as it stands; give a value, or all of it as `{{ config.NAME }}`".into())
                }
                None if value.is_object() || value.is_array() => {
                    Some("is no text, number or boolean; give one that the member can have".into())
                }
                None => None,
            };
            if let Some(message) = fault {
                problem(format!("{at}/{index}"), message);
            }
        }
    }
    problems
}

/// The configurable field that a value names: `{{ config.NAME }}`.
fn chosen(value: &Value) -> Option<&str> {
    let inside = value.as_str()?.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    inside.trim().strip_prefix("config.")
}

impl Trigger {
    /// Whether an occurrence with this data starts an installation with these field values. Where the user chose nothing,
    /// nothing is left out.
    #[must_use]
    pub fn starts(&self, data: Part<'_>, config: &BTreeMap<String, Value>) -> bool {
        let Self::App { only, .. } = self else { return true };
        only.iter().all(|(member, values)| {
            let given = data.get(member).map(Part::to_value).unwrap_or_default();
            values.iter().any(|value| match chosen(value) {
                Some(name) => config.get(name).is_none_or(|chosen| chosen.is_null() || *chosen == *given),
                None => *value == *given,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_occurrence_starts_what_asked_for_it() {
        let trigger = |only: Value| {
            let trigger = json!({"type": "app", "app": "crm", "trigger": "changed", "only": only});
            serde_json::from_value::<Trigger>(trigger).unwrap()
        };
        let starts = |only: Value, data: &Value, config: Value| {
            trigger(only).starts(Part::Parsed(data), &serde_json::from_value(config).unwrap())
        };
        let data = json!({"property": "email", "portal": 7});
        assert!(starts(json!({}), &data, json!({})));
        assert!(starts(json!({"property": ["phone", "email"]}), &data, json!({})));
        assert!(!starts(json!({"property": ["phone"]}), &data, json!({})));
        assert!(!starts(json!({"property": ["email"], "portal": [8]}), &data, json!({})), "all have to fit");
        assert!(!starts(json!({"absent": ["email"]}), &data, json!({})));
        let users = json!({"property": ["{{ config.which }}"]});
        assert!(starts(users.clone(), &data, json!({"which": "email"})));
        assert!(!starts(users.clone(), &data, json!({"which": "phone"})));
        assert!(starts(users, &data, json!({"which": null})), "nothing was chosen");
    }
}
