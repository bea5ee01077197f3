//! Notes and tickets: records that are made together with what they are about.
//!
//! HubSpot has nothing by which it would know a second one, so neither is ever made again after an uncertain attempt.

use std::collections::BTreeMap;

use trunnion_sdk::prelude::*;

use super::associate::{End, Linked};
use crate::{
    api,
    object::{ObjectId, Record},
};

/// A note.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AddNote {
    /// What it says; HTML is kept.
    body: String,
    /// What it is about: contacts, companies, deals or tickets.
    #[schemars(length(min = 1))]
    on: Vec<End>,
    /// When it was made, in milliseconds since 1970; now where absent.
    #[serde(default)]
    at_ms: Option<u64>,
    /// Whose note it is, by the owner's id.
    #[serde(default)]
    #[schemars(extend("x-lookup" = "owners"))]
    owner: Option<ObjectId>,
}

/// A ticket.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct CreateTicket {
    /// What it is about, in a few words.
    subject: String,
    /// What was said.
    #[serde(default)]
    content: Option<String>,
    /// The pipeline, by its id; the account's first one where absent.
    #[serde(default)]
    #[schemars(extend("x-lookup" = "ticket_pipelines"))]
    pipeline: Option<String>,
    /// The stage, by its id; `1` is New in the first pipeline.
    #[schemars(extend("x-lookup" = "ticket_stages"))]
    stage: String,
    /// How urgent it is.
    #[serde(default)]
    priority: Option<Priority>,
    /// Whose ticket it is, by the owner's id.
    #[serde(default)]
    #[schemars(extend("x-lookup" = "owners"))]
    owner: Option<ObjectId>,
    /// Contacts, companies and deals that it belongs to.
    #[serde(default)]
    about: Vec<End>,
}

/// How urgent a ticket is.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Priority {
    Low,
    Medium,
    High,
    Urgent,
}

/// HubSpot's own association type from a note.
const fn from_note(to: Linked) -> Option<u32> {
    match to {
        Linked::Contacts => Some(202),
        Linked::Companies => Some(190),
        Linked::Deals => Some(214),
        Linked::Tickets => Some(228),
        Linked::Notes => None,
    }
}

/// HubSpot's own association type from a ticket.
const fn from_ticket(to: Linked) -> Option<u32> {
    match to {
        Linked::Contacts => Some(16),
        Linked::Companies => Some(339),
        Linked::Deals => Some(28),
        Linked::Tickets | Linked::Notes => None,
    }
}

pub(crate) fn add_note(ctx: &Context, note: AddNote) -> Result<Record> {
    let AddNote { body, on, at_ms, owner } = note;
    if on.is_empty() {
        return Err(Error::invalid_input("/on", "names nothing; a note belongs to at least one record"));
    }
    let at = at_ms.unwrap_or_else(|| ctx.now_ms());
    let mut properties = BTreeMap::from([("hs_note_body", body), ("hs_timestamp", at.to_string())]);
    properties.extend(owner.map(|owner| ("hubspot_owner_id", owner.0)));
    make(ctx, "notes", &properties, &associations(&on, "/on", from_note)?)
}

pub(crate) fn create_ticket(ctx: &Context, ticket: CreateTicket) -> Result<Record> {
    let CreateTicket { subject, content, pipeline, stage, priority, owner, about } = ticket;
    let mut properties = BTreeMap::from([("subject", subject), ("hs_pipeline_stage", stage)]);
    properties.extend(content.map(|content| ("content", content)));
    properties.extend(pipeline.map(|pipeline| ("hs_pipeline", pipeline)));
    properties.extend(owner.map(|owner| ("hubspot_owner_id", owner.0)));
    let priority = priority.map(|priority| match priority {
        Priority::Low => "LOW",
        Priority::Medium => "MEDIUM",
        Priority::High => "HIGH",
        Priority::Urgent => "URGENT",
    });
    properties.extend(priority.map(|priority| ("hs_ticket_priority", priority.to_owned())));
    make(ctx, "tickets", &properties, &associations(&about, "/about", from_ticket)?)
}

fn associations(to: &[End], field: &str, type_of: fn(Linked) -> Option<u32>) -> Result<Vec<Value>> {
    let one = |(index, end): (usize, &End)| {
        let kind = type_of(end.object).ok_or_else(|| {
            let message = format!("`{}` cannot be associated here; leave it out", end.object.name());
            Error::invalid_input(format!("{field}/{index}/object"), message)
        })?;
        let types = json!([{ "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": kind }]);
        Ok(json!({ "to": { "id": end.id.0 }, "types": types }))
    };
    to.iter().enumerate().map(one).collect()
}

fn make(
    ctx: &Context,
    plural: &str,
    properties: &BTreeMap<&str, String>,
    associations: &[Value],
) -> Result<Record> {
    let body = json!({ "properties": properties, "associations": associations });
    api::post(ctx, &api::objects(plural)).json(&body)?.send()?.json()
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost};

    use super::*;
    use crate::connector;

    fn made(action: &str, plural: &str, input: &Value) -> (Value, Result<String>) {
        let host = FakeHost::new();
        let answer = json!({"id": "71", "properties": {}, "createdAt": "2026-01-01T00:00:00Z"});
        let url = format!("https://api.hubapi.com/crm/v3/objects/{plural}");
        host.http().once("POST", &url, Answer::json(201, &answer));
        let output = connector().run(&host.calling(action), &input.to_string());
        (host.http().requests().first().map(|request| request.json()).unwrap_or_default(), output)
    }

    #[test]
    fn a_note_is_made_with_everything_it_is_about() {
        let input = json!({"body": "Called.", "at_ms": 5, "owner": 9,
            "on": [{"object": "contacts", "id": "51"}, {"object": "deals", "id": 61}]});
        let (sent, output) = made("add_note", "notes", &input);
        assert!(output.unwrap().contains(r#""id":"71""#));
        let properties = json!({"hs_note_body": "Called.", "hs_timestamp": "5", "hubspot_owner_id": "9"});
        assert_eq!(sent["properties"], properties);
        assert_eq!(sent["associations"][1]["to"]["id"], "61");
        assert_eq!(sent["associations"][1]["types"][0]["associationTypeId"], 214);
        for (on, field) in [(json!([]), "/on"), (json!([{"object": "notes", "id": 1}]), "/on/0/object")] {
            let (sent, output) = made("add_note", "notes", &json!({"body": "x", "on": on}));
            assert!(sent.is_null());
            assert!(matches!(output, Err(Error::InvalidInput { field: at, .. }) if at == field));
        }
    }

    #[test]
    fn a_ticket_has_a_stage_and_what_is_known() {
        let input = json!({"subject": "It halts", "content": "Again.", "stage": "1", "pipeline": "0", "priority": "HIGH",
            "about": [{"object": "companies", "id": 61}]});
        let (sent, output) = made("create_ticket", "tickets", &input);
        output.unwrap();
        let properties = json!({"subject": "It halts", "content": "Again.", "hs_pipeline": "0",
            "hs_pipeline_stage": "1", "hs_ticket_priority": "HIGH"});
        assert_eq!(sent["properties"], properties);
        assert_eq!(sent["associations"][0]["types"][0]["associationTypeId"], 339);
    }
}
