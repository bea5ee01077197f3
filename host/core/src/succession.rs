//! Succession: whether one version of a connector may take the place of another that is in use.
//!
//! Decided by what is in use, not by the version's number: whatever a live release, a stored connection or a
//! subscription stands on must still be there, in a form that fits. Faults that the present version has as well
//! are nobody's news and refuse nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::{Discriminant, discriminant},
};

use serde_json::Value;

use crate::{
    definition::Definition,
    manifest::{
        AuthKind, AuthScheme, Manifest, ParameterPattern, Registration, TriggerSource, auth::CLIENT_SECRET,
    },
    problem::Problem,
    records::Connection,
    release::{self, Catalog},
};

/// The secret that the host itself makes for each subscription.
const OWN_SECRET: &str = "subscription";

/// Whether everything that users' things can stand on is the same in both, so that nothing need be looked at.
#[must_use]
pub fn interchangeable(present: &Manifest, candidate: &Manifest) -> bool {
    present.id == candidate.id
        && triggers(present) == triggers(candidate)
        && actions(present) == actions(candidate)
        && parameters(present) == parameters(candidate)
        && schemes(present) == schemes(candidate)
}

/// What a release would lack under `candidate` that it has under `present`; each problem names its place.
#[must_use]
pub fn release_faults(
    definition: &Definition,
    present: &dyn Catalog,
    candidate: &dyn Catalog,
) -> Vec<Problem> {
    let problems = |catalog| release::check(definition, catalog).err().map_or_else(Vec::new, |all| all.0);
    let after = problems(candidate);
    if after.is_empty() {
        return after;
    }
    let before = problems(present);
    after.into_iter().filter(|problem| !before.iter().any(|known| same(known, problem))).collect()
}

/// What a stored connection would lack under `candidate` that it has under `present`.
#[must_use]
pub fn connection_faults(connection: &Connection, present: &Manifest, candidate: &Manifest) -> Vec<String> {
    let before = lacking(connection, present);
    lacking(connection, candidate).into_iter().filter(|fault| !before.contains(fault)).collect()
}

/// Why a connection cannot serve under `manifest`, member by member; empty where it can.
#[must_use]
pub fn lacking(connection: &Connection, manifest: &Manifest) -> Vec<String> {
    let mut faults = Vec::new();
    match manifest.scheme(&connection.scheme) {
        None => faults.push(format!("the way to authenticate `{}` is gone", connection.scheme)),
        Some(scheme) => {
            let missing = secrets(scheme).filter(|name| !connection.secrets.contains_key(*name));
            faults.extend(missing.map(|name| format!("the secret `{name}` is newly required")));
            if matches!(scheme.kind, AuthKind::Oauth2(_)) && connection.tokens.is_none() {
                faults.push(format!("`{}` now has the user consent at the vendor", connection.scheme));
            }
        }
    }
    for parameter in &manifest.connection.parameters {
        let name = &parameter.name;
        match connection.parameters.get(name) {
            None => faults.push(format!("the parameter `{name}` is newly required")),
            Some(value) if !parameter.pattern.fits(value) => {
                faults.push(format!("the parameter `{name}` must now be {}", parameter.pattern.describe()));
            }
            Some(_) => {}
        }
    }
    faults
}

/// What a registered webhook would lack under `candidate` that it has under `present`: its trigger, or the secret
/// that proves deliveries. `connection` is what it stands on, where that still exists.
#[must_use]
pub fn subscription_fault(
    trigger: &str,
    connection: Option<&Connection>,
    present: &Manifest,
    candidate: &Manifest,
) -> Option<String> {
    let fault = |manifest| unservable(trigger, connection, manifest);
    fault(candidate).filter(|after| fault(present).as_ref() != Some(after))
}

fn unservable(trigger: &str, connection: Option<&Connection>, manifest: &Manifest) -> Option<String> {
    let Some(spec) = manifest.trigger(trigger) else {
        return Some(format!("the trigger `{trigger}` is gone"));
    };
    let TriggerSource::Webhook(webhook) = &spec.source else {
        return Some(format!("the trigger `{trigger}` is no longer a webhook"));
    };
    if webhook.registration == Registration::PerApp {
        return Some(format!(
            "the trigger `{trigger}` is now delivered to the app's URL, and no longer to those of its connections"
        ));
    }
    let secret = webhook.verify.secret();
    let registered = |connection: &Connection| {
        let scheme = manifest.scheme(&connection.scheme);
        secret == CLIENT_SECRET && scheme.is_some_and(AuthScheme::needs_registration)
    };
    let held =
        connection.is_none_or(|connection| connection.secrets.contains_key(secret) || registered(connection));
    (secret != OWN_SECRET && !held)
        .then(|| format!("deliveries of the trigger `{trigger}` are verified with the secret `{secret}`, which is not there"))
}

/// What the installations fed by an app's own webhook would lack under `candidate` that they have under `present`: the
/// trigger, its way of registration, or one of the `keys` that the ISV keeps to verify deliveries.
#[must_use]
pub fn app_webhook_fault(
    trigger: &str,
    keys: &BTreeSet<&str>,
    present: &Manifest,
    candidate: &Manifest,
) -> Option<String> {
    let fault = |manifest| undelivered(trigger, keys, manifest);
    fault(candidate).filter(|after| fault(present).as_ref() != Some(after))
}

fn undelivered(trigger: &str, keys: &BTreeSet<&str>, manifest: &Manifest) -> Option<String> {
    if manifest.trigger(trigger).is_none() {
        return Some(format!("the trigger `{trigger}` is gone"));
    }
    let Some((_, webhook)) = manifest.app_webhooks().find(|(id, _)| *id == trigger) else {
        return Some(format!("the trigger `{trigger}` is no longer delivered to the app's own URL"));
    };
    let secret = webhook.verify.secret();
    (!keys.contains(secret)).then(|| {
        format!("deliveries of the trigger `{trigger}` are verified with the secret `{secret}`, which is not there")
    })
}

/// What a poller would lack under `candidate` that it has under `present`: its trigger, or a reader of its cursor.
/// `format` is the stored cursor's, where there is one yet.
#[must_use]
pub fn poller_fault(
    trigger: &str,
    format: Option<u32>,
    present: &Manifest,
    candidate: &Manifest,
) -> Option<String> {
    let fault = |manifest| unpollable(trigger, format, manifest);
    fault(candidate).filter(|after| fault(present).as_ref() != Some(after))
}

fn unpollable(trigger: &str, format: Option<u32>, manifest: &Manifest) -> Option<String> {
    if manifest.trigger(trigger).is_none() {
        return Some(format!("the trigger `{trigger}` is gone"));
    }
    let Some(poll) = manifest.poll(trigger) else {
        return Some(format!("the trigger `{trigger}` no longer polls"));
    };
    let reads = &poll.cursor_format.reads;
    format.filter(|format| !reads.contains(format)).map(|format| {
        let known = reads.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        format!(
            "the cursors of the trigger `{trigger}` are stored in format {format}, which is not read any more \
             (`cursor_format.reads` has {known})"
        )
    })
}

/// Whether `after` says of the same place what `before` said. Where a name is unknown, the place is enough: the
/// message lists the names that there are instead, which may differ.
fn same(before: &Problem, after: &Problem) -> bool {
    let names_a_thing = ["/action", "/app", "/trigger"].iter().any(|end| after.at.ends_with(end));
    before.at == after.at && (names_a_thing || before.message == after.message)
}

type ByName<'a, T> = BTreeMap<&'a str, T>;

fn triggers(manifest: &Manifest) -> ByName<'_, (&TriggerSource, &Value, &Value)> {
    let parts = manifest.triggers.iter();
    parts.map(|it| (it.id.as_str(), (&it.source, &it.schema, &it.sample))).collect()
}

fn actions(manifest: &Manifest) -> ByName<'_, (&Value, &Value, &Value)> {
    let parts = manifest.actions.iter();
    parts.map(|it| (it.id.as_str(), (&it.input, &it.output, &it.sample_output))).collect()
}

fn parameters(manifest: &Manifest) -> ByName<'_, ParameterPattern> {
    manifest.connection.parameters.iter().map(|it| (it.name.as_str(), it.pattern)).collect()
}

fn schemes(manifest: &Manifest) -> ByName<'_, (Discriminant<AuthKind>, Vec<&str>)> {
    let parts = manifest.connection.schemes.iter();
    parts.map(|it| (it.id.as_str(), (discriminant(&it.kind), secrets(it).collect()))).collect()
}

fn secrets(scheme: &AuthScheme) -> impl Iterator<Item = &str> {
    scheme.asks().iter().map(|field| field.name.as_str())
}

#[cfg(test)]
mod tests;
