//! HubSpot: contacts, companies and deals that appear, change or go start workflows; workflows write them back.
//!
//! Owns what is particular to HubSpot: `api` (addresses, rate limits, errors), `object` (kinds of objects and what they
//! look like), `search`, the triggers in `triggers` and the functions in `actions`. The README says what it can do and its
//! limits.

mod account;
mod actions;
mod api;
mod lookups;
mod object;
mod samples;
mod search;
mod triggers;

use std::time::Duration;

use trunnion_sdk::{connector::Bucket, lookup::Lookup};

use self::lookups::{pipelines, properties, stages};

trunnion_sdk::connector! {
    id: "hubspot",
    title: "HubSpot",
    help: "Customer relations: contacts, companies, deals, tickets and notes.",
    hosts: ["api.hubapi.com"],
    connection: account::connection(),
    check: account::check,
    // The smallest quotas; the headers of each answer report the account's own. Searches have one of theirs.
    buckets: [
        Bucket::new(api::GENERAL, 100, Duration::from_secs(10)).full_at_once(),
        Bucket::new(api::SEARCH, 5, Duration::from_secs(1)).full_at_once(),
    ],
    triggers: [
        triggers::created::<object::Contact>("contact_created", "Contact created"),
        triggers::changed::<object::Contact>("contact_property_changed", "Contact property changed"),
        triggers::deleted::<object::Contact>("contact_deleted", "Contact deleted"),
        triggers::created::<object::Company>("company_created", "Company created"),
        triggers::changed::<object::Company>("company_property_changed", "Company property changed"),
        triggers::deleted::<object::Company>("company_deleted", "Company deleted"),
        triggers::created::<object::Deal>("deal_created", "Deal created"),
        triggers::changed::<object::Deal>("deal_property_changed", "Deal property changed"),
        triggers::deleted::<object::Deal>("deal_deleted", "Deal deleted"),
        triggers::updated::<object::Contact>("contact_updated", "Contact created or updated"),
        triggers::updated::<object::Company>("company_updated", "Company created or updated"),
        triggers::updated::<object::Deal>("deal_updated", "Deal created or updated"),
    ],
    actions: [
        actions::create_contact(),
        actions::create::<object::Company>("create_company", "Create a company"),
        actions::create::<object::Deal>("create_deal", "Create a deal"),
        actions::update::<object::Contact>("update_contact", "Update a contact"),
        actions::update::<object::Company>("update_company", "Update a company"),
        actions::update::<object::Deal>("update_deal", "Update a deal"),
        actions::upsert::<object::Contact>("upsert_contact", "Create or update a contact"),
        actions::upsert::<object::Company>("upsert_company", "Create or update a company"),
        actions::upsert::<object::Deal>("upsert_deal", "Create or update a deal"),
        actions::get::<object::Contact>("get_contact", "Get a contact"),
        actions::get::<object::Company>("get_company", "Get a company"),
        actions::get::<object::Deal>("get_deal", "Get a deal"),
        actions::find::<object::Contact>("search_contacts", "Search contacts"),
        actions::find::<object::Company>("search_companies", "Search companies"),
        actions::find::<object::Deal>("search_deals", "Search deals"),
        actions::batch_upsert(),
        actions::associate(),
        actions::add_note(),
        actions::create_ticket(),
        actions::raw_request(),
    ],
    lookups: [
        Lookup::new("contact_properties", "Contact properties", |ctx, it| properties(ctx, "contacts", it)),
        Lookup::new("company_properties", "Company properties", |ctx, it| properties(ctx, "companies", it)),
        Lookup::new("deal_properties", "Deal properties", |ctx, it| properties(ctx, "deals", it)),
        Lookup::new(lookups::OWNER, "Owners", lookups::owners),
        Lookup::new(lookups::DEAL_PIPELINES, "Deal pipelines", |ctx, it| pipelines(ctx, "deals", it)),
        Lookup::new(lookups::DEAL_STAGES, "Deal stages", |ctx, it| stages(ctx, "deals", it)),
        Lookup::new("ticket_pipelines", "Ticket pipelines", |ctx, it| pipelines(ctx, "tickets", it)),
        Lookup::new("ticket_stages", "Ticket stages", |ctx, it| stages(ctx, "tickets", it)),
    ],
}

#[cfg(test)]
mod tests {
    use trunnion_core::manifest::{Manifest, Repeat};

    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        trunnion_sdk::test::assert_sound(&connector());
    }

    #[test]
    fn the_host_reads_the_manifest() {
        let manifest = Manifest::parse(&connector().manifest()).unwrap();
        assert_eq!(manifest.hosts, ["api.hubapi.com"]);
        assert_eq!(manifest.app_webhooks().count(), 9);
        assert!(manifest.app_webhooks().all(|(_, spec)| spec.verify.secret() == "client_secret"));
        assert!(manifest.poll("deal_updated").is_some());
        let of =
            |repeat| manifest.actions.iter().filter(move |it| it.repeat == repeat).map(|it| it.id.as_str());
        assert_eq!(of(Repeat::Lookup).collect::<Vec<_>>(), ["create_contact"]);
        let never = ["create_company", "create_deal", "add_note", "create_ticket", "raw_request"];
        assert_eq!(of(Repeat::Never).collect::<Vec<_>>(), never);
        assert_eq!(of(Repeat::Safe).count(), manifest.actions.len() - 6);
        for action in &manifest.actions {
            assert!(!action.help.is_empty(), "`{}` says what it does", action.id);
            assert_eq!(action.buckets.is_empty(), action.id == "raw_request", "`{}`", action.id);
        }
        assert_eq!(manifest.lookups.len(), 8);
        for (trigger, lookup) in [
            ("contact_property_changed", "contact_properties"),
            ("company_property_changed", "company_properties"),
            ("deal_property_changed", "deal_properties"),
        ] {
            let property = &manifest.trigger(trigger).unwrap().schema["properties"]["propertyName"];
            assert_eq!(property["x-lookup"], lookup);
        }
        let deal = &manifest.action("create_deal").unwrap().input["properties"]["properties"]["properties"];
        assert_eq!(
            (&deal["dealstage"]["x-lookup"], &deal["amount"]["x-lookup"]),
            (&"deal_stages".into(), &().into())
        );
        let properties = &manifest.action("create_contact").unwrap().input["properties"]["properties"];
        assert_eq!(properties["properties"]["email"]["type"][0], "string", "{properties}");
        assert!(
            properties["additionalProperties"].is_object(),
            "an account's own properties fit: {properties}"
        );
    }
}
