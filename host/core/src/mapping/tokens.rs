//! Reads an expression's words: which names, filters and tests it uses, and whether it is a plain path.
//!
//! Not a parser: minijinja judges syntax and evaluates. This only finds what must be checked against what a
//! workflow knows, before any event arrives.

use super::scope::Segment;

/// The names that every expression may start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// The event's payload.
    Trigger,
    /// Outputs of finished steps.
    Steps,
    /// The installation's field values.
    Config,
    /// Whose run it is.
    User,
    /// The run.
    Run,
    /// The present item of a `for_each`.
    Item,
    /// Its place in the list, from 0.
    Index,
}

impl Root {
    /// All of them.
    pub(super) const ALL: [Self; 7] =
        [Self::Trigger, Self::Steps, Self::Config, Self::User, Self::Run, Self::Item, Self::Index];

    /// As expressions write it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Steps => "steps",
            Self::Config => "config",
            Self::User => "user",
            Self::Run => "run",
            Self::Item => "item",
            Self::Index => "index",
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|root| root.name() == name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// A text literal; `None` where it has escapes, which only minijinja reads.
    Text(Option<&'a str>),
    Digits(&'a str),
    Sign(char),
}

/// A name followed by as much of a path as is written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) root: Root,
    pub(super) segments: Vec<Segment>,
}

/// What an expression uses.
#[derive(Debug, Default)]
pub(super) struct Words<'a> {
    pub(super) references: Vec<Reference>,
    pub(super) filters: Vec<&'a str>,
    pub(super) tests: Vec<&'a str>,
    /// The whole expression, where it is nothing but a path.
    pub(super) path: Option<Reference>,
}

impl<'a> Words<'a> {
    /// The filter or test that a filter is told to use for each item, where its name is written out.
    fn handed_on(&mut self, filter: &str, arguments: &[Token<'a>]) {
        match (filter, arguments) {
            ("map", [Token::Sign('('), Token::Text(Some(name)), ..]) => self.filters.push(name),
            ("select" | "reject", [Token::Sign('('), Token::Text(Some(name)), ..])
            | (
                "selectattr" | "rejectattr",
                [Token::Sign('('), Token::Text(_), Token::Sign(','), Token::Text(Some(name)), ..],
            ) => self.tests.push(name),
            _ => {}
        }
    }
}

pub(super) fn words(expression: &str) -> Words<'_> {
    let tokens = tokens(expression);
    let mut words = Words::default();
    for (index, token) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let before = |back: usize| index.checked_sub(back).and_then(|at| tokens.get(at));
        match before(1) {
            Some(Token::Sign('.')) => {}
            Some(Token::Sign('|')) => {
                words.filters.push(word);
                words.handed_on(word, tokens.get(index + 1..).unwrap_or_default());
            }
            Some(Token::Word("is")) if *word != "not" => words.tests.push(word),
            Some(Token::Word("not")) if before(2) == Some(&Token::Word("is")) => words.tests.push(word),
            _ => {
                // `name=` in a call names an argument; `name==` compares.
                let after = |on: usize| tokens.get(index + on);
                let argument = after(1) == Some(&Token::Sign('=')) && after(2) != Some(&Token::Sign('='));
                let Some(root) = Root::of(word).filter(|_| !argument) else { continue };
                let (segments, end) = segments(&tokens, index + 1);
                let reference = Reference { root, segments };
                if index == 0 && end == tokens.len() {
                    words.path = Some(reference.clone());
                }
                words.references.push(reference);
            }
        }
    }
    words
}

/// The written-out segments from `start` on, and where they end.
fn segments(tokens: &[Token<'_>], start: usize) -> (Vec<Segment>, usize) {
    let mut segments = Vec::new();
    let mut at = start;
    loop {
        match tokens.get(at..).unwrap_or_default() {
            [Token::Sign('.'), Token::Word(name), ..] => {
                segments.push(Segment::Key((*name).to_owned()));
                at += 2;
            }
            [Token::Sign('['), Token::Text(Some(text)), Token::Sign(']'), ..] => {
                segments.push(Segment::Key((*text).to_owned()));
                at += 3;
            }
            [Token::Sign('['), Token::Digits(digits), Token::Sign(']'), ..] => {
                let Ok(index) = digits.parse() else { return (segments, at) };
                segments.push(Segment::Index(index));
                at += 3;
            }
            _ => return (segments, at),
        }
    }
}

fn tokens(expression: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let (length, token) = match first {
            first if first.is_whitespace() => (first.len_utf8(), None),
            '"' | '\'' => {
                let (length, closed) = quoted(rest, first);
                let inner =
                    rest.get(1..length.saturating_sub(1)).filter(|text| closed && !text.contains('\\'));
                (length, Some(Token::Text(inner)))
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let length = run(rest, |char| char.is_ascii_alphanumeric() || char == '_');
                (length, rest.get(..length).map(Token::Word))
            }
            '0'..='9' => {
                let length = run(rest, |char| char.is_ascii_alphanumeric() || char == '_');
                (length, rest.get(..length).map(Token::Digits))
            }
            sign => (sign.len_utf8(), Some(Token::Sign(sign))),
        };
        tokens.extend(token);
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|char| !belongs(char)).unwrap_or(text.len())
}

/// The length in bytes of the literal at the start of `text`, quotes included, and whether it is closed.
pub(super) fn quoted(text: &str, quote: char) -> (usize, bool) {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            char if char == quote => return (at + char.len_utf8(), true),
            _ => {}
        }
    }
    (text.len(), false)
}
