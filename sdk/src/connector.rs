//! `Connector`: a declaration as a value, and the one place that finds what a call names. The exports of the
//! component and native tests both go through it.

use std::{fmt, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    action::{Action, Listing, Reconciled},
    auth::{Account, Connection},
    context::Context,
    error::{Error, Result},
    lookup::{Choices, Lookup, Query},
    trigger::{
        Delivery, Health, Hook, Occurrence, Page, Registered, Registration, Reply, Source, Target, Trigger,
    },
};

/// The code of the error that answers a call of something not declared.
pub const NOT_DECLARED: &str = "not-declared";

/// A vendor's rate limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    pub(crate) id: &'static str,
    pub(crate) capacity: u64,
    pub(crate) window_ms: u64,
    pub(crate) refill: Refill,
}

/// How a rate limit fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refill {
    Steady,
    AtOnce,
}

impl Bucket {
    /// The limit `id`: `capacity` requests (or points) that refill within `window`.
    #[must_use]
    pub fn new(id: &'static str, capacity: u64, window: Duration) -> Self {
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        Self { id, capacity, window_ms, refill: Refill::Steady }
    }

    /// Says that it does not refill little by little: it is full again when its window ends.
    #[must_use]
    pub const fn full_at_once(mut self) -> Self {
        self.refill = Refill::AtOnce;
        self
    }
}

/// A declared connector. Made by [`crate::connector!`]; its parts are functions, so that a call builds only
/// what it needs.
pub struct Connector {
    /// The app's id: lower-case letters, digits and hyphens.
    pub id: &'static str,
    /// The connector crate's version.
    pub version: &'static str,
    /// What a person calls the app.
    pub title: &'static str,
    /// One sentence on what the app is.
    pub help: &'static str,
    /// A `data:` URL of an SVG or PNG; empty for none.
    pub icon: &'static str,
    /// Host patterns the connector may send to.
    pub hosts: &'static [&'static str],
    /// How a user connects.
    pub connection: fn() -> Connection,
    /// Whether a credential works, and whose it is.
    pub check: fn(&Context) -> Result<Account>,
    /// The vendor's rate limits.
    pub buckets: fn() -> Vec<Bucket>,
    /// What starts workflows.
    pub triggers: fn() -> Vec<Trigger>,
    /// What workflows can do.
    pub actions: fn() -> Vec<Action>,
    /// Choices that only the user's own account knows.
    pub lookups: fn() -> Vec<Lookup>,
}

impl Connector {
    fn trigger(&self, id: &str) -> Result<Trigger> {
        (self.triggers)()
            .into_iter()
            .find(|trigger| trigger.id == id)
            .ok_or_else(|| self.lacks("trigger", id))
    }

    fn hook(&self, id: &str) -> Result<Hook> {
        match self.trigger(id)?.source {
            Source::Webhook(hook) => Ok(hook),
            Source::Poll { .. } => Err(self.lacks("webhook", id)),
        }
    }

    fn registered(&self, id: &str) -> Result<Registered> {
        match self.hook(id)?.registration {
            Registration::PerConnection(registered) => Ok(registered),
            Registration::PerApp | Registration::Manual => {
                Err(self.lacks("registration for the webhook", id))
            }
        }
    }

    fn action(&self, id: &str) -> Result<Action> {
        (self.actions)().into_iter().find(|action| action.id == id).ok_or_else(|| self.lacks("action", id))
    }

    fn lacks(&self, what: &str, id: &str) -> Error {
        Error::other(NOT_DECLARED, self.lacks_message(what, id))
    }

    pub(crate) fn lacks_message(&self, what: &str, id: &str) -> String {
        let (app, version) = (self.id, self.version);
        format!("connector `{app}@{version}` declares no {what} `{id}`; its manifest lists what it has")
    }

    /// Carries out the action that the call names.
    ///
    /// # Errors
    /// `InvalidInput` where `input` does not fit, `Other` where there is no such action, or the action's own.
    pub fn run(&self, ctx: &Context, input: &str) -> Result<String> {
        (self.action(&ctx.call().name)?.run)(ctx, input)
    }

    /// Carries out the action that the call names for each of `items`; answers in their order.
    ///
    /// # Errors
    /// As [`Self::run`], and `Other` where the action has no batch form. What is wrong with one item is its own answer.
    pub fn run_batch(&self, ctx: &Context, items: &[impl AsRef<str>]) -> Result<Vec<Result<String>>> {
        let action = self.action(&ctx.call().name)?;
        let batch = action.batch.as_ref().ok_or_else(|| self.lacks("batch form of action", action.id))?;
        let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
        (batch.run)(ctx, &items)
    }

    /// One page of the listing that the call names, from `cursor` on, with items and cursor as JSON.
    ///
    /// # Errors
    /// As [`Self::run`], and `Other` where the action is no listing.
    pub fn page(&self, ctx: &Context, input: &str, cursor: Option<&str>) -> Result<Listing<String>> {
        let action = self.action(&ctx.call().name)?;
        let page = action.page.as_ref().ok_or_else(|| self.lacks("listing", action.id))?;
        page(ctx, input, cursor)
    }

    /// Looks up what became of an attempt of the action that the call names.
    ///
    /// # Errors
    /// As [`Self::run`], and `Other` where the action cannot tell.
    pub fn reconcile(&self, ctx: &Context, input: &str, key: &str) -> Result<Reconciled<String>> {
        let action = self.action(&ctx.call().name)?;
        let reconcile =
            action.reconcile.as_ref().ok_or_else(|| self.lacks("reconcile for action", action.id))?;
        reconcile(ctx, input, key)
    }

    /// Choices of the lookup that the call names.
    ///
    /// # Errors
    /// `Other` where there is no such lookup, or the lookup's own.
    pub fn options(&self, ctx: &Context, query: &Query) -> Result<Choices> {
        let id = &ctx.call().name;
        let lookup = (self.lookups)().into_iter().find(|lookup| lookup.id == id);
        (lookup.ok_or_else(|| self.lacks("lookup", id))?.options)(ctx, query)
    }

    /// The JSON Schema of an action's input in the user's own account, given values already chosen.
    ///
    /// # Errors
    /// `Other` where the action has the same schema for everybody, or the action's own.
    pub fn schema(&self, ctx: &Context, action: &str, values: &Map<String, Value>) -> Result<Value> {
        let shape = self.action(action)?.shape;
        shape.ok_or_else(|| self.lacks("account's own schema for action", action))?(ctx, values)
    }

    /// Registers the webhook of the trigger that the call names.
    ///
    /// # Errors
    /// The trigger's own, or `Other` where there is no such trigger; so for the functions that follow.
    pub fn subscribe(&self, ctx: &Context, target: &Target) -> Result<String> {
        (self.registered(&ctx.call().name)?.subscribe)(ctx, target)
    }

    /// Takes a registration back.
    ///
    /// # Errors
    /// As [`Self::subscribe`].
    pub fn unsubscribe(&self, ctx: &Context, state: &str) -> Result<()> {
        (self.registered(&ctx.call().name)?.unsubscribe)(ctx, state)
    }

    /// Looks after a registration.
    ///
    /// # Errors
    /// As [`Self::subscribe`].
    pub fn check_subscription(&self, ctx: &Context, target: &Target, state: &str) -> Result<Health<String>> {
        (self.registered(&ctx.call().name)?.check)(ctx, target, state)
    }

    /// Turns a delivery into occurrences.
    ///
    /// # Errors
    /// As [`Self::subscribe`].
    pub fn parse(&self, ctx: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<String>>> {
        (self.hook(&ctx.call().name)?.parse)(ctx, delivery)
    }

    /// Turns a delivery to the app's own webhook into occurrences, each with the trigger that it belongs to.
    ///
    /// # Errors
    /// That of the first trigger that does not understand the delivery.
    pub fn parse_for_app(
        &self,
        ctx: &Context,
        delivery: &Delivery,
    ) -> Result<Vec<(&'static str, Occurrence<String>)>> {
        let mut all = Vec::new();
        for trigger in (self.triggers)() {
            if let Source::Webhook(Hook { registration: Registration::PerApp, parse, .. }) = trigger.source {
                all.extend(parse(ctx, delivery)?.into_iter().map(|occurrence| (trigger.id, occurrence)));
            }
        }
        Ok(all)
    }

    /// Answers a delivery that wants an answer at once.
    ///
    /// # Errors
    /// As [`Self::subscribe`].
    pub fn handshake(&self, ctx: &Context, delivery: &Delivery) -> Result<Option<Reply>> {
        (self.hook(&ctx.call().name)?.handshake)(ctx, delivery)
    }

    /// One page of what there is from `cursor` on; from where the trigger starts, where there is none yet.
    ///
    /// # Errors
    /// As [`Self::subscribe`], and `Other` where the cursor cannot be read.
    pub fn poll(&self, ctx: &Context, cursor: Option<&str>) -> Result<Page<String, String>> {
        match self.trigger(&ctx.call().name)?.source {
            Source::Poll { poll, .. } => poll(ctx, cursor),
            Source::Webhook(_) => Err(self.lacks("polling trigger", &ctx.call().name)),
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("id", &self.id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
