//! Requests: whoever knows an installation's address starts its workflow and waits for the answer.
//!
//! Invariants: a request is durable before anything runs, through the one way in; waiting holds no worker; what is
//! answered is always looked up, so a restart, a repeated request and the status address all answer the same.

mod incoming;

use std::{sync::Arc, time::Duration};

use trunnion_core::{
    answer::Answer,
    id::RunId,
    records::{Entrance, EventSource, Installation},
    scope::Scope,
};
use trunnion_store::{
    Deployment, ReadError,
    tables::{Installations, RequestPaths},
};

pub use self::incoming::Incoming;

use super::{
    accept::{Acceptor, Arrival, Seen, request_key},
    webhook::path_key,
};
use crate::{
    context::Context,
    error::{Error, Result},
    runs::{RunLog, Waiting},
    workflows::Releases,
};

/// Takes requests in and waits for their answers.
#[derive(Clone, Debug)]
pub struct Requests {
    context: Context,
    acceptor: Acceptor,
    releases: Arc<Releases>,
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
        releases: Arc<Releases>,
        runs: RunLog,
        waiting: Arc<Waiting>,
        patience: Duration,
    ) -> Self {
        Self { context, acceptor, releases, runs, waiting, patience }
    }

    /// Starts a run for a request to the address of `token`, and waits for its answer. A repeated request waits for
    /// the run that the first one started.
    pub async fn receive(&self, token: &str, incoming: Incoming<'_>) -> Result<Told> {
        let (scope, installation, entrance) = self.entered(token).await?;
        let data = incoming.data()?;
        self.acceptor.admit_user(&scope, installation.user)?;
        let store = &self.context.store;
        let seen = incoming.header("idempotency-key").map(|key| {
            let name = [installation.id.as_bytes().as_slice(), key.as_bytes()].concat();
            let key = store.keyed_hash(&scope, "request-key", &name);
            Seen { key, body_hash: Some(incoming.hash()) }
        });
        let arrival = Arrival {
            source: EventSource::Request,
            data,
            trigger: request_key(store, &scope, installation.id),
            seen,
            unmatched: Some("the workflow at this address is not active; activate it first".to_owned()),
        };
        let accepted = self.acceptor.accept(&scope, vec![arrival], |_| {}).await?;
        let Some(run) = accepted.runs.first().or(accepted.repeated.first()).copied() else {
            return Err(Error::Internal("a repeated request does not know its run".to_owned()));
        };
        let patience = incoming.patience().map_or(self.patience, |asked| asked.min(self.patience));
        self.told(&scope, &entrance, run, patience).await
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
        self.told(&scope, &entrance, run, patience).await
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

    async fn told(&self, scope: &Scope, entrance: &Entrance, run: RunId, patience: Duration) -> Result<Told> {
        let url = format!("{}/runs/{run}", request_url(&self.context.public_url, entrance));
        let answer = self.wait(scope, run, patience).await?;
        Ok(Told { run, url, answer })
    }

    async fn wait(&self, scope: &Scope, run: RunId, patience: Duration) -> Result<Option<Answer>> {
        let caller = if patience.is_zero() { None } else { self.waiting.caller(run) };
        let Some(mut caller) = caller else { return self.answer(scope, run).await };
        let patience = tokio::time::sleep(patience);
        tokio::pin!(patience);
        loop {
            // Looked up while waiting has begun, so that an answer cannot come between.
            if let Some(answer) = self.answer(scope, run).await? {
                return Ok(Some(answer));
            }
            tokio::select! {
                stirred = caller.stirred() => if !stirred { return Ok(None) },
                () = &mut patience => return Ok(None),
            }
        }
    }

    async fn answer(&self, scope: &Scope, run: RunId) -> Result<Option<Answer>> {
        let run = self.runs.run(scope, run).await?;
        Ok(self.releases.of_run(scope, &run).await?.answer(&run.state))
    }
}
