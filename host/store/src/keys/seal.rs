//! AES-256-GCM with a random nonce per message, and the derivation of scope hash keys.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hmac, rand,
};

use super::KeyError;

/// An unwrapped key, ready to seal and open.
pub(crate) struct DataKey(RandomizedNonceKey);

impl fmt::Debug for DataKey {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

impl DataKey {
    /// From its 32 bytes.
    pub(crate) fn new(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        RandomizedNonceKey::new(&AES_256_GCM, bytes)
            .map(Self)
            .map_err(|_| internal("AES-256-GCM refused a key of 32 bytes"))
    }

    /// Seals `body` in place, its tag at the end; the nonce is fresh.
    pub(crate) fn seal(&self, aad: &[u8], body: &mut Vec<u8>) -> Result<[u8; 12], KeyError> {
        let nonce = self.0.seal_in_place_append_tag(Aad::from(aad), body);
        nonce
            .map(|nonce| *nonce.as_ref())
            .map_err(|_| internal("AES-256-GCM could not seal; is the record over 64 GB?"))
    }

    /// Opens `body` in place; `None` where nonce, body or `aad` is not what was sealed.
    pub(crate) fn open<'a>(&self, nonce: [u8; 12], aad: &[u8], body: &'a mut [u8]) -> Option<&'a [u8]> {
        self.0
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body)
            .ok()
            .map(|body| &*body)
    }
}

/// Fresh key bytes.
pub(crate) fn random_key() -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| internal("the operating system gave no random bytes"))?;
    Ok(bytes)
}

/// HMAC-SHA256 over parts, each preceded by its length so that no two lists of parts collide.
pub(crate) fn mac(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(context.sign().as_ref()) {
        *to = *from;
    }
    out
}

/// The first `N` bytes of a longer hash.
pub(crate) fn truncated<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    const { assert!(N <= 32) };
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(hash) {
        *to = *from;
    }
    out
}

pub(crate) const fn internal(message: &'static str) -> KeyError {
    KeyError::Internal { message, source: None }
}
