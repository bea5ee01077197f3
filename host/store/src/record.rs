//! A record's stored form: a version byte, a byte that says whose key seals it, then JSON or sealed JSON.
//!
//! `1, 0, json` · `1, 1, nonce(12), sealed json` · `1, 2, user(12), nonce(12), sealed json`. The sealed forms
//! authenticate the whole stored key (table, place, key) and the owner, so that no record can be moved or
//! swapped. A change of meaning of any record is a new version byte: with `2` for `1`, what is sealed is the JSON's
//! length (4, little-endian) and the JSON as an LZ4 block.

use std::borrow::Cow;

use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};
use trunnion_core::id::{Id, UserId};

use crate::{key::Key, keys::DataKey, table::Owner};

/// JSON as it is.
const AS_IT_IS: u8 = 1;
/// JSON that is compressed before it is sealed.
const COMPRESSED: u8 = 2;
/// The newest that this release reads.
pub(crate) const NEWEST: u8 = COMPRESSED;

/// What is larger is compressed: payloads repeat themselves, and what is stored is in memory, written and copied several
/// times before it has its final place.
const LARGE: usize = 8 << 10;

const PLAIN: u8 = 0;
const SCOPE: u8 = 1;
const USER: u8 = 2;

/// The front of a stored record.
fn header(version: u8, owner: Owner, capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(capacity + 48);
    out.push(version);
    match owner {
        Owner::Plain => out.push(PLAIN),
        Owner::Scope => out.push(SCOPE),
        Owner::User(user) => {
            out.push(USER);
            out.extend_from_slice(user.as_bytes());
        }
    }
    out
}

/// A record nobody owns.
pub(crate) fn plain(json: &[u8]) -> Vec<u8> {
    let mut out = header(AS_IT_IS, Owner::Plain, json.len());
    out.extend_from_slice(json);
    out
}

/// A record under its owner's key.
pub(crate) fn sealed(
    owner: Owner,
    key: &DataKey,
    raw_key: &[u8],
    json: Vec<u8>,
) -> Result<Vec<u8>, crate::keys::KeyError> {
    let (version, mut body) = packed(json);
    let mut out = header(version, owner, body.len());
    let aad = [raw_key, &out].concat();
    let nonce = key.seal(&aad, &mut body)?;
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&body);
    Ok(out)
}

/// What is sealed of a record's JSON, and the version that says so.
fn packed(json: Vec<u8>) -> (u8, Vec<u8>) {
    if json.len() < LARGE {
        return (AS_IT_IS, json);
    }
    let packed = compress_prepend_size(&json);
    if packed.len() < json.len() { (COMPRESSED, packed) } else { (AS_IT_IS, json) }
}

/// The JSON of a sealed record that was opened; none where it is damaged.
pub(crate) fn unpacked<'a>(header: &[u8], opened: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    match header.first() {
        Some(&COMPRESSED) => decompress_size_prepended(opened).ok().map(Cow::Owned),
        _ => Some(Cow::Borrowed(opened)),
    }
}

/// A stored record, taken apart.
#[derive(Debug)]
pub(crate) enum Parts<'a> {
    /// JSON as it is.
    Plain(&'a [u8]),
    /// Sealed JSON.
    Sealed { owner: Owner, header: &'a [u8], nonce: [u8; 12], body: &'a [u8] },
    /// Of a version this release does not know.
    Newer(u8),
    /// Not a record.
    Broken(&'static str),
}

/// Takes a stored record apart.
pub(crate) fn parts(value: &[u8]) -> Parts<'_> {
    let Some((&version, rest)) = value.split_first() else { return Parts::Broken("it is empty") };
    if !matches!(version, AS_IT_IS | COMPRESSED) {
        return Parts::Newer(version);
    }
    let Some((&flags, mut rest)) = rest.split_first() else {
        return Parts::Broken("it ends after its version");
    };
    let owner = match flags {
        PLAIN => return Parts::Plain(rest),
        SCOPE => Owner::Scope,
        USER => match Id::decode(&mut rest) {
            Some(user) => Owner::User(UserId(user)),
            None => return Parts::Broken("it ends inside its owner"),
        },
        _ => return Parts::Broken("its owner byte is unknown"),
    };
    let (header, _) = value.split_at(value.len() - rest.len());
    match rest.split_first_chunk::<12>() {
        Some((nonce, body)) => Parts::Sealed { owner, header, nonce: *nonce, body },
        None => Parts::Broken("it ends inside its nonce"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_itself_is_stored_smaller_and_comes_back() {
        let noise = |size: u64| (0..size).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[4]);
        for (json, version) in [
            (b"{}".to_vec(), AS_IT_IS),
            (vec![b'x'; LARGE - 1], AS_IT_IS),
            (vec![b'x'; LARGE], COMPRESSED),
            (vec![b'x'; 1_000_000], COMPRESSED),
            (noise(4_096).collect::<Vec<_>>().repeat(2), COMPRESSED),
        ] {
            let (found, body) = packed(json.clone());
            assert_eq!(found, version, "{}", json.len());
            assert_eq!(body.len() < json.len(), version == COMPRESSED);
            assert_eq!(unpacked(&[found], &body).unwrap(), json);
        }
    }

    #[test]
    fn what_cannot_be_decompressed_is_noticed() {
        let (version, body) = packed(vec![b'x'; LARGE]);
        assert_eq!(unpacked(&[version], &body[..body.len() - 1]), None);
        assert_eq!(unpacked(&[version], &[]), None);
    }
}
