//! The rules between a manifest's members: every problem at once, each with its JSON pointer and a remedy.
//! Those of webhooks are in `webhooks`.

mod auth;
mod webhooks;

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    MANIFEST_VERSION, Manifest, ParameterPattern, PollSpec, Repeat, TriggerSource, TriggerSpec, WebhookSpec,
    shape,
};
use crate::{
    hosts::HostPattern,
    polling,
    problem::{Problem, Problems},
};

/// The member of a field's schema that names its lookup.
const LOOKUP: &str = "x-lookup";
const LONGEST_ID: usize = 64;
const LONGEST_ICON_BYTES: usize = 64 * 1024;
/// Headers that belong to the connection or the host, never to a credential.
const RESERVED_HEADERS: [&str; 7] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"];

pub(super) fn parse(json: &str) -> Result<Manifest, Problems> {
    let fail = |message: String| Problems(vec![Problem::new("", message)]);
    let value: Value = serde_json::from_str(json)
        .map_err(|error| fail(format!("the manifest is not JSON: {error}; correct it")))?;
    // Another version has other members: nothing further can be said about it.
    if let Some(version) = value.get("manifest_version").filter(|version| **version != MANIFEST_VERSION) {
        return Err(Problems(vec![Problem::new(
            "/manifest_version",
            format!(
                "manifest version {version} is not known here; this host reads {MANIFEST_VERSION}: build the connector with a \
                 matching SDK or update the host"
            ),
        )]));
    }
    let mut problems = shape::MANIFEST.problems(&value);
    let manifest = match serde_json::from_value::<Manifest>(value) {
        Ok(manifest) => manifest,
        Err(error) if problems.is_empty() => {
            return Err(fail(format!("the manifest cannot be read: {error}; correct it")));
        }
        Err(_) => return Err(Problems(problems)),
    };
    let mut check = Check { manifest: &manifest, problems: Vec::new() };
    check.all();
    problems.append(&mut check.problems);
    if problems.is_empty() { Ok(manifest) } else { Err(Problems(problems)) }
}

/// What is wrong with how these options have deliveries of a webhook of `manifest` verified and recognised; places inside
/// the options.
pub(super) fn configured(manifest: &Manifest, webhook: &WebhookSpec, options: &Value) -> Vec<Problem> {
    let mut check = Check { manifest, problems: Vec::new() };
    check.configured("", webhook, options);
    check.problems
}

struct Check<'a> {
    manifest: &'a Manifest,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn problem(&mut self, at: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::new(at, message));
    }

    fn all(&mut self) {
        let manifest = self.manifest;
        self.id("/id", &manifest.id);
        if manifest.id.contains('_') {
            self.problem("/id", format!("the app's id `{}` has a `_`; use a hyphen", manifest.id));
        }
        self.title("", &manifest.title);
        self.icon();
        self.parameters();
        self.hosts();
        let schemes = &manifest.connection.schemes;
        self.ids("/connection/schemes", "id", schemes.iter().map(|scheme| scheme.id.as_str()));
        for (index, scheme) in schemes.iter().enumerate() {
            self.scheme(&format!("/connection/schemes/{index}"), scheme);
        }
        self.ids("/triggers", "id", manifest.triggers.iter().map(|trigger| trigger.id.as_str()));
        for (index, trigger) in manifest.triggers.iter().enumerate() {
            let at = format!("/triggers/{index}");
            self.title(&at, &trigger.title);
            self.schema(&format!("{at}/schema"), &trigger.schema);
            self.looked_up(&format!("{at}/schema"), &trigger.schema);
            self.sample(&format!("{at}/sample"), &trigger.sample);
            self.options(&at, trigger);
            match &trigger.source {
                TriggerSource::Webhook(webhook) => self.webhook(&at, webhook),
                TriggerSource::Poll(poll) => self.poll(&at, poll),
            }
        }
        self.actions();
        self.ids("/lookups", "id", manifest.lookups.iter().map(|lookup| lookup.id.as_str()));
        for (index, lookup) in manifest.lookups.iter().enumerate() {
            self.title(&format!("/lookups/{index}"), &lookup.title);
        }
        self.ids("/buckets", "id", manifest.buckets.iter().map(|bucket| bucket.id.as_str()));
        for (index, bucket) in manifest.buckets.iter().enumerate() {
            for (name, value) in [("capacity", bucket.capacity), ("window_ms", bucket.window_ms)] {
                if value == 0 {
                    self.problem(
                        format!("/buckets/{index}/{name}"),
                        "is 0, so that nothing could ever be sent; write at least 1",
                    );
                }
            }
        }
    }

    fn id(&mut self, at: &str, id: &str) {
        let fits = id.len() <= LONGEST_ID
            && id.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
            && id.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
            });
        if !fits {
            self.problem(
                at,
                format!(
                    "`{id}` is not an id; use lower-case letters, digits, `-` and `_`, beginning with a letter, at most \
                     {LONGEST_ID}"
                ),
            );
        }
    }

    /// Format and uniqueness of a list's ids.
    fn ids<'s>(&mut self, at: &str, member: &str, ids: impl Iterator<Item = &'s str>) {
        let mut seen = BTreeSet::new();
        for (index, id) in ids.enumerate() {
            let at = format!("{at}/{index}/{member}");
            self.id(&at, id);
            if !seen.insert(id) {
                self.problem(at, format!("`{id}` is there twice; give each its own"));
            }
        }
    }

    fn title(&mut self, at: &str, title: &str) {
        if title.trim().is_empty() {
            self.problem(format!("{at}/title"), "is empty; write what a person should read");
        }
    }

    fn icon(&mut self) {
        let icon = &self.manifest.icon;
        if icon.is_empty() {
            return;
        }
        let image = ["data:image/svg+xml", "data:image/png"]
            .into_iter()
            .find_map(|prefix| icon.strip_prefix(prefix))
            .is_some_and(|rest| rest.starts_with([',', ';']) && rest.contains(','));
        if !image {
            self.problem(
                "/icon",
                "is no `data:` URL of an SVG or PNG; write `data:image/svg+xml;base64,…`, or leave it out",
            );
        }
        if icon.len() > LONGEST_ICON_BYTES {
            self.problem(
                "/icon",
                format!("has {} bytes; use an icon of at most {LONGEST_ICON_BYTES}", icon.len()),
            );
        }
    }

    fn parameters(&mut self) {
        let parameters = &self.manifest.connection.parameters;
        self.ids(
            "/connection/parameters",
            "name",
            parameters.iter().map(|parameter| parameter.name.as_str()),
        );
        for (index, parameter) in parameters.iter().enumerate() {
            self.title(&format!("/connection/parameters/{index}"), &parameter.title);
        }
    }

    fn hosts(&mut self) {
        let manifest = self.manifest;
        if manifest.hosts.is_empty() {
            self.problem("/hosts", "names no host, so that nothing could be sent; add the vendor's API host");
        }
        for (index, text) in manifest.hosts.iter().enumerate() {
            let at = format!("/hosts/{index}");
            let pattern = match HostPattern::parse(text) {
                Ok(pattern) => pattern,
                Err(message) => {
                    self.problem(at, message);
                    continue;
                }
            };
            for name in pattern.parameters() {
                match manifest.connection.parameters.iter().find(|parameter| parameter.name == name) {
                    None => self.problem(
                        at.as_str(),
                        format!("`{{{name}}}` is not a connection parameter; declare it in `connection.parameters`"),
                    ),
                    Some(parameter)
                        if (parameter.pattern == ParameterPattern::HostNames) != pattern.is_parameter() =>
                    {
                        self.problem(
                            at.as_str(),
                            format!(
                                "whole hosts come from a parameter of the pattern `host_names` that stands alone, and from no other; \
                                 give `{{{name}}}` that pattern and nothing around it, or `host_label` and a domain behind it"
                            ),
                        );
                    }
                    Some(parameter) if parameter.pattern == ParameterPattern::Identifier => self.problem(
                        at.as_str(),
                        format!("`{{{name}}}` may hold `_`, which no host label has; give it the pattern `host_label`"),
                    ),
                    Some(_) => {}
                }
            }
        }
    }

    fn poll(&mut self, at: &str, poll: &PollSpec) {
        for (name, message) in polling::faults(poll) {
            self.problem(format!("{at}/{name}"), message);
        }
    }

    fn header(&mut self, at: &str, name: &str) {
        let token = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        if !token {
            self.problem(at, format!("`{name}` is not a header's name; use letters, digits and hyphens"));
        } else if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            self.problem(
                at,
                format!("the header `{name}` belongs to the connection itself; use the vendor's own header"),
            );
        }
    }

    fn actions(&mut self) {
        let actions = &self.manifest.actions;
        self.ids("/actions", "id", actions.iter().map(|action| action.id.as_str()));
        for (index, action) in actions.iter().enumerate() {
            let at = format!("/actions/{index}");
            self.title(&at, &action.title);
            self.schema(&format!("{at}/input"), &action.input);
            self.looked_up(&format!("{at}/input"), &action.input);
            self.schema(&format!("{at}/output"), &action.output);
            self.sample(&format!("{at}/sample_input"), &action.sample_input);
            for (place, bucket) in action.buckets.iter().enumerate() {
                if !self.manifest.buckets.iter().any(|known| known.id == *bucket) {
                    self.problem(
                        format!("{at}/buckets/{place}"),
                        format!("names `{bucket}`, which is not in `buckets`; declare the rate limit there"),
                    );
                }
            }
            // An action such as a deletion may well answer nothing, so that its output's sample may be null.
            if action.batch == Some(0) {
                self.problem(
                    format!("{at}/batch"),
                    "is 0; write how many items `run-batch` takes, or leave it out",
                );
            }
            if action.batch.is_some() && action.repeat == Repeat::Lookup {
                self.problem(
                    format!("{at}/batch"),
                    format!(
                        "`{}` is looked up, and what became of the items of a batch cannot be; leave one of the two out",
                        action.id
                    ),
                );
            }
        }
    }

    fn options(&mut self, at: &str, trigger: &TriggerSpec) {
        let (schema, sample) = (format!("{at}/options"), format!("{at}/sample_options"));
        if trigger.options.is_null() {
            if !trigger.sample_options.is_null() {
                self.problem(
                    sample.as_str(),
                    "is an example of options that are not declared; declare them in `options`",
                );
            }
        } else {
            self.schema(&schema, &trigger.options);
            self.looked_up(&schema, &trigger.options);
            self.sample(&sample, &trigger.sample_options);
        }
        let TriggerSource::Webhook(webhook) = &trigger.source else { return };
        if webhook.is_configured() {
            self.configured(&sample, webhook, &trigger.sample_options);
        }
    }

    /// What a webhook leaves to its options, as these options say it.
    fn configured(&mut self, at: &str, webhook: &WebhookSpec, options: &Value) {
        match webhook.with_options(options) {
            Ok(said) => self.webhook(at, &said),
            Err(Problem { at: place, message }) => self.problem(format!("{at}{place}"), message),
        }
    }

    fn schema(&mut self, at: &str, schema: &Value) {
        if !schema.is_object() {
            self.problem(at, "is not a JSON Schema object; write at least `{\"type\": \"object\"}`");
        }
    }

    /// Every `x-lookup` inside a schema names a lookup that is there.
    fn looked_up(&mut self, at: &str, schema: &Value) {
        match schema {
            Value::Object(members) => {
                for (name, member) in members {
                    let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    match member.as_str() {
                        Some(id) if name == LOOKUP && self.manifest.lookup(id).is_none() => self.problem(
                            at,
                            format!("names `{id}`, which is not in `lookups`; declare the lookup there"),
                        ),
                        _ => self.looked_up(&at, member),
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.looked_up(&format!("{at}/{index}"), item);
                }
            }
            _ => {}
        }
    }

    fn sample(&mut self, at: &str, sample: &Value) {
        if sample.is_null() {
            self.problem(at, "is null; write an example, which the builder and the checks show and use");
        }
    }
}

#[cfg(test)]
mod tests;
