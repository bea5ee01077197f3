//! What starts workflows: events of the app's webhook (`events`), and searches by time of change (`updated`) where an
//! account is connected without an app that has webhooks.

mod events;
mod updated;

use trunnion_sdk::{
    prelude::*,
    trigger::{Dedup, HmacAlgorithm, SignatureEncoding, SignedPart, SignedTime, TimeUnit, Verification},
};

use self::events::{Changed, Created, Deleted, Events};
use crate::object::Kind;

/// Characters that HubSpot does not percent-encode in the address that it signs.
const PLAIN: &str = ":/?@!$'()*,;";

/// HubSpot's signature, third version: method, address, body and time, by the app's client secret.
fn signature() -> Verification {
    let time = "X-HubSpot-Request-Timestamp";
    Verification::Hmac {
        algorithm: HmacAlgorithm::Sha256,
        header: "X-HubSpot-Signature-v3".into(),
        encoding: SignatureEncoding::Base64,
        prefix: String::new(),
        parts: vec![
            SignedPart::Method,
            SignedPart::UrlDecoded(PLAIN.into()),
            SignedPart::Body,
            SignedPart::Header(time.into()),
        ],
        secret: "client_secret".into(),
        timestamp: Some(SignedTime {
            header: time.into(),
            unit: TimeUnit::Milliseconds,
            tolerance_ms: 300_000,
        }),
    }
}

/// The attempt is part of a delivery's body, so repetitions are known by their events, not by the whole.
fn app_webhook<K: Kind, W: events::What>(id: &'static str, title: &'static str) -> Trigger {
    Trigger::app_webhook::<Events<K, W>>(id, title, signature(), Dedup::BodyHash)
}

/// An object of the kind was made.
pub(crate) fn created<K: Kind>(id: &'static str, title: &'static str) -> Trigger {
    app_webhook::<K, Created>(id, title)
        .help("Once for each, soon after it was made. Gives the event: read the record with a step.")
        .sample(K::NAMES.samples.created)
}

/// A property of an object of the kind was set.
pub(crate) fn changed<K: Kind>(id: &'static str, title: &'static str) -> Trigger {
    app_webhook::<K, Changed>(id, title)
        .help("Once for each change of a property that the app subscribed to; `only` some of them by `propertyName`.")
        .offers(K::NAMES.changed)
        .sample(K::NAMES.samples.changed)
}

/// An object of the kind was deleted.
pub(crate) fn deleted<K: Kind>(id: &'static str, title: &'static str) -> Trigger {
    app_webhook::<K, Deleted>(id, title)
        .help("Once for each that was put into the recycling bin, or deleted for good for privacy.")
        .sample(K::NAMES.samples.deleted)
}

/// An object of the kind was made or changed, by searching.
pub(crate) fn updated<K: Kind>(id: &'static str, title: &'static str) -> Trigger {
    Trigger::poll::<updated::Updated<K>>(id, title)
        .help("Once for each state of a record, found by asking; gives its usual properties.")
        .sample(K::NAMES.samples.record)
}
