//! Components to push: variants of a good one, and some that every host must refuse. Pure.

use trunnion_core::clock::{Random, SeededRandom};

/// The header of a component; a core module's ends in `01 00 00 00`.
const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// A component that no host takes.
#[derive(Clone, Debug)]
pub(super) struct Hopeless {
    /// What is wrong with it.
    pub(super) what: &'static str,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
}

/// The same component with another digest: a custom section, which means nothing to anybody, is appended.
pub(super) fn variant(component: &[u8], number: u64) -> Vec<u8> {
    let mut section = Vec::new();
    text(&mut section, "trunnion:variant");
    section.extend_from_slice(&number.to_le_bytes());
    let mut bytes = component.to_vec();
    append(&mut bytes, 0, &section);
    bytes
}

/// Candidates that are refused, each for a reason of its own.
pub(super) fn hopeless(component: &[u8]) -> Vec<Hopeless> {
    let mut noise = vec![0; component.len()];
    SeededRandom::new(1).fill(&mut noise);
    let half = component.get(..component.len() / 2).unwrap_or_default().to_vec();
    vec![
        Hopeless { what: "cut off in the middle", bytes: half },
        Hopeless { what: "random bytes", bytes: noise },
        Hopeless { what: "a core module", bytes: b"\0asm\x01\0\0\0".to_vec() },
        Hopeless { what: "a component with an import of its own", bytes: foreign_import() },
    ]
}

/// A component that imports `foreign: func()` and exports nothing.
fn foreign_import() -> Vec<u8> {
    let mut bytes = COMPONENT.to_vec();
    // One type: a function without parameters and without a result.
    append(&mut bytes, 7, &[1, 0x40, 0, 1, 0]);
    // One import: a plain name, of that type.
    let mut imports = vec![1, 0];
    text(&mut imports, "foreign");
    imports.extend_from_slice(&[1, 0]);
    append(&mut bytes, 10, &imports);
    bytes
}

fn append(component: &mut Vec<u8>, section: u8, content: &[u8]) {
    component.push(section);
    length(component, content.len());
    component.extend_from_slice(content);
}

fn text(to: &mut Vec<u8>, text: &str) {
    length(to, text.len());
    to.extend_from_slice(text.as_bytes());
}

/// Unsigned LEB128.
fn length(to: &mut Vec<u8>, mut length: usize) {
    loop {
        let [low, ..] = length.to_le_bytes();
        length >>= 7;
        if length == 0 {
            to.push(low & 0x7f);
            return;
        }
        to.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_leb128() {
        for (number, expected) in
            [(0, vec![0]), (127, vec![0x7f]), (128, vec![0x80, 1]), (624_485, vec![0xe5, 0x8e, 0x26])]
        {
            let mut bytes = Vec::new();
            length(&mut bytes, number);
            assert_eq!(bytes, expected, "{number}");
        }
    }

    #[test]
    fn a_variant_is_the_component_and_one_section() {
        let one = variant(&COMPONENT, 1);
        assert_eq!(one.get(..8).unwrap(), COMPONENT);
        // Section 0, 25 bytes: the name's length, the name, the number.
        assert_eq!(one.get(8..11).unwrap(), [0, 25, 16]);
        assert_eq!(one.len(), 8 + 2 + 25);
        assert_ne!(one, variant(&COMPONENT, 2));
    }

    #[test]
    fn hopeless_candidates_differ_from_the_component_and_each_other() {
        let component = variant(&COMPONENT, 1);
        let all = hopeless(&component);
        for (index, candidate) in all.iter().enumerate() {
            assert_ne!(candidate.bytes, component, "{}", candidate.what);
            let others = all.iter().skip(index + 1);
            assert!(others.into_iter().all(|other| other.bytes != candidate.bytes), "{}", candidate.what);
        }
    }
}
