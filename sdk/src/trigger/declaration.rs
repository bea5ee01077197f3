//! How the host verifies and deduplicates a webhook's deliveries: data in the manifest, carried out by the
//! host. The JSON form is the one `trunnion-core` reads; a test there and here keeps them together.

use serde::Serialize;

/// How the host knows that a delivery is the vendor's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Verification {
    /// A header carries a secret that was given to the vendor at registration.
    SecretHeader {
        /// The header's name.
        header: String,
        /// The secret's name; `subscription` is the host's own, fresh for each subscription.
        secret: String,
    },
    /// A header carries an HMAC over parts of the request.
    Hmac {
        /// The hash.
        algorithm: HmacAlgorithm,
        /// The header that carries the signature.
        header: String,
        /// How the signature is written.
        encoding: SignatureEncoding,
        /// What stands before the signature in the header.
        #[serde(skip_serializing_if = "String::is_empty")]
        prefix: String,
        /// What is signed, in order.
        parts: Vec<SignedPart>,
        /// The secret that is the key.
        secret: String,
        /// A signed time, refused outside its tolerance.
        #[serde(skip_serializing_if = "Option::is_none")]
        timestamp: Option<SignedTime>,
    },
    /// As the workflow says in the trigger's option `verify`, in the manifest's form. For webhooks of vendors that the
    /// connector does not know.
    Configured,
}

impl Verification {
    /// The secret named `secret` comes back in `header`.
    #[must_use]
    pub fn secret_header(header: &str, secret: &str) -> Self {
        Self::SecretHeader { header: header.into(), secret: secret.into() }
    }
}

/// A hash for HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HmacAlgorithm {
    /// SHA-1, which some vendors still use; HMAC-SHA-1 is not known to be broken.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureEncoding {
    /// Hex digits.
    Hex,
    /// Base64, padded.
    Base64,
}

/// A part of what is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignedPart {
    /// The request method.
    Method,
    /// The public URL the vendor called.
    Url,
    /// The same with these ASCII characters written plainly where the URL has them percent-encoded.
    UrlDecoded(String),
    /// A header's value.
    Header(String),
    /// The raw body.
    Body,
    /// These characters.
    Literal(String),
}

/// A signed time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignedTime {
    /// The header that carries it.
    pub header: String,
    /// Its unit.
    pub unit: TimeUnit,
    /// How far it may be from now, in milliseconds.
    pub tolerance_ms: u64,
}

/// A unit of time in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds since the epoch.
    Seconds,
    /// Milliseconds since the epoch.
    Milliseconds,
}

/// What names one delivery over its repetitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Dedup {
    /// A header's value.
    Header {
        /// Its name.
        name: String,
    },
    /// A value inside a JSON body.
    Body {
        /// JSON pointer to it.
        pointer: String,
    },
    /// The whole body's SHA-256.
    BodyHash,
    /// As the workflow says in the trigger's option `dedup`; the body's hash where it says nothing.
    Configured,
}

impl Dedup {
    /// The value of the header `name`.
    #[must_use]
    pub fn header(name: &str) -> Self {
        Self::Header { name: name.into() }
    }

    /// The value at `pointer` in a JSON body.
    #[must_use]
    pub fn body(pointer: &str) -> Self {
        Self::Body { pointer: pointer.into() }
    }
}
