//! A trigger's options: what a workflow says beside which trigger it starts by. The manifest declares them by a JSON Schema;
//! a webhook may leave to them how its deliveries are verified and recognised.
//!
//! Invariant: options that reach a connector or a verification are values: what a user fills in stands in them only as
//! `{{ config.NAME }}`, and is put in when the workflow is installed.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{DedupKey, Manifest, Verification, WebhookSpec, check};
use crate::problem::Problem;

/// The option that says how deliveries are verified, where the manifest leaves it to the workflow.
pub(crate) const VERIFY: &str = "verify";
/// The option that says what recognises a repetition.
pub(crate) const DEDUP: &str = "dedup";

/// Options that say nothing.
#[must_use]
pub fn none() -> Value {
    Value::Object(Map::new())
}

/// The options of an installation with these field values; a field without a value is null.
#[must_use]
pub fn filled(options: &Value, config: &BTreeMap<String, Value>) -> Value {
    match options {
        Value::String(text) => match field_of(text) {
            Some(name) => config.get(name).cloned().unwrap_or_default(),
            None => options.clone(),
        },
        Value::Array(items) => items.iter().map(|item| filled(item, config)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), filled(value, config))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => options.clone(),
    }
}

/// The field that a text stands for: `{{ config.NAME }}` and nothing else.
pub(crate) fn field_of(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim().strip_prefix("config.")?;
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(name)
}

impl WebhookSpec {
    /// The declaration with what it leaves to the options.
    pub fn with_options(&self, options: &Value) -> Result<Self, Problem> {
        let verify = match &self.verify {
            Verification::Configured => match said(options, VERIFY)? {
                Some(Verification::Configured) | None => {
                    let message = "does not say how deliveries are verified; write `secret_header` or `hmac` as its `method`";
                    return Err(Problem::new(format!("/{VERIFY}"), message));
                }
                Some(verify) => verify,
            },
            fixed => fixed.clone(),
        };
        let dedup = match &self.dedup {
            DedupKey::Configured => match said(options, DEDUP)? {
                Some(DedupKey::Configured) | None => DedupKey::BodyHash,
                Some(dedup) => dedup,
            },
            fixed => fixed.clone(),
        };
        Ok(Self { registration: self.registration, verify, dedup })
    }

    /// What is wrong with how these options have the deliveries of this webhook of `manifest` verified and recognised;
    /// places inside the options.
    #[must_use]
    pub fn faults(&self, manifest: &Manifest, options: &Value) -> Vec<Problem> {
        if self.is_configured() { check::configured(manifest, self, options) } else { Vec::new() }
    }

    /// Whether it leaves anything to the options.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.verify == Verification::Configured || self.dedup == DedupKey::Configured
    }
}

/// A member of the options; none where it is absent or null.
fn said<T: DeserializeOwned>(options: &Value, name: &str) -> Result<Option<T>, Problem> {
    let Some(said) = options.get(name).filter(|said| !said.is_null()) else { return Ok(None) };
    serde_json::from_value(said.clone()).map(Some).map_err(|error| {
        Problem::new(format!("/{name}"), format!("is not what a manifest could say: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{Registration, SignedPart},
        *,
    };

    #[test]
    fn fields_are_put_in_where_they_stand_alone() {
        let config = BTreeMap::from([("table".to_owned(), json!("orders")), ("most".to_owned(), json!(7))]);
        let options = json!({ "table": "{{ config.table }}", "most": "{{config.most}}", "none": "{{ config.none }}",
            "list": ["{{ config.table }}", "as {{ config.table }}"], "fixed": true });
        let expected = json!({ "table": "orders", "most": 7, "none": null,
            "list": ["orders", "as {{ config.table }}"], "fixed": true });
        assert_eq!(filled(&options, &config), expected);
        for other in ["config.table", "{{ trigger.id }}", "{{ config.a.b }}", "{{ config.a }} {{ config.b }}"]
        {
            assert_eq!(field_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_webhook_is_verified_as_its_options_say_where_it_leaves_that_to_them() {
        let webhook = WebhookSpec {
            registration: Registration::Manual,
            verify: Verification::Configured,
            dedup: DedupKey::Configured,
        };
        assert!(webhook.is_configured());
        let options = json!({ "verify": { "method": "hmac", "algorithm": "sha256", "header": "x-sig", "encoding": "hex",
            "parts": ["body"], "secret": "subscription" }, "dedup": { "from": "header", "name": "x-id" } });
        let said = webhook.with_options(&options).unwrap();
        assert!(
            matches!(&said.verify, Verification::Hmac { parts, .. } if *parts == [SignedPart::Body]),
            "{said:?}"
        );
        assert_eq!(said.dedup, DedupKey::Header { name: "x-id".to_owned() });
        assert_eq!(said.with_options(&json!({})).unwrap(), said, "what is said is not left open");
        let verify = json!({ "method": "secret_header", "header": "x-token", "secret": "subscription" });
        assert_eq!(webhook.with_options(&json!({ "verify": verify })).unwrap().dedup, DedupKey::BodyHash);
        for wrong in [
            json!({}),
            json!({ "verify": { "method": "configured" } }),
            json!({ "verify": { "method": "hope" } }),
        ] {
            assert_eq!(webhook.with_options(&wrong).unwrap_err().at, "/verify", "{wrong}");
        }
    }
}
