//! App registrations: the ISV's own client at a vendor, one for each app and environment.
//!
//! The secret is sealed and never shown again. Where it is replaced, vendors go on signing with the old one for a
//! while, so it is believed in deliveries for [`OVERLAP`]; for anything else only the new one counts.

use std::{sync::Arc, time::Duration};

use trunnion_core::{
    clock::Timestamp,
    manifest::{AuthScheme, Manifest},
    records::{AppRegistration, FormerSecret},
    scope::Scope,
};
use trunnion_store::{Batch, CommitError, Store, Versioned, tables::AppRegistrations};
use url::Url;

use super::{Vault, tokens::Client};
use crate::error::{Error, Result};

/// How long deliveries may still be signed with a secret that was replaced.
const OVERLAP: Duration = Duration::from_secs(24 * 3_600);
/// How often a registration is read again after somebody else changed it.
const MAX_CONFLICTS: u32 = 8;

/// What an ISV says of its client at a vendor.
pub struct Registering {
    /// The client's id.
    pub client_id: String,
    /// Its secret; absent where the one that is kept stays.
    pub client_secret: Option<String>,
    /// What is asked for instead of what the connector asks for.
    pub scopes: Option<Vec<String>>,
    /// Where the vendor sends people back to, where that is the ISV's own address.
    pub redirect_uri: Option<String>,
}

impl std::fmt::Debug for Registering {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registering").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl Vault {
    /// Keeps the ISV's client at a vendor.
    pub async fn register(&self, scope: &Scope, app: &str, given: Registering) -> Result<AppRegistration> {
        let connector = self.connector(app)?;
        check(connector.manifest(), &given)?;
        for _ in 0..MAX_CONFLICTS {
            let stored = self.context.store.get::<AppRegistrations>(scope, &app.to_owned()).await?;
            let now = self.context.now();
            let (old, version) = match stored {
                Some(Versioned { record, version }) => (Some(record), Some(version)),
                None => (None, None),
            };
            let Some(client_secret) =
                given.client_secret.clone().or_else(|| old.as_ref().map(|old| old.client_secret.clone()))
            else {
                let message = format!(
                    "the client of `{app}` needs `client_secret`; it stands beside the id at the vendor"
                );
                return Err(Error::invalid("oauth-client-invalid", message));
            };
            let former = old.as_ref().and_then(|old| former(old, &client_secret, now));
            let registration = AppRegistration {
                app: app.to_owned(),
                client_id: given.client_id.clone(),
                client_secret,
                former,
                scopes: given.scopes.clone(),
                redirect_uri: given.redirect_uri.clone(),
                created_at: old.map_or(now, |old| old.created_at),
                updated_at: now,
            };
            let mut batch = Batch::new();
            match version {
                Some(version) => {
                    batch.replace::<AppRegistrations>(scope, &app.to_owned(), &registration, version);
                }
                None => batch.insert::<AppRegistrations>(scope, &app.to_owned(), &registration),
            }
            match self.context.store.commit(batch).await {
                Ok(_) => return Ok(registration),
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(Error::Commit(error)),
            }
        }
        let message = format!("the client of `{app}` changes too quickly; try again");
        Err(Error::conflict("oauth-client-busy", message))
    }

    /// The ISV's client at a vendor.
    pub async fn registration(&self, scope: &Scope, app: &str) -> Result<Arc<AppRegistration>> {
        match registration(&self.context.store, scope, app).await? {
            Some(registration) => Ok(registration),
            None => {
                let message = format!(
                    "there is no client for `{app}` in this environment; register one at the vendor and give it with PUT \
                     /v1/apps/{app}/oauth-client"
                );
                Err(Error::not_found("oauth-client-unknown", message))
            }
        }
    }

    /// Forgets the ISV's client at a vendor. Tokens that were issued to it work until they end.
    pub async fn unregister(&self, scope: &Scope, app: &str) -> Result<()> {
        self.registration(scope, app).await?;
        let mut batch = Batch::new();
        batch.delete::<AppRegistrations>(scope, &app.to_owned());
        self.context.store.commit(batch).await.map(drop).map_err(Error::Commit)
    }

    /// The ISV's client, as token endpoints are shown it.
    pub(super) async fn client(&self, scope: &Scope, app: &str) -> Result<(Client, Arc<AppRegistration>)> {
        let registration = self.registration(scope, app).await?;
        let secret = registration.client_secret.clone().into();
        Ok((Client { id: registration.client_id.clone(), secret }, registration))
    }
}

/// The ISV's client at a vendor, where there is one: for whoever verifies deliveries.
pub async fn registration(store: &Store, scope: &Scope, app: &str) -> Result<Option<Arc<AppRegistration>>> {
    let stored = store.recall::<AppRegistrations>(scope, &app.to_owned()).await?;
    Ok(stored.map(|stored| stored.record))
}

/// The secret that a new one replaces, for as long as deliveries may be signed with it.
fn former(old: &AppRegistration, new: &str, now: Timestamp) -> Option<FormerSecret> {
    if old.client_secret == new {
        return old.former.clone();
    }
    Some(FormerSecret { secret: old.client_secret.clone(), until: now + OVERLAP })
}

fn check(manifest: &Manifest, given: &Registering) -> Result<()> {
    let app = &manifest.id;
    let invalid = |message: String| Err(Error::invalid("oauth-client-invalid", message));
    if !manifest.connection.schemes.iter().any(AuthScheme::needs_registration) {
        return invalid(format!("the connector of `{app}` uses no client; leave it out"));
    }
    let printable = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    if !printable(&given.client_id) {
        return invalid(format!("`client_id` of `{app}` is empty or has control characters"));
    }
    if given.client_secret.as_deref().is_some_and(|secret| !printable(secret)) {
        return invalid(format!("`client_secret` of `{app}` is empty or has control characters"));
    }
    let one = |scope: &String| printable(scope) && !scope.contains(char::is_whitespace);
    if given.scopes.as_ref().is_some_and(|scopes| !scopes.iter().all(one)) {
        return invalid(format!("`scopes` of `{app}` must be a list with one scope in each text"));
    }
    let is_web = |url: &String| Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    if given.redirect_uri.as_ref().is_some_and(|url| !is_web(url)) {
        return invalid(format!("`redirect_uri` of `{app}` is not a URL; write it as `https://host/path`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_before_is_believed_for_a_day_and_no_longer_than_that() {
        let begin = Timestamp::from_millis(1_700_000_000_000);
        let first = AppRegistration {
            app: "acme".to_owned(),
            client_id: "id".to_owned(),
            client_secret: "first".to_owned(),
            former: None,
            scopes: None,
            redirect_uri: None,
            created_at: begin,
            updated_at: begin,
        };
        assert_eq!(former(&first, "first", begin), None, "nothing was replaced");
        let replaced = former(&first, "second", begin);
        let expected = FormerSecret { secret: "first".to_owned(), until: begin + OVERLAP };
        assert_eq!(replaced.as_ref(), Some(&expected));
        let second = AppRegistration { client_secret: "second".to_owned(), former: replaced, ..first };
        let later = begin + OVERLAP / 2;
        assert_eq!(
            former(&second, "second", later).as_ref(),
            Some(&expected),
            "saying it again changes nothing"
        );
        let third = former(&second, "third", later).map(|former| (former.secret, former.until));
        assert_eq!(third, Some(("second".to_owned(), later + OVERLAP)));
    }
}
