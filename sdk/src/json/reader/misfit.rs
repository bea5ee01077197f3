//! What does not fit a type, and where it stands.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};
use serde_json::{Number, Value};

/// What does not fit, and the way to it from within. One pointer, since every reader of a type hands it on.
#[derive(Debug)]
pub struct Misfit(Box<Found>);

#[derive(Debug)]
struct Found {
    way: Vec<String>,
    message: String,
}

impl Misfit {
    #[cold]
    #[inline(never)]
    fn new(message: String) -> Self {
        Self(Box::new(Found { way: Vec::new(), message }))
    }

    /// A number that is not what the type expects.
    #[cold]
    #[inline(never)]
    pub(super) fn unexpected(number: &Number, expected: &dyn Expected) -> Self {
        let found = match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), ..) => Unexpected::Unsigned(number),
            (None, Some(number), _) => Unexpected::Signed(number),
            (None, None, Some(number)) => Unexpected::Float(number),
            (None, None, None) => Unexpected::Other("number"),
        };
        Self::invalid_type(found, expected)
    }

    /// The same misfit, seen from what holds the value as `segment`.
    #[cold]
    #[inline(never)]
    pub(super) fn inside(mut self, segment: &str) -> Self {
        self.0.way.push(segment.replace('~', "~0").replace('/', "~1"));
        self
    }

    /// Where it stands, as a JSON pointer.
    pub(crate) fn pointer(&self) -> String {
        self.0.way.iter().rev().flat_map(|segment| ["/", segment]).collect()
    }

    /// What does not fit, without where it stands.
    pub(crate) fn into_message(self) -> String {
        self.0.message
    }
}

/// With its place, where that is not the whole.
impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if self.0.way.is_empty() { Ok(()) } else { write!(f, " at `{}`", self.pointer()) }
    }
}

impl std::error::Error for Misfit {}

impl Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    #[cold]
    #[inline(never)]
    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("invalid type: {}, expected {expected}", said(unexpected)))
    }

    #[cold]
    #[inline(never)]
    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("invalid value: {}, expected {expected}", said(unexpected)))
    }
}

/// As serde_json says it. serde's own way brings the standard library's printing of floats, 20 KB.
fn said(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Unit => "null".to_owned(),
        Unexpected::Bool(flag) => format!("boolean `{flag}`"),
        Unexpected::Unsigned(number) => format!("integer `{number}`"),
        Unexpected::Signed(number) => format!("integer `{number}`"),
        Unexpected::Float(number) => {
            let number =
                Number::from_f64(number).map_or_else(|| "NaN".to_owned(), |number| number.to_string());
            format!("floating point `{number}`")
        }
        Unexpected::Char(character) => format!("character `{character}`"),
        Unexpected::Str(text) => format!("string {}", Value::from(text)),
        Unexpected::Bytes(_) => "byte array".to_owned(),
        Unexpected::Option => "Option value".to_owned(),
        Unexpected::NewtypeStruct => "newtype struct".to_owned(),
        Unexpected::Seq => "sequence".to_owned(),
        Unexpected::Map => "map".to_owned(),
        Unexpected::Enum => "enum".to_owned(),
        Unexpected::UnitVariant => "unit variant".to_owned(),
        Unexpected::NewtypeVariant => "newtype variant".to_owned(),
        Unexpected::TupleVariant => "tuple variant".to_owned(),
        Unexpected::StructVariant => "struct variant".to_owned(),
        Unexpected::Other(other) => other.to_owned(),
    }
}
