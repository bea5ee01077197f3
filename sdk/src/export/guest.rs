//! The component's side: every export of the contract, for the connector that `D` declares.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::{
    Declared, abi,
    abi::{Answer, List, Maybe, Text},
    imports::{Imports, watch_panics},
    records::{
        Account, Call, Checked, Choices, Delivery, Failure, Given, Listing, Occurrence, Outcome, Page, Query,
        Reconciled, Reply, Target, none,
    },
    unpacked,
};
use crate::{
    connector::Connector,
    context::{self, Context},
    error::{Error, Result},
    json, lookup, trigger,
};

/// What gives the answer to a call.
type Answering<'a, T> = dyn FnOnce(&Connector, &Context) -> Result<T> + 'a;

/// Says where the answer lies that `answer` gives to a call.
fn answered<T, R>(
    connector: fn() -> Connector,
    call: Call,
    answer: impl FnOnce(&Connector, &Context) -> Result<T>,
) -> *const ()
where
    T: Into<R>,
    R: 'static,
{
    let place = |connector: &Connector, ctx: &Context| {
        let answer = answer(connector, ctx)?;
        Ok(abi::kept(Answer::<R, Failure>::Done(answer.into())))
    };
    called(connector, call, Box::new(place))
}

/// What does not depend on the kind of answer, and so is in a component once.
#[inline(never)]
fn called(connector: fn() -> Connector, call: Call, place: Box<Answering<'_, *const ()>>) -> *const () {
    abi::forget();
    // A failure lies where it does in the answer of any export: none is aligned to more than it is.
    let failed = |error: Error| abi::kept(Answer::<(), Failure>::Failed(error.into()));
    context(call).and_then(|ctx| place(&connector(), &ctx)).unwrap_or_else(failed)
}

#[inline(never)]
fn context(call: Call) -> Result<Context> {
    watch_panics();
    let Call { name, connection, account, idempotency_key, attempt, ext } = call;
    let parameters: Map<String, Value> =
        json::read(String::from(connection).as_bytes()).map_err(|error| {
            Error::other("bad-call", format!("the call's `connection` is not a JSON object: {error}"))
        })?;
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let call = context::Call {
        name: name.into(),
        parameters: parameters.into_iter().map(|(name, value)| (name, text(value))).collect(),
        account: account.into(),
        idempotency_key: idempotency_key.into(),
        attempt,
        ext: ext.into(),
    };
    Ok(Context::new(Rc::new(Imports), call))
}

#[inline(never)]
fn target(target: Target) -> Result<trigger::Target> {
    let options = json::read(String::from(target.options).as_bytes())
        .map_err(|error| Error::other("bad-call", format!("the target's `options` are not JSON: {error}")))?;
    Ok(trigger::Target { url: target.url.into(), options })
}

/// Values already chosen in other fields.
fn values(text: Text) -> Result<Map<String, Value>> {
    json::read(String::from(text).as_bytes()).map_err(|error| {
        Error::invalid_input("/values", format!("they are not a JSON object: {error}; give them by field"))
    })
}

fn query(query: Query) -> Result<lookup::Query> {
    let cursor: Option<String> = query.cursor.into();
    let cursor = cursor.map(|text| json::read(text.as_bytes())).transpose().map_err(|error| {
        Error::invalid_input("/cursor", format!("it is not JSON: {error}; give `next` as it was answered"))
    })?;
    Ok(lookup::Query { search: query.search.into(), cursor, values: values(query.values)? })
}

pub fn describe<D: Declared>() -> *const () {
    let manifest = if let Some(packed) = D::MANIFEST {
        // No text is no manifest, which the host refuses.
        unpacked(packed).unwrap_or_default()
    } else {
        watch_panics();
        D::connector().manifest()
    };
    abi::kept(Text::from(manifest))
}

pub fn run<D: Declared>(given: Given<Text>) -> *const () {
    let input = String::from(given.first);
    answered::<_, Outcome>(D::connector, given.call, |connector, ctx| connector.run(ctx, &input))
}

pub fn run_batch<D: Declared>(given: Given<List<Text>>) -> *const () {
    let items: Vec<String> = Vec::from(given.first).into_iter().map(String::from).collect();
    answered::<_, List<Answer<Outcome, Failure>>>(D::connector, given.call, |connector, ctx| {
        connector.run_batch(ctx, &items)
    })
}

pub fn page<D: Declared>(given: Given<Text, Maybe<Text>>) -> *const () {
    let (input, cursor) = (String::from(given.first), Option::<String>::from(given.second));
    answered::<_, Listing>(D::connector, given.call, |connector, ctx| {
        connector.page(ctx, &input, cursor.as_deref())
    })
}

pub fn reconcile<D: Declared>(given: Given<Text, Text>) -> *const () {
    let (input, key) = (String::from(given.first), String::from(given.second));
    answered::<_, Reconciled>(D::connector, given.call, |connector, ctx| {
        connector.reconcile(ctx, &input, &key)
    })
}

pub fn subscribe<D: Declared>(given: Given<Target>) -> *const () {
    answered::<_, Text>(D::connector, given.call, |connector, ctx| {
        connector.subscribe(ctx, &target(given.first)?)
    })
}

pub fn unsubscribe<D: Declared>(given: Given<Text>) -> *const () {
    let state = String::from(given.first);
    answered::<_, ()>(D::connector, given.call, |connector, ctx| connector.unsubscribe(ctx, &state))
}

pub fn check_subscription<D: Declared>(given: Given<Target, Text>) -> *const () {
    let state = String::from(given.second);
    answered::<_, Checked>(D::connector, given.call, |connector, ctx| {
        connector.check_subscription(ctx, &target(given.first)?, &state)
    })
}

pub fn parse<D: Declared>(given: Given<Delivery>) -> *const () {
    let delivery = given.first.into();
    answered::<_, List<Occurrence>>(D::connector, given.call, |connector, ctx| {
        // A delivery to the app's own webhook is no single trigger's.
        if ctx.call().name.is_empty() {
            return Ok(connector.parse_for_app(ctx, &delivery)?.into());
        }
        Ok(List::<Occurrence>::from(connector.parse(ctx, &delivery)?))
    })
}

pub fn handshake<D: Declared>(given: Given<Delivery>) -> *const () {
    let delivery = given.first.into();
    answered::<_, Maybe<Reply>>(D::connector, given.call, |connector, ctx| {
        Ok(connector.handshake(ctx, &delivery)?.map(Reply::from))
    })
}

pub fn poll<D: Declared>(given: Given<Maybe<Text>>) -> *const () {
    let cursor = Option::<String>::from(given.first);
    answered::<_, Page>(D::connector, given.call, |connector, ctx| connector.poll(ctx, cursor.as_deref()))
}

pub fn check_connection<D: Declared>(given: Given) -> *const () {
    answered::<_, Account>(D::connector, given.call, |connector, ctx| {
        let account = (connector.check)(ctx)?;
        // One by one: a map that is collected is sorted first, by 2 KB of code.
        let mut parameters = Map::new();
        parameters.extend(account.parameters.into_iter().map(|(name, text)| (name, Value::from(text))));
        Ok(Account {
            id: account.id.into(),
            title: account.title.into(),
            parameters: json::output(&parameters)?.into(),
            ext: none(),
        })
    })
}

pub fn options<D: Declared>(given: Given<Query>) -> *const () {
    answered::<_, Choices>(D::connector, given.call, |connector, ctx| {
        connector.options(ctx, &query(given.first)?)
    })
}

pub fn schema<D: Declared>(given: Given<Text, Text>) -> *const () {
    let (action, chosen) = (String::from(given.first), given.second);
    answered::<_, Text>(D::connector, given.call, |connector, ctx| {
        Ok(connector.schema(ctx, &action, &values(chosen)?)?.to_string())
    })
}
