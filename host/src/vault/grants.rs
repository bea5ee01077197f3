//! What a vendor is shown for a token, as a connection's scheme declares: by the vault for connections that are kept, and
//! by the author's tools for one from the environment.

use std::{collections::BTreeMap, sync::Arc};

use trunnion_core::{
    clock::Timestamp,
    manifest::{
        AuthKind, AuthScheme, Manifest,
        auth::{CLIENT_ID, CLIENT_SECRET},
    },
};
use trunnion_sandbox::Outbound;

use super::{
    assertion,
    tokens::{Client, Endpoint, Grant, Issued, Refusal},
};

/// A client of the app, and the scopes that it asks for where they are not the manifest's.
pub(crate) struct Registered {
    /// Who it is.
    pub(crate) client: Client,
    /// In the place of those that the manifest declares.
    pub(crate) scopes: Option<Vec<String>>,
}

/// On whose behalf a token is asked for.
pub(crate) struct Applicant<'a> {
    /// The connector, whose hosts may be asked.
    pub(crate) manifest: &'a Arc<Manifest>,
    /// By which of its schemes.
    pub(crate) scheme: &'a AuthScheme,
    /// The connection parameters, for templates.
    pub(crate) parameters: &'a BTreeMap<String, String>,
    /// What the scheme's own fields hold.
    pub(crate) secrets: &'a BTreeMap<String, String>,
    /// An earlier answer's refresh token.
    pub(crate) refresh: Option<&'a str>,
    /// The client, where the scheme needs the app's.
    pub(crate) registered: Option<Registered>,
}

impl Applicant<'_> {
    /// Has the vendor issue tokens.
    pub(crate) async fn obtain(self, outbound: &dyn Outbound, now: Timestamp) -> Result<Issued, Refusal> {
        let Self { manifest, scheme, parameters, secrets, refresh, registered } = self;
        let app = &manifest.id;
        let own = |name: &str| secrets.get(name).cloned().unwrap_or_default();
        let (client, scopes) = registered.map(|it| (it.client, it.scopes)).unzip();
        let signed;
        let (token, client, grant) = match &scheme.kind {
            AuthKind::Fields { .. } => {
                let id = &scheme.id;
                let message = format!("`{app}` no longer issues tokens by auth scheme `{id}`; connect again");
                return Err(Refusal::Final(message));
            }
            AuthKind::Oauth2(oauth) => {
                let refresh = refresh.ok_or_else(|| {
                    Refusal::Final(format!(
                        "the token of `{app}` has ended, and there is none to renew it with"
                    ))
                })?;
                (&oauth.token, client, Grant::Refresh(refresh.to_owned().into()))
            }
            AuthKind::ClientCredentials(declared) => {
                let scopes = scopes.flatten();
                let scopes = scopes.as_ref().unwrap_or(&declared.scopes).join(" ");
                let client = if declared.fields.is_empty() {
                    client
                } else {
                    Some(Client { id: own(CLIENT_ID), secret: own(CLIENT_SECRET).into() })
                };
                (&declared.token, client, Grant::Client { scopes })
            }
            AuthKind::JwtBearer(declared) => {
                let key = zeroize::Zeroizing::new(own(&declared.key.name));
                signed = assertion::sign(declared, &key, now).map_err(Refusal::Final)?;
                (&signed.endpoint, None, Grant::Assertion(signed.jwt.clone()))
            }
        };
        let endpoint = Endpoint { manifest, parameters, token, client: client.as_ref() };
        endpoint.ask(outbound, &grant, now).await
    }
}
