//! The rules, each tried on everything it speaks of.

mod inputs;
mod paging;

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use trunnion_core::{
    call::CallError,
    clock::ManualClock,
    manifest::{AuthScheme, Manifest, Registration, Repeat, TriggerSource},
};
use trunnion_sandbox::Delivery;

use super::{
    scene::{EMPTY_OBJECT, Expectation, FAILURES, NONSENSE, RETRY_AFTER_SECS, Scene},
    script::Script,
    subject::{Done, Subject, done, keyed},
    verdict::{Outcome, Verdict},
};
use crate::author::{credential::Credential, vendor::Asked, workshop::Workshop};

const ERRORS: &str = "the vendor's failures become the right errors";
const NONSENSE_RULE: &str = "answers that make no sense do not break it";
const SECRETS: &str = "no secret leaves the sandbox";
const CREDENTIAL: &str = "the credential goes with the request";
const KEY: &str = "the idempotency key goes to the vendor";
const DELIVERIES: &str = "deliveries that make no sense do not break it";

/// The connector, and the vendor that it is tried against.
pub(super) struct Trial {
    /// Waits for answers as a host does.
    pub(super) patient: Workshop,
    /// Waits for answers hardly at all.
    pub(super) hasty: Workshop,
    pub(super) manifest: Manifest,
    /// How its requests are authorised; `None` where the connector needs nothing.
    pub(super) scheme: Option<AuthScheme>,
    pub(super) credential: Credential,
    pub(super) script: Arc<Script>,
    pub(super) clock: Arc<ManualClock>,
}

/// What a rule came to while it is tried several times.
#[derive(Default)]
struct Tally {
    tried: bool,
    broken: Vec<String>,
}

impl Tally {
    fn broken(&mut self, how: String) {
        self.tried = true;
        self.broken.push(how);
    }

    fn verdict(self, subject: &Subject, rule: &'static str, untried: &str) -> Verdict {
        let outcome = match (self.broken.is_empty(), self.tried) {
            (false, _) => Outcome::Broken(self.broken),
            (true, true) => Outcome::Passed,
            (true, false) => Outcome::Untried(untried.to_owned()),
        };
        Verdict { subject: subject.to_string(), rule, outcome }
    }
}

impl Trial {
    pub(super) async fn every_rule(&self, progress: &mut (dyn FnMut(&str) + Send)) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for subject in Subject::all(&self.manifest) {
            progress(&format!("trying {subject}"));
            if self.asks(&subject) {
                verdicts.extend(self.asking(&subject, subject == Subject::Connection).await);
            }
            match &subject {
                Subject::Action(id) => verdicts.push(self.inputs(&subject, id).await),
                Subject::Listing(id) => {
                    verdicts.push(self.inputs(&subject, id).await);
                    verdicts.push(self.pages(&subject, id).await);
                }
                Subject::Polling(id) => verdicts.push(self.rounds(&subject, id).await),
                Subject::Webhook(id) => verdicts.push(self.deliveries(&subject, id).await),
                Subject::Connection | Subject::Batch(_) | Subject::Lookup(_) | Subject::AccountSchema(_) => {}
            }
        }
        verdicts
    }

    /// The rules that another auth scheme could break, on the connection's check and on the first action: what the
    /// rest makes of answers does not hang on how a request is authorised.
    pub(super) async fn of_another_scheme(&self, progress: &mut (dyn FnMut(&str) + Send)) -> Vec<Verdict> {
        let subjects = Subject::all(&self.manifest);
        let first = |subject: &&Subject| matches!(subject, Subject::Action(_) | Subject::Listing(_));
        let action = subjects.iter().find(first).cloned();
        let scheme = self.scheme.as_ref().map_or_else(String::new, |scheme| format!(" by `{}`", scheme.id));
        let mut verdicts = Vec::new();
        for subject in [Some(Subject::Connection), action].into_iter().flatten() {
            progress(&format!("trying {subject}{scheme}"));
            let found = self.asking(&subject, true).await;
            verdicts.extend(
                found.into_iter().map(|verdict| Verdict { subject: format!("{subject}{scheme}"), ..verdict }),
            );
        }
        verdicts
    }

    /// The rules on whatever asks the vendor something; with `proves`, also that its requests carry the credential.
    async fn asking(&self, subject: &Subject, proves: bool) -> Vec<Verdict> {
        let (mut errors, mut nonsense, mut secrets, mut credential, mut key) = Default::default();
        let mut seen = |done: &Done, asked: &[Asked], name: &str| {
            self.look_for_secrets(done, name, &mut secrets);
            self.look_for_credential(asked, &mut credential);
            look_for_key(&done.key, asked, &mut key);
        };
        for expectation in FAILURES {
            let (done, asked) = self.with(expectation.scene, subject).await;
            seen(&done, &asked, expectation.name);
            judge(expectation, &done, &mut errors);
        }
        for (name, scene) in NONSENSE {
            let (done, asked) = self.with(*scene, subject).await;
            seen(&done, &asked, name);
            unbroken(name, &done, &mut nonsense);
        }
        let (done, asked) = self.with(Scene::Echo, subject).await;
        seen(&done, &asked, "its own request");

        let silent = "it asks the vendor nothing with its sample";
        let mut verdicts = vec![
            errors.verdict(subject, ERRORS, silent),
            nonsense.verdict(subject, NONSENSE_RULE, silent),
            secrets.verdict(subject, SECRETS, "there is nothing to look at"),
        ];
        if proves && self.places_secrets() {
            verdicts.push(proven(credential).verdict(
                subject,
                CREDENTIAL,
                "it asks the vendor nothing, so that it proves nothing about the credential",
            ));
        }
        if self.takes_key(subject) {
            verdicts.push(proven(key).verdict(
                subject,
                KEY,
                "no request that changes something was reached; a cassette can reach it",
            ));
        }
        verdicts
    }

    /// Whether it is called to ask the vendor something. Webhooks that are not registered for each connection are not.
    fn asks(&self, subject: &Subject) -> bool {
        let Subject::Webhook(id) = subject else { return true };
        self.manifest.trigger(id).is_some_and(|trigger| match &trigger.source {
            TriggerSource::Webhook(webhook) => webhook.registration == Registration::PerConnection,
            TriggerSource::Poll(_) => true,
        })
    }

    async fn with(&self, scene: Scene, subject: &Subject) -> (Done, Vec<Asked>) {
        self.script.set(scene);
        let workshop = if scene == Scene::Silence { &self.hasty } else { &self.patient };
        let done = subject.call(workshop, &self.credential).await;
        (done, self.script.take_asked())
    }

    fn look_for_secrets(&self, done: &Done, name: &str, tally: &mut Tally) {
        tally.tried = true;
        let told = done.told();
        for (secret, value) in self.credential.values() {
            let hidden = [STANDARD.encode(value), serde_json::Value::from(value.as_str()).to_string()];
            if told.contains(value.as_str()) || hidden.iter().any(|form| told.contains(form.as_str())) {
                tally.broken(format!(
                    "after {name}, the secret `{secret}` stands in its log, error or output"
                ));
            }
        }
    }

    fn look_for_credential(&self, asked: &[Asked], tally: &mut Proof) {
        for request in asked {
            let text = text_of(request);
            tally.asked = true;
            tally.proven |= self.credential.values().values().any(|value| carries(&text, value));
        }
        tally.complaint = "none of its requests carries a secret, so that any credential passes; send them with \
                           `auth_connection()`";
    }

    fn places_secrets(&self) -> bool {
        self.scheme.as_ref().is_some_and(|scheme| !scheme.place.is_empty())
    }

    fn takes_key(&self, subject: &Subject) -> bool {
        let (Subject::Action(id) | Subject::Batch(id)) = subject else { return false };
        self.manifest.action(id).is_some_and(|action| action.repeat == Repeat::Key)
    }

    /// Webhooks get whatever anybody sends to their address, once it is verified.
    async fn deliveries(&self, subject: &Subject, id: &str) -> Verdict {
        let mut tally = Tally::default();
        let Some(trigger) = self.manifest.trigger(id) else { return tally.verdict(subject, DELIVERIES, "") };
        let registered = matches!(&trigger.source, TriggerSource::Webhook(_));
        let sample = trigger.sample.to_string();
        let bodies =
            ["", "{}", "[]", "null", "[[]]", "{\"data\":[{}]}", "\u{0}\u{1}", "<xml/>", sample.as_str()];
        for body in bodies.into_iter().filter(|_| registered) {
            self.script.set(EMPTY_OBJECT);
            let delivery = Delivery {
                method: "POST".to_owned(),
                url: "https://trunnion.example/hooks/standin".to_owned(),
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: body.as_bytes().to_vec(),
            };
            for (export, done) in [
                ("parse", self.parsed(id, delivery.clone()).await),
                ("handshake", self.shaken(id, delivery).await),
            ] {
                tally.tried = true;
                if done.kind() == "trapped" {
                    tally.broken(format!(
                        "`{export}` of the body `{}` {}",
                        body.escape_debug(),
                        done.shown()
                    ));
                }
            }
        }
        tally.verdict(subject, DELIVERIES, "there is nothing to deliver")
    }

    async fn parsed(&self, id: &str, delivery: Delivery) -> Done {
        let (key, call) = keyed(self.patient.call(id, &self.credential));
        done(key, self.patient.connector().parse(call, delivery).await, |_| String::new())
    }

    async fn shaken(&self, id: &str, delivery: Delivery) -> Done {
        let (key, call) = keyed(self.patient.call(id, &self.credential));
        done(key, self.patient.connector().handshake(call, delivery).await, |_| String::new())
    }
}

/// Something that one of several calls has to show.
#[derive(Default)]
struct Proof {
    asked: bool,
    proven: bool,
    complaint: &'static str,
}

fn proven(proof: Proof) -> Tally {
    let broken = if proof.asked && !proof.proven { vec![proof.complaint.to_owned()] } else { Vec::new() };
    Tally { tried: proof.asked, broken }
}

/// Whether an outcome is among those that the host knows what to do with.
fn judge(expectation: &Expectation, done: &Done, tally: &mut Tally) {
    let Expectation { name, allowed, remedy, .. } = expectation;
    if done.exchanges.is_empty() && done.kind() != "trapped" {
        return;
    }
    tally.tried = true;
    if !allowed.contains(&done.kind()) {
        tally.broken(format!("{name}: {}; {remedy}", done.shown()));
    }
    if let (Err(CallError::RateLimited { retry_after_ms }), "429 with Retry-After") = (&done.result, *name)
        && *retry_after_ms != Some(RETRY_AFTER_SECS * 1000)
    {
        let waits = retry_after_ms.map_or("none".to_owned(), |ms| format!("{ms} ms"));
        tally
            .broken(format!("{name}: the vendor asked to wait {RETRY_AFTER_SECS} s, the error says {waits}"));
    }
}

/// Whether a call came to an end of its own, and asked only hosts that it may.
fn unbroken(name: &str, done: &Done, tally: &mut Tally) {
    tally.tried |= !done.exchanges.is_empty();
    let breaks = matches!(&done.result, Err(CallError::Trapped { .. } | CallError::Denied { .. }));
    let crashed = matches!(&done.result, Err(CallError::Uncertain { message }) if message.contains("the connector failed"));
    if breaks || crashed {
        tally.broken(format!("{name}: {}; answer an error instead", done.shown()));
    }
    for exchange in &done.exchanges {
        if let Some(problem) = &exchange.problem {
            tally.broken(format!("{name}: {} {} did not leave: {problem}", exchange.method, exchange.host));
        }
    }
    if let Ok(output) = &done.result
        && output.len() > 1
        && output.starts_with(['{', '['])
        && serde_json::from_str::<serde_json::Value>(output).is_err()
    {
        tally.broken(format!("{name}: what it answered is not JSON"));
    }
}

fn look_for_key(key: &str, asked: &[Asked], proof: &mut Proof) {
    for request in asked.iter().filter(|request| changes(request)) {
        proof.asked = true;
        proof.proven |= carries(&text_of(request), key);
    }
    proof.complaint = "declares that the vendor recognises the idempotency key, and no request that changes something \
                       carries it; send `ctx.idempotency_key()`, or declare another `repeat`";
}

/// Whether a request may change something at the vendor.
fn changes(request: &Asked) -> bool {
    if matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS") {
        return false;
    }
    // GraphQL reads by POST.
    let body = String::from_utf8_lossy(&request.body);
    let graphql = body.contains("\"query\"");
    !graphql || body.contains("mutation")
}

fn carries(text: &str, value: &str) -> bool {
    let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let escaped = serde_json::Value::from(value).to_string();
    text.contains(value)
        || text.contains(&STANDARD.encode(value))
        || text.contains(&encoded)
        || text.contains(&encoded.replace('+', "%20"))
        || text.contains(escaped.trim_matches('"'))
        || basic(text).is_some_and(|plain| plain.contains(value))
}

/// What stands in a Basic authorization.
fn basic(text: &str) -> Option<String> {
    let (_, after) = text.split_once("Basic ")?;
    let encoded = after.split_whitespace().next()?;
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}

fn text_of(request: &Asked) -> String {
    let headers: Vec<String> =
        request.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!("{}\n{}\n{}", request.path, headers.concat(), String::from_utf8_lossy(&request.body))
}
