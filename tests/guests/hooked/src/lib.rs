//! A guest whose webhooks others register: two for the whole app, signed as HubSpot signs, and one by hand.
//!
//! A delivery to the app is a list of events of any account and kind; one of the kind `refused` has all of it refused.

use trunnion_sdk::{
    auth::Account,
    prelude::*,
    trigger::{Dedup, HmacAlgorithm, SignatureEncoding, SignedPart, SignedTime, TimeUnit, Verification},
};

/// Something that happened at the vendor.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Event {
    account: String,
    kind: String,
    id: u64,
}

fn of_kind(delivery: &Delivery, kind: &str) -> Result<Vec<Occurrence<Event>>> {
    let events: Vec<Event> = delivery.json()?;
    if events.iter().any(|event| event.kind == "refused") {
        return Err(Error::rejected(0, "this delivery is to be refused"));
    }
    let occurrence = |event: Event| Occurrence::new(event.account.clone(), event.id.to_string(), event);
    Ok(events.into_iter().filter(|event| event.kind == kind).map(occurrence).collect())
}

#[derive(Debug)]
struct Made;

impl Delivered for Made {
    type Data = Event;

    fn parse(_: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Event>>> {
        of_kind(delivery, "made")
    }
}

#[derive(Debug)]
struct Gone;

impl Delivered for Gone {
    type Data = Event;

    fn parse(_: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Event>>> {
        of_kind(delivery, "gone")
    }
}

#[derive(Debug)]
struct Told;

impl Delivered for Told {
    type Data = Event;

    fn parse(ctx: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Event>>> {
        let event: Event = delivery.json()?;
        Ok(vec![Occurrence::new(&ctx.call().account, event.id.to_string(), event)])
    }
}

fn check(ctx: &Context) -> Result<Account> {
    let me: Value = ctx.http().get("https://api.hooked.example/me").auth_connection().send()?.json()?;
    let id = me.get("id").and_then(Value::as_str).unwrap_or_default();
    Ok(Account::new(id, id))
}

/// As HubSpot's third version.
fn signed() -> Verification {
    Verification::Hmac {
        algorithm: HmacAlgorithm::Sha256,
        header: "x-signature".into(),
        encoding: SignatureEncoding::Base64,
        prefix: String::new(),
        parts: vec![
            SignedPart::Method,
            SignedPart::UrlDecoded(":/".into()),
            SignedPart::Body,
            SignedPart::Header("x-time".into()),
        ],
        secret: "client_secret".into(),
        timestamp: Some(SignedTime {
            header: "x-time".into(),
            unit: TimeUnit::Milliseconds,
            tolerance_ms: 300_000,
        }),
    }
}

const EVENT: &str = r#"{"account":"a","kind":"made","id":1}"#;

trunnion_sdk::connector! {
    id: "hooked", title: "Hooked", hosts: ["api.hooked.example"],
    connection: Connection::new().scheme(Scheme::fields("key", "API key")
        .field("api_key", "API key", "").header("x-key", secret("api_key"))),
    check: check,
    triggers: [
        Trigger::app_webhook::<Made>("made", "Made", signed(), Dedup::BodyHash).sample(EVENT),
        Trigger::app_webhook::<Gone>("gone", "Gone", signed(), Dedup::BodyHash).sample(EVENT),
        Trigger::manual_webhook::<Told>(
            "told", "Told", Verification::secret_header("x-secret", "subscription"), Dedup::BodyHash,
        ).sample(EVENT),
    ],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        trunnion_sdk::test::assert_sound(&connector());
    }
}
