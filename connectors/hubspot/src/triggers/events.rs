//! Events of the app's webhook: lists of up to a hundred, of any account and kind, each kept whole.

use std::{fmt, marker::PhantomData};

use serde_json::Map;
use trunnion_sdk::prelude::*;

use crate::object::Kind;

/// Something that HubSpot says happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    /// The event's number, which HubSpot does not promise to be unique.
    event_id: u64,
    /// Which of the app's subscriptions.
    subscription_id: u64,
    /// The account.
    portal_id: u64,
    /// When it happened, in milliseconds since 1970.
    occurred_at: u64,
    /// What happened: `contact.creation`, `deal.propertyChange` …
    subscription_type: String,
    /// The record's id.
    object_id: u64,
    /// The record's kind, where `subscriptionType` does not say it: `0-1` for contacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object_type_id: Option<String>,
    /// The property that was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    property_name: Option<String>,
    /// What it was set to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    property_value: Option<String>,
    /// Whatever else HubSpot says: who changed it, how often this was sent.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What happened to an object.
pub(crate) trait What: fmt::Debug + 'static {
    /// The last parts of the subscription types.
    const NAMES: &'static [&'static str];
}

/// It was made.
#[derive(Debug)]
pub(crate) enum Created {}
/// A property was set.
#[derive(Debug)]
pub(crate) enum Changed {}
/// It was deleted.
#[derive(Debug)]
pub(crate) enum Deleted {}

impl What for Created {
    const NAMES: &'static [&'static str] = &["creation"];
}

impl What for Changed {
    const NAMES: &'static [&'static str] = &["propertyChange"];
}

impl What for Deleted {
    const NAMES: &'static [&'static str] = &["deletion", "privacyDeletion"];
}

/// The events of one kind about what happened.
#[derive(Debug)]
pub(crate) struct Events<K, W>(PhantomData<(K, W)>);

impl<K: Kind, W: What> Delivered for Events<K, W> {
    type Data = Event;

    fn parse(_: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Event>>> {
        let (kind, type_id) = (K::NAMES.singular, K::NAMES.type_id);
        let wanted = |event: &Event| event.is(kind, type_id, W::NAMES);
        Ok(events(delivery)?.into_iter().filter(wanted).map(Event::occurrence).collect())
    }
}

/// A list, though a single event is read as well.
fn events(delivery: &Delivery) -> Result<Vec<Event>> {
    // Kinds that this connector has no triggers for may look different; they are not its to judge.
    let all: Value = delivery.json()?;
    let all = match all {
        Value::Array(all) => all,
        one => vec![one],
    };
    let known = |event: &Value| event.get("subscriptionType").and_then(Value::as_str).is_some_and(is_known);
    all.into_iter().filter(known).map(read).collect()
}

fn is_known(name: &str) -> bool {
    matches!(name.split_once('.'), Some(("contact" | "company" | "deal" | "object", _)))
}

fn read(event: Value) -> Result<Event> {
    serde_json::from_value(event).map_err(|error| {
        let message = format!("an event of the delivery is not what the connector expects: {error}");
        Error::other("delivery-not-understood", message)
    })
}

impl Event {
    fn is(&self, kind: &str, type_id: &str, names: &[&str]) -> bool {
        let Some((of, what)) = self.subscription_type.split_once('.') else { return false };
        let of_kind = of == kind || of == "object" && self.object_type_id.as_deref() == Some(type_id);
        of_kind && names.contains(&what)
    }

    /// Repeated deliveries have all of these in common; two events never have.
    fn occurrence(self) -> Occurrence<Self> {
        let Self { event_id, subscription_id, portal_id, occurred_at, object_id, .. } = self;
        let id = format!("{subscription_id}/{event_id}/{object_id}@{occurred_at}");
        Occurrence::new(portal_id.to_string(), id, self).at_ms(Some(occurred_at))
    }
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::FakeHost;

    use super::*;
    use crate::connector;

    fn parsed(body: &Value) -> Result<Vec<(&'static str, Occurrence<String>)>> {
        let body = body.to_string().into_bytes();
        let delivery = Delivery { method: "POST".into(), url: String::new(), headers: vec![], body };
        connector().parse_for_app(&FakeHost::new().context(), &delivery)
    }

    fn event(kind: &str, portal: u64, id: u64) -> Value {
        json!({
            "eventId": id, "subscriptionId": 12345, "portalId": portal, "appId": 54321, "occurredAt": 1_767_691_800_000_u64,
            "subscriptionType": kind, "attemptNumber": 0, "objectId": 51, "changeSource": "CRM", "unheardOf": [1],
        })
    }

    #[test]
    fn events_of_many_accounts_and_kinds_go_each_to_its_trigger_whole() {
        let mut renamed = event("object.propertyChange", 3, 5);
        renamed["objectTypeId"] = json!("0-3");
        renamed["propertyName"] = json!("amount");
        let mut ticket = event("object.creation", 3, 6);
        ticket["objectTypeId"] = json!("0-5");
        let all = json!([
            event("contact.creation", 1, 1), event("company.deletion", 2, 2), event("contact.privacyDeletion", 1, 3),
            event("contact.merge", 1, 4), renamed, ticket, {"subscriptionType": "conversation.creation"},
        ]);
        let mut found: Vec<_> = parsed(&all)
            .unwrap()
            .into_iter()
            .map(|(trigger, occurrence)| (trigger, occurrence.account, occurrence.data))
            .collect();
        found.sort();
        let triggers: Vec<_> =
            found.iter().map(|(trigger, account, _)| format!("{trigger} of {account}")).collect();
        let expected = [
            "company_deleted of 2",
            "contact_created of 1",
            "contact_deleted of 1",
            "deal_property_changed of 3",
        ];
        assert_eq!(triggers, expected);
        let data: Value = serde_json::from_str(&found[1].2).unwrap();
        assert_eq!(data, event("contact.creation", 1, 1));
    }

    #[test]
    fn a_repeated_event_has_the_same_id_whatever_the_attempt() {
        let mut again = event("deal.creation", 1, 1);
        again["attemptNumber"] = json!(3);
        let ids: Vec<_> = [event("deal.creation", 1, 1), again, event("deal.creation", 1, 2)]
            .iter()
            .map(|event| parsed(&json!([event])).unwrap()[0].1.id.clone())
            .collect();
        assert_eq!((&ids[0], ids[1] == ids[2]), (&ids[1], false));
        assert_eq!(
            parsed(&event("deal.creation", 1, 1)).unwrap()[0].1.occurred_at_ms,
            Some(1_767_691_800_000)
        );
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_nothing_is_no_event() {
        assert!(parsed(&json!([])).unwrap().is_empty());
        let mut broken = event("contact.creation", 1, 1);
        broken["portalId"] = json!("one");
        let error = parsed(&json!([broken])).unwrap_err().to_string();
        assert!(error.contains("delivery-not-understood"), "{error}");
    }
}
