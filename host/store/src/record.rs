//! A record's stored form: a version byte, a byte that says whose key seals it, then JSON or sealed JSON.
//!
//! `1, 0, json` · `1, 1, nonce(12), sealed json` · `1, 2, user(12), nonce(12), sealed json`. The sealed forms
//! authenticate the whole stored key (table, place, key) and the owner, so that no record can be moved or
//! swapped. A change of meaning of any record is a new version byte.

use trunnion_core::id::{Id, UserId};

use crate::{key::Key, keys::DataKey, table::Owner};

/// What this release writes, and the newest it reads.
pub(crate) const VERSION: u8 = 1;

const PLAIN: u8 = 0;
const SCOPE: u8 = 1;
const USER: u8 = 2;

/// The front of a stored record.
pub(crate) fn header(owner: Owner, capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(capacity + 48);
    out.push(VERSION);
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
    let mut out = header(Owner::Plain, json.len());
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
    let mut out = header(owner, json.len());
    let aad = [raw_key, &out].concat();
    let mut body = json;
    let nonce = key.seal(&aad, &mut body)?;
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&body);
    Ok(out)
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
    if version != VERSION {
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
