//! That nobody can tell in which form a payload is kept.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Both forms of the same JSON, whatever its size.
fn both(value: &Value) -> [Payload; 2] {
    [Payload(Form::Parsed(value.clone())), Payload::in_text(value)]
}

fn is_text(payload: &Payload) -> bool {
    matches!(payload.0, Form::Text(_))
}

/// Numbers at the edges of what JSON's readers take, texts with everything that is escaped.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z\"\\\\/\u{0}-\u{20}é🦀\\[\\]{}]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-d\"\\\\🦀]{0,2}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn compare(one: Part<'_>, other: Part<'_>) -> Result<(), TestCaseError> {
    prop_assert_eq!(one.to_value(), other.to_value());
    let text = |part: Part<'_>| {
        let mut out = Vec::new();
        part.write(&mut out).map(|()| out).unwrap()
    };
    prop_assert_eq!(text(one), text(other));
    prop_assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&other).unwrap());
    prop_assert_eq!(one.read::<Value>().unwrap(), other.read::<Value>().unwrap());
    prop_assert_eq!(one.to_payload(), other.to_payload());
    prop_assert_eq!(one.text(), other.text());
    prop_assert_eq!(one.text().is_some(), one.to_value().is_string());
    prop_assert_eq!(one.count(), other.count());
    for name in ["", "a", "b", "\"", "\\", "🦀", "missing"] {
        match (one.get(name), other.get(name)) {
            (Some(one), Some(other)) => compare(one, other)?,
            (one, other) => prop_assert!(one.is_none() && other.is_none(), "{}", name),
        }
    }
    for index in 0..7 {
        match (one.item(index), other.item(index)) {
            (Some(one), Some(other)) => compare(one, other)?,
            (one, other) => prop_assert!(one.is_none() && other.is_none(), "{}", index),
        }
    }
    match (one.list(), other.list()) {
        (Some(one), Some(other)) => {
            prop_assert_eq!(one.len(), other.len());
            prop_assert!(one.iter().eq(other.iter()));
        }
        (one, other) => prop_assert!(one.is_none() && other.is_none()),
    }
    Ok(())
}

proptest! {
    #[test]
    fn both_forms_are_the_same(value in any_json()) {
        let [parsed, text] = both(&value);
        compare(parsed.whole(), text.whole())?;
        prop_assert_eq!(parsed.to_text(), text.to_text());
        prop_assert_eq!(parsed.to_string(), value.to_string());
        prop_assert_eq!(&parsed, &text);
        prop_assert_eq!(&text, &value);
        prop_assert_eq!(serde_json::to_value(&text).unwrap(), value);
    }
}

#[test]
fn what_is_large_is_kept_as_its_text_however_it_came() {
    let row = json!({"id": 1, "total": "9.50", "rate": 1.0, "note": null});
    let rows = |count: usize| json!({"rows": vec![row.clone(); count]});
    assert!(!is_text(&Payload::from(rows(10))));
    let large = rows(1_000);
    let text = large.to_string();
    // As somebody else may write it: what is kept is as this host writes it.
    let spaced = serde_json::to_string_pretty(&large).unwrap();
    for payload in [
        Payload::from(large.clone()),
        Payload::of(&large).unwrap(),
        Payload::written(text.clone()).unwrap(),
        serde_json::from_str(&text).unwrap(),
        serde_json::from_str(&spaced).unwrap(),
        serde_json::from_value(large.clone()).unwrap(),
        Payload::from(large.clone()).get("rows").unwrap().to_payload(),
    ] {
        assert!(is_text(&payload));
        assert!(text.contains(&*payload.to_text()), "{}", payload.to_text().len());
    }
    assert_eq!(Payload::from(large.clone()), large);
    assert_eq!(serde_json::to_string(&Payload::from(large.clone())).unwrap(), text);
    let (parsed, kept) = (Part::Parsed(&large).weight(), Payload::from(large.clone()).whole().weight());
    assert!(kept * 4 < parsed, "{kept} of {parsed}");
}

#[test]
fn what_no_parser_would_go_down_to_stays_parsed() {
    let nest = |depth: usize| (0..depth).fold(json!("[{\\\""), |inner, _| json!([inner]));
    assert_eq!(depth(nest(7).to_string().as_bytes()), 7);
    let filled = |value: Value| json!([value, "x".repeat(LARGE)]);
    assert!(is_text(&Payload::from(filled(nest(90)))));
    let deep = Payload::from(filled(nest(200)));
    assert!(!is_text(&deep));
    assert!(deep.whole().item(0).is_some());
}

#[test]
fn the_first_of_two_forms_is_no_other_value() {
    let [parsed, text] = both(&json!({"a": [1, 2.5, {"b": "c"}]}));
    let [_, other] = both(&json!({"a": [1, 2.5, {"b": "d"}]}));
    assert_eq!(parsed, text);
    assert_ne!(text, other);
    assert_ne!(parsed, other);
    assert_eq!(Payload::default(), Value::Null);
}
