//! What the vault keeps beside connections: tokens, app registrations, consents under way. None shows its secrets.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::Connection;
use crate::{
    clock::Timestamp,
    id::{ConnectionId, Id, UserId},
};

/// What a vendor's token endpoint issued.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// What requests carry.
    pub access: String,
    /// What a newer one is asked for with.
    #[serde(default)]
    pub refresh: Option<String>,
    /// When they were issued.
    pub issued_at: Timestamp,
    /// When the access token ends; never, where the vendor does not say.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for Tokens {
    /// Leaves the tokens out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Connection {
    /// Whose the environment's own connections are: nobody's, in the place of a user.
    pub const OWN: UserId = UserId(Id::from_bytes([0; 12]));

    /// Whether it is the environment's own.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.user == Self::OWN
    }
}

/// A connection of the environment's own, by the name that steps call it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnConnection {
    /// Its name.
    pub name: String,
    /// The app.
    pub app: String,
    /// Which.
    pub connection: ConnectionId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The ISV's own client at a vendor, in one environment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRegistration {
    /// The app.
    pub app: String,
    /// The client's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The secret before, with which deliveries may still be signed.
    #[serde(default)]
    pub former: Option<FormerSecret>,
    /// What is asked for instead of what the connector asks for.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// Where the vendor sends people back to; to the host's own address where nothing is said.
    #[serde(default)]
    pub redirect_uri: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl fmt::Debug for AppRegistration {
    /// Leaves the secrets out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppRegistration")
            .field("app", &self.app)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl AppRegistration {
    /// The secrets that may have signed a delivery that comes at `now`.
    pub fn signing_secrets(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let former = self.former.iter().filter(move |former| former.until > now);
        [self.client_secret.as_str()].into_iter().chain(former.map(|former| former.secret.as_str()))
    }
}

/// A secret that was replaced: a client's at a vendor, or a stream's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerSecret {
    /// The secret.
    pub secret: String,
    /// It counts until then: deliveries signed with it are believed, streams are signed with it as well.
    pub until: Timestamp,
}

impl fmt::Debug for FormerSecret {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormerSecret").field("until", &self.until).finish_non_exhaustive()
    }
}

/// A person who was sent to a vendor to consent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Whose connection it will be.
    pub user: UserId,
    /// Its name, where it will be the environment's own.
    #[serde(default)]
    pub name: Option<String>,
    /// The app.
    pub app: String,
    /// The manifest's auth scheme.
    pub scheme: String,
    /// Connection parameters that were typed.
    pub parameters: BTreeMap<String, String>,
    /// The proof key, where the vendor has it.
    #[serde(default)]
    pub verifier: Option<String>,
    /// What the vendor was told to send the person back to; the exchange repeats it.
    pub redirect_uri: String,
    /// Where the person goes in the end.
    #[serde(default)]
    pub redirect: Option<String>,
    /// It counts until then.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Consent {
    /// Leaves the proof key out, and the address, which may carry a secret of the caller's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consent")
            .field("user", &self.user)
            .field("app", &self.app)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_secret_signs_until_its_time_is_over() {
        let registration = AppRegistration {
            app: "acme".to_owned(),
            client_id: "c".to_owned(),
            client_secret: "new".to_owned(),
            former: Some(FormerSecret { secret: "old".to_owned(), until: Timestamp::from_millis(10) }),
            scopes: None,
            redirect_uri: None,
            created_at: Timestamp::ZERO,
            updated_at: Timestamp::ZERO,
        };
        let at = |millis| registration.signing_secrets(Timestamp::from_millis(millis)).collect::<Vec<_>>();
        assert_eq!(at(9), ["new", "old"]);
        assert_eq!(at(10), ["new"]);
    }
}
