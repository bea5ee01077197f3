use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer {
    items: Vec<Inner>,
    kind: Option<Kind>,
    #[serde(default)]
    rest: Map<String, Value>,
    pair: Option<(u8, String)>,
    by_number: Option<HashMap<u32, bool>>,
    by_kind: Option<BTreeMap<Plain, f64>>,
    letter: Option<char>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Inner {
    #[serde(rename = "a/b~c")]
    count: u32,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    One,
    Many(i64),
    Pair(i8, i8),
    Named { name: String },
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Plain {
    A,
    B,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Either {
    Id(u64),
    Name(String),
}

#[derive(Debug, PartialEq, Deserialize)]
struct Flat {
    id: Either,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Misfit> {
    super::read(value.to_string().as_bytes())
}

#[test]
fn what_fits_is_read_as_serde_json_reads_it() {
    for value in [
        json!({"items": [{"a/b~c": 7, "unknown": {"x": []}}], "kind": "one", "rest": {"x": [1, -2, 0.5, null, true]}}),
        json!({"items": [], "kind": {"many": -2}, "pair": [1, "x"], "letter": "ß"}),
        json!({"items": [], "kind": {"pair": [1, 2]}, "by_number": {"7": true, "8": false}}),
        json!({"items": [], "kind": {"named": {"name": "x"}}, "by_kind": {"A": 1, "B": -0.25}}),
        json!({"items": [], "kind": null, "rest": {"": {"": {"": u64::MAX}}}}),
    ] {
        assert_eq!(read::<Outer>(&value).unwrap(), serde_json::from_value(value).unwrap());
    }
    for value in [json!({"id": 7, "x": 1}), json!({"id": "seven", "y": {"z": [null]}})] {
        assert_eq!(read::<Flat>(&value).unwrap(), serde_json::from_value(value).unwrap());
    }
    let anything = json!([{"a": [1, 2.5, -3, "x", null, true, {"b": {}}]}]);
    assert_eq!(read::<Value>(&anything).unwrap(), anything);
    assert_eq!(read::<Option<()>>(&Value::Null).unwrap(), None);
}

#[test]
fn what_does_not_fit_is_pointed_at() {
    for (value, at, phrase) in [
        (
            json!({"items": [{"a/b~c": 1}, {"a/b~c": "x"}]}),
            "/items/1/a~1b~0c",
            "invalid type: string \"x\", expected u32",
        ),
        (
            json!({"items": [{"a/b~c": 1.5}]}),
            "/items/0/a~1b~0c",
            "invalid type: floating point `1.5`, expected u32",
        ),
        (json!({"items": [{"a/b~c": -1}]}), "/items/0/a~1b~0c", "invalid value: integer `-1`, expected u32"),
        (json!({"items": [{"a/b~c": null}]}), "/items/0/a~1b~0c", "invalid type: null, expected u32"),
        (json!({"items": 7}), "/items", "invalid type: integer `7`, expected a sequence"),
        (json!({"items": [[7]]}), "/items/0", "invalid type: sequence, expected struct Inner"),
        (
            json!({"items": [], "kind": "two"}),
            "/kind",
            "unknown variant `two`, expected one of `one`, `many`",
        ),
        (json!({"items": [], "kind": 7}), "/kind", "expected string or map with a single key"),
        (
            json!({"items": [], "kind": {"many": 1, "one": 2}}),
            "/kind",
            "expected string or map with a single key",
        ),
        (json!({"items": [], "kind": {"one": 2}}), "/kind/one", "expected unit variant"),
        (json!({"items": [], "kind": "many"}), "/kind", "`many` lacks its content"),
        (json!({"items": [], "kind": {"named": {"name": true}}}), "/kind/named/name", "boolean `true`"),
        (
            json!({"items": [], "pair": [1, "x", 2]}),
            "/pair",
            "invalid length 3, expected fewer elements in array",
        ),
        (json!({"items": [], "pair": [1]}), "/pair", "invalid length 1"),
        (json!({"items": [], "pair": [300, "x"]}), "/pair/0", "invalid value: integer `300`, expected u8"),
        (
            json!({"items": [], "by_number": {"x": true}}),
            "/by_number/x",
            "the name `x` is no whole number that fits",
        ),
        (json!({"items": [], "by_kind": {"C": 1}}), "/by_kind/C", "unknown variant `C`"),
        (json!({"itmes": []}), "/itmes", "unknown field `itmes`"),
        (json!({"kind": "one"}), "", "missing field `items`"),
        (json!([]), "", "invalid type: sequence, expected struct Outer"),
    ] {
        let misfit = read::<Outer>(&value).unwrap_err();
        assert_eq!(misfit.pointer(), at, "{value}: {misfit}");
        let shown = misfit.to_string();
        assert!(at.is_empty() || shown.ends_with(&format!(" at `{at}`")), "{shown}");
        let message = misfit.into_message();
        assert!(message.contains(phrase), "{value}: {message}");
    }
}

#[test]
fn every_text_is_read_or_refused_as_serde_json_does() {
    let text = r#" {"a":[1,-2, 3.5e-2,{"":null}] , "\u00fc\"\\":"x\ud83d\ude00\n","b":{"c" :[true,false,[ ]],"d":"\/é"} } "#;
    let mut texts: Vec<Vec<u8>> =
        vec![text.into(), b"7".to_vec(), b"\"x\" ".to_vec(), b"[1,]".to_vec(), b"".to_vec()];
    for at in 0..text.len() {
        texts.push(text.as_bytes()[..at].to_vec());
        for byte in *b" \"\\,:[]{}0-.eu\n\0\xff" {
            let mut changed = text.as_bytes().to_vec();
            changed[at] = byte;
            texts.push(changed);
        }
    }
    for text in texts {
        let (ours, theirs) = (super::read::<Value>(&text), serde_json::from_slice::<Value>(&text));
        assert_eq!(
            ours.as_ref().ok(),
            theirs.as_ref().ok(),
            "{}: {ours:?}, {theirs:?}",
            String::from_utf8_lossy(&text)
        );
        // What is passed over is looked at as well.
        let ignored = super::read::<Option<Vec<Vec<()>>>>(&text).is_ok();
        assert!(!ignored || theirs.is_ok());
    }
}

#[test]
fn what_is_no_json_is_told_with_its_position() {
    for text in [r#"{"items":[1,]}"#, "[1 2]", r#"{"items" 1}"#, "nul", "", "{} x", "01", "\"open"] {
        let expected = serde_json::from_str::<Value>(text).unwrap_err().to_string();
        let position = expected.split_once(" at line ").unwrap().1;
        let misfit = super::read::<Value>(text.as_bytes()).unwrap_err();
        assert!(misfit.into_message().ends_with(position), "{text}: {expected}");
    }
    let deep = "[".repeat(200_000);
    assert!(super::read::<Value>(deep.as_bytes()).is_err());
    assert!(super::read::<Value>(format!("{}{}", "[".repeat(127), "]".repeat(127)).as_bytes()).is_ok());
}

#[test]
fn what_is_kept_as_text_is_the_text_to_the_last_digit() {
    #[derive(Deserialize)]
    struct Held {
        rows: Vec<Box<RawValue>>,
        last: Option<Box<RawValue>>,
    }
    let text = br#"{"rows": [ {"n": 1.10000000000000000001, "n":1E400}, 12345678901234567890123 , "\u0041"], "last":null}"#;
    let held: Held = super::read(text).unwrap();
    let rows: Vec<&str> = held.rows.iter().map(|row| row.get()).collect();
    assert_eq!(
        rows,
        [r#"{"n": 1.10000000000000000001, "n":1E400}"#, "12345678901234567890123", r#""\u0041""#]
    );
    assert!(held.last.is_none());
}
