//! What rules are tried on: each thing that a connector declares, as something that can be called; and what one call
//! did, in a form that rules can judge.

use std::fmt;

use trunnion_core::{
    call::CallError,
    manifest::{Manifest, TriggerSource, TriggerSpec},
};
use trunnion_sandbox::{Answer, Call, Exchange, Failed, LogLine, LookupQuery, Poll, Target};

use crate::author::{credential::Credential, workshop::Workshop};

/// Items of a batch: enough to see whether each is answered.
const MAX_ITEMS: u32 = 3;

/// Something that asks the vendor when it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Connection,
    Action(String),
    Batch(String),
    Listing(String),
    Lookup(String),
    /// The input's schema in the user's own account, of an action.
    AccountSchema(String),
    Polling(String),
    Webhook(String),
}

/// One call, over.
#[derive(Clone, Debug)]
pub(super) struct Done {
    /// What came of it, JSON text.
    pub(super) result: Result<String, CallError>,
    pub(super) log: Vec<LogLine>,
    pub(super) exchanges: Vec<Exchange>,
    /// The call's idempotency key.
    pub(super) key: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => f.write_str("connection check"),
            Self::Action(id) => write!(f, "action {id}"),
            Self::Batch(id) => write!(f, "batch {id}"),
            Self::Listing(id) => write!(f, "listing {id}"),
            Self::Lookup(id) => write!(f, "lookup {id}"),
            Self::AccountSchema(id) => write!(f, "account's schema of action {id}"),
            Self::Polling(id) | Self::Webhook(id) => write!(f, "trigger {id}"),
        }
    }
}

impl Subject {
    /// Everything that a connector declares.
    pub(super) fn all(manifest: &Manifest) -> Vec<Self> {
        let actions = manifest.actions.iter().flat_map(|action| {
            let id = || action.id.clone();
            let whole = if action.pages { Self::Listing(id()) } else { Self::Action(id()) };
            let batch = action.batch.map(|_| Self::Batch(id()));
            let schema = action.account_schema.then(|| Self::AccountSchema(id()));
            [Some(whole), batch, schema].into_iter().flatten()
        });
        let triggers = manifest.triggers.iter().map(|trigger| match &trigger.source {
            TriggerSource::Poll(_) => Self::Polling(trigger.id.clone()),
            TriggerSource::Webhook(_) => Self::Webhook(trigger.id.clone()),
        });
        let lookups = manifest.lookups.iter().map(|lookup| Self::Lookup(lookup.id.clone()));
        [Self::Connection].into_iter().chain(actions).chain(lookups).chain(triggers).collect()
    }

    /// Calls it as its sample says.
    pub(super) async fn call(&self, workshop: &Workshop, credential: &Credential) -> Done {
        let connector = workshop.connector();
        let manifest = workshop.manifest();
        let call = |name: &str| workshop.call(name, credential);
        match self {
            Self::Connection => {
                let (key, call) = keyed(call(""));
                done(key, connector.check_connection(call).await, |account| account.id)
            }
            Self::Action(id) => {
                let input = manifest.action(id).map(|action| action.sample_input.to_string());
                run(workshop, credential, id, &input.unwrap_or_default()).await
            }
            Self::Batch(id) => {
                let (sample, size) = manifest.action(id).map_or((String::new(), 1), |action| {
                    (action.sample_input.to_string(), action.batch.unwrap_or(1).min(MAX_ITEMS))
                });
                let items: Vec<String> = (0..size).map(|_| sample.clone()).collect();
                let (key, call) = keyed(call(id));
                batched(key, items.len(), connector.run_batch(call, &items).await)
            }
            Self::Listing(id) => {
                let input =
                    manifest.action(id).map(|action| action.sample_input.to_string()).unwrap_or_default();
                let (key, call) = keyed(call(id));
                done(key, connector.page(call, &input, None).await, |page| page.items.join("\n"))
            }
            Self::Lookup(id) => {
                let query = LookupQuery { search: String::new(), cursor: None, values: "{}".to_owned() };
                let (key, call) = keyed(call(id));
                done(key, connector.options(call, &query).await, |choices| {
                    choices.items.into_iter().map(|choice| choice.value).collect::<Vec<_>>().join("\n")
                })
            }
            Self::AccountSchema(id) => {
                let (key, call) = keyed(call(id));
                done(key, connector.schema(call, id, "{}").await, |schema| schema)
            }
            Self::Polling(id) => {
                let (key, call) = keyed(call(id));
                let options = manifest.trigger(id).and_then(TriggerSpec::sample_options_text);
                let options = options.as_deref();
                let poll = Poll { cursor: None, since: workshop.now(), look_back: None, options };
                done(key, connector.poll(call, poll).await, |polled| polled.cursor)
            }
            Self::Webhook(id) => {
                let options = manifest.trigger(id).and_then(TriggerSpec::sample_options_text);
                let target = Target {
                    url: format!("https://trunnion.example/hooks/{}", "standin0".repeat(4)),
                    options: options.unwrap_or_else(|| "{}".to_owned()),
                };
                let (key, call) = keyed(call(id));
                done(key, connector.subscribe(call, &target).await, |state| state)
            }
        }
    }
}

/// A batch as one call: the first item's error is the batch's, since the suite's vendor treats all alike.
fn batched(key: String, items: usize, ended: Result<Answer<Vec<Result<String, CallError>>>, Failed>) -> Done {
    let answers = |ended: &Answer<Vec<_>>| ended.value.len();
    let amiss = ended.as_ref().map(answers).is_ok_and(|answers| answers != items);
    let ended = match ended {
        Ok(Answer { value, log, exchanges, observations, cpu }) => {
            match value.into_iter().collect::<Result<Vec<String>, CallError>>() {
                Ok(value) => Ok(Answer { value, log, exchanges, observations, cpu }),
                Err(error) => Err(Failed { error, log, exchanges, observations, cpu }),
            }
        }
        Err(failed) => Err(failed),
    };
    let mut done = done(key, ended, |outputs| outputs.join("\n"));
    if amiss {
        let message = format!("it did not answer each of {items} items once");
        done.result = Err(CallError::Trapped { message });
    }
    done
}

/// Runs an action with an input.
pub(super) async fn run(workshop: &Workshop, credential: &Credential, id: &str, input: &str) -> Done {
    let (key, call) = keyed(workshop.call(id, credential));
    done(key, workshop.connector().run_action(call, input).await, |output| output)
}

pub(super) fn keyed(call: Call) -> (String, Call) {
    (call.idempotency_key.clone(), call)
}

/// A call's account, whatever became of it.
pub(super) fn done<T>(key: String, ended: Result<Answer<T>, Failed>, text: impl FnOnce(T) -> String) -> Done {
    match ended {
        Ok(Answer { value, log, exchanges, .. }) => Done { result: Ok(text(value)), log, exchanges, key },
        Err(Failed { error, log, exchanges, .. }) => Done { result: Err(error), log, exchanges, key },
    }
}

impl Done {
    /// `ok`, or the error's case.
    pub(super) fn kind(&self) -> &'static str {
        self.result.as_ref().map_or_else(CallError::kind, |_| "ok")
    }

    /// What it ended with, for people.
    pub(super) fn shown(&self) -> String {
        match &self.result {
            Ok(_) => "ended well".to_owned(),
            Err(error) => format!("ended as `{}` ({error})", error.kind()),
        }
    }

    /// Everything that leaves the sandbox, in one text.
    pub(super) fn told(&self) -> String {
        let mut text = match &self.result {
            Ok(output) => output.clone(),
            Err(error) => error.to_string(),
        };
        for line in &self.log {
            text.push('\n');
            text.push_str(&line.message);
        }
        for exchange in &self.exchanges {
            text.push('\n');
            text.push_str(&exchange.path);
            text.push_str(exchange.problem.as_deref().unwrap_or_default());
        }
        text
    }
}
