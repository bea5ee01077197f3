//! On whose behalf a connector is called without a host: parameters, account and secrets, as an author gives them.
//!
//! Secrets come from the environment or from a file, never from the command line, where every process of the machine
//! could read them. They are never shown. Where a scheme's secret is a token that the vendor issues, it may be given, or
//! what one is obtained with: then it is obtained as a host would obtain it, by the vault's own code, and what proved
//! the right to it is nothing that a request may carry.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::Deserialize;
use trunnion_core::{
    clock::Timestamp,
    manifest::{
        AuthKind, AuthScheme, Manifest, ParameterPattern, TriggerSource,
        auth::{ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET},
    },
};
use trunnion_sandbox::{Outbound, Secrets};

use crate::vault::{
    grants::{Applicant, Registered},
    tokens::{Client, Issued, Refusal},
};

/// What every variable of a connection begins with.
pub const VARIABLE: &str = "TRUNNION_CONNECTION_";
/// The secret of a webhook, which is the host's own.
const SUBSCRIPTION: &str = "subscription";
/// What consent gave, beside the token.
pub const REFRESH_TOKEN: &str = "refresh_token";

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
    /// The scheme and everything that was given, where a token has to be obtained before the first call.
    asks: Option<(AuthScheme, BTreeMap<String, String>)>,
}

/// A connection with the token that its vendor issued.
#[derive(Debug)]
pub struct Obtained {
    /// The connection.
    pub credential: Credential,
    /// The refresh token, where the vendor replaced it: the one that was given may hold no longer.
    pub replaced: Option<Replaced>,
}

/// A refresh token that takes the place of another.
#[derive(Clone)]
pub struct Replaced(pub String);

impl fmt::Debug for Replaced {
    /// Leaves the token out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replaced")
    }
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
        "the connection of `{app}` lacks {}; set {} in the environment{}, or give a file with --connection",
        quoted(missing),
        variables_of(missing),
        if instead.is_empty() {
            String::new()
        } else {
            format!(" (or, to have a token obtained, {})", variables_of(instead))
        }
    )]
    Incomplete {
        /// The connector.
        app: String,
        /// The parameters and secrets.
        missing: Vec<String>,
        /// What would do in the place of a token.
        instead: Vec<String>,
    },
    /// The vendor issued no token.
    #[error("no token for the connection of `{app}`: {reason}")]
    NoToken {
        /// The connector.
        app: String,
        /// What the vendor says, or what is wrong with what was given.
        reason: String,
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
        let secrets = manifest
            .connection
            .schemes
            .iter()
            .flat_map(|scheme| [secret_names(scheme), proofs(scheme)].concat());
        let secrets = secrets.chain(verifying(manifest)).collect();
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
        let given = |name: &String| document.secrets.contains_key(name);
        let (needed, proofs) = scheme.map(|it| (secret_names(it), proofs(it))).unwrap_or_default();
        let asks = !needed.iter().all(given) && !proofs.is_empty() && proofs.iter().all(given);
        let mut instead = Vec::new();
        if !asks {
            // Who gave some of what a token is obtained with means to have one obtained.
            let partly = proofs.iter().any(given) && !needed.iter().all(given);
            let (wanted, other) = if partly { (proofs, Vec::new()) } else { (needed, proofs) };
            let before = missing.len();
            missing.extend(wanted.into_iter().filter(|name| !given(name)));
            if missing.len() > before {
                instead = other;
            }
        }
        if !missing.is_empty() {
            return Err(Error::Incomplete { app: app.to_owned(), missing, instead });
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
        let Document { parameters, secrets, account, .. } = document;
        let asks = scheme.filter(|_| asks).map(|scheme| (scheme.clone(), secrets.clone()));
        Ok(Self { asks, ..Self::new(scheme, parameters, carried(manifest, scheme, secrets), account) })
    }

    /// Whether a token has to be obtained before the first call.
    #[must_use]
    pub const fn lacks_token(&self) -> bool {
        self.asks.is_some()
    }

    /// With a token of the vendor's, which is asked for it where there is none: a refresh token, the client itself or a
    /// service account's key shows the right to it.
    pub async fn obtained(
        mut self,
        manifest: &Arc<Manifest>,
        outbound: &dyn Outbound,
        now: Timestamp,
    ) -> Result<Obtained, Error> {
        let Some((scheme, secrets)) = self.asks.take() else {
            return Ok(Obtained { credential: self, replaced: None });
        };
        let given = |name: &str| secrets.get(name).cloned();
        let client = given(CLIENT_ID)
            .zip(given(CLIENT_SECRET))
            .map(|(id, secret)| Registered { client: Client { id, secret: secret.into() }, scopes: None });
        let refresh = given(REFRESH_TOKEN);
        let applicant = Applicant {
            manifest,
            scheme: &scheme,
            parameters: &self.parameters,
            secrets: &secrets,
            refresh: refresh.as_deref(),
            registered: client.filter(|_| scheme.needs_registration()),
        };
        let no_token = |refusal| {
            let reason = match refusal {
                Refusal::Final(reason) => reason,
                Refusal::Now(error) => error.to_string(),
            };
            Error::NoToken { app: manifest.id.clone(), reason }
        };
        let Issued { tokens, .. } = applicant.obtain(outbound, now).await.map_err(no_token)?;
        let replaced = tokens.refresh.filter(|new| refresh.is_some() && refresh.as_ref() != Some(new));
        // What showed the right to it, and what takes its place, must not be seen in a recording either.
        let mut hidden = secrets;
        hidden.extend(replaced.iter().map(|new| ("replaced_refresh_token".to_owned(), new.clone())));
        hidden.insert(ACCESS_TOKEN.to_owned(), tokens.access);
        let carried = carried(manifest, Some(&scheme), hidden.clone());
        let mut credential = Self::new(Some(&scheme), self.parameters, carried, self.account);
        // A client's id is no secret, and may be any word of an answer.
        hidden.remove(CLIENT_ID);
        credential.values.extend(hidden);
        Ok(Obtained { credential, replaced: replaced.map(Replaced) })
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
        Self { parameters, account, secrets: Arc::new(secrets), values, asks: None }
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
    let given = |names: Vec<String>| names.iter().all(|name| document.secrets.contains_key(name));
    let whole = |scheme: &&AuthScheme| given(secret_names(scheme));
    let obtains = |scheme: &&AuthScheme| scheme.is_issued() && given(proofs(scheme));
    Ok(schemes.iter().find(whole).or_else(|| schemes.iter().find(obtains)).or_else(|| schemes.first()))
}

/// What a token of this scheme is obtained with; nothing where its secrets are no tokens.
fn proofs(scheme: &AuthScheme) -> Vec<String> {
    match &scheme.kind {
        AuthKind::Fields { .. } => Vec::new(),
        AuthKind::Oauth2(_) => [REFRESH_TOKEN, CLIENT_ID, CLIENT_SECRET].map(str::to_owned).to_vec(),
        AuthKind::ClientCredentials(_) => [CLIENT_ID, CLIENT_SECRET].map(str::to_owned).to_vec(),
        AuthKind::JwtBearer(declared) => vec![declared.key.name.clone()],
    }
}

/// What of the secrets requests and deliveries have to do with: not what only shows the right to a token.
fn carried(
    manifest: &Manifest,
    scheme: Option<&AuthScheme>,
    mut secrets: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let placed = scheme.map(secret_names).unwrap_or_default();
    let only_shown = |name: &String| !placed.contains(name) && !verifying(manifest).any(|it| it == *name);
    for proof in scheme.map(proofs).unwrap_or_default().iter().filter(|name| only_shown(name)) {
        secrets.remove(proof);
    }
    secrets
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

fn variables_of(names: &[String]) -> String {
    names.iter().map(|name| variable(name)).collect::<Vec<_>>().join(", ")
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

    fn issuing() -> Manifest {
        let document = json!({
            "manifest_version": 1, "id": "acme", "version": "1.0.0", "title": "Acme", "hosts": ["api.acme.com"],
            "connection": { "schemes": [
                {"id": "oauth", "title": "Consent", "type": "oauth2", "place": [
                    {"in": "header", "name": "Authorization", "value": "Bearer {{secret:access_token}}"}],
                 "authorize": {"url": "https://api.acme.com/authorize"}, "token": {"url": "https://api.acme.com/token"}},
                {"id": "account", "title": "Account", "type": "jwt_bearer", "place": [
                    {"in": "header", "name": "Authorization", "value": "Bearer {{secret:access_token}}"}],
                 "key": {"name": "account_key", "title": "Key"}, "scopes": []},
            ] },
        });
        Manifest::parse(&document.to_string()).unwrap()
    }

    #[test]
    fn a_token_is_given_or_what_it_is_obtained_with() {
        let manifest = issuing();
        let of = |secrets: serde_json::Value| {
            Credential::of_json(&manifest, &json!({ "secrets": secrets }).to_string())
        };
        let given = of(json!({ "access_token": "t-1234567890", "refresh_token": "r-1234567890" })).unwrap();
        assert!(!given.lacks_token());
        let refresh =
            json!({ "refresh_token": "r-1234567890", "client_id": "app", "client_secret": "s-1234567890" });
        let asks = of(refresh).unwrap();
        assert!(asks.lacks_token());
        assert!(asks.values().is_empty(), "no request may carry what shows the right to a token: {asks:?}");
        assert!(of(json!({ "account_key": "{}" })).unwrap().lacks_token());
        let nothing = of(json!({})).unwrap_err().to_string();
        for part in
            ["lacks `access_token`", "TRUNNION_CONNECTION_ACCESS_TOKEN", "TRUNNION_CONNECTION_REFRESH_TOKEN"]
        {
            assert!(nothing.contains(part), "{nothing}");
        }
        let partly =
            of(json!({ "refresh_token": "r-1234567890", "client_id": "app" })).unwrap_err().to_string();
        assert!(partly.contains("lacks `client_secret`") && !partly.contains("ACCESS_TOKEN"), "{partly}");
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
