//! Polls as the host makes them: the cursor is kept with what was new, and what was seen before is dropped.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use super::FakeHost;
use crate::{
    connector::Connector,
    context::Context,
    error::{Error, Result},
    trigger::{Occurrence, Page},
};

/// Pages of one round; a trigger that always has more is broken.
const MOST_PAGES: usize = 1_000;

/// A poller of one trigger.
#[derive(Debug)]
pub struct Polls<'a> {
    connector: &'a Connector,
    host: &'a FakeHost,
    trigger: &'static str,
    cursor: Option<String>,
    /// Whether the kept cursor stands in the middle of a round.
    amid: bool,
    seen: BTreeSet<String>,
}

impl<'a> Polls<'a> {
    /// A poller that has not polled yet.
    #[must_use]
    pub const fn new(connector: &'a Connector, host: &'a FakeHost, trigger: &'static str) -> Self {
        Self { connector, host, trigger, cursor: None, amid: false, seen: BTreeSet::new() }
    }

    /// One round, all its pages: what is new.
    ///
    /// # Errors
    /// The trigger's own. What earlier pages of the round brought is kept, as the host keeps it.
    pub fn round(&mut self) -> Result<Vec<Occurrence<Value>>> {
        self.pages(&self.host.calling(self.trigger))
    }

    /// A round that looks further back.
    ///
    /// # Errors
    /// As [`Self::round`].
    pub fn look_back(&mut self, look_back: Duration) -> Result<Vec<Occurrence<Value>>> {
        self.pages(&self.host.looking_back(self.trigger, look_back))
    }

    /// The kept cursor, as JSON.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    fn pages(&mut self, ctx: &Context) -> Result<Vec<Occurrence<Value>>> {
        let mut from = self.cursor.clone();
        let mut fresh = Vec::new();
        for _ in 0..MOST_PAGES {
            let Page { occurrences, cursor, more } = self.connector.poll(ctx, from.as_deref())?;
            let before = fresh.len();
            for Occurrence { account, id, occurred_at_ms, data } in occurrences {
                if self.seen.insert(id.clone()) {
                    let data = serde_json::from_str(&data)
                        .map_err(|error| Error::other("not-json", error.to_string()))?;
                    fresh.push(Occurrence { account, id, occurred_at_ms, data });
                }
            }
            // The host writes nothing where nothing was new, unless the kept cursor stands in the middle of a round.
            if fresh.len() > before || self.cursor.is_none() || self.amid && !more {
                self.cursor = Some(cursor.clone());
                self.amid = more;
            }
            if !more {
                return Ok(fresh);
            }
            from = Some(cursor);
        }
        let message = format!("trigger `{}` still had more after {MOST_PAGES} pages", self.trigger);
        Err(Error::other("endless-round", message))
    }
}
