//! A manifest as a component carries it: what is said twice is kept once.
//!
//! Schemas and samples repeat each other, and most of a manifest is that. Only whole tokens of the JSON are left out, so
//! that every name can be found in a component as it is written, once. The SDK (`export`) puts it together again: a
//! sequence of steps, each a length and so many bytes of text, then how far back and how long what comes next stands
//! already; numbers are LEB128.

use std::collections::HashMap;

/// Less is not worth the five bytes that a step takes.
const MIN_REPEATED_BYTES: usize = 16;

/// What is looked up is this many tokens that follow each other.
const LOOKED_UP: usize = 3;

/// What stands at `from` already, by tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Repeated {
    from: usize,
    tokens: usize,
    bytes: usize,
}

/// `text`, which is JSON, as the SDK puts it together again.
pub(crate) fn pack(text: &str) -> Vec<u8> {
    let tokens = tokens(text);
    let starts: Vec<usize> = tokens
        .iter()
        .scan(0, |at, token| {
            let start = *at;
            *at += token.len();
            Some(start)
        })
        .collect();
    let distance =
        |from: usize, to: usize| starts.get(to).zip(starts.get(from)).map_or(0, |(to, from)| to - from);
    let mut seen: HashMap<&[&str], Vec<usize>> = HashMap::new();
    let (mut packed, mut said, mut at) = (Vec::new(), String::new(), 0);
    while let Some(token) = tokens.get(at) {
        let found = longest(&tokens, at, &seen).filter(|found| found.bytes >= MIN_REPEATED_BYTES);
        let taken = match found {
            Some(found) => {
                step(&mut packed, &said, distance(found.from, at), found.bytes);
                said.clear();
                found.tokens
            }
            None => {
                said.push_str(token);
                1
            }
        };
        for passed in at..at + taken {
            if let Some(window) = tokens.get(passed..passed + LOOKED_UP) {
                seen.entry(window).or_default().push(passed);
            }
        }
        at += taken;
    }
    step(&mut packed, &said, 0, 0);
    packed
}

/// The longest run of tokens from `at` on that stands before `at`; of several, the nearest.
fn longest(tokens: &[&str], at: usize, seen: &HashMap<&[&str], Vec<usize>>) -> Option<Repeated> {
    let ahead = tokens.get(at..)?;
    let candidates = seen.get(ahead.get(..LOOKED_UP)?)?;
    let found = candidates.iter().map(|from| {
        let before = tokens.get(*from..at).into_iter().flatten();
        let same = before.zip(ahead).take_while(|(before, ahead)| before == ahead);
        let (tokens, bytes) =
            same.fold((0, 0), |(tokens, bytes), (token, _)| (tokens + 1, bytes + token.len()));
        Repeated { from: *from, tokens, bytes }
    });
    found.max_by_key(|found| found.bytes)
}

fn step(packed: &mut Vec<u8>, said: &str, back: usize, length: usize) {
    number(packed, said.len());
    packed.extend_from_slice(said.as_bytes());
    number(packed, back);
    number(packed, length);
}

fn number(packed: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            packed.push(low);
            return;
        }
        packed.push(low | 0x80);
    }
}

/// Texts, marks, and what stands between them.
fn tokens(mut text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    while let Some((token, rest)) = text.split_at_checked(length(text)).filter(|(token, _)| !token.is_empty())
    {
        tokens.push(token);
        text = rest;
    }
    tokens
}

/// The length of the first token.
fn length(text: &str) -> usize {
    let is_mark = |byte: u8| b"[]{}:,\"".contains(&byte);
    let mut bytes = text.bytes();
    match bytes.next() {
        None => 0,
        Some(b'"') => {
            let mut escaped = false;
            let end = bytes.position(|byte| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            });
            end.map_or(text.len(), |end| end + 2)
        }
        Some(first) if is_mark(first) => 1,
        Some(_) => bytes.position(is_mark).map_or(text.len(), |end| end + 1),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use trunnion_sdk::export::unpacked;

    use super::*;

    #[test]
    fn every_text_comes_back() {
        let sample = r#"{"text":"a \"quoted\" {name}, \\","ünicode":[1,-2.5e7,true,null]}"#;
        let long = format!("[{}]", [sample; 40].join(","));
        let odd = ["", " ", "\"", "\"open", "\"\\", "{}", "nonsense, ü: {\"", sample, &long];
        for text in odd {
            assert_eq!(unpacked(&pack(text)).as_deref(), Some(text), "{text}");
        }
        assert!(pack(&long).len() < 2 * sample.len(), "what is said twice is kept once");
    }

    #[test]
    fn a_name_stands_in_it_once_and_whole() {
        let schema = json!({"type": "object", "properties": {"order_id": {"type": "integer", "minimum": 1}}});
        let actions = ["update_order", "update_order_status", "update_order_lines"]
            .map(|id| json!({"id": id, "help": "Changes an order.", "input": schema, "output": schema}));
        let text = json!({ "actions": actions }).to_string();
        let packed = pack(&text);
        assert!(packed.len() * 2 < text.len(), "{} of {}", packed.len(), text.len());
        let readable = String::from_utf8_lossy(&packed);
        for name in ["\"update_order\"", "\"update_order_status\"", "\"update_order_lines\"", "\"minimum\""] {
            assert_eq!(readable.matches(name).count(), 1, "{name} in {readable}");
        }
    }

    #[test]
    fn what_is_not_packed_is_no_text() {
        for broken in [&[5, b'x'][..], &[1, b'x', 2, 1], &[1, b'x', 1, 2], &[0x80], &[1, 0xff, 0, 0]] {
            assert_eq!(unpacked(broken), None, "{broken:?}");
        }
    }
}
