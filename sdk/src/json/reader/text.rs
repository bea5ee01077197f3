//! A JSON text, token by token: what reading it has in common for all types, and so is in a component once.
//!
//! Numbers, texts with escapes and what is passed over are serde_json's to read, and so is what is wrong with a text that
//! is no JSON.

use std::borrow::Cow;

use serde::de::{Error as _, Expected, IgnoredAny, Unexpected};
use serde_json::Number;

use super::{Misfit, leaf::Leaf};

/// How deep lists and objects may lie in each other, as for serde_json.
const MOST_DEEP: u32 = 128;

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Flag,
    Number,
    Text,
    List,
    Object,
}

/// A text that is being read.
#[derive(Debug)]
pub(crate) struct Text<'de> {
    text: &'de str,
    at: usize,
    depth: u32,
}

impl<'de> Text<'de> {
    #[inline(never)]
    pub(super) fn of(text: &'de [u8]) -> Result<Self, Misfit> {
        let text = str::from_utf8(text).map_err(Misfit::custom)?;
        Ok(Self { text, at: 0, depth: 0 })
    }

    fn rest(&self) -> &'de str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no space.
    #[inline(never)]
    fn peek(&mut self) -> Option<u8> {
        let length =
            self.rest().bytes().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.at += length;
        self.text.as_bytes().get(self.at).copied()
    }

    /// What stands here.
    #[inline(never)]
    pub(super) fn kind(&mut self) -> Result<Kind, Misfit> {
        match self.peek() {
            Some(b'n') => Ok(Kind::Null),
            Some(b't' | b'f') => Ok(Kind::Flag),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b'"') => Ok(Kind::Text),
            Some(b'[') => Ok(Kind::List),
            Some(b'{') => Ok(Kind::Object),
            _ => Err(self.broken()),
        }
    }

    #[inline(never)]
    fn word(&mut self, word: &str) -> Result<(), Misfit> {
        if !self.rest().starts_with(word) {
            return Err(self.broken());
        }
        self.at += word.len();
        Ok(())
    }

    pub(super) fn null(&mut self) -> Result<(), Misfit> {
        self.word("null")
    }

    /// Whether a null stands here, which is then read.
    #[inline(never)]
    pub(super) fn is_null(&mut self) -> Result<bool, Misfit> {
        let is_null = self.kind()? == Kind::Null;
        if is_null {
            self.null()?;
        }
        Ok(is_null)
    }

    #[inline(never)]
    pub(super) fn flag(&mut self) -> Result<bool, Misfit> {
        let flag = self.rest().starts_with('t');
        self.word(if flag { "true" } else { "false" })?;
        Ok(flag)
    }

    #[inline(never)]
    pub(super) fn number(&mut self) -> Result<Number, Misfit> {
        let of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = self.rest().bytes().take_while(of_number).count();
        let digits = self.rest().get(..length).unwrap_or_default();
        match serde_json::from_slice(digits.as_bytes()) {
            Ok(Leaf::Number(number)) => {
                self.at += length;
                Ok(number)
            }
            Ok(Leaf::Text(_)) | Err(_) => Err(self.broken()),
        }
    }

    #[inline(never)]
    pub(super) fn string(&mut self) -> Result<Cow<'de, str>, Misfit> {
        let inner = self.rest().get(1..).unwrap_or_default();
        let end = inner.bytes().position(|byte| matches!(byte, b'"' | b'\\' | ..=0x1f));
        match end.and_then(|end| Some((inner.get(..end)?, inner.as_bytes().get(end)?))) {
            Some((plain, b'"')) => {
                self.at += plain.len() + 2;
                Ok(Cow::Borrowed(plain))
            }
            Some((_, b'\\')) => self.escaped().map(Cow::Owned),
            _ => Err(self.broken()),
        }
    }

    fn escaped(&mut self) -> Result<String, Misfit> {
        let mut escaped = true;
        let end = self.rest().bytes().position(|byte| {
            // The first one opens the text.
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let given = end.and_then(|end| self.rest().get(..=end)).ok_or_else(|| self.broken())?;
        match serde_json::from_slice(given.as_bytes()) {
            Ok(Leaf::Text(text)) => {
                self.at += given.len();
                Ok(text)
            }
            Ok(Leaf::Number(_)) => Err(self.broken()),
            Err(error) => Err(Misfit::custom(error)),
        }
    }

    /// Passes over a value, and answers it as it is written.
    #[inline(never)]
    pub(super) fn passed(&mut self) -> Result<&'de str, Misfit> {
        self.peek();
        let rest = self.rest();
        let mut values = serde_json::Deserializer::from_slice(rest.as_bytes()).into_iter::<IgnoredAny>();
        let length = match values.next() {
            Some(Ok(_)) => values.byte_offset(),
            Some(Err(_)) | None => return Err(self.broken()),
        };
        self.at += length;
        rest.get(..length).ok_or_else(|| self.broken())
    }

    /// Goes into a list or an object.
    #[inline(never)]
    pub(super) fn enter(&mut self) -> Result<(), Misfit> {
        self.at += 1;
        self.depth += 1;
        if self.depth < MOST_DEEP { Ok(()) } else { Err(Misfit::custom("it goes too deep")) }
    }

    /// Whether another item or member follows in the list or object that ends with `end`; where none does, goes out of it.
    #[inline(never)]
    pub(super) fn another(&mut self, end: u8, is_first: bool) -> Result<bool, Misfit> {
        let next = self.peek();
        if next == Some(end) {
            self.at += 1;
            self.depth = self.depth.saturating_sub(1);
            return Ok(false);
        }
        if !is_first {
            if next != Some(b',') {
                return Err(self.broken());
            }
            self.at += 1;
        }
        Ok(true)
    }

    /// A member's name, up to its value.
    #[inline(never)]
    pub(super) fn name(&mut self) -> Result<Cow<'de, str>, Misfit> {
        if self.peek() != Some(b'"') {
            return Err(self.broken());
        }
        let name = self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.broken());
        }
        self.at += 1;
        Ok(name)
    }

    /// Refuses what follows the value.
    #[inline(never)]
    pub(super) fn end(&mut self) -> Result<(), Misfit> {
        if self.peek().is_none() { Ok(()) } else { Err(self.broken()) }
    }

    /// What stands here is not what the type expects.
    #[cold]
    #[inline(never)]
    pub(super) fn unexpected(&mut self, expected: &dyn Expected) -> Misfit {
        self.described(expected).unwrap_or_else(|broken| broken)
    }

    fn described(&mut self, expected: &dyn Expected) -> Result<Misfit, Misfit> {
        Ok(match self.kind()? {
            Kind::Null => Misfit::invalid_type(Unexpected::Unit, expected),
            Kind::Flag => Misfit::invalid_type(Unexpected::Bool(self.flag()?), expected),
            Kind::Number => Misfit::unexpected(&self.number()?, expected),
            Kind::Text => Misfit::invalid_type(Unexpected::Str(&self.string()?), expected),
            Kind::List => Misfit::invalid_type(Unexpected::Seq, expected),
            Kind::Object => Misfit::invalid_type(Unexpected::Map, expected),
        })
    }

    /// What is wrong with a text that is no JSON.
    #[cold]
    #[inline(never)]
    fn broken(&self) -> Misfit {
        match serde_json::from_slice::<IgnoredAny>(self.text.as_bytes()) {
            Err(error) => Misfit::custom(error),
            Ok(_) => Misfit::custom(format!("is not understood at byte {}", self.at)),
        }
    }
}
