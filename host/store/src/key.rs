//! Keys as bytes that sort as the keys do.
//!
//! An encoding is self-delimiting: the encoding of a tuple's leading members is a prefix of the tuple's, and no
//! key's encoding is a prefix of another key's of the same type. Encodings are stored: they never change.

use trunnion_core::id::{
    ApiKeyId, ConnectionId, ConsentId, DeliveryId, EventId, Id, InstallLinkId, InstallSessionId,
    InstallationId, IntegrationId, RunId, SubscriptionId, TokenKeyId, UserId, WorkflowId, WorkspaceId,
};

/// A table's key, or the leading members of one.
pub trait Key: Sized + Clone + std::fmt::Debug + Send + Sync + 'static {
    /// Appends the bytes.
    fn encode(&self, out: &mut Vec<u8>);

    /// Takes the bytes from the front of `input`; `None` where they are not such a key.
    fn decode(input: &mut &[u8]) -> Option<Self>;
}

impl<const N: usize> Key for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        let (head, rest) = input.split_first_chunk::<N>()?;
        *input = rest;
        Some(*head)
    }
}

impl Key for Id {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_bytes().encode(out);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        Key::decode(input).map(Self::from_bytes)
    }
}

macro_rules! id_keys {
    ($($id:ty),* $(,)?) => {$(
        impl Key for $id {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }

            fn decode(input: &mut &[u8]) -> Option<Self> {
                Id::decode(input).map(Self)
            }
        }
    )*};
}

id_keys!(
    WorkspaceId,
    ApiKeyId,
    UserId,
    ConnectionId,
    ConsentId,
    IntegrationId,
    WorkflowId,
    InstallationId,
    EventId,
    RunId,
    SubscriptionId,
    DeliveryId,
    InstallLinkId,
    TokenKeyId,
    InstallSessionId,
);

impl Key for u32 {
    fn encode(&self, out: &mut Vec<u8>) {
        self.to_be_bytes().encode(out);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        Key::decode(input).map(Self::from_be_bytes)
    }
}

impl Key for u64 {
    fn encode(&self, out: &mut Vec<u8>) {
        self.to_be_bytes().encode(out);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        Key::decode(input).map(Self::from_be_bytes)
    }
}

/// Ends a text; sorts before every continuation of it.
const TEXT_END: [u8; 2] = [0, 0];
/// Stands for a NUL inside a text.
const TEXT_NUL: [u8; 2] = [0, 0xff];

impl Key for String {
    /// UTF-8, a NUL escaped, ended by two NULs: `a` sorts before `ab`.
    fn encode(&self, out: &mut Vec<u8>) {
        for byte in self.bytes() {
            if byte == 0 {
                out.extend_from_slice(&TEXT_NUL);
            } else {
                out.push(byte);
            }
        }
        out.extend_from_slice(&TEXT_END);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        let mut text = Vec::new();
        loop {
            let (&byte, rest) = input.split_first()?;
            if byte != 0 {
                text.push(byte);
                *input = rest;
                continue;
            }
            let (pair, rest) = input.split_first_chunk::<2>()?;
            *input = rest;
            if *pair == TEXT_END {
                return Self::from_utf8(text).ok();
            }
            if *pair != TEXT_NUL {
                return None;
            }
            text.push(0);
        }
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        Some((A::decode(input)?, B::decode(input)?))
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
        self.2.encode(out);
    }

    fn decode(input: &mut &[u8]) -> Option<Self> {
        Some((A::decode(input)?, B::decode(input)?, C::decode(input)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(key: &impl Key) -> Vec<u8> {
        let mut out = Vec::new();
        key.encode(&mut out);
        out
    }

    proptest! {
        #[test]
        fn texts_sort_as_their_bytes_and_come_back(a in "[\\x00-\\x02a-cé]{0,6}", b in "[\\x00-\\x02a-cé]{0,6}", n: u32) {
            prop_assert_eq!(bytes(&(a.clone(), n)).cmp(&bytes(&(b.clone(), n))), a.cmp(&b));
            let encoded = bytes(&(a.clone(), n));
            let mut input = encoded.as_slice();
            prop_assert_eq!(<(String, u32)>::decode(&mut input), Some((a, n)));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn numbers_sort_as_numbers(a: (u32, u64), b: (u32, u64)) {
            prop_assert_eq!(bytes(&a).cmp(&bytes(&b)), a.cmp(&b));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(u32::decode(&mut [0, 1].as_slice()), None);
        assert_eq!(String::decode(&mut b"open".as_slice()), None);
        assert_eq!(String::decode(&mut [b'a', 0, 7].as_slice()), None);
        assert_eq!(String::decode(&mut [0xff, 0, 0].as_slice()), None, "not UTF-8");
    }
}
