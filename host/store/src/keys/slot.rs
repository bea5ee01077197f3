//! A slot of the key file: 128 bytes that hold one owner and its wrapped data key.
//!
//! Slots are aligned, so none straddles a disk sector: an interrupted overwrite leaves the old or the new one.
//! Layout: state(1) owner(27) master fingerprint(8) nonce(12) wrapped key with tag(48) zeros(28) crc32(4).

use trunnion_core::{
    id::{Id, UserId, WorkspaceId},
    scope::Scope,
};

use super::{KeyError, KeyOwner, seal::DataKey};
use crate::{
    key::Key,
    table::{environment_byte, environment_of},
};

/// Bytes in a slot.
pub(crate) const SLOT: usize = 128;

const LIVE: u8 = 1;
const DESTROYED: u8 = 2;
const CHECKED: usize = SLOT - 4;

/// What a slot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// The key that keyed hashes are derived from.
    Index,
    /// A data key's owner.
    Owner(KeyOwner),
}

/// A slot, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Holds a wrapped key.
    Live { holder: Holder, fingerprint: [u8; 8], nonce: [u8; 12], wrapped: [u8; 48] },
    /// Held one; its owner is erased.
    Destroyed { holder: Holder },
    /// Never written, or a write that did not finish.
    Torn,
}

impl Slot {
    /// Wraps a data key.
    pub(crate) fn wrap(
        holder: Holder,
        master: &DataKey,
        fingerprint: [u8; 8],
        key: &[u8; 32],
    ) -> Result<Self, KeyError> {
        let mut body = key.to_vec();
        let nonce = master.seal(&holder_bytes(holder), &mut body)?;
        let wrapped =
            body.try_into().map_err(|_| super::seal::internal("a wrapped key is not 48 bytes long"))?;
        Ok(Self::Live { holder, fingerprint, nonce, wrapped })
    }

    /// Unwraps the data key; `None` where the slot holds none or the master key is another.
    pub(crate) fn unwrap_key(&self, master: &DataKey) -> Option<[u8; 32]> {
        let Self::Live { holder, nonce, wrapped, .. } = self else { return None };
        let mut body = *wrapped;
        master.open(*nonce, &holder_bytes(*holder), &mut body)?.try_into().ok()
    }

    pub(crate) fn encode(&self) -> [u8; SLOT] {
        let mut out = Vec::with_capacity(SLOT);
        match self {
            Self::Live { holder, fingerprint, nonce, wrapped } => {
                out.push(LIVE);
                out.extend_from_slice(&holder_bytes(*holder));
                out.extend_from_slice(fingerprint);
                out.extend_from_slice(nonce);
                out.extend_from_slice(wrapped);
            }
            Self::Destroyed { holder } => {
                out.push(DESTROYED);
                out.extend_from_slice(&holder_bytes(*holder));
            }
            Self::Torn => return [0; SLOT],
        }
        checked(out)
    }

    pub(crate) fn decode(bytes: &[u8; SLOT]) -> Self {
        Self::parse(bytes).unwrap_or(Self::Torn)
    }

    fn parse(bytes: &[u8; SLOT]) -> Option<Self> {
        let mut input = verified(bytes)?;
        let [state] = Key::decode(&mut input)?;
        let holder = holder_of(&Key::decode(&mut input)?)?;
        match state {
            LIVE => Some(Self::Live {
                holder,
                fingerprint: Key::decode(&mut input)?,
                nonce: Key::decode(&mut input)?,
                wrapped: Key::decode(&mut input)?,
            }),
            DESTROYED => Some(Self::Destroyed { holder }),
            _ => None,
        }
    }
}

/// Pads to a slot and ends it with a checksum.
pub(crate) fn checked(mut front: Vec<u8>) -> [u8; SLOT] {
    front.resize(CHECKED, 0);
    let crc = crc32fast::hash(&front);
    front.extend_from_slice(&crc.to_be_bytes());
    let mut out = [0; SLOT];
    out.copy_from_slice(&front);
    out
}

/// What a slot's checksum covers; `None` where it does not hold.
pub(crate) fn verified(bytes: &[u8; SLOT]) -> Option<&[u8]> {
    let (front, crc) = bytes.split_last_chunk::<4>()?;
    (crc32fast::hash(front).to_be_bytes() == *crc).then_some(front)
}

fn holder_bytes(holder: Holder) -> [u8; 27] {
    const NONE: WorkspaceId = WorkspaceId(Id::from_bytes([0; 12]));
    let (kind, workspace, environment, user) = match holder {
        Holder::Index => (0, NONE, 0, None),
        Holder::Owner(KeyOwner::Deployment) => (1, NONE, 0, None),
        Holder::Owner(KeyOwner::Workspace(workspace)) => (2, workspace, 0, None),
        Holder::Owner(KeyOwner::Environment(scope)) => {
            (3, scope.workspace, environment_byte(scope.environment), None)
        }
        Holder::Owner(KeyOwner::User(scope, user)) => {
            (4, scope.workspace, environment_byte(scope.environment), Some(user))
        }
    };
    let mut out = [0; 27];
    let user = user.map_or([0; 12], |user| *user.as_bytes());
    let parts = [kind].into_iter().chain(*workspace.as_bytes()).chain([environment]).chain(user);
    for (to, from) in out.iter_mut().zip(parts) {
        *to = from;
    }
    out
}

fn holder_of(bytes: &[u8; 27]) -> Option<Holder> {
    let mut input = bytes.as_slice();
    let [kind] = Key::decode(&mut input)?;
    let workspace = WorkspaceId::decode(&mut input)?;
    let [environment] = Key::decode(&mut input)?;
    let user = UserId::decode(&mut input)?;
    let scope = || environment_of(environment).map(|environment| Scope::new(workspace, environment));
    match kind {
        0 => Some(Holder::Index),
        1 => Some(Holder::Owner(KeyOwner::Deployment)),
        2 => Some(Holder::Owner(KeyOwner::Workspace(workspace))),
        3 => Some(Holder::Owner(KeyOwner::Environment(scope()?))),
        4 => Some(Holder::Owner(KeyOwner::User(scope()?, user))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use trunnion_core::scope::Environment;

    use super::*;

    #[test]
    fn a_slot_survives_its_bytes_and_belongs_to_its_owner() {
        let scope = Scope::new(WorkspaceId(Id::from_bytes([7; 12])), Environment::Production);
        let user = Holder::Owner(KeyOwner::User(scope, UserId(Id::from_bytes([9; 12]))));
        let master = DataKey::new(&[1; 32]).unwrap();
        for holder in [
            Holder::Index,
            Holder::Owner(KeyOwner::Deployment),
            Holder::Owner(KeyOwner::Workspace(scope.workspace)),
            Holder::Owner(KeyOwner::Environment(scope)),
            user,
        ] {
            let live = Slot::wrap(holder, &master, [3; 8], &[5; 32]).unwrap();
            assert_eq!(Slot::decode(&live.encode()), live);
            assert_eq!(live.unwrap_key(&master), Some([5; 32]));
            let gone = Slot::Destroyed { holder };
            assert_eq!(Slot::decode(&gone.encode()), gone);
        }
        let Slot::Live { fingerprint, nonce, wrapped, .. } =
            Slot::wrap(user, &master, [3; 8], &[5; 32]).unwrap()
        else {
            panic!("wrapped slots are live")
        };
        let moved = Slot::Live { holder: Holder::Index, fingerprint, nonce, wrapped };
        assert_eq!(moved.unwrap_key(&master), None, "a wrapped key cannot be given to another owner");
    }

    #[test]
    fn a_damaged_slot_is_torn_whichever_byte_is_hit() {
        let master = DataKey::new(&[1; 32]).unwrap();
        let bytes = Slot::wrap(Holder::Index, &master, [3; 8], &[5; 32]).unwrap().encode();
        for at in 0..SLOT {
            let mut hit = bytes;
            hit[at] ^= 0x40;
            assert_eq!(Slot::decode(&hit), Slot::Torn, "byte {at}");
        }
    }
}
