//! Consent: a person is sent to the vendor, comes back with a code, and the code becomes a connection.
//!
//! A *consent* under way is bound to scope, user, app and parameters by its `state`: 128 random bits, of which only the
//! hash is stored. It is used once: the commit that removes it comes before anything is asked of the vendor. What comes
//! back is believed only as far as the manifest's declaration reaches: state, the vendor's signature where it has one,
//! and in the end the vendor's own word on whose credential it is.

use std::{collections::BTreeMap, time::Duration};

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;
use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    id::UserId,
    manifest::{
        AuthKind, AuthScheme, Manifest,
        auth::{self, CallbackSignature, CaptureSource, Oauth2, Pkce, Refresh},
    },
    records::{AppRegistration, Connection, Consent},
    scope::Scope,
};
use trunnion_store::{
    Batch, CommitError, Deployment,
    tables::{ConsentTarget, Consents, ConsentsByState},
};
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::{
    Given, Vault, own,
    tokens::{Endpoint, Grant, Issued, Refusal},
};
use crate::{
    condition::Condition,
    error::{Error, Result},
    finish::finish,
    triggers::webhook::path_key,
};

/// How long a person may take to consent.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What is to be connected by consent.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Whose connection it will be; [`Connection::OWN`] with a name for one of the environment's own.
    pub user: UserId,
    /// The name of the environment's own connection.
    pub name: Option<String>,
    /// The app.
    pub app: String,
    /// The auth scheme; the app's first that works by consent where none is named.
    pub scheme: Option<String>,
    /// Connection parameters that the vendor's address needs.
    pub given: Given,
    /// Where the person is sent in the end; a page of the host's own where nowhere.
    pub redirect: Option<String>,
}

/// What a vendor sent a person back with.
#[derive(Debug)]
pub struct Returned {
    /// Where the person is to be sent.
    pub redirect: Option<String>,
    /// The connection, or why there is none.
    pub outcome: Result<Connection>,
}

/// A callback's query, in order.
pub type Query = Vec<(String, String)>;

impl Vault {
    /// The address at the vendor where the person consents.
    pub async fn ask_consent(&self, scope: &Scope, wish: Wish) -> Result<String> {
        let Wish { user, name, app, scheme, given, redirect } = wish;
        name.as_deref().map(own::check_name).transpose()?;
        let connector = self.connector(&app)?;
        let manifest = connector.manifest();
        let (scheme, oauth) = by_consent(manifest, scheme.as_deref())?;
        let parameters = typed(manifest, scheme, given)?;
        if let Some(url) = &redirect {
            check_redirect(url)?;
        }
        let registration = self.registration(scope, &app).await?;
        let redirect_uri = registration.redirect_uri.clone().unwrap_or_else(|| self.callback_url());
        let state = hex::encode(self.context.ids.bytes::<16>());
        let verifier = (oauth.authorize.pkce == Pkce::S256)
            .then(|| BASE64_URL_SAFE_NO_PAD.encode(self.context.ids.bytes::<32>()));
        let now = self.context.now();
        let consent = Consent {
            user,
            name,
            app: app.clone(),
            scheme: scheme.id.clone(),
            parameters,
            verifier,
            redirect_uri,
            redirect,
            expires_at: now + PATIENCE,
        };
        let url = authorize_url(oauth, &consent, &registration, &state)?;
        let id = self.context.ids.next();
        let mut batch = Batch::new();
        batch.insert::<Consents>(scope, &id, &consent);
        let target = ConsentTarget { scope: *scope, consent: id, expires_at: consent.expires_at };
        batch.insert::<ConsentsByState>(&Deployment, &path_key(&state), &target);
        self.context.store.commit(batch).await.map_err(Error::Commit)?;
        Ok(url)
    }

    /// Takes a person back whom a vendor sent. `Err` where nobody knows who it is; to its end, since a code serves once.
    pub async fn come_back(&self, query: Query) -> Result<Returned> {
        let vault = self.clone();
        finish(async move { vault.come_back_here(query).await }).await
    }

    async fn come_back_here(&self, query: Query) -> Result<Returned> {
        let (scope, consent) = self.take_consent(&query).await?;
        let redirect = consent.redirect.clone();
        let outcome = self.consented(&scope, consent, &query).await;
        Ok(Returned { redirect, outcome })
    }

    /// Finds the consent of a callback's state, and removes it: whoever comes second finds nothing.
    async fn take_consent(&self, query: &Query) -> Result<(Scope, Consent)> {
        let unknown = || {
            let message =
                "this link was used before, has expired, or is not one of this host; begin to connect anew";
            Err(Error::not_found("oauth-state-unknown", message))
        };
        let store = &self.context.store;
        let Some(state) = one(query, "state") else { return unknown() };
        let key = path_key(state);
        let Some(target) = store.get::<ConsentsByState>(&Deployment, &key).await? else { return unknown() };
        let ConsentTarget { scope, consent: id, .. } = target.record;
        let Some(consent) = crate::error::present(store.get::<Consents>(&scope, &id).await)? else {
            return unknown();
        };
        let mut batch = Batch::new();
        batch.remove::<ConsentsByState>(&Deployment, &key, target.version);
        batch.remove::<Consents>(&scope, &id, consent.version);
        match store.commit(batch).await {
            Ok(_) if consent.record.expires_at > self.context.now() => Ok((scope, consent.record)),
            Ok(_) | Err(CommitError::Conflict { .. }) => unknown(),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    async fn consented(&self, scope: &Scope, consent: Consent, query: &Query) -> Result<Connection> {
        let app = &consent.app;
        let connector = self.connector(app)?;
        let manifest = connector.manifest();
        let (_, oauth) = by_consent(manifest, Some(&consent.scheme))?;
        let (client, registration) = self.client(scope, app).await?;
        if let Some(signature) = &oauth.callback {
            believed(app, signature, query, &registration.client_secret, self.context.now())?;
        }
        if let Some(error) = one(query, "error") {
            let said = one(query, "error_description").map(|said| format!(": {said}")).unwrap_or_default();
            return Err(Error::invalid("oauth-denied", format!("`{app}` was not connected: {error}{said}")));
        }
        let Some(code) = one(query, "code").filter(|code| !code.is_empty()) else {
            return Err(incomplete(app, "has no `code`"));
        };
        let mut parameters = consent.parameters;
        let said = |name: &str| one(query, name).map(str::to_owned);
        capture(oauth, CaptureSource::Callback, app, said, &mut parameters)?;
        let repeat =
            oauth.repeat.iter().filter_map(|name| Some((name.clone(), one(query, name)?.to_owned())));
        let grant = Grant::Code {
            code: Zeroizing::new(code.to_owned()),
            redirect_uri: consent.redirect_uri,
            verifier: consent.verifier.map(Zeroizing::new),
            repeat: repeat.collect(),
        };
        let endpoint =
            Endpoint { manifest, parameters: &parameters, token: &oauth.token, client: Some(&client) };
        let asked = endpoint.ask(self.context.broker.as_ref(), &grant, self.context.now()).await;
        let Issued { tokens, answer } = asked.map_err(|refusal| refused(app, refusal))?;
        if oauth.refresh != Refresh::None && tokens.expires_at.is_some() && tokens.refresh.is_none() {
            let message = format!(
                "`{app}` gave a token that ends and none to renew it with; ask for one in the connector's declaration \
                 (`access_type=offline`, a scope such as `offline_access`)"
            );
            return Err(Error::invalid("oauth-callback-incomplete", message));
        }
        let said = |name: &str| match answer.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        capture(oauth, CaptureSource::Token, app, said, &mut parameters)?;
        for parameter in &manifest.connection.parameters {
            if !parameters.contains_key(&parameter.name) {
                return Err(incomplete(app, &format!("does not say `{}`", parameter.name)));
            }
        }
        let mut connection = self.blank(consent.user, app, &consent.scheme, parameters);
        connection.tokens = Some(tokens);
        let connection = self.known_at_vendor(scope, connection).await?;
        match consent.name {
            Some(name) => Ok(self.take_in_own(scope, &name, connection, &Condition::Any).await?.record),
            None => self.take_in(scope, connection).await,
        }
    }
}

/// The scheme of this id, or the first, that works by consent.
fn by_consent<'a>(manifest: &'a Manifest, id: Option<&str>) -> Result<(&'a AuthScheme, &'a Oauth2)> {
    let mut schemes = manifest.connection.schemes.iter().filter_map(|scheme| match &scheme.kind {
        AuthKind::Oauth2(oauth) if id.is_none_or(|id| id == scheme.id) => Some((scheme, oauth.as_ref())),
        _ => None,
    });
    schemes.next().ok_or_else(|| {
        let app = &manifest.id;
        let named = id.map(|id| format!(" by `{id}`")).unwrap_or_default();
        let message = format!(
            "`{app}` is not connected by consent{named}; give its credential to POST /headless/credentials"
        );
        Error::invalid("oauth-scheme-missing", message)
    })
}

/// The parameters that a person must give; others are left out, since clients send what they have.
fn typed(manifest: &Manifest, scheme: &AuthScheme, mut given: Given) -> Result<BTreeMap<String, String>> {
    let app = &manifest.id;
    let mut parameters = BTreeMap::new();
    for parameter in manifest.connection.parameters.iter().filter(|it| !scheme.captures(&it.name)) {
        let name = &parameter.name;
        let Some(value) = given.remove(name) else {
            let message = format!("connecting `{app}` needs `{name}`: {}", parameter.title);
            return Err(Error::invalid("credential-incomplete", message));
        };
        if !parameter.pattern.fits(&value) {
            let message = format!("`{name}` of `{app}` must be {}", parameter.pattern.describe());
            return Err(Error::invalid("credential-invalid", message));
        }
        parameters.insert(name.clone(), value);
    }
    Ok(parameters)
}

fn check_redirect(url: &str) -> Result<()> {
    let fits = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
    if fits {
        return Ok(());
    }
    let message = "the address to return to is not a URL; write it as `https://host/path`";
    Err(Error::invalid("redirect-url-invalid", message))
}

fn authorize_url(
    oauth: &Oauth2,
    consent: &Consent,
    registration: &AppRegistration,
    state: &str,
) -> Result<String> {
    let app = &consent.app;
    let fill = |template| {
        auth::fill(template, &consent.parameters)
            .map_err(|name| Error::Internal(format!("the parameter `{name}` of `{app}` is missing")))
    };
    let mut url = Url::parse(&fill(&oauth.authorize.url)?)
        .map_err(|error| Error::Internal(format!("the authorize URL of `{app}` cannot be read: {error}")))?;
    let scopes = registration.scopes.as_ref().unwrap_or(&oauth.scopes);
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &registration.client_id)
            .append_pair("redirect_uri", &consent.redirect_uri)
            .append_pair("state", state);
        if !scopes.is_empty() {
            query.append_pair("scope", &scopes.join(&oauth.authorize.scope_separator));
        }
        if let Some(verifier) = &consent.verifier {
            let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
            query.append_pair("code_challenge", &challenge).append_pair("code_challenge_method", "S256");
        }
        for (name, value) in &oauth.authorize.parameters {
            query.append_pair(name, &fill(value)?);
        }
    }
    Ok(url.into())
}

/// Takes the declared parameters from what the vendor said; one that the person typed must be the same.
fn capture(
    oauth: &Oauth2,
    from: CaptureSource,
    app: &str,
    said: impl Fn(&str) -> Option<String>,
    parameters: &mut BTreeMap<String, String>,
) -> Result<()> {
    for capture in oauth.captures.iter().filter(|capture| capture.from == from) {
        let name = &capture.parameter;
        let said = said(&capture.name);
        let Some(value) = said.as_deref().and_then(|said| capture.value(said)) else {
            return Err(incomplete(app, &format!("does not say `{name}`")));
        };
        match parameters.get(name) {
            Some(known) if !known.eq_ignore_ascii_case(value) => {
                let message = format!(
                    "`{app}` was connected as another account than was asked for (`{name}`); begin to connect anew, \
                     signed in there with the right one"
                );
                return Err(Error::invalid("oauth-callback-incomplete", message));
            }
            Some(_) => {}
            None => drop(parameters.insert(name.clone(), value.to_owned())),
        }
    }
    Ok(())
}

/// Whether a callback carries the vendor's signature.
fn believed(
    app: &str,
    declared: &CallbackSignature,
    query: &Query,
    secret: &str,
    now: Timestamp,
) -> Result<()> {
    let refused = |why: &str| {
        let message = format!("the callback of `{app}` is not believed: {why}; begin to connect anew");
        Err(Error::invalid("oauth-callback-unsigned", message))
    };
    let Some(given) = one(query, &declared.parameter).and_then(|given| hex::decode(given).ok()) else {
        return refused("it is not signed");
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    if hmac::verify(&key, signed_query(declared, query).as_bytes(), &given).is_err() {
        return refused("its signature is not the vendor's; see that `client_secret` is the app's own");
    }
    if let Some(time) = &declared.timestamp {
        let at = one(query, &time.parameter).and_then(|text| text.parse::<u64>().ok());
        let near =
            at.is_some_and(|at| now.as_millis().abs_diff(at.saturating_mul(1_000)) <= time.tolerance_ms);
        if !near {
            return refused("it was signed at another time");
        }
    }
    Ok(())
}

/// What a callback's signature is over: its other parameters, sorted by name, form-encoded.
fn signed_query(declared: &CallbackSignature, query: &Query) -> String {
    let unsigned = |name: &str| name == declared.parameter || declared.unsigned.iter().any(|it| it == name);
    let mut signed: Vec<_> = query.iter().filter(|(name, _)| !unsigned(name)).collect();
    signed.sort_by(|(one, _), (other, _)| one.cmp(other));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(signed).finish()
}

/// The one value of this name; none where there are several, of which nobody can say which was meant.
fn one<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    let mut values = query.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
    values.next().filter(|_| values.next().is_none())
}

fn incomplete(app: &str, what: &str) -> Error {
    let message = format!("what `{app}` answered {what}; begin to connect anew");
    Error::invalid("oauth-callback-incomplete", message)
}

pub(super) fn refused(app: &str, refusal: Refusal) -> Error {
    let error = match refusal {
        Refusal::Final(message) => CallError::AuthExpired { message },
        Refusal::Now(error) => error,
    };
    Error::Vendor { message: format!("`{app}` was not connected: {error}"), error }
}

#[cfg(test)]
mod tests {
    use trunnion_core::manifest::auth::CallbackTime;

    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Query {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn shopifys() -> CallbackSignature {
        let timestamp = Some(CallbackTime { parameter: "timestamp".to_owned(), tolerance_ms: 90_000 });
        CallbackSignature { parameter: "hmac".to_owned(), unsigned: vec!["signature".to_owned()], timestamp }
    }

    #[test]
    fn a_callback_is_believed_only_whole_and_in_time() {
        let declared = shopifys();
        let unsigned = [
            ("code", "0907a61c0c8d55e99db179b68161bc00"),
            ("shop", "some-shop.myshopify.com"),
            ("state", "0.6784241404160823"),
            ("timestamp", "1337178173"),
            ("host", "a b/c=="),
        ];
        let canonical = "code=0907a61c0c8d55e99db179b68161bc00&host=a+b%2Fc%3D%3D&shop=some-shop.myshopify.com\
                         &state=0.6784241404160823&timestamp=1337178173";
        assert_eq!(signed_query(&declared, &query(&unsigned)), canonical);
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"hush");
        let signature = hex::encode(hmac::sign(&key, canonical.as_bytes()));
        let now = Timestamp::from_millis(1_337_178_173_000);
        let check = |change: &dyn Fn(&mut Query), secret: &str, now| {
            let mut query = query(&unsigned);
            query.push(("hmac".to_owned(), signature.clone()));
            query.push(("signature".to_owned(), "ignored".to_owned()));
            change(&mut query);
            believed("acme", &declared, &query, secret, now).map_err(|error| error.to_string())
        };
        let as_is = |_: &mut Query| {};
        assert_eq!(check(&as_is, "hush", now), Ok(()));
        assert_eq!(check(&as_is, "hush", now + Duration::from_secs(90)), Ok(()));
        let says =
            |outcome: Result<(), String>, what: &str| assert!(outcome.unwrap_err().contains(what), "{what}");
        says(check(&as_is, "hush", now + Duration::from_secs(91)), "another time");
        says(check(&as_is, "other", now), "not the vendor's");
        says(check(&|query| query[1].1 = "other.myshopify.com".to_owned(), "hush", now), "not the vendor's");
        says(
            check(&|query| query.push(("more".to_owned(), "1".to_owned())), "hush", now),
            "not the vendor's",
        );
        says(check(&|query| query.retain(|(name, _)| name != "hmac"), "hush", now), "not signed");
    }

    #[test]
    fn what_is_there_twice_is_not_there() {
        let query = query(&[("code", "a"), ("code", "b"), ("state", "s")]);
        assert_eq!((one(&query, "code"), one(&query, "state")), (None, Some("s")));
    }
}
