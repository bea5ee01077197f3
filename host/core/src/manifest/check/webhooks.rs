//! The rules of webhooks: what verifies a delivery must be known to the host, cover the body, and be the same for
//! everything that arrives at one URL.

use std::collections::BTreeSet;

use super::{
    super::{
        DedupKey, Registration, SUBSCRIPTION, SignedPart, Verification, WebhookSpec, auth::CLIENT_SECRET,
    },
    Check,
};

impl<'a> Check<'a> {
    pub(super) fn webhook(&mut self, at: &str, webhook: &WebhookSpec) {
        let verify = format!("{at}/verify");
        match webhook.registration {
            Registration::PerConnection | Registration::Manual => {
                self.secret(&format!("{verify}/secret"), webhook.verify.secret());
            }
            Registration::PerApp => self.app_webhook(at, webhook),
        }
        if webhook.is_configured() && webhook.registration == Registration::PerApp {
            self.problem(
                at,
                "serves all accounts with one URL, so that no workflow's options can say how it is verified; declare `verify` \
                 and `dedup` here",
            );
        }
        match &webhook.verify {
            Verification::Configured => {}
            Verification::SecretHeader { header, .. } => {
                self.header(&format!("{verify}/header"), header);
            }
            Verification::Hmac { header, parts, timestamp, .. } => {
                self.header(&format!("{verify}/header"), header);
                for (index, part) in parts.iter().enumerate() {
                    self.part(&format!("{verify}/parts/{index}"), part);
                }
                if !parts.contains(&SignedPart::Body) {
                    self.problem(
                        format!("{verify}/parts"),
                        "leaves the body unsigned, so that anyone could change it; add `body`",
                    );
                }
                if let Some(time) = timestamp {
                    self.header(&format!("{verify}/timestamp/header"), &time.header);
                    let signed = |part: &SignedPart| matches!(part, SignedPart::Header(name) if name.eq_ignore_ascii_case(&time.header));
                    if !parts.iter().any(signed) {
                        self.problem(
                            format!("{verify}/timestamp/header"),
                            format!(
                                "`{}` is not signed, so that its time proves nothing; add it to `parts`",
                                time.header
                            ),
                        );
                    }
                    if time.tolerance_ms == 0 {
                        self.problem(
                            format!("{verify}/timestamp/tolerance_ms"),
                            "is 0, so that no delivery could be in time; write for example 300000",
                        );
                    }
                }
            }
        }
        match &webhook.dedup {
            DedupKey::Header { name } => self.header(&format!("{at}/dedup/name"), name),
            DedupKey::Body { pointer } if !pointer.starts_with('/') => self.problem(
                format!("{at}/dedup/pointer"),
                format!("`{pointer}` is not a JSON pointer to a member; write it as in `/hash`"),
            ),
            DedupKey::Body { .. } | DedupKey::BodyHash | DedupKey::Configured => {}
        }
    }

    fn part(&mut self, at: &str, part: &SignedPart) {
        match part {
            SignedPart::Header(name) => self.header(&format!("{at}/header"), name),
            SignedPart::UrlDecoded(characters) if characters.is_empty() || !characters.is_ascii() => self
                .problem(
                    format!("{at}/url_decoded"),
                    "names the characters that are not percent-encoded in what is signed, ASCII ones; write them, or `url`",
                ),
            SignedPart::Method
            | SignedPart::Url
            | SignedPart::UrlDecoded(_)
            | SignedPart::Body
            | SignedPart::Literal(_) => {}
        }
    }

    /// One URL serves all of them: it is verified once, with a key that the ISV keeps for the app.
    fn app_webhook(&mut self, at: &str, webhook: &WebhookSpec) {
        let secret = webhook.verify.secret();
        let name = format!("{at}/verify/secret");
        self.id(&name, secret);
        if secret == SUBSCRIPTION {
            self.problem(
                name,
                format!(
                    "`{SUBSCRIPTION}` is a secret of each subscription, and an app's webhook has none; name the secret that \
                     the vendor gave for the whole app, for example `client_secret`"
                ),
            );
        }
        let first = self.manifest.app_webhooks().next();
        if let Some((id, first)) = first
            && (first.verify != webhook.verify || first.dedup != webhook.dedup)
        {
            self.problem(
                at,
                format!(
                    "is delivered to the same URL as `{id}` and verified or deduplicated otherwise; declare the same `verify` \
                     and `dedup` for every trigger that is registered `per_app`"
                ),
            );
        }
    }

    fn secret(&mut self, at: &str, secret: &str) {
        let known: BTreeSet<&'a str> = self
            .manifest
            .connection
            .schemes
            .iter()
            .flat_map(|scheme| {
                let own = scheme.needs_registration().then_some(CLIENT_SECRET);
                scheme.asks().iter().map(|field| field.name.as_str()).chain(own)
            })
            .chain([SUBSCRIPTION])
            .collect();
        if !known.contains(secret) {
            let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            self.problem(at, format!("there is no secret `{secret}`; use one of {known}"));
        }
    }
}
