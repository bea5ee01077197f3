//! On whose behalf a connector is called without a host: parameters, account and secrets, as an author gives them.
//!
//! Secrets come from the environment or from a file, never from the command line, where every process of the machine
//! could read them. They are never shown.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::Deserialize;
use trunnion_core::manifest::{AuthScheme, Manifest, ParameterPattern, TriggerSource};
use trunnion_sandbox::Secrets;

/// What every variable of a connection begins with.
pub const VARIABLE: &str = "TRUNNION_CONNECTION_";
/// The secret of a webhook, which is the host's own.
const SUBSCRIPTION: &str = "subscription";

/// A connection's document, as an author writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Document {
    scheme: Option<String>,
    parameters: BTreeMap<String, String>,
    secrets: BTreeMap<String, String>,
    account: String,
}

/// A connection to call a connector with.
#[derive(Clone)]
pub struct Credential {
    /// Connection parameters.
    pub parameters: BTreeMap<String, String>,
    /// The account's id at the vendor.
    pub account: String,
    secrets: Arc<Secrets>,
    values: BTreeMap<String, String>,
}

/// A connection that lacks something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a connection's document.
    #[error(
        "the connection is not what was expected: {reason}; write `{{\"parameters\": {{…}}, \"secrets\": {{…}}}}`"
    )]
    Malformed {
        /// Why not.
        reason: String,
    },
    /// A scheme that the manifest does not have.
    #[error("connector `{app}` has no auth scheme `{scheme}`; it has {known}")]
    Scheme {
        /// The connector.
        app: String,
        /// What was named.
        scheme: String,
        /// What there is.
        known: String,
    },
    /// Values that are not there.
    #[error(
        "the connection of `{app}` lacks {}; set {} in the environment, or give a file with --connection",
        quoted(missing),
        missing.iter().map(|name| variable(name)).collect::<Vec<_>>().join(", ")
    )]
    Incomplete {
        /// The connector.
        app: String,
        /// The parameters and secrets.
        missing: Vec<String>,
    },
    /// A parameter that does not fit.
    #[error("the parameter `{name}` does not fit: it must be {expected}")]
    Parameter {
        /// Which.
        name: String,
        /// What fits.
        expected: &'static str,
    },
}

impl Credential {
    /// From the environment: `TRUNNION_CONNECTION_` and the name of a parameter or secret in capitals, and
    /// `TRUNNION_CONNECTION_SCHEME` where the connector has several schemes.
    pub fn of_variables(
        manifest: &Manifest,
        variables: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let take = |names: Vec<String>| -> BTreeMap<String, String> {
            names.into_iter().filter_map(|name| Some((name.clone(), variables(&variable(&name))?))).collect()
        };
        let parameters =
            manifest.connection.parameters.iter().map(|parameter| parameter.name.clone()).collect();
        let secrets =
            manifest.connection.schemes.iter().flat_map(secret_names).chain(verifying(manifest)).collect();
        let account = variables(&variable("account")).unwrap_or_default();
        let document = Document {
            scheme: variables(&variable("scheme")),
            parameters: take(parameters),
            secrets: take(secrets),
            account,
        };
        Self::of(manifest, document)
    }

    /// From a document: `scheme` (where there are several), `parameters`, `secrets`, `account`.
    pub fn of_json(manifest: &Manifest, text: &str) -> Result<Self, Error> {
        let document =
            serde_json::from_str(text).map_err(|error| Error::Malformed { reason: error.to_string() })?;
        Self::of(manifest, document)
    }

    fn of(manifest: &Manifest, document: Document) -> Result<Self, Error> {
        let app = manifest.id.as_str();
        let scheme = scheme(manifest, &document)?;
        let mut missing: Vec<String> = manifest
            .connection
            .parameters
            .iter()
            .filter(|parameter| !document.parameters.contains_key(&parameter.name))
            .map(|parameter| parameter.name.clone())
            .collect();
        let needed = scheme.map(secret_names).unwrap_or_default();
        missing.extend(needed.into_iter().filter(|name| !document.secrets.contains_key(name)));
        if !missing.is_empty() {
            return Err(Error::Incomplete { app: app.to_owned(), missing });
        }
        for parameter in &manifest.connection.parameters {
            let value = document.parameters.get(&parameter.name);
            if !value.is_some_and(|value| parameter.pattern.fits(value)) {
                return Err(Error::Parameter {
                    name: parameter.name.clone(),
                    expected: parameter.pattern.describe(),
                });
            }
        }
        Ok(Self::new(scheme, document.parameters, document.secrets, document.account))
    }

    /// A connection with values that stand for real ones: the same at every call, recognisable wherever they turn up.
    #[must_use]
    pub fn stand_in(manifest: &Manifest, scheme: Option<&AuthScheme>) -> Self {
        let parameters = manifest.connection.parameters.iter().map(|parameter| {
            let value = match parameter.pattern {
                ParameterPattern::Digits => "4711",
                // As in samples.
                ParameterPattern::HostNames => "api.example.com",
                ParameterPattern::HostLabel | ParameterPattern::Identifier => "standin",
            };
            (parameter.name.clone(), value.to_owned())
        });
        let names = scheme.map(secret_names).unwrap_or_default().into_iter().chain(verifying(manifest));
        // Registering a webhook gives the vendor the host's own.
        let names = names.chain([SUBSCRIPTION.to_owned()]);
        let secrets = names.map(|name| (name.clone(), format!("st+nd/in {name} Kq7Zp2Xw9Rt4")));
        Self::new(scheme, parameters.collect(), secrets.collect(), "4711".to_owned())
    }

    fn new(
        scheme: Option<&AuthScheme>,
        parameters: BTreeMap<String, String>,
        values: BTreeMap<String, String>,
        account: String,
    ) -> Self {
        let secrets = Secrets::new(values.clone());
        let secrets = match scheme {
            Some(scheme) => secrets.with_connection_scheme(&scheme.id),
            None => secrets,
        };
        Self { parameters, account, secrets: Arc::new(secrets), values }
    }

    /// For the broker.
    #[must_use]
    pub fn secrets(&self) -> Arc<Secrets> {
        Arc::clone(&self.secrets)
    }

    /// Names and values, for whoever has to look for them.
    #[must_use]
    pub const fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }
}

impl fmt::Debug for Credential {
    /// Shows names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("parameters", &self.parameters)
            .field("secrets", &self.values.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The scheme that is named; else the first whose secrets are all there; else the first.
fn scheme<'m>(manifest: &'m Manifest, document: &Document) -> Result<Option<&'m AuthScheme>, Error> {
    let schemes = &manifest.connection.schemes;
    if let Some(id) = &document.scheme {
        let known: Vec<String> = schemes.iter().map(|scheme| scheme.id.clone()).collect();
        let unknown =
            || Error::Scheme { app: manifest.id.clone(), scheme: id.clone(), known: quoted(&known) };
        return manifest.scheme(id).map(Some).ok_or_else(unknown);
    }
    let whole =
        |scheme: &&AuthScheme| secret_names(scheme).iter().all(|name| document.secrets.contains_key(name));
    Ok(schemes.iter().find(whole).or_else(|| schemes.first()))
}

/// The secrets that requests may refer to where a connection uses this scheme.
#[must_use]
pub fn secret_names(scheme: &AuthScheme) -> Vec<String> {
    scheme.placeable().into_iter().map(str::to_owned).collect()
}

/// The secrets that deliveries are verified with, beside the host's own.
fn verifying(manifest: &Manifest) -> impl Iterator<Item = String> + '_ {
    manifest.triggers.iter().filter_map(|trigger| match &trigger.source {
        TriggerSource::Webhook(webhook) => {
            let secret = webhook.verify.secret();
            (secret != SUBSCRIPTION).then(|| secret.to_owned())
        }
        TriggerSource::Poll(_) => None,
    })
}

fn variable(name: &str) -> String {
    format!("{VARIABLE}{}", name.to_ascii_uppercase().replace('-', "_"))
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest() -> Manifest {
        let document = json!({
            "manifest_version": 1, "id": "acme", "version": "1.0.0", "title": "Acme", "hosts": ["{shop}.acme.com"],
            "connection": {
                "parameters": [{"name": "shop", "title": "Shop", "pattern": "host_label"}],
                "schemes": [
                    {"id": "basic", "title": "User", "type": "fields", "place": [],
                        "fields": [{"name": "user", "title": "User"}, {"name": "password", "title": "Password"}]},
                    {"id": "key", "title": "Key", "type": "fields", "fields": [{"name": "api_key", "title": "Key"}],
                        "place": [{"in": "header", "name": "X-Key", "value": "{{secret:api_key}}"}]},
                ],
            },
        });
        Manifest::parse(&document.to_string()).unwrap()
    }

    #[test]
    fn variables_make_a_connection_of_the_scheme_they_suffice_for() {
        let given = BTreeMap::from([
            ("TRUNNION_CONNECTION_SHOP", "ada"),
            ("TRUNNION_CONNECTION_API_KEY", "k-1234567890"),
            ("API_KEY", "another"),
        ]);
        let credential =
            Credential::of_variables(&manifest(), |name| given.get(name).map(|text| (*text).to_owned()))
                .unwrap();
        assert_eq!(credential.parameters["shop"], "ada");
        assert_eq!(credential.values()["api_key"], "k-1234567890");
        let shown = format!("{credential:?}{:?}", credential.secrets());
        assert!(shown.contains("\"key\"") && !shown.contains("k-1234567890"), "{shown}");
    }

    #[test]
    fn what_is_missing_is_named_with_its_variable() {
        let error = Credential::of_variables(&manifest(), |_| None).unwrap_err().to_string();
        for part in ["`shop`", "TRUNNION_CONNECTION_SHOP", "TRUNNION_CONNECTION_PASSWORD", "--connection"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_document_is_read_strictly() {
        let manifest = manifest();
        let key = json!({"parameters": {"shop": "ada"}, "secrets": {"api_key": "k-1234567890"}});
        assert_eq!(Credential::of_json(&manifest, &key.to_string()).unwrap().values().len(), 1);
        for (document, expected) in [
            (json!({"secret": {}}), "unknown field `secret`"),
            (json!({"scheme": "oauth"}), "`basic`, `key`"),
            (json!({"scheme": "basic", "parameters": {"shop": "ada"}}), "`user`, `password`"),
            (json!({"parameters": {"shop": "a.b"}, "secrets": {"api_key": "k"}}), "`shop` does not fit"),
        ] {
            let error = Credential::of_json(&manifest, &document.to_string()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_stand_in_fits_the_manifest() {
        let manifest = manifest();
        let stand_in = Credential::stand_in(&manifest, manifest.scheme("key"));
        assert!(manifest.connection.parameters[0].pattern.fits(&stand_in.parameters["shop"]));
        assert_eq!(stand_in.values().keys().collect::<Vec<_>>(), ["api_key", "subscription"]);
    }
}
