//! What workflows can do. Each kind of object has the same five (`records`); `batch` writes many at once, `engagements`
//! makes notes and tickets, `associate` connects, `raw` is for everything else.

mod associate;
mod batch;
mod engagements;
mod raw;
mod records;

use trunnion_sdk::{action::Reconciled, prelude::*};

use self::records::{Create, Find, Get, Update, Upsert};
use crate::{
    api::{GENERAL, SEARCH},
    object::{Contact, Kind, Of, Record},
};

fn making<K: Kind>(id: &'static str, title: &'static str) -> Action {
    Action::new(id, title, |ctx, input: Of<K, Create>| records::create(ctx, K::NAMES, &input.input))
        .draws_from(&[GENERAL])
        .sample(K::NAMES.samples.create, K::NAMES.samples.record)
}

/// Makes an object. Two alike can exist, so an attempt of which nobody knows what became is never repeated.
pub(crate) fn create<K: Kind>(id: &'static str, title: &'static str) -> Action {
    making::<K>(id, title)
        .help("Makes a new record. Where a repetition must not make a second one, create or update by a unique property.")
}

/// Makes a contact, of which there is one for each address.
pub(crate) fn create_contact() -> Action {
    making::<Contact>("create_contact", "Create a contact")
        .help("Makes a new contact; an address that another contact has is a conflict.")
        .reconciled_by(|ctx, input: Create, _: &str| -> Result<Reconciled<Record>> {
            records::made(ctx, &input)
        })
}

/// Sets properties of an object.
pub(crate) fn update<K: Kind>(id: &'static str, title: &'static str) -> Action {
    Action::new(id, title, |ctx, input: Of<K, Update>| records::update(ctx, K::NAMES, &input.input))
        .help("Sets the properties that are given, of the record with this id, or with this value of a unique property.")
        .draws_from(&[GENERAL])
        .safe_to_repeat()
        .sample(K::NAMES.samples.update, K::NAMES.samples.record)
}

/// Makes an object or sets its properties, by a unique property.
pub(crate) fn upsert<K: Kind>(id: &'static str, title: &'static str) -> Action {
    Action::new(id, title, |ctx, input: Of<K, Upsert>| records::upsert(ctx, K::NAMES, input.input))
        .batch(batch::MOST, |ctx, records: Vec<Upsert>| records::upsert_all(ctx, K::NAMES, records))
        .help("Makes a record, or sets the properties of the one that has this value of a unique property.")
        .draws_from(&[GENERAL])
        .safe_to_repeat()
        .sample(K::NAMES.samples.upsert, K::NAMES.samples.upserted)
}

/// Reads an object.
pub(crate) fn get<K: Kind>(id: &'static str, title: &'static str) -> Action {
    Action::new(id, title, |ctx, input: Get| records::get(ctx, K::NAMES, &input))
        .help("Reads one record, with its usual properties or those that are named.")
        .draws_from(&[GENERAL])
        .safe_to_repeat()
        .sample(r#"{"id":"51"}"#, K::NAMES.samples.record)
}

/// Finds objects.
pub(crate) fn find<K: Kind>(id: &'static str, title: &'static str) -> Action {
    Action::listing(id, title, |ctx, input: Find, after: Option<String>| {
        records::find(ctx, K::NAMES, (input, after))
    })
    .help("Finds up to 10,000 records by conditions or words; what changed moments ago may be missing.")
    .draws_from(&[SEARCH])
    .sample(K::NAMES.samples.search, K::NAMES.samples.found)
}

/// Makes or changes up to a hundred objects.
pub(crate) fn batch_upsert() -> Action {
    Action::new("batch_upsert", "Create or update many records", batch::upsert)
        .help("Up to 100 records of one kind by a unique property; those that HubSpot refuses are named, the others are kept.")
        .draws_from(&[GENERAL])
        .safe_to_repeat()
        .sample(
            r#"{"object":"contacts","id_property":"email",
                "records":[{"id":"ada@example.com","properties":{"firstname":"Ada"}}]}"#,
            r#"{"results":[{"index":0,"id":"51","new":true}],"errors":[]}"#,
        )
}

/// Connects two objects.
pub(crate) fn associate() -> Action {
    Action::new("associate", "Associate two records", associate::associate)
        .help("Connects two records, by HubSpot's usual association or one with a label.")
        .draws_from(&[GENERAL])
        .safe_to_repeat()
        .sample(
            r#"{"from":{"object":"contacts","id":"51"},"to":{"object":"companies","id":"61"}}"#,
            r#"{"from":"51","to":"61"}"#,
        )
}

/// Writes a note on objects.
pub(crate) fn add_note() -> Action {
    Action::new("add_note", "Add a note", engagements::add_note)
        .help("Writes a note on contacts, companies, deals and tickets.")
        .draws_from(&[GENERAL])
        .sample(
            r#"{"body":"Called about the engines.","on":[{"object":"contacts","id":"51"}]}"#,
            r#"{"id":"71","properties":{"hs_note_body":"Called about the engines."},"archived":false}"#,
        )
}

/// Makes a ticket.
pub(crate) fn create_ticket() -> Action {
    Action::new("create_ticket", "Create a ticket", engagements::create_ticket)
        .help("Makes a ticket for support, connected with contacts, companies and deals.")
        .draws_from(&[GENERAL])
        .sample(
            r#"{"subject":"The engine halts","stage":"1","about":[{"object":"contacts","id":"51"}]}"#,
            r#"{"id":"81","properties":{"subject":"The engine halts","hs_pipeline_stage":"1"},"archived":false}"#,
        )
}

/// Anything else that HubSpot's API has.
pub(crate) fn raw_request() -> Action {
    Action::new("raw_request", "Send a request", raw::request)
        .help("Sends any request to HubSpot's API with the connection's token, and gives the answer.")
        .sample(
            r#"{"method":"GET","path":"/crm/v3/objects/tickets/81","query":{"properties":"subject"}}"#,
            r#"{"status":200,"body":{"id":"81","properties":{"subject":"The engine halts"}}}"#,
        )
}
