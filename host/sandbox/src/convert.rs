//! Between the contract's words and the host's.

use std::collections::BTreeMap;

use trunnion_core::{call::CallError, clock::Timestamp};

use crate::{
    bindings::{
        exports::trunnion::connector::{actions, connection, lookups, triggers},
        trunnion::connector::types,
    },
    call::{
        Account, Call, Choice, Choices, Delivery, Health, LookupQuery, Occurrence, Outcome, Page, Poll,
        Polled, Reconciled, Reply, Target,
    },
};

/// The call as the guest sees it: no scope, no user, no secret.
pub(crate) fn call(call: &Call) -> types::Call {
    types::Call {
        name: call.name.clone(),
        connection: parameters(&call.parameters),
        account: call.account.clone(),
        idempotency_key: call.idempotency_key.clone(),
        attempt: call.attempt,
        ext: Vec::new(),
    }
}

fn parameters(parameters: &BTreeMap<String, String>) -> String {
    serde_json::Value::from_iter(parameters.iter().map(|(name, value)| (name.clone(), value.clone())))
        .to_string()
}

/// The contract's error as the run machine knows it.
pub(crate) fn error(error: types::Error) -> CallError {
    match error {
        types::Error::InvalidInput(at) => CallError::InvalidInput { field: at.field, message: at.message },
        types::Error::AuthExpired(message) => CallError::AuthExpired { message },
        types::Error::RateLimited(retry_after_ms) => CallError::RateLimited { retry_after_ms },
        types::Error::NotFound(message) => CallError::NotFound { message },
        types::Error::Conflict(message) => CallError::Conflict { message },
        types::Error::Rejected(rejection) => {
            CallError::Rejected { status: rejection.status, message: rejection.message }
        }
        types::Error::Unavailable(message) => CallError::Unavailable { message },
        types::Error::Uncertain(message) => CallError::Uncertain { message },
        // What `http` refused comes back under this code: trying again cannot help.
        types::Error::Other(other) if other.code == "denied" => CallError::Denied { message: other.message },
        types::Error::Other(other) => CallError::Other { code: other.code, message: other.message },
    }
}

pub(crate) fn outcome(outcome: types::Outcome) -> Outcome {
    Outcome { output: outcome.output, ext: outcome.ext }
}

pub(crate) fn page(page: actions::Listing) -> Page {
    Page { items: page.items, next: page.next }
}

pub(crate) fn reconciled(reconciled: actions::Reconciled) -> Reconciled {
    match reconciled {
        actions::Reconciled::Found(found) => Reconciled::Found(outcome(found)),
        actions::Reconciled::Absent => Reconciled::Absent,
        actions::Reconciled::Unknown(why) => Reconciled::Unknown(why),
    }
}

pub(crate) fn target(target: &Target) -> triggers::Target {
    triggers::Target { url: target.url.clone(), options: target.options.clone(), ext: Vec::new() }
}

pub(crate) fn health((health, state): (triggers::Health, String)) -> (Health, String) {
    let health = match health {
        triggers::Health::Active => Health::Active,
        triggers::Health::Mended => Health::Mended,
        triggers::Health::Gone => Health::Gone,
    };
    (health, state)
}

pub(crate) fn delivery(delivery: Delivery) -> types::Delivery {
    types::Delivery {
        method: delivery.method,
        url: delivery.url,
        headers: delivery.headers,
        body: delivery.body,
        ext: Vec::new(),
    }
}

pub(crate) fn reply(reply: triggers::Reply) -> Reply {
    Reply { status: reply.status, headers: reply.headers, body: reply.body }
}

pub(crate) fn occurrence(occurrence: types::Occurrence) -> Occurrence {
    Occurrence {
        account: occurrence.account,
        occurrence_id: occurrence.occurrence_id,
        occurred_at: occurrence.occurred_at.map(Timestamp::from_millis),
        data: occurrence.data,
        ext: occurrence.ext,
    }
}

/// The named texts of a poll's call.
pub(crate) fn poll(poll: &Poll<'_>) -> Vec<(String, String)> {
    let since = ("polling-since-ms".to_owned(), poll.since.as_millis().to_string());
    let look_back = poll.look_back.map(|back| ("look-back-ms".to_owned(), back.as_millis().to_string()));
    let options = poll.options.map(|options| ("trigger-options".to_owned(), options.to_owned()));
    std::iter::once(since).chain(look_back).chain(options).collect()
}

pub(crate) fn polled(page: triggers::Page) -> Polled {
    Polled {
        occurrences: page.occurrences.into_iter().map(occurrence).collect(),
        cursor: page.cursor,
        more: page.more,
    }
}

/// An account whose `parameters` are not an object of texts is a connector's mistake.
pub(crate) fn account(account: connection::Account) -> Result<Account, CallError> {
    let parameters = if account.parameters.is_empty() {
        BTreeMap::new()
    } else {
        serde_json::from_str(&account.parameters).map_err(|error| CallError::Trapped {
            message: format!(
                "`connection.check` answered `parameters` that are not a JSON object of texts: {error}"
            ),
        })?
    };
    Ok(Account { id: account.id, title: account.title, parameters })
}

pub(crate) fn query(query: &LookupQuery) -> lookups::Query {
    lookups::Query {
        search: query.search.clone(),
        cursor: query.cursor.clone(),
        values: query.values.clone(),
        ext: Vec::new(),
    }
}

pub(crate) fn choices(choices: lookups::Choices) -> Choices {
    Choices {
        items: choices
            .items
            .into_iter()
            .map(|item| Choice { value: item.value, title: item.title })
            .collect(),
        next: choices.next,
    }
}
