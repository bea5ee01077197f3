//! Lookups: choices that only the user's own account knows (its order statuses, its locations, its properties).
//!
//! A member of an action's input names the lookup that offers its values by `x-lookup` in its schema; a person who fills
//! in the field is shown the choices. Where the whole input differs by account, [`Action::shaped_by`] answers its schema.
//!
//! ```
//! use trunnion_sdk::{lookup::{Choice, Choices, Lookup, Query}, prelude::*};
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Move {
//!     /// Where to.
//!     #[schemars(extend("x-lookup" = "boards"))]
//!     board: String,
//! }
//!
//! fn boards(ctx: &Context, query: &Query) -> Result<Choices> {
//!     let boards: Value = ctx.http().get("https://api.acme.com/boards").auth_connection().send()?.json()?;
//!     let boards = boards.as_array().into_iter().flatten();
//!     let choices = boards.map(|board| Choice::new(board["id"].clone(), board["name"].to_string()));
//!     Ok(query.among(choices))
//! }
//!
//! assert_eq!(Lookup::new("boards", "Boards", boards).id(), "boards");
//! ```
//!
//! [`Action::shaped_by`]: crate::action::Action::shaped_by

use std::fmt;

use serde_json::{Map, Value};

use crate::{context::Context, error::Result};

/// What a person is looking for in a field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// What the person typed; empty for nothing yet.
    pub search: String,
    /// Where the page starts, as an earlier page's `next` said; none for the first.
    pub cursor: Option<Value>,
    /// Values already chosen in other fields.
    pub values: Map<String, Value>,
}

/// One thing to choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub(crate) value: Value,
    pub(crate) title: String,
}

/// A page of things to choose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choices {
    pub(crate) items: Vec<Choice>,
    pub(crate) next: Option<Value>,
}

impl Choice {
    /// The value that the field takes, known to people as `title`.
    #[must_use]
    pub fn new(value: impl Into<Value>, title: impl Into<String>) -> Self {
        Self { value: value.into(), title: title.into() }
    }

    /// What the field takes.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// What a person reads.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }
}

impl Choices {
    /// The last page.
    #[must_use]
    pub fn last(items: impl IntoIterator<Item = Choice>) -> Self {
        Self { items: items.into_iter().collect(), next: None }
    }

    /// A page, and where the one after it starts, where there is one.
    #[must_use]
    pub fn page(items: impl IntoIterator<Item = Choice>, next: Option<Value>) -> Self {
        Self { items: items.into_iter().collect(), next }
    }

    /// What there is to choose.
    #[must_use]
    pub fn items(&self) -> &[Choice] {
        &self.items
    }

    /// Where the next page starts.
    #[must_use]
    pub const fn next(&self) -> Option<&Value> {
        self.next.as_ref()
    }
}

impl Query {
    /// Those of `choices` whose title has what the person typed, for a vendor that does not search itself.
    #[must_use]
    pub fn among(&self, choices: impl IntoIterator<Item = Choice>) -> Choices {
        let search = folded(&self.search);
        Choices::last(choices.into_iter().filter(|choice| folded(&choice.title).contains(&search)))
    }

    /// The text already chosen in the field `name`.
    #[must_use]
    pub fn chosen(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(Value::as_str)
    }
}

fn folded(text: &str) -> String {
    text.chars().map(small).collect()
}

/// The small letter of a capital one, in the alphabets that have both and are in use: Latin, Greek and Cyrillic. The
/// standard library's table of all of Unicode would be 12 KB of every component that looks anything up.
fn small(letter: char) -> char {
    let code = u32::from(letter);
    let small = match code {
        0x41..=0x5a | 0xc0..=0xd6 | 0xd8..=0xde | 0x391..=0x3a1 | 0x3a3..=0x3ab | 0x410..=0x42f => {
            code + 0x20
        }
        0x400..=0x40f => code + 0x50,
        0x386 => 0x3ac,
        0x388..=0x38a => code + 0x25,
        0x38c => 0x3cc,
        0x38e..=0x38f => code + 0x3f,
        0x4c0 => 0x4cf,
        0x178 => 0xff,
        0x1e9e => 0xdf,
        // Pairs, the capital letter first; where it is odd, and where it is even.
        0x139..=0x148 | 0x179..=0x17e | 0x4c1..=0x4ce => code + (code & 1),
        0x100..=0x12f
        | 0x132..=0x137
        | 0x14a..=0x177
        | 0x460..=0x481
        | 0x48a..=0x4bf
        | 0x4d0..=0x52f
        | 0x1e00..=0x1e95
        | 0x1ea0..=0x1eff => code | 1,
        _ => code,
    };
    char::from_u32(small).unwrap_or(letter)
}

/// Answers a query.
pub(crate) type Options = fn(&Context, &Query) -> Result<Choices>;

/// A declared lookup.
#[derive(Clone, Copy)]
pub struct Lookup {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) options: Options,
}

impl Lookup {
    /// The lookup `id`, which people see as `title` and `options` answers.
    #[must_use]
    pub const fn new(id: &'static str, title: &'static str, options: Options) -> Self {
        Self { id, title: crate::json::said(title), options }
    }

    /// Its id in the manifest, which fields name as `x-lookup`.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_looked_for_in_any_case() {
        let choices = || ["Shipped", "Partially Shipped", "Refunded"].map(|title| Choice::new(title, title));
        let found = |search: &str| {
            let query = Query { search: search.to_owned(), ..Query::default() };
            query.among(choices()).items.iter().map(|choice| choice.title.clone()).collect::<Vec<_>>()
        };
        assert_eq!(found("shipped"), ["Shipped", "Partially Shipped"]);
        assert_eq!(found("").len(), 3);
        assert!(found("x").is_empty());
    }

    #[test]
    fn small_letters_are_those_of_unicode() {
        for letter in '\0'..='\u{ffff}' {
            let small = small(letter);
            assert!(small == letter || letter.to_lowercase().eq([small]), "{letter} is not {small}");
        }
        // Without İ, whose small letter is two.
        let alphabets = ['A'..='į', 'Ĳ'..='ž', 'Ά'..='Ϋ', 'Ѐ'..='ҁ', 'Ҋ'..='ԯ', 'Ḁ'..='ẕ', 'ẞ'..='ỿ'];
        for letter in alphabets.into_iter().flatten() {
            assert!(letter.to_lowercase().eq([small(letter)]), "{letter}");
        }
    }
}
