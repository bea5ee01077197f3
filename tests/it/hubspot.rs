//! HubSpot end to end: its app's webhook calls one URL for every portal, and each event reaches the workflows of exactly
//! the users who connected that portal; actions write back.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use trunnion_tests::{
    component,
    host::{Client, HostOptions, TestHost, workspace},
    hubspot::{HubSpot, MOST_EVENTS, sign},
    isv::Isv,
    node::Script,
    wait,
};

const SECRET: &str = "canary-hubspot-client-secret-5c1f";
const STREAM: &str = "crm";
const WEBHOOK: &str = "/v1/apps/hubspot/webhook";

struct Acme {
    hubspot: HubSpot,
    isv: Isv,
    host: TestHost,
    client: Client,
    integration: String,
    url: String,
}

/// A workflow that streams what its trigger gives, with whose run it is.
fn streams(trigger: &str) -> Value {
    json!({
        "name": trigger,
        "trigger": { "type": "app", "app": "hubspot", "trigger": trigger },
        "steps": [{ "id": "send", "type": "stream", "destination": STREAM, "body": {
            "event": "{{ trigger }}", "of": "{{ user.username }}", "trigger": trigger,
        } }],
    })
}

impl Acme {
    async fn start() -> Self {
        let hubspot = HubSpot::start(SECRET).await.unwrap();
        let options = HostOptions {
            components: vec![component::hubspot().await.unwrap()],
            rewrites: vec![format!("api.hubapi.com={}", hubspot.base_url())],
            ..HostOptions::default()
        };
        let host = TestHost::start(options).await.unwrap();
        let client = host.client().unwrap();
        let isv = Isv::start().await.unwrap();
        isv.trust(&client.put_stream(STREAM, &isv.url("/crm")).await.unwrap());
        let integration = client.create_integration("hubspot").await.unwrap();
        let set = client.put(WEBHOOK, &json!({ "secrets": { "client_secret": SECRET } })).await.unwrap();
        let url = set.ok().unwrap()["url"].as_str().unwrap().to_owned();
        hubspot.subscribe(&url, host.public_url(), host.base_url());
        Self { hubspot, isv, host, client, integration, url }
    }

    async fn workflow(&self, trigger: &str) -> String {
        self.client.release_workflow(&self.integration, &streams(trigger)).await.unwrap()
    }

    /// A user of a portal, with every workflow installed.
    async fn user(&self, name: &str, portal: u64) -> String {
        let token = format!("canary-pat-{name}");
        self.hubspot.add_portal(portal, &token);
        self.welcome(name, &token).await
    }

    async fn welcome(&self, name: &str, token: &str) -> String {
        let user = self.client.create_user(name, name).await.unwrap();
        let data = json!({ "access_token": token });
        let credential = self.client.create_credential(&user, "hubspot", &data).await.unwrap();
        self.client.install(&user, &self.integration, &credential, &[]).await.unwrap();
        user
    }

    async fn since_start(&self) -> Value {
        self.client.get(WEBHOOK).await.unwrap().ok().unwrap()["since_start"].clone()
    }

    /// Waits until so many occurrences have been parsed.
    async fn parsed(&self, occurrences: u64) -> Value {
        wait::until_within("every event to be parsed", Duration::from_secs(300), || async {
            let since = self.since_start().await;
            (since["occurrences"].as_u64() >= Some(occurrences)).then_some(since)
        })
        .await
        .unwrap()
    }

    /// What reached AcmeCo: user, portal and object.
    fn reached(&self) -> Vec<(String, u64, u64)> {
        let told = |post: trunnion_tests::isv::Post| {
            let body = post.json();
            let number = |name: &str| body["event"][name].as_u64().unwrap();
            (body["of"].as_str().unwrap().to_owned(), number("portalId"), number("objectId"))
        };
        self.isv.posts().into_iter().filter(trunnion_tests::isv::Post::accepted).map(told).collect()
    }
}

#[tokio::test]
async fn a_thousand_users_of_one_endpoint_each_get_their_own_events() {
    const USERS: u64 = 1_000;
    let acme = Acme::start().await;
    let workflow = acme.workflow("contact_created").await;
    // Every tenth shares its portal with the one before: two users of one account.
    let portal_of = |number: u64| 10_000 + if number % 10 == 9 { number - 1 } else { number };
    let name_of = |number: u64| format!("user-{number}");
    for number in 0..USERS {
        acme.hubspot.add_portal(portal_of(number), &format!("canary-pat-{}", portal_of(number)));
    }
    let users: BTreeMap<String, String> = stream::iter(0..USERS)
        .map(|number| {
            let acme = &acme;
            async move {
                let user = acme.welcome(&name_of(number), &format!("canary-pat-{}", portal_of(number))).await;
                anyhow::Ok((name_of(number), user))
            }
        })
        .buffer_unordered(16)
        .try_collect()
        .await
        .unwrap();

    let mut expected = BTreeSet::new();
    let mut events = 0;
    for round in 0..2 {
        for number in (0..USERS).filter(|number| number % 10 != 9) {
            let portal = portal_of(number);
            let email = json!({ "email": format!("ada-{round}@{portal}.example") });
            let object = acme.hubspot.create(portal, "contacts", &email).unwrap();
            expected.insert((name_of(number), portal, object));
            if number % 10 == 8 {
                expected.insert((name_of(number + 1), portal, object));
            }
            if number % 50 == 0 {
                acme.hubspot.happens_elsewhere(portal + 1_000_000);
                events += 1;
            }
            events += 1;
        }
    }
    let batches = acme.hubspot.deliver().await.unwrap();
    assert!(batches.len() > 10 && batches.iter().all(|batch| batch.status == 200), "{}", batches.len());
    let mixed: BTreeSet<_> = batches[0].events().iter().map(|event| event["portalId"].as_u64()).collect();
    assert!(batches[0].events().len() == MOST_EVENTS && mixed.len() > 50, "a batch is of many portals");
    // The vendor did not hear the answer of some, and sends them again; each attempt is another body.
    for batch in batches.iter().take(5) {
        assert_eq!(acme.hubspot.deliver_again(batch).await.unwrap().status, 200);
    }
    let repeated = 5 * u64::try_from(MOST_EVENTS).unwrap();
    let since = acme.parsed(events + repeated).await;
    let elsewhere = since["unheard"].as_u64().unwrap();
    assert_eq!(elsewhere, events - 2 * (USERS - USERS / 10), "{since}");
    assert_eq!(since["repeated"], repeated, "{since}");
    assert!(since["unheard_accounts"][0]["account"].as_str().unwrap().starts_with("10"), "{since}");

    wait::until_within("every event to reach AcmeCo", Duration::from_secs(300), || async {
        (acme.isv.posts().len() >= expected.len()).then_some(())
    })
    .await
    .unwrap();
    let reached = acme.reached();
    assert_eq!(reached.len(), expected.len(), "each once");
    assert!(reached.into_iter().collect::<BTreeSet<_>>() == expected, "each at its own users");
    assert!(acme.isv.posts().iter().all(|post| post.signature.is_ok()));
    for number in [0, 8, 9, 999] {
        let runs = acme.client.runs_ended(&workflow, &users[&name_of(number)], 2).await.unwrap();
        assert_eq!(runs.len(), 2, "{}", name_of(number));
    }
}

#[tokio::test]
async fn created_changed_and_deleted_start_their_own_workflows_with_the_whole_event() {
    let acme = Acme::start().await;
    for trigger in ["contact_created", "contact_property_changed", "company_deleted", "deal_created"] {
        acme.workflow(trigger).await;
    }
    acme.user("ada", 1).await;
    let contact = acme.hubspot.create(1, "contacts", &json!({ "email": "ada@example.com" })).unwrap();
    acme.hubspot.set(1, "contacts", contact, ("lifecyclestage", "customer")).unwrap();
    let company = acme.hubspot.create(1, "companies", &json!({ "name": "Engines" })).unwrap();
    acme.hubspot.delete(1, "companies", company).unwrap();
    acme.hubspot.create(1, "deals", &json!({ "dealname": "Two" })).unwrap();
    let sent = acme.hubspot.deliver().await.unwrap();
    let events = sent[0].events();
    for (trigger, event) in
        [("contact_created", 0), ("contact_property_changed", 1), ("company_deleted", 3), ("deal_created", 4)]
    {
        let post = acme.isv.wait_for(trigger, |post| post.json()["trigger"] == trigger).await.unwrap();
        assert_eq!(post.json()["event"], events[event], "the whole event, as it was sent");
    }
    acme.parsed(5).await;
    assert_eq!(acme.since_start().await["unheard"], 1, "nobody hears of companies that are made");
}

#[tokio::test]
async fn a_workflow_hears_of_the_properties_that_it_or_its_user_chose_and_of_no_other() {
    let acme = Acme::start().await;
    let mut definition = streams("contact_property_changed");
    definition["fields"] =
        json!([{ "name": "also", "title": "Also", "kind": { "type": "text" }, "default": "phone" }]);
    definition["trigger"]["only"] = json!({ "propertyName": ["lifecyclestage", "{{ config.also }}"] });
    let workflow = acme.client.release_workflow(&acme.integration, &definition).await.unwrap();
    let user = acme.user("ada", 1).await;
    let contact = acme.hubspot.create(1, "contacts", &json!({ "email": "ada@example.com" })).unwrap();
    let set =
        [("jobtitle", "Analyst"), ("lifecyclestage", "lead"), ("company", "Engines"), ("phone", "+351")];
    for change in set {
        acme.hubspot.set(1, "contacts", contact, change).unwrap();
    }
    acme.hubspot.deliver().await.unwrap();
    acme.parsed(1 + 4).await;
    let runs = acme.client.runs_ended(&workflow, &user, 2).await.unwrap();
    let heard: BTreeSet<_> = runs.iter().map(|run| run.0["event"]["data"]["propertyName"].as_str()).collect();
    assert_eq!(heard, [Some("lifecyclestage"), Some("phone")].into());
    assert_eq!(acme.client.runs(&workflow, &user).await.unwrap().len(), 2);

    definition["trigger"]["only"] = json!({ "property": ["lifecyclestage"] });
    let body = json!({ "integration_id": acme.integration, "definition": definition });
    let draft = acme.client.post("/v1/workflows", &body).await.unwrap().ok().unwrap();
    let path = format!("/v1/workflows/{}/releases", draft["id"].as_str().unwrap());
    let refused = acme.client.post(&path, &json!({})).await.unwrap();
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(
        refused.text.contains("/trigger/only/property") && refused.text.contains("`propertyName`"),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn hubspots_own_library_signs_what_the_host_takes_and_believes_what_the_fake_signs() {
    let acme = Acme::start().await;
    acme.workflow("contact_created").await;
    acme.user("ada", 1).await;
    let mut library =
        Script::start("node-tests", &workspace().join("tests/node"), "hubspot.mjs").await.unwrap();
    acme.hubspot.create(1, "contacts", &json!({ "email": "ada@example.com" })).unwrap();
    let sent = acme.hubspot.deliver().await.unwrap().remove(0);
    let header = |name: &str| sent.headers.iter().find(|(known, _)| *known == name).unwrap().1.clone();
    let (signature, time) = (header("x-hubspot-signature-v3"), header("x-hubspot-request-timestamp"));
    let question = |body: &str, time: &str, signature: &str| {
        json!({ "do": "validate", "secret": SECRET, "method": "POST", "url": sent.url, "body": body, "time": time,
            "signature": signature })
    };
    assert_eq!(library.ask(&question(&sent.body, &time, &signature)).await.unwrap()["valid"], true);
    let tampered = sent.body.replace("\"portalId\":1", "\"portalId\":2");
    assert_ne!(tampered, sent.body);
    assert_eq!(library.ask(&question(&tampered, &time, &signature)).await.unwrap()["valid"], false);

    // The host agrees with the library about the right, a wrong and an old one.
    let now = wait::wall_clock().as_millis();
    let at = acme.url.replace(acme.host.public_url(), acme.host.base_url());
    for (secret, age, expected) in
        [(SECRET, 0, 200), ("another", 0, 401), (SECRET, 301_000, 401), (SECRET, 290_000, 200)]
    {
        let time = (now - age).to_string();
        let body =
            json!([{ "eventId": age + 77, "subscriptionId": 1, "portalId": 1, "appId": 1, "occurredAt": now,
            "subscriptionType": "contact.creation", "attemptNumber": 0, "objectId": 99 }])
            .to_string();
        let question = json!({ "do": "sign", "secret": secret, "method": "POST", "url": acme.url, "body": body, "time": time });
        let signed = library.ask(&question).await.unwrap()["signature"].as_str().unwrap().to_owned();
        assert_eq!(signed, sign(secret, "POST", &acme.url, &body, &time));
        let request = reqwest::Client::new().post(&at).header("x-hubspot-signature-v3", &signed);
        let answer =
            request.header("x-hubspot-request-timestamp", &time).body(body.clone()).send().await.unwrap();
        assert_eq!(answer.status(), expected, "age {age}");
        let believed = json!({ "do": "validate", "secret": SECRET, "method": "POST", "url": acme.url, "body": body,
            "time": time, "signature": signed });
        assert_eq!(library.ask(&believed).await.unwrap()["valid"], expected == 200, "age {age}");
    }
    acme.parsed(3).await;
}

#[tokio::test]
async fn records_are_made_changed_found_and_connected_and_no_token_is_seen() {
    let acme = Acme::start().await;
    let action = |id: &str, action: &str, input: Value| json!({ "id": id, "type": "action", "app": "hubspot", "action": action, "input": input });
    acme.client
        .define_event("signup", "Somebody signed up.", &json!({ "email": "a@b.c", "company": "c" }))
        .await
        .unwrap();
    let definition = json!({ "name": "Sign-up", "trigger": { "type": "event", "event": "signup" }, "steps": [
        action("contact", "upsert_contact", json!({ "id_property": "email", "id": "{{ trigger.email }}",
            "properties": { "firstname": "Ada", "lifecyclestage": "lead" } })),
        action("company", "create_company", json!({ "properties": { "name": "{{ trigger.company }}" } })),
        action("link", "associate", json!({ "from": { "object": "contacts", "id": "{{ steps.contact.id }}" },
            "to": { "object": "companies", "id": "{{ steps.company.id }}" } })),
        action("note", "add_note", json!({ "body": "Signed up.",
            "on": [{ "object": "contacts", "id": "{{ steps.contact.id }}" }] })),
        action("changed", "update_contact", json!({ "id": "{{ trigger.email }}", "id_property": "email",
            "properties": { "lifecyclestage": "customer", "hubspot_owner_id": 7 } })),
        action("again", "upsert_company", json!({ "id_property": "erp_number", "id": "E-1",
            "properties": { "name": "Looms" } })),
        action("deal", "create_deal", json!({ "properties": { "dealname": "Two", "amount": 1500.5 } })),
        action("many", "batch_upsert", json!({ "object": "contacts", "id_property": "email", "records": [
            { "id": "{{ trigger.email }}", "properties": { "phone": "+351" } },
            { "id": "eve@example.com", "properties": { "firstname": "Eve" } },
            { "id": "bob@example.com", "properties": { "no_such_property": "x" } }] })),
        action("ticket", "create_ticket", json!({ "subject": "It halts", "stage": "1", "priority": "HIGH",
            "about": [{ "object": "contacts", "id": "{{ steps.contact.id }}" }] })),
        action("found", "search_contacts", json!({ "filter_groups": [{ "filters": [
            { "property_name": "email", "operator": "EQ", "value": "{{ trigger.email }}" }] }] })),
    ] });
    let workflow = acme.client.release_workflow(&acme.integration, &definition).await.unwrap();
    let user = acme.user("ada", 1).await;
    for _ in 0..2 {
        let data = json!({ "email": "ada@example.com", "company": "Engines" });
        acme.client.run_event("signup", &user, &data).await.unwrap().ok().unwrap();
    }
    let runs = acme.client.runs_ended(&workflow, &user, 2).await.unwrap();
    for run in &runs {
        assert_eq!(run.status(), "succeeded", "{}", run.text());
        assert_eq!(
            run.step("found").unwrap()["output"]["items"].as_array().unwrap().len(),
            1,
            "one for one address"
        );
        assert!(!run.text().contains("canary-pat"), "no token is shown");
        let many = &run.step("many").unwrap()["output"];
        assert_eq!(
            (many["results"].as_array().unwrap().len(), &many["errors"][0]["index"]),
            (2, &json!(2)),
            "{many}"
        );
    }
    let all = |kind: &str| acme.hubspot.objects(1, kind);
    let (contacts, tickets) = (all("contacts"), all("tickets"));
    assert_eq!((contacts.len(), contacts[0].associations.len()), (2, 2), "{contacts:?}");
    for (name, value) in
        [("firstname", "Ada"), ("lifecyclestage", "customer"), ("hubspot_owner_id", "7"), ("phone", "+351")]
    {
        assert_eq!(contacts[0].properties[name], value);
    }
    assert_eq!(contacts[1].properties["firstname"], "Eve");
    assert_eq!((all("companies").len(), all("deals").len()), (3, 2), "created by each run, upserted by both");
    assert_eq!(all("deals")[0].properties["amount"], "1500.5");
    assert_eq!(tickets[0].associations, [("contacts".to_owned(), contacts[0].id)]);
    assert_eq!(tickets[0].properties["hs_ticket_priority"], "HIGH");
    let notes = acme.hubspot.objects(1, "notes");
    assert_eq!(notes[0].associations, [("contacts".to_owned(), contacts[0].id)]);
    assert!(!acme.host.log().contains("canary"), "no secret is logged");
}
