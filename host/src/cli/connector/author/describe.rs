//! `trunnion connector describe`: the manifest as a person reads it, or as it is.

use anyhow::Result;
use trunnion_core::manifest::{AuthScheme, Manifest, TriggerSource};
use trunnion_sandbox::EgressOptions;

use super::{Subject, block_on, component, open, print, print_json};
use crate::{author::credential::secret_names, cli::connector::show::table};

pub(super) fn run(subject: &Subject) -> Result<()> {
    let source = component(&subject.connector)?;
    block_on(async {
        let workshop = open(&source, EgressOptions::default()).await?;
        if subject.json { print_json(workshop.manifest()) } else { print(&readable(workshop.manifest())) }
    })
}

fn readable(manifest: &Manifest) -> String {
    let mut parts = vec![head(manifest)];
    if !manifest.triggers.is_empty() {
        let rows = manifest.triggers.iter().map(|trigger| {
            vec![trigger.id.clone(), how(&trigger.source), trigger.title.clone(), trigger.help.clone()]
        });
        parts.push(table(&["TRIGGER", "BY", "TITLE", "HELP"], rows.collect()));
    }
    if !manifest.actions.is_empty() {
        let rows = manifest.actions.iter().map(|action| {
            vec![action.id.clone(), word(&action.repeat), action.title.clone(), action.help.clone()]
        });
        parts.push(table(&["ACTION", "REPEAT", "TITLE", "HELP"], rows.collect()));
    }
    parts.join("\n\n")
}

fn head(manifest: &Manifest) -> String {
    let mut lines = vec![format!("{} ({}) {}", manifest.title, manifest.id, manifest.version)];
    lines.extend((!manifest.help.is_empty()).then(|| manifest.help.clone()));
    lines.push(format!("hosts: {}", manifest.hosts.join(", ")));
    let parameters = manifest.connection.parameters.iter();
    lines.extend(parameters.map(|parameter| {
        format!("parameter {}: {} ({})", parameter.name, parameter.title, parameter.pattern.describe())
    }));
    lines.extend(manifest.connection.schemes.iter().map(scheme));
    lines.extend(
        manifest
            .buckets
            .iter()
            .map(|bucket| format!("limit {}: {} in {} ms", bucket.id, bucket.capacity, bucket.window_ms)),
    );
    lines.join("\n")
}

fn scheme(scheme: &AuthScheme) -> String {
    format!("credential {}: {} ({})", scheme.id, scheme.title, secret_names(scheme).join(", "))
}

fn how(source: &TriggerSource) -> String {
    match source {
        TriggerSource::Webhook(_) => "webhook".to_owned(),
        TriggerSource::Poll(poll) => format!("poll every {} s", poll.interval_ms / 1000),
    }
}

/// The word that the manifest has for it.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_reads_what_it_can_do_and_what_it_needs() {
        let manifest = json!({
            "manifest_version": 1, "id": "acme", "version": "1.0.0", "title": "Acme", "help": "Tasks.",
            "hosts": ["api.acme.com"], "buckets": [{"id": "general", "capacity": 10, "window_ms": 1000}],
            "connection": {"schemes": [{"id": "key", "title": "API key", "type": "fields",
                "fields": [{"name": "api_key", "title": "API key"}],
                "place": [{"in": "header", "name": "X-Key", "value": "{{secret:api_key}}"}]}]},
            "actions": [{"id": "create_task", "title": "Create a task", "help": "Makes one.", "repeat": "never",
                "input": {}, "output": {}, "sample_input": {}, "sample_output": {}}],
        });
        assert_eq!(
            readable(&Manifest::parse(&manifest.to_string()).unwrap()),
            "Acme (acme) 1.0.0\n\
             Tasks.\n\
             hosts: api.acme.com\n\
             credential key: API key (api_key)\n\
             limit general: 10 in 1000 ms\n\
             \n\
             ACTION       REPEAT  TITLE          HELP\n\
             create_task  never   Create a task  Makes one."
        );
    }
}
