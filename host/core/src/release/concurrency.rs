//! How many runs of one installation are under way at once, compiled: `concurrency` of a definition.

use serde_json::Value;

use crate::{
    definition::{Concurrency, Definition},
    mapping::{Names, Template},
    problem::Problem,
};

/// Runs of one installation that may be under way at once, at most.
const MOST_AT_ONCE: u32 = 1_000;

/// How many runs of one installation are under way at once.
#[derive(Debug)]
pub enum Concurrent {
    /// As many as come.
    Parallel,
    /// At most so many.
    Throttled {
        /// How many.
        limit: u32,
    },
    /// One for each key.
    Ordered {
        /// Gives the key.
        by: Template,
    },
}

/// Compiles it; every problem at once.
pub(super) fn compile(definition: &Definition) -> (Concurrent, Vec<Problem>) {
    let problem = |at: &str, message: String| vec![Problem::new(format!("/concurrency{at}"), message)];
    match &definition.concurrency {
        Concurrency::Parallel => (Concurrent::Parallel, Vec::new()),
        Concurrency::Throttled { limit } if (1..=MOST_AT_ONCE).contains(limit) => {
            (Concurrent::Throttled { limit: *limit }, Vec::new())
        }
        Concurrency::Throttled { limit } => {
            let message = format!("is {limit}; write 1 to {MOST_AT_ONCE} runs at once");
            (Concurrent::Parallel, problem("/limit", message))
        }
        Concurrency::Ordered { by } if !by.contains("{{") => {
            let message = format!(
                "`{by}` is the same for every event; write what tells them apart, as in `{{{{ trigger.orderId }}}}`, or use \
                 {{\"type\": \"throttled\", \"limit\": 1}} to do all of them one after the other"
            );
            (Concurrent::Parallel, problem("/by", message))
        }
        Concurrency::Ordered { by } => {
            let names = Names {
                steps: Vec::new(),
                // The key is needed before any step is done.
                later_steps: definition.every_step().into_iter().map(|(_, step)| step.id.clone()).collect(),
                config: definition.fields.iter().map(|field| field.name.clone()).collect(),
                item: false,
            };
            match Template::compile(&Value::String(by.clone()), &definition.maps, &names) {
                Ok(by) => (Concurrent::Ordered { by }, Vec::new()),
                Err(problems) => {
                    let at =
                        |found: Problem| Problem::new(format!("/concurrency/by{}", found.at), found.message);
                    (Concurrent::Parallel, problems.into_iter().map(at).collect())
                }
            }
        }
    }
}
