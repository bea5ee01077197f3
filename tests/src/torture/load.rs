//! The load: every customer sends events of every kind and requests, and the vendor sends webhooks, one after the other,
//! and what the host answered is remembered.
//!
//! Some callers lose patience and hang up; some send an Idempotency-Key, and repeat what got no answer until it gets
//! one. The vendor repeats every webhook until it is acknowledged, as vendors do.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};
use trunnion_core::clock::SeededRandom;

use super::{
    Chance, ITEMS,
    records::Changes,
    setting::{Customer, Setting},
};
use crate::{bigcommerce::BigCommerce, scenario::Merchant, wait};

pub(super) const EVENT: &str = "event";
pub(super) const DELAYED: &str = "delayed";
pub(super) const LOOP: &str = "loop";
pub(super) const ACTION: &str = "action";
pub(super) const REQUEST: &str = "request";
pub(super) const WEBHOOK: &str = "webhook";

/// Every kind, in the order of the report.
pub(super) const KINDS: [&str; 6] = [EVENT, DELAYED, LOOP, ACTION, REQUEST, WEBHOOK];

/// The longest pause between two events of one customer.
const PAUSE: u64 = 60;

/// How long whoever got no answer waits for a next life before it tries this one again.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was sent, and what the host said to it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) kind: &'static str,
    /// Unique; the order's number for a webhook.
    pub(super) number: u64,
    /// The order at the vendor, where it is about one.
    pub(super) order: Option<u64>,
    pub(super) store: String,
    pub(super) answer: Answer,
}

/// What the host said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// 2xx: from here on it must not be lost.
    Acknowledged,
    /// 4xx: nothing may come of it.
    Refused(u16),
    /// 2xx to a request, with something else than its own answer.
    Wrong,
    /// None, or a 5xx: it may have been accepted, once.
    None,
}

/// Where the load goes.
#[derive(Clone, Debug)]
pub(super) enum Aim {
    /// To the host.
    At(Arc<Target>),
    /// Nowhere: the host is down. Elsewhere life goes on.
    Down,
    /// Nowhere, and nothing new happens anywhere.
    Quiet,
}

impl Aim {
    const fn target(&self) -> Option<&Arc<Target>> {
        match self {
            Self::At(target) => Some(target),
            Self::Down | Self::Quiet => None,
        }
    }
}

/// Where the host is in this life.
#[derive(Debug)]
pub(super) struct Target {
    http: reqwest::Client,
    base: String,
}

impl Target {
    pub(super) fn new(base: &str, key: &str) -> Result<Self> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {key}"))?;
        authorization.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization)]);
        let http =
            reqwest::Client::builder().default_headers(headers).timeout(Duration::from_secs(30)).build()?;
        Ok(Self { http, base: base.to_owned() })
    }
}

/// The running load.
pub(super) struct Load {
    aim: watch::Sender<Aim>,
    stop: watch::Sender<bool>,
    sent: Arc<Mutex<Vec<Sent>>>,
    senders: JoinSet<Result<()>>,
}

impl Load {
    /// One sender for each customer, one of its vendor, and one who changes records at the other vendor.
    pub(super) fn start(setting: &Setting, seed: u64) -> Self {
        let (aim, aimed) = watch::channel(Aim::Down);
        let (stop, stopped) = watch::channel(false);
        let sent = Arc::new(Mutex::new(Vec::new()));
        let mut senders = JoinSet::new();
        for (index, customer) in (1..).zip(&setting.customers) {
            let Customer { merchant, entrance, .. } = customer;
            let sender = |salt: u64| Sender {
                merchant: merchant.clone(),
                entrance: entrance.clone(),
                vendor: setting.scenario.bigcommerce.clone(),
                aimed: aimed.clone(),
                stopped: stopped.clone(),
                sent: Arc::clone(&sent),
                chance: Chance(SeededRandom::new(seed ^ (index << 32) ^ (salt << 48))),
                first_number: index << 32,
            };
            senders.spawn(sender(1).events());
            senders.spawn(sender(2).webhooks());
        }
        let changes = Changes {
            listing: setting.listing.clone(),
            accounts: setting.customers.iter().map(|customer| customer.merchant.username.clone()).collect(),
            chance: Chance(SeededRandom::new(seed ^ (3 << 48))),
            aimed,
            stopped,
        };
        senders.spawn(changes.run());
        Self { aim, stop, sent, senders }
    }

    /// Where the load goes from now on.
    pub(super) fn aim(&self, aim: Aim) {
        self.aim.send_replace(aim);
    }

    /// Sends nothing new, and waits until everything that must be repeated got its answer.
    pub(super) async fn finish(mut self) -> Result<Vec<Sent>> {
        self.stop.send_replace(true);
        while let Some(ended) = self.senders.join_next().await {
            ended.context("a sender ended badly")??;
        }
        Ok(self.state().clone())
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.state().iter().filter(|sent| sent.answer == Answer::Acknowledged).count()
    }

    fn state(&self) -> MutexGuard<'_, Vec<Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Sender {
    merchant: Merchant,
    entrance: String,
    vendor: BigCommerce,
    aimed: watch::Receiver<Aim>,
    stopped: watch::Receiver<bool>,
    sent: Arc<Mutex<Vec<Sent>>>,
    chance: Chance,
    first_number: u64,
}

impl Sender {
    async fn events(mut self) -> Result<()> {
        let mut number = self.first_number;
        while let Some(target) = self.target().await {
            number += 1;
            let kinds = [EVENT, EVENT, DELAYED, LOOP, ACTION, REQUEST];
            let kind = kinds.into_iter().nth(self.pick(6)).unwrap_or(EVENT);
            let order = match kind {
                ACTION => Some(self.vendor.create_order(&self.merchant.store, 11)?),
                _ => None,
            };
            let post = self.post(kind, number, order);
            let answer = match self.pick(3) {
                0 => self.until_answered(target, &post).await?,
                1 => {
                    let patience = Duration::from_micros(self.chance.below(20_000));
                    let answered = tokio::time::timeout(patience, post.send(&target, Repeat::Unknown)).await;
                    answered.unwrap_or(Answer::None)
                }
                _ => post.send(&target, Repeat::Unknown).await,
            };
            self.note(kind, number, order, answer);
            wait::pass(self.chance.up_to(PAUSE)).await;
        }
        Ok(())
    }

    fn post(&self, kind: &'static str, number: u64, order: Option<u64>) -> Post {
        if kind == REQUEST {
            let body = json!({ "number": number }).to_string();
            return Post {
                path: self.entrance.clone(),
                number,
                body,
                answered: Some(json!({ "number": number })),
            };
        }
        let items = (0..ITEMS).collect::<Vec<_>>();
        let data = json!({ "number": number, "order": order.unwrap_or(1), "items": items });
        let body = json!({ "event": kind, "userId": self.merchant.user, "data": data }).to_string();
        Post { path: "/2023-12/run/event".to_owned(), number, body, answered: None }
    }

    async fn webhooks(mut self) -> Result<()> {
        while let Some(mut target) = self.target().await {
            let order = self.vendor.create_order(&self.merchant.store, 11)?;
            let waiting = self.vendor.waiting(order, "store/order/created");
            let delivery = waiting.with_context(|| format!("no webhook is due for order {order}"))?;
            // The vendor goes on until it is heard, also after the load has ended; but not so often that it would
            // give the hook up.
            while !self.vendor.deliver(&delivery).await?.is_some_and(|status| (200..300).contains(&status)) {
                target = self.next_life(target).await?;
            }
            self.note(WEBHOOK, order, Some(order), Answer::Acknowledged);
            wait::pass(self.chance.up_to(4 * PAUSE)).await;
        }
        Ok(())
    }

    /// With an Idempotency-Key: repeated, over lives, until there is an answer.
    async fn until_answered(&mut self, mut target: Arc<Target>, post: &Post) -> Result<Answer> {
        loop {
            let answer = post.send(&target, Repeat::Recognised).await;
            if answer != Answer::None {
                return Ok(answer);
            }
            target = self.next_life(target).await?;
        }
    }

    /// Where the host is in its next life; where this one goes on all the same, there again after a while.
    async fn next_life(&mut self, tried: Arc<Target>) -> Result<Arc<Target>> {
        let other = |aim: &Aim| aim.target().is_some_and(|aim| !Arc::ptr_eq(aim, &tried));
        match tokio::time::timeout(PATIENCE, self.aimed.wait_for(other)).await {
            Ok(next) => next?.target().cloned().context("a next life has its place"),
            Err(_) => Ok(tried),
        }
    }

    /// Where to send the next event; `None` once there is to be none.
    async fn target(&mut self) -> Option<Arc<Target>> {
        if *self.stopped.borrow() {
            return None;
        }
        tokio::select! {
            aimed = self.aimed.wait_for(|aim| aim.target().is_some()) => aimed.ok()?.target().cloned(),
            _ = self.stopped.wait_for(|stopped| *stopped) => None,
        }
    }

    fn pick(&self, of: u64) -> usize {
        usize::try_from(self.chance.below(of)).unwrap_or_default()
    }

    fn note(&self, kind: &'static str, number: u64, order: Option<u64>, answer: Answer) {
        let sent = Sent { kind, number, order, store: self.merchant.store.clone(), answer };
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
    }
}

/// A POST of the load.
struct Post {
    path: String,
    number: u64,
    body: String,
    /// What its answer has to be, where that says anything.
    answered: Option<Value>,
}

/// Whether the host can know a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    /// By an Idempotency-Key.
    Recognised,
    Unknown,
}

impl Post {
    async fn send(&self, target: &Target, repeat: Repeat) -> Answer {
        let mut request = target.http.post(format!("{}{}", target.base, self.path));
        if repeat == Repeat::Recognised {
            request = request.header("idempotency-key", self.number.to_string());
        }
        let answered =
            request.header("content-type", "application/json").body(self.body.clone()).send().await;
        let Ok(answer) = answered else { return Answer::None };
        match (answer.status().as_u16(), &self.answered) {
            (200, Some(right)) => {
                match answer.text().await.map(|text| serde_json::from_str::<Value>(&text)) {
                    Ok(Ok(told)) if told == *right => Answer::Acknowledged,
                    Ok(_) => Answer::Wrong,
                    Err(_) => Answer::None,
                }
            }
            (200..300, _) => Answer::Acknowledged,
            (status @ 400..500, _) => Answer::Refused(status),
            _ => Answer::None,
        }
    }
}
