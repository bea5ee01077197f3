//! The component's side: conversions between the contract's generated types and the SDK's, the host behind
//! the imports, and the panic hook.

use std::{marker::PhantomData, rc::Rc, sync::Once, time::Duration};

use serde_json::{Map, Value};

use crate::{
    action::{Listing, Reconciled},
    bindings::{
        exports::trunnion::connector::{actions, connection, lookups, manifest, triggers},
        trunnion::connector::{clock, http as wire, limits, log, random, types},
    },
    context::{Call, Context},
    error::Error,
    export::{Declared, unpacked},
    host::{Host, Level},
    http::{Auth, Redirects, Request, Response, SendError},
    json,
    lookup::{Choice, Query},
    trigger::{Delivery, Health, Occurrence, Target},
};

/// The exports of the connector that `D` declares.
#[derive(Debug)]
pub struct Exports<D>(PhantomData<D>);

/// The host behind the imports.
#[derive(Clone, Copy, Debug)]
struct Imports;

impl Host for Imports {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        wire::send(&to_wire(&request)).map(from_wire).map_err(SendError::from)
    }

    fn send_all(&self, requests: Vec<Request>) -> Vec<Result<Response, SendError>> {
        let requests: Vec<_> = requests.iter().map(to_wire).collect();
        let answers = wire::send_all(&requests);
        answers.into_iter().map(|answer| answer.map(from_wire).map_err(SendError::from)).collect()
    }

    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
            Level::Error => log::Level::Error,
        };
        log::write(level, message);
    }

    fn observe(&self, bucket: &str, remaining: u64, reset: Duration) {
        limits::observe(bucket, remaining, u64::try_from(reset.as_millis()).unwrap_or(u64::MAX));
    }

    fn now_ms(&self) -> u64 {
        clock::now()
    }

    fn random(&self, length: u32) -> Vec<u8> {
        random::bytes(length)
    }
}

fn to_wire(request: &Request) -> wire::Request<'_> {
    wire::Request {
        method: request.method.to_owned(),
        url: request.url.clone(),
        headers: request.headers.clone(),
        body: request.body.as_ref().map_or(wire::Body::Empty, |bytes| wire::Body::Bytes(bytes.clone())),
        auth: match request.auth {
            Auth::Connection => wire::Auth::Connection,
            Auth::App => wire::Auth::App,
            Auth::None => wire::Auth::None,
        },
        timeout_ms: request.timeout_ms,
        redirects: match request.redirects {
            Redirects::Follow => wire::Redirects::Follow,
            Redirects::Manual => wire::Redirects::Manual,
        },
        ext: Vec::new(),
    }
}

fn from_wire(response: wire::Response) -> Response {
    Response { status: response.status, headers: response.headers, body: response.body }
}

impl From<wire::SendError> for SendError {
    fn from(error: wire::SendError) -> Self {
        match error {
            wire::SendError::Denied(message) => Self::Denied(message),
            wire::SendError::Unreachable(message) => Self::Unreachable(message),
            wire::SendError::TimedOut(message) => Self::TimedOut(message),
            wire::SendError::Interrupted(message) => Self::Interrupted(message),
            wire::SendError::TooLarge(message) => Self::TooLarge(message),
            wire::SendError::Unauthorized(message) => Self::Unauthorized(message),
            wire::SendError::Other((code, message)) => Self::Other { code, message },
        }
    }
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidInput { field, message } => {
                Self::InvalidInput(types::FieldError { field, message })
            }
            Error::AuthExpired(message) => Self::AuthExpired(message),
            Error::RateLimited { retry_after } => {
                Self::RateLimited(retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
            }
            Error::NotFound(message) => Self::NotFound(message),
            Error::Conflict(message) => Self::Conflict(message),
            Error::Rejected { status, message } => Self::Rejected(types::Rejection { status, message }),
            Error::Unavailable(message) => Self::Unavailable(message),
            Error::Uncertain(message) => Self::Uncertain(message),
            Error::Other { code, message } => {
                Self::Other(types::OtherError { code, message, ext: Vec::new() })
            }
        }
    }
}

/// A panic ends the call as a trap; the hook leaves the message and place in the log before that.
fn watch_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log::write(log::Level::Error, &panic.to_string())));
    });
}

fn context(call: types::Call) -> Result<Context, types::Error> {
    watch_panics();
    let parameters: Map<String, Value> = json::read(call.connection.as_bytes()).map_err(|error| {
        Error::other("bad-call", format!("the call's `connection` is not a JSON object: {error}"))
    })?;
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let parameters = parameters.into_iter().map(|(name, value)| (name, text(value))).collect();
    let call = Call {
        name: call.name,
        parameters,
        account: call.account,
        idempotency_key: call.idempotency_key,
        attempt: call.attempt,
        ext: call.ext,
    };
    Ok(Context::new(Rc::new(Imports), call))
}

fn outcome(output: String) -> types::Outcome {
    types::Outcome { output, ext: Vec::new() }
}

fn delivery(delivery: types::Delivery) -> Delivery {
    let types::Delivery { method, url, headers, body, ext: _ } = delivery;
    Delivery { method, url, headers, body }
}

fn target(target: triggers::Target) -> Result<Target, types::Error> {
    let options = json::read(target.options.as_bytes())
        .map_err(|error| Error::other("bad-call", format!("the target's `options` are not JSON: {error}")))?;
    Ok(Target { url: target.url, options })
}

/// Values already chosen in other fields.
fn values(text: &str) -> Result<Map<String, Value>, Error> {
    json::read(text.as_bytes()).map_err(|error| {
        Error::invalid_input("/values", format!("they are not a JSON object: {error}; give them by field"))
    })
}

fn occurrence(occurrence: Occurrence<String>) -> types::Occurrence {
    types::Occurrence {
        account: occurrence.account,
        occurrence_id: occurrence.id,
        occurred_at: occurrence.occurred_at_ms,
        data: occurrence.data,
        ext: Vec::new(),
    }
}

impl<D: Declared> manifest::Guest for Exports<D> {
    fn describe() -> String {
        if let Some(packed) = D::MANIFEST {
            // No text is no manifest, which the host refuses.
            return unpacked(packed).unwrap_or_default();
        }
        watch_panics();
        D::connector().manifest()
    }
}

impl<D: Declared> actions::Guest for Exports<D> {
    fn run(call: types::Call, input: String) -> Result<types::Outcome, types::Error> {
        let ctx = context(call)?;
        Ok(outcome(D::connector().run(&ctx, &input)?))
    }

    fn run_batch(
        call: types::Call,
        items: Vec<String>,
    ) -> Result<Vec<Result<types::Outcome, types::Error>>, types::Error> {
        let ctx = context(call)?;
        let answers = D::connector().run_batch(&ctx, &items)?;
        Ok(answers.into_iter().map(|answer| answer.map(outcome).map_err(types::Error::from)).collect())
    }

    fn page(
        call: types::Call,
        input: String,
        cursor: Option<String>,
    ) -> Result<actions::Listing, types::Error> {
        let ctx = context(call)?;
        let Listing { items, next } = D::connector().page(&ctx, &input, cursor.as_deref())?;
        Ok(actions::Listing { items, next, ext: Vec::new() })
    }

    fn reconcile(call: types::Call, input: String, key: String) -> Result<actions::Reconciled, types::Error> {
        let ctx = context(call)?;
        Ok(match D::connector().reconcile(&ctx, &input, &key)? {
            Reconciled::Found(output) => actions::Reconciled::Found(outcome(output)),
            Reconciled::Absent => actions::Reconciled::Absent,
            Reconciled::Unknown(why) => actions::Reconciled::Unknown(why),
        })
    }
}

impl<D: Declared> triggers::Guest for Exports<D> {
    fn subscribe(call: types::Call, to: triggers::Target) -> Result<String, types::Error> {
        let ctx = context(call)?;
        Ok(D::connector().subscribe(&ctx, &target(to)?)?)
    }

    fn unsubscribe(call: types::Call, state: String) -> Result<(), types::Error> {
        let ctx = context(call)?;
        Ok(D::connector().unsubscribe(&ctx, &state)?)
    }

    fn check(
        call: types::Call,
        to: triggers::Target,
        state: String,
    ) -> Result<(triggers::Health, String), types::Error> {
        let ctx = context(call)?;
        Ok(match D::connector().check_subscription(&ctx, &target(to)?, &state)? {
            Health::Active(state) => (triggers::Health::Active, state),
            Health::Mended(state) => (triggers::Health::Mended, state),
            Health::Gone(state) => (triggers::Health::Gone, state),
        })
    }

    fn parse(call: types::Call, from: types::Delivery) -> Result<Vec<types::Occurrence>, types::Error> {
        let ctx = context(call)?;
        // A delivery to the app's own webhook is no single trigger's.
        if ctx.call().name.is_empty() {
            let occurrences = D::connector().parse_for_app(&ctx, &delivery(from))?;
            let named = |(trigger, of): (&str, Occurrence<String>)| types::Occurrence {
                ext: vec![("trigger".to_owned(), trigger.to_owned())],
                ..occurrence(of)
            };
            return Ok(occurrences.into_iter().map(named).collect());
        }
        let occurrences = D::connector().parse(&ctx, &delivery(from))?;
        Ok(occurrences.into_iter().map(occurrence).collect())
    }

    fn handshake(call: types::Call, from: types::Delivery) -> Result<Option<triggers::Reply>, types::Error> {
        let ctx = context(call)?;
        let reply = D::connector().handshake(&ctx, &delivery(from))?;
        Ok(reply.map(|reply| triggers::Reply {
            status: reply.status,
            headers: reply.headers,
            body: reply.body,
            ext: Vec::new(),
        }))
    }

    fn poll(call: types::Call, cursor: Option<String>) -> Result<triggers::Page, types::Error> {
        let ctx = context(call)?;
        let page = D::connector().poll(&ctx, cursor.as_deref())?;
        Ok(triggers::Page {
            occurrences: page.occurrences.into_iter().map(occurrence).collect(),
            cursor: page.cursor,
            more: page.more,
            ext: Vec::new(),
        })
    }
}

impl<D: Declared> connection::Guest for Exports<D> {
    fn check(call: types::Call) -> Result<connection::Account, types::Error> {
        let ctx = context(call)?;
        let account = (D::connector().check)(&ctx)?;
        // One by one: a map that is collected is sorted first, by 2 KB of code.
        let mut parameters = Map::new();
        parameters.extend(account.parameters.into_iter().map(|(name, text)| (name, Value::from(text))));
        Ok(connection::Account {
            id: account.id,
            title: account.title,
            parameters: json::output(&parameters)?,
            ext: Vec::new(),
        })
    }
}

impl<D: Declared> lookups::Guest for Exports<D> {
    fn options(call: types::Call, query: lookups::Query) -> Result<lookups::Choices, types::Error> {
        let ctx = context(call)?;
        let cursor = query.cursor.map(|text| json::read(text.as_bytes())).transpose();
        let cursor = cursor.map_err(|error| {
            Error::invalid_input(
                "/cursor",
                format!("it is not JSON: {error}; give `next` as it was answered"),
            )
        })?;
        let query = Query { search: query.search, cursor, values: values(&query.values)? };
        let choices = D::connector().options(&ctx, &query)?;
        let choice = |choice: Choice| lookups::Choice {
            value: choice.value.to_string(),
            title: choice.title,
            ext: Vec::new(),
        };
        Ok(lookups::Choices {
            items: choices.items.into_iter().map(choice).collect(),
            next: choices.next.map(|next| next.to_string()),
            ext: Vec::new(),
        })
    }

    fn schema(call: types::Call, action: String, chosen: String) -> Result<String, types::Error> {
        let ctx = context(call)?;
        Ok(D::connector().schema(&ctx, &action, &values(&chosen)?)?.to_string())
    }
}
