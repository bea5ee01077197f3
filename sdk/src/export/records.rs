//! The contract's records as they lie in memory, made of the SDK's types and turned into them.
#![expect(dead_code, reason = "the host writes and reads them")]

use super::abi::{Answer, List, Maybe, Text};
use crate::{
    action,
    error::Error,
    lookup,
    trigger::{self, poll},
};

/// A pair of `extensions` or headers.
#[derive(Debug)]
#[repr(C)]
pub struct Pair(Text, Text);

/// What an export is called with: the call, and up to two things more.
#[derive(Debug)]
#[repr(C)]
pub struct Given<A = (), B = ()> {
    pub(super) call: Call,
    pub(super) first: A,
    pub(super) second: B,
}

#[derive(Debug)]
#[repr(C)]
pub(super) struct Call {
    pub(super) name: Text,
    pub(super) connection: Text,
    pub(super) account: Text,
    pub(super) idempotency_key: Text,
    pub(super) attempt: u32,
    pub(super) ext: List<Pair>,
}

#[derive(Debug)]
#[repr(C)]
pub struct Target {
    pub(super) url: Text,
    pub(super) options: Text,
    ext: List<Pair>,
}

#[derive(Debug)]
#[repr(C)]
pub struct Delivery {
    method: Text,
    url: Text,
    headers: List<Pair>,
    body: List<u8>,
    ext: List<Pair>,
}

#[derive(Debug)]
#[repr(C)]
pub struct Query {
    pub(super) search: Text,
    pub(super) cursor: Maybe<Text>,
    pub(super) values: Text,
    ext: List<Pair>,
}

/// `error`.
#[derive(Debug)]
#[repr(C, u8)]
pub(super) enum Failure {
    InvalidInput { field: Text, message: Text },
    AuthExpired(Text),
    RateLimited { retry_after_ms: Maybe<u64> },
    NotFound(Text),
    Conflict(Text),
    Rejected { status: u16, message: Text },
    Unavailable(Text),
    Uncertain(Text),
    Other { code: Text, message: Text, ext: List<Pair> },
}

#[derive(Debug)]
#[repr(C)]
pub(super) struct Outcome {
    output: Text,
    ext: List<Pair>,
}

#[derive(Debug)]
#[repr(C)]
pub(super) struct Listing {
    items: List<Text>,
    next: Maybe<Text>,
    ext: List<Pair>,
}

#[derive(Debug)]
#[repr(C, u8)]
pub(super) enum Reconciled {
    Found(Outcome),
    Absent,
    Unknown(Text),
}

#[derive(Debug)]
#[repr(u8)]
enum Health {
    Active,
    Mended,
    Gone,
}

/// How a subscription fares, and its state.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Checked(Health, Text);

#[derive(Debug)]
#[repr(C)]
pub(super) struct Occurrence {
    account: Text,
    id: Text,
    occurred_at_ms: Maybe<u64>,
    data: Text,
    ext: List<Pair>,
}

#[derive(Debug)]
#[repr(C)]
pub(super) struct Reply {
    status: u16,
    headers: List<Pair>,
    body: List<u8>,
    ext: List<Pair>,
}

#[derive(Debug)]
#[repr(C)]
pub(super) struct Page {
    occurrences: List<Occurrence>,
    cursor: Text,
    more: bool,
    ext: List<Pair>,
}

#[derive(Debug)]
#[repr(C)]
pub(super) struct Account {
    pub(super) id: Text,
    pub(super) title: Text,
    pub(super) parameters: Text,
    pub(super) ext: List<Pair>,
}

#[derive(Debug)]
#[repr(C)]
struct Choice {
    value: Text,
    title: Text,
    ext: List<Pair>,
}

#[derive(Debug)]
#[repr(C)]
pub(super) struct Choices {
    items: List<Choice>,
    next: Maybe<Text>,
    ext: List<Pair>,
}

// As the canonical ABI has them.
#[cfg(target_pointer_width = "32")]
const _: () = {
    assert!(size_of::<Call>() == 44 && size_of::<Target>() == 24 && size_of::<Delivery>() == 40);
    assert!(size_of::<Query>() == 36 && size_of::<Failure>() == 32 && align_of::<Failure>() == 8);
    assert!(size_of::<Answer<(), Failure>>() == 40 && size_of::<Answer<Page, Failure>>() == 40);
    assert!(size_of::<Listing>() == 28 && size_of::<Reconciled>() == 20 && size_of::<Checked>() == 12);
    assert!(size_of::<Occurrence>() == 48 && size_of::<Reply>() == 28 && size_of::<Page>() == 28);
    assert!(size_of::<Account>() == 32 && size_of::<Choice>() == 24 && size_of::<Choices>() == 28);
};

/// What the contract's version has no names for yet.
pub(super) fn none() -> List<Pair> {
    Vec::new().into()
}

fn list<T, R>(items: Vec<T>, record: impl FnMut(T) -> R) -> List<R> {
    items.into_iter().map(record).collect::<Vec<_>>().into()
}

fn pair((name, value): (String, String)) -> Pair {
    Pair(name.into(), value.into())
}

impl From<List<Pair>> for Vec<(String, String)> {
    #[inline(never)]
    fn from(pairs: List<Pair>) -> Self {
        Vec::from(pairs).into_iter().map(|Pair(name, value)| (name.into(), value.into())).collect()
    }
}

impl From<Delivery> for trigger::Delivery {
    fn from(delivery: Delivery) -> Self {
        let Delivery { method, url, headers, body, ext: _ } = delivery;
        Self { method: method.into(), url: url.into(), headers: headers.into(), body: body.into() }
    }
}

impl From<Error> for Failure {
    #[inline(never)]
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidInput { field, message } => {
                Self::InvalidInput { field: field.into(), message: message.into() }
            }
            Error::AuthExpired(message) => Self::AuthExpired(message.into()),
            Error::RateLimited { retry_after } => {
                let ms = retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                Self::RateLimited { retry_after_ms: ms.into() }
            }
            Error::NotFound(message) => Self::NotFound(message.into()),
            Error::Conflict(message) => Self::Conflict(message.into()),
            Error::Rejected { status, message } => Self::Rejected { status, message: message.into() },
            Error::Unavailable(message) => Self::Unavailable(message.into()),
            Error::Uncertain(message) => Self::Uncertain(message.into()),
            Error::Other { code, message } => {
                Self::Other { code: code.into(), message: message.into(), ext: none() }
            }
        }
    }
}

impl<T: Into<R>, R> From<Result<T, Error>> for Answer<R, Failure> {
    fn from(result: Result<T, Error>) -> Self {
        match result {
            Ok(answer) => Self::Done(answer.into()),
            Err(error) => Self::Failed(error.into()),
        }
    }
}

impl From<String> for Outcome {
    fn from(output: String) -> Self {
        Self { output: output.into(), ext: none() }
    }
}

impl From<Vec<Result<String, Error>>> for List<Answer<Outcome, Failure>> {
    fn from(answers: Vec<Result<String, Error>>) -> Self {
        list(answers, Answer::from)
    }
}

impl From<action::Listing<String>> for Listing {
    fn from(listing: action::Listing<String>) -> Self {
        let next = listing.next.map(Text::from).into();
        Self { items: list(listing.items, Text::from), next, ext: none() }
    }
}

impl From<action::Reconciled<String>> for Reconciled {
    fn from(reconciled: action::Reconciled<String>) -> Self {
        match reconciled {
            action::Reconciled::Found(output) => Self::Found(output.into()),
            action::Reconciled::Absent => Self::Absent,
            action::Reconciled::Unknown(why) => Self::Unknown(why.into()),
        }
    }
}

impl From<trigger::Health<String>> for Checked {
    fn from(health: trigger::Health<String>) -> Self {
        match health {
            trigger::Health::Active(state) => Self(Health::Active, state.into()),
            trigger::Health::Mended(state) => Self(Health::Mended, state.into()),
            trigger::Health::Gone(state) => Self(Health::Gone, state.into()),
        }
    }
}

impl From<trigger::Occurrence<String>> for Occurrence {
    fn from(occurrence: trigger::Occurrence<String>) -> Self {
        let trigger::Occurrence { account, id, occurred_at_ms, data } = occurrence;
        Self {
            account: account.into(),
            id: id.into(),
            occurred_at_ms: occurred_at_ms.into(),
            data: data.into(),
            ext: none(),
        }
    }
}

impl From<Vec<trigger::Occurrence<String>>> for List<Occurrence> {
    #[inline(never)]
    fn from(occurrences: Vec<trigger::Occurrence<String>>) -> Self {
        list(occurrences, Occurrence::from)
    }
}

/// Of a delivery to the app's own webhook: with the trigger that each belongs to.
impl From<Vec<(&'static str, trigger::Occurrence<String>)>> for List<Occurrence> {
    fn from(occurrences: Vec<(&'static str, trigger::Occurrence<String>)>) -> Self {
        list(occurrences, |(trigger, occurrence)| {
            let ext = vec![pair(("trigger".to_owned(), trigger.to_owned()))];
            Occurrence { ext: ext.into(), ..occurrence.into() }
        })
    }
}

impl From<trigger::Reply> for Reply {
    fn from(reply: trigger::Reply) -> Self {
        let headers = list(reply.headers, pair);
        Self { status: reply.status, headers, body: reply.body.into(), ext: none() }
    }
}

impl From<poll::Page<String, String>> for Page {
    fn from(page: poll::Page<String, String>) -> Self {
        let poll::Page { occurrences, cursor, more } = page;
        Self { occurrences: occurrences.into(), cursor: cursor.into(), more, ext: none() }
    }
}

impl From<lookup::Choices> for Choices {
    fn from(choices: lookup::Choices) -> Self {
        let choice = |choice: lookup::Choice| Choice {
            value: choice.value.to_string().into(),
            title: choice.title.into(),
            ext: none(),
        };
        let next = choices.next.map(|next| Text::from(next.to_string()));
        Self { items: list(choices.items, choice), next: next.into(), ext: none() }
    }
}
