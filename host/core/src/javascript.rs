//! JSON as JavaScript writes it: what `JSON.stringify(JSON.parse(text))` gives for a text.
//!
//! Receivers that verify a signature over a body they have read and written again need it byte for byte. The rules are
//! ECMAScript's (`SerializeJSONProperty`, `Number::toString`, `OrdinaryOwnPropertyKeys`): a number is a double and is
//! written in its shortest form, members whose names are array indices come first and in ascending order.

use serde_json::{Map, Number, Value};

/// Above this, not every whole number is a double: JavaScript's `Number.MAX_SAFE_INTEGER`.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// Greatest array index: a name above is one like any other.
const MAX_INDEX: u32 = u32::MAX - 1;

/// What becomes of whole numbers that no double is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// They are written as the double next to them, as JavaScript has read them.
    AsRead,
    /// They are written as they are, so that readers of larger numbers lose nothing.
    Exact,
}

/// `value` as JavaScript writes it.
#[must_use]
pub fn stringify(value: &Value, whole: Whole) -> String {
    let mut text = String::new();
    write(&mut text, value, whole);
    text
}

/// A value that is sent as it is and signed as JavaScript reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The value, with every whole number as it is.
    pub exact: String,
    /// As JavaScript has read it, where that is another text.
    as_read: Option<String>,
}

impl Written {
    /// Writes `value`; twice only where it holds a whole number that no double is.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        let as_read = holds_unsafe(value).then(|| stringify(value, Whole::AsRead));
        Self { exact: stringify(value, Whole::Exact), as_read }
    }

    /// A text that nobody reads and writes again.
    #[must_use]
    pub const fn as_it_is(text: String) -> Self {
        Self { exact: text, as_read: None }
    }

    /// As JavaScript has read it.
    #[must_use]
    pub fn as_read(&self) -> &str {
        self.as_read.as_deref().unwrap_or(&self.exact)
    }
}

fn holds_unsafe(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => false,
        Value::Number(number) => is_whole(number) && !is_safe(number),
        Value::Array(items) => items.iter().any(holds_unsafe),
        Value::Object(members) => members.values().any(holds_unsafe),
    }
}

fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.is_u64()
}

fn is_safe(number: &Number) -> bool {
    number.as_i64().map_or(number.as_u64().unwrap_or(0), i64::unsigned_abs) <= MAX_SAFE
}

fn write(text: &mut String, value: &Value, whole: Whole) {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => text.push_str(&value.to_string()),
        Value::Number(number) => write_number(text, number, whole),
        Value::Array(items) => {
            text.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write(text, item, whole);
            }
            text.push(']');
        }
        Value::Object(members) => {
            text.push('{');
            for (position, (name, value)) in in_order(members).into_iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(text, value, whole);
            }
            text.push('}');
        }
    }
}

fn write_number(text: &mut String, number: &Number, whole: Whole) {
    if is_whole(number) && (whole == Whole::Exact || is_safe(number)) {
        text.push_str(&number.to_string());
        return;
    }
    // Every number of a `Value` is finite and has a nearest double.
    let double = number.as_f64().unwrap_or_default();
    text.push_str(ryu_js::Buffer::new().format(double));
}

/// Members as JavaScript enumerates them.
fn in_order(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut ordered: Vec<_> = members.iter().collect();
    // Stable: all others keep their order, behind.
    ordered.sort_by_key(|(name, _)| index(name).map_or(u64::MAX, u64::from));
    ordered
}

/// A name that is an array index, in the one form in which it is.
fn index(name: &str) -> Option<u32> {
    let canonical = name == "0" || (!name.starts_with(['0', '+']) && !name.is_empty());
    name.parse().ok().filter(|index| canonical && *index <= MAX_INDEX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    /// Each right side is what Node.js 20 prints for the left one.
    #[test]
    fn numbers_are_written_as_doubles_in_their_shortest_form() {
        for (given, written) in [
            ("1.0", "1"),
            ("-0.0", "0"),
            ("1e2", "100"),
            ("0.1", "0.1"),
            ("1e21", "1e+21"),
            ("123456789012345680000", "123456789012345680000"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("5e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("9007199254740991", "9007199254740991"),
            ("9007199254740993", "9007199254740992"),
            ("-9007199254740993", "-9007199254740992"),
            ("18446744073709551615", "18446744073709552000"),
        ] {
            assert_eq!(stringify(&parsed(given), Whole::AsRead), written, "{given}");
        }
        assert_eq!(stringify(&parsed("[9007199254740993,1.0]"), Whole::Exact), "[9007199254740993,1]");
    }

    #[test]
    fn only_what_javascript_cannot_read_is_written_twice() {
        let plain = Written::of(&parsed(r#"{"b":[1.0,{"c":9007199254740991}],"10":-1}"#));
        assert_eq!(
            (plain.as_read.as_ref(), plain.as_read()),
            (None, r#"{"10":-1,"b":[1,{"c":9007199254740991}]}"#)
        );
        let large = Written::of(&parsed(r#"{"b":[{"c":-9007199254740993}]}"#));
        assert_eq!(large.exact, r#"{"b":[{"c":-9007199254740993}]}"#);
        assert_eq!(large.as_read(), r#"{"b":[{"c":-9007199254740992}]}"#);
    }

    proptest::proptest! {
        /// What is written is read as the very same number, here and by whoever reads it.
        #[test]
        fn every_double_is_read_as_it_was_written(bits: u64) {
            let double = f64::from_bits(bits);
            if double.is_finite() {
                let written = stringify(&Value::from(double), Whole::AsRead);
                proptest::prop_assert_eq!(written.parse::<f64>().unwrap(), double, "{}", written);
                proptest::prop_assert_eq!(parsed(&written).as_f64().unwrap(), double, "{}", written);
            }
        }
    }

    #[test]
    fn names_that_are_indices_come_first_in_their_order() {
        let given = r#"{"b":1,"10":2,"2":3,"a":{"1":0,"0":0},"01":4,"-1":5,"4294967295":6,"4294967294":7,"1.5":8,"":9}"#;
        let written = r#"{"2":3,"10":2,"4294967294":7,"b":1,"a":{"0":0,"1":0},"01":4,"-1":5,"4294967295":6,"1.5":8,"":9}"#;
        assert_eq!(stringify(&parsed(given), Whole::AsRead), written);
    }

    #[test]
    fn text_is_escaped_where_it_must_be_and_nowhere_else() {
        let given = r#"{ "k\u00e9y" : "\u0000\b\f\n\r\t\u001F\u007f\"\\\/ü\ud83d\ude00\u2028" }"#;
        let written = "{\"kéy\":\"\\u0000\\b\\f\\n\\r\\t\\u001f\u{7f}\\\"\\\\/ü😀\u{2028}\"}";
        assert_eq!(stringify(&parsed(given), Whole::AsRead), written);
    }
}
