//! Requests: whoever knows an installation's address starts its workflow and waits for the answer.
//!
//! Invariants: a request is durable before anything runs, through the one way in; waiting holds no worker; what is
//! answered is always looked up, so a restart, a repeated request and the status address all answer the same.

mod callback;
mod incoming;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use trunnion_core::{
    answer::Answer,
    id::RunId,
    records::{Callback, Entrance, EventSource, Installation},
    scope::Scope,
};
use trunnion_store::{
    Batch, Deployment, ReadError,
    tables::{Callbacks as Table, Installations, RequestPaths},
};

pub use self::{callback::Callbacks, incoming::Incoming};

use super::{
    accept::{Acceptor, Arrival, Seen, request_key},
    webhook::path_key,
};
use crate::{
    context::Context,
    error::{Error, Result},
    runs::{Caller, RunLog, Waiting},
};

/// Takes requests in and waits for their answers.
#[derive(Clone, Debug)]
pub struct Requests {
    context: Context,
    acceptor: Acceptor,
    runs: RunLog,
    waiting: Arc<Waiting>,
    patience: Duration,
}

/// What a caller is told.
#[derive(Clone, Debug)]
pub struct Told {
    /// The run that the request started.
    pub run: RunId,
    /// Where its answer is found later.
    pub url: String,
    /// The answer; none while the run is under way.
    pub answer: Option<Answer>,
}

/// The address of requests.
#[must_use]
pub fn request_url(public_url: &str, entrance: &Entrance) -> String {
    format!("{public_url}/requests/{}", entrance.path_token)
}

impl Requests {
    /// Accepts by `acceptor`, and lets a caller wait for `patience`.
    #[must_use]
    pub const fn new(
        context: Context,
        acceptor: Acceptor,
        runs: RunLog,
        waiting: Arc<Waiting>,
        patience: Duration,
    ) -> Self {
        Self { context, acceptor, runs, waiting, patience }
    }

    /// Starts a run for a request to the address of `token`, and waits for its answer. A repeated request waits for
    /// the run that the first one started. An answer that the caller does not get here goes to its callback, where it
    /// gave one.
    pub async fn receive(&self, token: &str, incoming: Incoming<'_>) -> Result<Told> {
        let (scope, installation, entrance) = self.entered(token).await?;
        let data = incoming.data()?.into();
        let url = incoming.header("trunnion-callback").map(callback::checked).transpose()?;
        let callback = url.map(|url| Callback {
            user: installation.user,
            url,
            secret: entrance.secret.clone(),
            attempts: 0,
            lease: None,
            not_before: self.context.now(),
            last_error: None,
        });
        let pass = self.acceptor.enter(&scope, installation.user).await?;
        let store = &self.context.store;
        let seen = incoming.header("idempotency-key").map(|key| {
            let name = [installation.id.as_bytes().as_slice(), key.as_bytes()].concat();
            let key = store.keyed_hash(&scope, "request-key", &name);
            Seen { key, body_hash: Some(incoming.hash()) }
        });
        let arrival = Arrival {
            source: EventSource::Request { callback: callback.is_some() },
            data,
            trigger: request_key(store, &scope, installation.id),
            seen,
            unmatched: Some("the workflow at this address is not active; activate it first".to_owned()),
        };
        let owed = Mutex::new(None);
        let also = |batch: &mut Batch, runs: &[RunId]| {
            if let (Some(callback), Some(run)) = (&callback, runs.first()) {
                batch.insert::<Table>(&scope, run, callback);
                // From before the run begins, so that it cannot answer where it is not awaited yet.
                let owes = self.waiting.owe(&scope, *run, callback.user);
                *owed.lock().unwrap_or_else(PoisonError::into_inner) = Some(owes);
            }
        };
        let accepted = self.acceptor.accept_with(&scope, pass, vec![arrival], also).await?;
        let Some(run) = accepted.runs.first().or(accepted.repeated.first()).copied() else {
            return Err(Error::Internal("a repeated request does not know its run".to_owned()));
        };
        let owed = owed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let patience = incoming.patience().map_or(self.patience, |asked| asked.min(self.patience));
        // Who would not wait is not answered here, so that the answer has one way.
        let mut caller = if patience.is_zero() { None } else { self.waiting.caller(run) };
        let answer = match &mut caller {
            Some(caller) => self.wait(&scope, run, caller, patience).await?,
            None => None,
        };
        if let (Some(_), Some(owed)) = (&answer, owed) {
            // While it counts as owed here, nobody else sends the answer.
            let mut batch = Batch::new();
            batch.delete::<Table>(&scope, &run);
            self.context.store.commit(batch).await.map_err(Error::Commit)?;
            owed.paid();
        }
        Ok(self.told(&entrance, run, answer))
    }

    /// What a run that was started at the address of `token` has answered, waiting for it where that is asked for.
    pub async fn status(&self, token: &str, run: RunId, incoming: Incoming<'_>) -> Result<Told> {
        let (scope, installation, entrance) = self.entered(token).await?;
        let found = self.runs.run(&scope, run).await?;
        if found.installation != installation.id {
            return Err(Error::not_found(
                "run-unknown",
                format!("no request to this address started a run `{run}`"),
            ));
        }
        let patience = incoming.patience().unwrap_or_default().min(self.patience);
        let caller = if patience.is_zero() { None } else { self.waiting.caller(run) };
        let answer = match caller {
            Some(mut caller) => self.wait(&scope, run, &mut caller, patience).await?,
            None => self.runs.answer(&scope, run).await?,
        };
        Ok(self.told(&entrance, run, answer))
    }

    /// Lets everybody who waits go, for a host that stops.
    pub fn let_go(&self) {
        self.waiting.close();
    }

    /// Whose address this is. One that was never given, one that was dropped and one of an erased user are alike.
    async fn entered(&self, token: &str) -> Result<(Scope, Installation, Entrance)> {
        let store = &self.context.store;
        let unknown = || {
            let message = "there is no workflow at this address; it may have been uninstalled";
            Error::not_found("request-path-unknown", message)
        };
        let target = store.get::<RequestPaths>(&Deployment, &path_key(token)).await?;
        let target = target.ok_or_else(unknown)?.record;
        let key = (target.user, target.installation);
        let installation = match store.get::<Installations>(&target.scope, &key).await {
            Ok(installation) => installation.ok_or_else(unknown)?.record,
            Err(ReadError::Erased { .. }) => return Err(unknown()),
            Err(error) => return Err(error.into()),
        };
        let entrance = installation.entrance.clone().ok_or_else(unknown)?;
        Ok((target.scope, installation, entrance))
    }

    fn told(&self, entrance: &Entrance, run: RunId, answer: Option<Answer>) -> Told {
        Told { run, url: format!("{}/runs/{run}", request_url(&self.context.public_url, entrance)), answer }
    }

    async fn wait(
        &self,
        scope: &Scope,
        run: RunId,
        caller: &mut Caller,
        patience: Duration,
    ) -> Result<Option<Answer>> {
        let patience = tokio::time::sleep(patience);
        tokio::pin!(patience);
        loop {
            // Looked up while waiting has begun, so that an answer cannot come between.
            if let Some(answer) = self.runs.answer(scope, run).await? {
                return Ok(Some(answer));
            }
            tokio::select! {
                // An answer that is there comes before the end of patience.
                biased;
                stirred = caller.stirred() => if !stirred { return Ok(None) },
                () = &mut patience => return Ok(None),
            }
        }
    }
}
