//! Every request that the HubSpot connector makes, for every action and trigger it declares, passes the description of
//! HubSpot's API: a table of calls, made in the sandbox against the fake, and judged afterwards.

use std::{collections::BTreeSet, fs, sync::Arc};

use axum::http::Method;
use bytes::Bytes;
use serde_json::{Value, json};
use trunnion_core::{
    clock::{Clock as _, ManualClock, SeededRandom},
    id::{ConnectionId, Id, UserId, WorkspaceId},
    scope::{Environment, Scope},
};
use trunnion_sandbox::{
    Broker, Call, Connector, EgressOptions, Freshness, LookupQuery, Options, Poll, Sandbox, Secrets,
};
use trunnion_tests::{component, hubspot::HubSpot, judge::Vendor, record::Recorded, wait};

use super::judge;

const TOKEN: &str = "canary-pat-judge";

/// What the description lacks: it was extracted from a client that has no such call.
const UNJUDGED: [&str; 3] =
    ["GET /account-info/v3/details", "GET /crm/v3/pipelines/deals", "GET /crm/v3/pipelines/tickets"];

/// Every action with inputs that reach each form of its requests. `{contact}` and the like stand for ids.
fn calls() -> Vec<(&'static str, Value)> {
    let contact = json!({ "email": "ada@example.com", "firstname": "Ada", "phone": null });
    let by_email = json!({ "id": "eve@example.com", "id_property": "email", "properties": { "phone": 7 } });
    let erp = json!({ "id_property": "erp_number", "id": "A-7", "properties": { "phone": "1" } });
    let deal = json!({ "id_property": "erp_number", "id": "O-7", "properties": { "amount": 1500.5 } });
    let filter = |name: &str, operator: &str, value: &str| json!({ "filter_groups": [{ "filters": [{ "property_name": name, "operator": operator, "value": value }] }] });
    let page = json!({ "query": "ada", "sort": "-createdate", "limit": 2, "properties": ["email"] });
    let end = |object: &str, id: &str| json!({ "object": object, "id": id });
    vec![
        ("create_contact", json!({ "properties": contact })),
        ("create_company", json!({ "properties": { "name": "Engines", "domain": "engines.example" } })),
        ("create_deal", json!({ "properties": { "dealname": "Two", "amount": 1500 } })),
        ("update_contact", json!({ "id": "{contact}", "properties": { "lifecyclestage": "customer" } })),
        ("update_contact", by_email),
        ("update_company", json!({ "id": "{company}", "properties": { "city": "London" } })),
        ("update_deal", json!({ "id": "{deal}", "properties": { "dealstage": "closedwon" } })),
        ("upsert_contact", json!({ "id_property": "email", "id": "bob@example.com", "properties": {} })),
        ("upsert_company", erp),
        ("upsert_deal", deal),
        ("get_contact", json!({ "id": "{contact}" })),
        (
            "get_contact",
            json!({ "id": "eve@example.com", "id_property": "email", "properties": ["email"],
            "associations": ["companies", "deals"] }),
        ),
        ("get_company", json!({ "id": "{company}" })),
        ("get_deal", json!({ "id": "{deal}" })),
        ("search_contacts", filter("email", "EQ", "eve@example.com")),
        ("search_contacts", page),
        ("search_companies", filter("name", "CONTAINS_TOKEN", "Engines")),
        ("search_deals", filter("amount", "GTE", "1")),
        (
            "batch_upsert",
            json!({ "object": "contacts", "id_property": "email", "records": [
            { "id": "cid@example.com", "properties": { "firstname": "Cid" } },
            { "id": "dan@example.com", "properties": { "lastname": null } } ] }),
        ),
        ("associate", json!({ "from": end("contacts", "{contact}"), "to": end("companies", "{company}") })),
        (
            "associate",
            json!({ "from": end("deals", "{deal}"), "to": end("contacts", "{contact}"),
            "label": { "type_id": 35 } }),
        ),
        (
            "add_note",
            json!({ "body": "Called.", "on": [end("contacts", "{contact}"), end("deals", "{deal}")] }),
        ),
        (
            "create_ticket",
            json!({ "subject": "It halts", "stage": "1", "priority": "HIGH",
            "about": [end("companies", "{company}")] }),
        ),
        (
            "raw_request",
            json!({ "method": "GET", "path": "/crm/v3/objects/contacts/{contact}",
            "query": { "properties": ["email", "phone"], "archived": false } }),
        ),
    ]
}

#[tokio::test]
async fn every_request_passes_the_hubspot_judge() {
    let Some(judge) = judge(Vendor::HubSpot, "every_request_passes_the_hubspot_judge").await else { return };
    let requests = every_request().await;
    let (unjudged, judged): (Vec<_>, Vec<_>) =
        requests.iter().partition(|request| UNJUDGED.contains(&request.line().as_str()));
    assert_eq!(unjudged.len(), 1 + 4, "the account, and four looks at pipelines");
    for request in &judged {
        let verdict = judge.verdict(request).await.unwrap();
        assert!(verdict.allows(), "{}: {} {}\n{request:?}", request.line(), verdict.status, verdict.reasons);
    }
    println!("{} requests judged", judged.len());

    // A judge that accepts everything would prove nothing.
    let of = |method: Method, end: &str| {
        let found = judged.iter().find(|it| it.method == method && it.uri.path().ends_with(end));
        (*found.unwrap_or_else(|| panic!("no {method} …{end}"))).clone()
    };
    let mut untyped = of(Method::POST, "/contacts");
    untyped.body = br#"{"properties":{"score":7}}"#.to_vec().into();
    let mut unnamed = of(Method::POST, "/search");
    unnamed.body = br#"{"filterGroups":[{"filters":[{"operator":"IS"}]}]}"#.to_vec().into();
    let mut idless = of(Method::POST, "/contacts/batch/upsert");
    idless.body = br#"{"inputs":[{"properties":{}}]}"#.to_vec().into();
    for (request, what) in [
        (untyped, "a property that is no text"),
        (unnamed, "a filter on nothing"),
        (idless, "an upsert of nobody"),
    ] {
        assert!(!judge.verdict(&request).await.unwrap().allows(), "{what}");
    }
}

async fn every_request() -> Vec<Recorded> {
    let hubspot = HubSpot::start("secret").await.unwrap();
    hubspot.add_portal(7, TOKEN);
    let ids: Vec<(&str, String)> = [
        ("{contact}", hubspot.create(7, "contacts", &json!({ "email": "eve@example.com" }))),
        ("{company}", hubspot.create(7, "companies", &json!({ "name": "Looms", "erp_number": "A-7" }))),
        ("{deal}", hubspot.create(7, "deals", &json!({ "dealname": "One" }))),
    ]
    .into_iter()
    .map(|(name, id)| (name, id.unwrap().to_string()))
    .collect();
    let connector = in_process(&hubspot).await;
    connector.check_connection(call("connection")).await.unwrap();

    let calls = calls();
    let manifest = connector.manifest();
    let declared: BTreeSet<_> = manifest.actions.iter().map(|action| action.id.as_str()).collect();
    assert_eq!(
        calls.iter().map(|(action, _)| *action).collect::<BTreeSet<_>>(),
        declared,
        "every action is called"
    );
    for (action, input) in &calls {
        let input = ids.iter().fold(input.to_string(), |input, (name, id)| input.replace(name, id));
        let answered = connector.run_action(call(action), &input).await;
        assert!(answered.is_ok(), "{action} {input}: {:?}", answered.err().map(|failed| failed.error));
    }
    for lookup in &manifest.lookups {
        let query = LookupQuery { search: String::new(), cursor: None, values: "{}".to_owned() };
        let found = connector.options(call(&lookup.id), &query).await.unwrap().value;
        assert!(!found.items.is_empty(), "{}", lookup.id);
        if let Some(next) = found.next {
            let query = LookupQuery { cursor: Some(next), ..query };
            assert_eq!(connector.options(call(&lookup.id), &query).await.unwrap().value.next, None);
        }
    }
    let sure = json!({ "properties": { "email": "ada@example.com" } }).to_string();
    connector.reconcile(call("create_contact"), &sure, "key").await.unwrap();
    for trigger in manifest.triggers.iter().filter(|trigger| manifest.poll(&trigger.id).is_some()) {
        // From an hour ago, so that there is something to find, and from the middle of one moment.
        let since = ManualClock::new(wait::wall_clock()).now();
        let amid = json!({ "format": 1, "at": { "from_ms": 1, "seen_ms": 1,
            "round": { "since_ms": since.as_millis(), "highest_ms": 1, "behind": 0 } } });
        for cursor in [None, Some(amid.to_string())] {
            let poll = Poll { cursor: cursor.as_deref(), since, look_back: None, options: None };
            connector.poll(call(&trigger.id), poll).await.unwrap();
        }
    }
    let requests = hubspot.requests();
    assert!(
        requests.iter().all(|request| request.status.is_success()),
        "the fake refused something: {requests:?}"
    );
    requests
}

async fn in_process(hubspot: &HubSpot) -> Connector {
    let rewrite = format!("api.hubapi.com={}", hubspot.base_url()).parse().unwrap();
    let egress = EgressOptions { rewrites: vec![rewrite], ..EgressOptions::default() };
    let clock = Arc::new(ManualClock::new(wait::wall_clock()));
    let broker = Arc::new(Broker::new(egress).unwrap());
    let sandbox = Sandbox::new(Options::default(), broker, clock, Arc::new(SeededRandom::new(7))).unwrap();
    let component = fs::read(component::hubspot().await.unwrap()).unwrap();
    sandbox.load(Bytes::from(component)).await.unwrap()
}

fn call(name: &str) -> Call {
    let id = Id::from_bytes([1; 12]);
    let secrets = Secrets::new([("access_token".to_owned(), TOKEN.to_owned())]);
    Call {
        scope: Scope::new(WorkspaceId(id), Environment::Development),
        user: Some(UserId(id)),
        connection: Some(ConnectionId(id)),
        name: name.to_owned(),
        parameters: std::collections::BTreeMap::new(),
        account: "7".to_owned(),
        idempotency_key: "6f9619ff-8b86-4d01-b42d-00cf4fc964ff".to_owned(),
        attempt: 1,
        secrets: Arc::new(secrets.with_connection_scheme("private_app")),
        deadline: None,
        instance: Freshness::Fresh,
    }
}
