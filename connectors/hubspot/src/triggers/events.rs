//! Events of the app's webhook: lists of up to a hundred, of any account and kind, each kept whole.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Map;
use trunnion_sdk::prelude::*;

use crate::object::{Kind, Names, described};

/// Something that HubSpot says happened, whole as it says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Event(Map<String, Value>);

impl JsonSchema for Event {
    fn schema_name() -> Cow<'static, str> {
        "Event".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        described(&[
            ("eventId", "integer", "The event's number, which HubSpot does not promise to be unique."),
            ("subscriptionId", "integer", "Which of the app's subscriptions."),
            ("portalId", "integer", "The account."),
            ("appId", "integer", "The app."),
            ("occurredAt", "integer", "When it happened, in milliseconds since 1970."),
            ("subscriptionType", "string", "What happened: `contact.creation`, `deal.propertyChange` …"),
            ("attemptNumber", "integer", "How often HubSpot sent it before."),
            ("objectId", "integer", "The record's id."),
            (
                "objectTypeId",
                "string",
                "The record's kind, where `subscriptionType` does not say it: `0-1` for contacts.",
            ),
            ("propertyName", "string", "The property that was set."),
            ("propertyValue", "string", "What it was set to."),
            ("changeSource", "string", "Who or what changed it."),
        ])
    }
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
        events(delivery, K::NAMES, W::NAMES)
    }
}

/// The events about this, of a list; a single event is read as well. Others may look as they like.
fn events(delivery: &Delivery, names: &Names, what: &[&str]) -> Result<Vec<Occurrence<Event>>> {
    let all = match delivery.json()? {
        Value::Array(all) => all,
        one => vec![one],
    };
    let events = all.into_iter().filter_map(|event| match event {
        Value::Object(event) => Some(Event(event)),
        _ => None,
    });
    events.filter(|event| event.is(names, what)).map(Event::occurrence).collect()
}

impl Event {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn number(&self, name: &str) -> Result<u64> {
        self.0.get(name).and_then(Value::as_u64).ok_or_else(|| {
            let message = format!("an event of the delivery has no whole number in `{name}`");
            Error::other("delivery-not-understood", message)
        })
    }

    fn is(&self, names: &Names, what: &[&str]) -> bool {
        let Some((of, happened)) = self.text("subscriptionType").and_then(|it| it.split_once('.')) else {
            return false;
        };
        let of_kind =
            of == names.singular || of == "object" && self.text("objectTypeId") == Some(names.type_id);
        of_kind && what.contains(&happened)
    }

    /// Repeated deliveries have all of these in common; two events never have.
    fn occurrence(self) -> Result<Occurrence<Self>> {
        let (event, object, at) =
            (self.number("eventId")?, self.number("objectId")?, self.number("occurredAt")?);
        let id = format!("{}/{event}/{object}@{at}", self.number("subscriptionId")?);
        Ok(Occurrence::new(self.number("portalId")?.to_string(), id, self).at_ms(Some(at)))
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
