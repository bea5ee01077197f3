//! One visit: one page of one poller, asked and made durable.
//!
//! A visit takes no lease and writes nothing before its end: until then it has only read, at the store and at the
//! vendor, so a crash in it is as if it had not begun. What it brought goes in ONE COMMIT: the ledger's entries, the
//! runs, and the cursor, which replaces the very record that was read. Whatever pauses, upgrades or removes the
//! installation changes that record too, so a visit under way then commits nothing. Where nothing is new, nothing is
//! written.

use std::{fmt, sync::Arc, time::Duration};

use trunnion_core::{
    call::CallError,
    clock::Timestamp,
    limit::{self, Asking, Turn},
    machine::idempotency_key,
    manifest::PollSpec,
    polling::{self, Pace},
    records::{Installation, Poller},
    scope::Scope,
};
use trunnion_sandbox::{Answer, Call, Connector, Failed, Freshness, Poll, Polled};
use trunnion_store::{
    Batch, CommitError, Versioned,
    tables::{ActivePollers, Connections, Installations, Pollers},
};

use super::Place;
use crate::{
    context::Context,
    error::{Error, Result, present},
    limits::{Drawn, Limited},
    triggers::accept::Acceptor,
    vault::{How, Stored, Vault},
};

/// The code of `accept`'s refusal of an arrival that starts nothing.
const UNMATCHED: &str = "installation-missing";

/// Visits vendors.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) context: Context,
    pub(super) acceptor: Acceptor,
    pub(super) vault: Vault,
}

/// What a visit is to do.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// Which poller.
    pub(super) place: Place,
    /// When it was due.
    pub(super) due: Timestamp,
    /// How far somebody wants it to look back.
    pub(super) look_back: Option<Duration>,
    /// Where the round under way stands; at its first page none.
    pub(super) round: Option<Round>,
    /// Whether it comes at the moment that the vendor's limits gave it.
    pub(super) asking: Asking,
}

/// A round that has more pages.
#[derive(Clone, Debug)]
pub(super) struct Round {
    /// Where the next page starts: as JSON text, since it is only handed on.
    pub(super) cursor: String,
    /// Pages since the cursor was last written.
    unwritten: u32,
    /// How far this round looks back.
    look_back: Option<Duration>,
}

#[cfg(test)]
impl Round {
    pub(super) fn at(cursor: &str) -> Self {
        Self { cursor: cursor.to_owned(), unwritten: 0, look_back: None }
    }
}

/// What became of a visit.
#[derive(Debug)]
pub(super) enum Visited {
    /// There is no such poller.
    Gone,
    /// The installation is paused.
    Paused,
    /// The credential has to be mended first; why.
    Attention { app: String, reason: String, pace: Pace },
    /// The poller was changed meanwhile, or its connector was; nothing was written.
    Superseded,
    /// The poll failed.
    Failed { app: String, error: CallError, pace: Pace },
    /// It has to wait for its turn at the vendor's limits, of which others of the connection draw too.
    Limited(Held),
    /// A page.
    Page(Page),
}

/// A visit that has to wait for its turn.
#[derive(Debug)]
pub(super) struct Held {
    /// How often the poller polls.
    pub(super) pace: Pace,
    /// When its turn is.
    pub(super) until: Timestamp,
    /// Where the round under way stands: waiting does not begin it anew.
    pub(super) round: Option<Round>,
    /// The app, and what its vendor refused the visit with; none where the vendor was not even asked.
    pub(super) refused: Option<(String, CallError)>,
}

/// What a page brought.
#[derive(Debug)]
pub(super) struct Page {
    /// How often the poller polls.
    pub(super) pace: Pace,
    /// Records accepted.
    pub(super) accepted: u64,
    /// Those of them that came later than the overlap covers.
    pub(super) late: u64,
    /// Records that were known.
    pub(super) duplicates: u64,
    /// Where the round goes on, if it does.
    pub(super) round: Option<Round>,
}

/// Everything that a visit stands on.
pub(super) struct Standing {
    pub(super) poller: Versioned<Poller>,
    pub(super) connection: Stored,
    connector: Connector,
    pub(super) spec: PollSpec,
    pace: Pace,
}

impl Visitor {
    /// Asks for one page and makes what is new durable. `Err` means that the host itself could not work.
    pub(super) async fn visit(&self, ask: Ask) -> Result<Visited> {
        let standing = match self.standing(ask.place).await? {
            Ok(standing) => standing,
            Err(early) => return Ok(early),
        };
        // Before the vendor is asked: what cannot be taken in now is better left where it is.
        self.acceptor.admit_user(&ask.place.scope, standing.poller.record.user)?;
        let Standing { poller, spec, pace, .. } = &standing;
        let (pace, kept) = (*pace, poller.record.cursor.as_ref().map(|cursor| cursor.value.to_string()));
        let drawn = limit::drawn_from(standing.connector.manifest(), None);
        let limits = (Limited::Connection(ask.place.scope, standing.connection.record.id), drawn.as_slice());
        if let Turn::At(until) = self.context.limits.turn(&limits.0, limits.1, ask.asking, self.context.now())
        {
            return Ok(Visited::Limited(Held { pace, until, round: ask.round, refused: None }));
        }
        let recheck = spec.recheck.filter(|recheck| pace.rechecks(recheck, ask.due));
        let (from, look_back, unwritten) = match &ask.round {
            Some(Round { cursor, unwritten, look_back }) => (Some(cursor.clone()), *look_back, *unwritten),
            None => {
                let deeper = recheck.map(|recheck| Duration::from_millis(recheck.look_back_ms));
                (kept, ask.look_back.max(deeper), 0)
            }
        };
        let (answered, used) = self.call(&ask.place.scope, &standing, from.as_deref(), look_back).await?;
        let polled = match self.told(&limits, answered) {
            Ok(polled) => polled,
            Err((error, Some(until))) => {
                let refused = Some((poller.record.app.clone(), error));
                return Ok(Visited::Limited(Held { pace, until, round: ask.round, refused }));
            }
            Err((error, None)) => return self.failed(ask.place, &standing, &used, error).await,
        };
        let (next, more) = (polled.cursor.clone(), polled.more);
        let sorted = match self.sort(&ask.place, &standing, polled.occurrences).await? {
            Ok(sorted) => sorted,
            Err(error) => return self.failed(ask.place, &standing, &used, error).await,
        };
        let unwritten = unwritten + 1;
        let Some(position) = self.position(&standing, &sorted, &next, more, unwritten) else {
            let duplicates = sorted.duplicates;
            let round = more.then_some(Round { cursor: next, unwritten, look_back });
            return Ok(Visited::Page(Page { pace, accepted: 0, late: 0, duplicates, round }));
        };
        let position = match position {
            Ok(position) => position,
            Err(error) => return self.failed(ask.place, &standing, &used, error).await,
        };
        // Under the gate no other version can become active that does not read this cursor.
        let registry = &self.context.registry;
        let _settled = registry.settled().await;
        let app = standing.poller.record.app.clone();
        if registry.active(&app).is_none_or(|active| active.digest() != standing.connector.digest()) {
            return Ok(Visited::Superseded);
        }
        let page = Page {
            pace,
            accepted: u64::try_from(sorted.fresh.len()).unwrap_or(u64::MAX),
            late: sorted.late,
            duplicates: sorted.duplicates,
            round: more.then_some(Round { cursor: next, unwritten: 0, look_back }),
        };
        match self.keep(&ask.place.scope, standing.poller, sorted, position).await {
            Ok(()) => Ok(Visited::Page(page)),
            Err(Error::Commit(CommitError::Conflict { .. })) => Ok(Visited::Superseded),
            // It was paused or removed after this visit looked.
            Err(Error::Invalid { code: UNMATCHED, .. }) => Ok(Visited::Superseded),
            Err(Error::Commit(error @ CommitError::TooLarge { .. })) => {
                let message = format!("one record of the page is too large to be taken in: {error}");
                Ok(Visited::Failed { app, error: CallError::Denied { message }, pace })
            }
            Err(error) => Err(error),
        }
    }

    async fn standing(&self, place: Place) -> Result<Result<Standing, Visited>> {
        let Place { scope, installation } = place;
        let store = &self.context.store;
        let Some(poller) = present(store.get::<Pollers>(&scope, &installation).await)? else {
            self.tidy(place).await?;
            return Ok(Err(Visited::Gone));
        };
        let Poller { user, app, trigger, connection, every, cursor, .. } = &poller.record;
        match present(store.get::<Installations>(&scope, &(*user, installation)).await)? {
            None => return Ok(Err(Visited::Gone)),
            Some(Versioned { record: Installation { active: false, .. }, .. }) => {
                return Ok(Err(Visited::Paused));
            }
            Some(_) => {}
        }
        let broken = |error| {
            let pace = Pace::new(polling::LONGEST_INTERVAL / 96, installation);
            Ok(Err(Visited::Failed { app: app.clone(), error, pace }))
        };
        let Some(connector) = self.context.registry.active(app) else {
            let message = format!("there is no connector of `{app}`; an operator has to push one");
            return broken(CallError::Denied { message });
        };
        let version = &connector.manifest().version;
        let Some(spec) = connector.manifest().poll(trigger).cloned() else {
            let message =
                format!("`{app}` {version} has no polling trigger `{trigger}`; push a version that has it");
            return broken(CallError::Denied { message });
        };
        if let Some(cursor) = cursor
            && !spec.cursor_format.reads.contains(&cursor.format)
        {
            let format = cursor.format;
            let message = format!(
                "`{app}` {version} cannot read the kept cursor, of format {format}; push one that can"
            );
            return broken(CallError::Denied { message });
        }
        let pace = Pace::new(polling::interval(&spec, every.as_deref()), installation);
        let attention =
            |reason: &str| Ok(Err(Visited::Attention { app: app.clone(), reason: reason.to_owned(), pace }));
        let Some(connection) = present(store.recall::<Connections>(&scope, &(*user, *connection)).await)?
        else {
            return attention("the credential was removed; connect again and install the workflow again");
        };
        if let Some(reason) = &connection.record.needs_attention {
            return attention(reason);
        }
        Ok(Ok(Standing { poller, connection, connector, spec, pace }))
    }

    /// Removes the timer that an erased user's poller left.
    async fn tidy(&self, Place { scope, installation }: Place) -> Result<()> {
        let Some(timer) = self.context.store.get::<ActivePollers>(&scope, &installation).await? else {
            return Ok(());
        };
        let mut batch = Batch::new();
        batch.remove::<ActivePollers>(&scope, &installation, timer.version);
        match self.context.store.commit(batch).await {
            Ok(_) | Err(CommitError::Conflict { .. }) => Ok(()),
            Err(error) => Err(Error::Commit(error)),
        }
    }

    async fn call(
        &self,
        scope: &Scope,
        standing: &Standing,
        from: Option<&str>,
        look_back: Option<Duration>,
    ) -> Result<(Result<Answer<Polled>, Failed>, Stored)> {
        let Standing { poller, connection: stored, connector, .. } = standing;
        let (poller, connection) = (&poller.record, &stored.record);
        let call = Call {
            scope: *scope,
            user: Some(connection.user),
            connection: Some(connection.id),
            name: poller.trigger.clone(),
            parameters: connection.parameters.clone(),
            account: connection.account.clone(),
            idempotency_key: idempotency_key(poller.installation.0.into(), "poll"),
            attempt: 1,
            // The vault puts them in.
            secrets: Arc::default(),
            deadline: None,
            // A poller comes rarely: kept instances are for what comes often.
            instance: Freshness::Fresh,
        };
        let options = Some(&poller.options).filter(|options| !options.is_null()).map(ToString::to_string);
        let poll = Poll { cursor: from, since: poller.created_at, look_back, options: options.as_deref() };
        let (app, installation) = (poller.app.as_str(), poller.installation);
        let said = |line: &dyn fmt::Display| {
            tracing::debug!(app, %installation, message = %line, "the connector said while polling");
        };
        let perform = |call| connector.poll(call, poll);
        let (answered, used) = self.vault.call(stored.clone(), call, How::READY, perform).await?;
        let log = match &answered {
            Ok(answer) => &answer.log,
            Err(failed) => &failed.log,
        };
        log.iter().for_each(|line| said(&line.message));
        Ok((answered, used))
    }

    /// Notes what a poll says about the vendor's limits; with a refusal for now, when the poll's turn is.
    fn told(
        &self,
        (of, drawn): &(Limited, &Drawn<'_>),
        answered: Result<Answer<Polled>, Failed>,
    ) -> Result<Polled, (CallError, Option<Timestamp>)> {
        let (observations, polled) = match answered {
            Ok(Answer { observations, value, .. }) => (observations, Ok(value)),
            Err(Failed { observations, error, .. }) => (observations, Err(error)),
        };
        let error = polled.as_ref().err();
        let until = self.context.limits.told(of, drawn, &observations, error, self.context.now());
        polled.map_err(|error| (error, until))
    }

    /// A visit that failed on a connection as it was `used`.
    async fn failed(
        &self,
        place: Place,
        standing: &Standing,
        used: &Stored,
        error: CallError,
    ) -> Result<Visited> {
        let Standing { poller, pace, .. } = standing;
        let (app, pace) = (poller.record.app.clone(), *pace);
        let Place { scope, .. } = place;
        if let CallError::AuthExpired { message } = error {
            self.vault.needs_attention(&scope, used, &message).await?;
            return Ok(Visited::Attention { app, reason: message, pace });
        }
        Ok(Visited::Failed { app, error, pace })
    }
}
