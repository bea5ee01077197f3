//! Ids: 12 bytes, millisecond time then randomness, written as 24 lower-case hex digits everywhere.
//!
//! They sort by time of creation, and are the only form in which Alloy's Node client runs a workflow by id.
//! An id is not a secret.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::clock::{Clock, Random, Timestamp};

/// Twelve bytes: six of millisecond time, six random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 12]);

impl Id {
    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// Its bytes, which sort by time of creation.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// The id right behind it: for a row of ids that must sort as they were made.
    #[must_use]
    pub fn following(self) -> Self {
        let mut bytes = self.0;
        let mut place = bytes.len();
        while let Some(before) = place.checked_sub(1) {
            place = before;
            let Some(byte) = bytes.as_mut_slice().get_mut(place) else { break };
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
        Self(bytes)
    }

    /// When it was made, by the clock of the process that made it.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        let [a, b, c, d, e, f, ..] = self.0;
        Timestamp::from_millis(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: an id is 24 lower-case hex digits")]
pub struct NotAnId(pub String);

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let lower_hex = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let mut bytes = [0; 12];
        if lower_hex && hex::decode_to_slice(text, &mut bytes).is_ok() {
            Ok(Self(bytes))
        } else {
            Err(NotAnId(text.chars().take(80).collect()))
        }
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Id);

        impl $name {
            /// Its bytes, which sort by time of creation.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 12] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                text.parse().map(Self)
            }
        }

        impl From<Id> for $name {
            fn from(id: Id) -> Self {
                Self(id)
            }
        }
    )*};
}

ids! {
    /// Names a workspace.
    WorkspaceId;
    /// Names an API key's record, not the key.
    ApiKeyId;
    /// Names a user.
    UserId;
    /// Names a connection.
    ConnectionId;
    /// Names an integration.
    IntegrationId;
    /// Names a workflow, over all of its releases.
    WorkflowId;
    /// Names an installation.
    InstallationId;
    /// Names an accepted event.
    EventId;
    /// Names a run.
    RunId;
    /// Names a webhook subscription.
    SubscriptionId;
    /// Names a raw webhook delivery.
    DeliveryId;
    /// Names an installation under way (Alloy's `installationId` of startInstallation).
    InstallSessionId;
    /// Names a person's consent at a vendor that is under way.
    ConsentId;
    /// Names a key that signs users' tokens, not the key itself.
    TokenKeyId;
    /// Names a link that installs once.
    InstallLinkId;
}

/// Makes ids from a clock and a random source.
#[derive(Clone, Debug)]
pub struct IdSource {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl IdSource {
    /// Ids of `clock`'s time and `random`'s chance.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random }
    }

    /// A fresh id of any kind.
    #[must_use]
    pub fn next<T: From<Id>>(&self) -> T {
        let mut bytes = [0; 12];
        let millis = self.clock.now().as_millis().to_be_bytes();
        if let (Some((time, chance)), Some(low)) = (bytes.split_at_mut_checked(6), millis.get(2..)) {
            time.copy_from_slice(low);
            self.random.fill(chance);
        }
        T::from(Id(bytes))
    }

    /// Fresh random bytes from the same source.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }

    /// The clock that ids are dated by.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SeededRandom, Timestamp};

    #[test]
    fn ids_sort_by_time_and_survive_text() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
        let ids = IdSource::new(clock.clone(), Arc::new(SeededRandom::new(1)));
        let first: UserId = ids.next();
        clock.advance(std::time::Duration::from_millis(1));
        let second: UserId = ids.next();
        assert!(first < second);
        assert_eq!(second.0.created_at(), Timestamp::from_millis(1_700_000_000_001));
        assert_eq!(first.to_string().len(), 24);
        assert_eq!(first.to_string().parse::<UserId>(), Ok(first));
        assert_eq!(serde_json::to_string(&first).unwrap(), format!("\"{first}\""));
    }

    #[test]
    fn the_following_id_is_the_next_larger_one() {
        let id = |end: [u8; 3]| {
            let mut bytes = [7; 12];
            bytes[9..].copy_from_slice(&end);
            Id::from_bytes(bytes)
        };
        for (before, after) in [([0, 0, 1], [0, 0, 2]), ([0, 0, 255], [0, 1, 0]), ([1, 255, 255], [2, 0, 0])]
        {
            assert_eq!(id(before).following(), id(after));
            assert!(id(before) < id(after));
        }
    }

    #[test]
    fn only_lower_case_hex_is_an_id() {
        for text in
            ["", "abc", "ZZZZZZZZZZZZZZZZZZZZZZZZ", "AAAAAAAAAAAAAAAAAAAAAAAA", "0123456789abcdef0123456789"]
        {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }
}
