//! Requests and answers of the five actions, of one kind or another: they are the same for all.

use trunnion_sdk::test::{Answer, FakeHost, Seen, every_item};

use super::*;
use crate::connector;

const OBJECTS: &str = "https://api.hubapi.com/crm/v3/objects";

fn record(id: &str) -> Value {
    json!({"id": id, "properties": {"email": "ada@example.com"}, "archived": false, "url": "https://x"})
}

fn run(host: &FakeHost, action: &str, input: &Value) -> Result<Value> {
    let output = connector().run(&host.calling(action), &input.to_string());
    output.map(|output| serde_json::from_str(&output).unwrap())
}

#[test]
fn creating_sends_texts_and_gives_the_whole_record() {
    let host = FakeHost::new();
    host.http().once("POST", &format!("{OBJECTS}/deals"), Answer::json(201, &record("7")));
    let made = run(&host, "create_deal", &json!({"properties": {"dealname": "Two", "amount": 1500.5}}));
    assert_eq!(made.unwrap(), record("7"));
    let sent = host.http().requests()[0].json();
    assert_eq!(sent, json!({"properties": {"amount": "1500.5", "dealname": "Two"}}));
}

#[test]
fn a_contact_that_exists_is_a_conflict() {
    let host = FakeHost::new();
    let taken = json!({"status": "error", "category": "CONFLICT", "message": "Contact already exists. Existing ID: 7"});
    host.http().once("POST", &format!("{OBJECTS}/contacts"), Answer::json(409, &taken));
    let result = run(&host, "create_contact", &json!({"properties": {"email": "ada@example.com"}}));
    assert!(matches!(result, Err(Error::Conflict(message)) if message.contains("Existing ID: 7")));
}

#[test]
fn a_lost_creation_of_a_contact_is_looked_up_by_its_address() {
    let host = FakeHost::new();
    let url = format!("{OBJECTS}/contacts/ada%40example.com");
    host.http().once("GET", &url, Answer::json(200, &record("7")));
    host.http().once("GET", &url, Answer::empty(404));
    host.http().once("GET", &url, Answer::empty(502));
    let ask =
        |input: Value| connector().reconcile(&host.calling("create_contact"), &input.to_string(), "key");
    let given = || json!({"properties": {"email": " ada@example.com "}});
    assert!(matches!(ask(given()), Ok(Reconciled::Found(output)) if output.contains(r#""id":"7""#)));
    assert_eq!(ask(given()), Ok(Reconciled::Absent));
    assert!(matches!(ask(given()), Err(Error::Unavailable(_))));
    assert_eq!(host.http().requests()[0].query(), "idProperty=email&properties=email");
    assert!(matches!(ask(json!({"properties": {"firstname": "Ada"}})), Ok(Reconciled::Unknown(_))));
}

#[test]
fn an_update_names_its_record_by_id_or_by_a_unique_property() {
    let host = FakeHost::new();
    host.http().once("PATCH", &format!("{OBJECTS}/contacts/51"), Answer::json(200, &record("51")));
    host.http().once("PATCH", &format!("{OBJECTS}/contacts/a%2Fb%40x"), Answer::json(200, &record("51")));
    let properties = json!({"phone": null});
    run(&host, "update_contact", &json!({"id": 51, "properties": properties})).unwrap();
    let by_email = json!({"id": "a/b@x", "id_property": "email", "properties": properties});
    run(&host, "update_contact", &by_email).unwrap();
    let requests = host.http().requests();
    assert_eq!(requests[0].json(), json!({"properties": {"phone": ""}}));
    assert_eq!(requests[1].query(), "idProperty=email");
    for id in [json!(""), json!("51/associations"), json!("..")] {
        let result = run(&host, "update_contact", &json!({"id": id, "properties": {}}));
        assert!(matches!(result, Err(Error::InvalidInput { field, .. }) if field == "/id"), "{id}");
    }
    let empty = run(&host, "update_contact", &json!({"id": " ", "id_property": "email", "properties": {}}));
    assert!(matches!(empty, Err(Error::InvalidInput { field, .. }) if field == "/id"));
    assert_eq!(host.http().requests().len(), 2);
}

#[test]
fn an_upsert_is_a_batch_of_one_and_a_refusal_says_why() {
    let host = FakeHost::new();
    let url = format!("{OBJECTS}/companies/batch/upsert");
    let mut kept = record("7");
    kept["new"] = json!(true);
    host.http().once("POST", &url, Answer::json(200, &json!({"results": [kept]})));
    let refused = json!({"results": [], "errors": [{"message": "`erp` is not unique"}]});
    host.http().once("POST", &url, Answer::json(207, &refused));
    let input = json!({"id_property": "erp", "id": "A-7", "properties": {"name": "Engines"}});
    assert_eq!(run(&host, "upsert_company", &input).unwrap()["new"], true);
    let sent = host.http().requests()[0].json();
    let one = json!({"idProperty": "erp", "id": "A-7", "properties": {"name": "Engines"}, "objectWriteTraceId": "0"});
    assert_eq!(sent, json!({"inputs": [one]}));
    let result = run(&host, "upsert_company", &input);
    assert!(
        matches!(result, Err(Error::Rejected { status: 207, message }) if message.contains("not unique"))
    );
    let nameless = json!({"id_property": "erp", "id": "", "properties": {}});
    assert!(matches!(run(&host, "upsert_company", &nameless), Err(Error::InvalidInput { .. })));
}

#[test]
fn getting_asks_for_the_usual_properties_or_those_that_are_named() {
    let host = FakeHost::new();
    host.http().on("GET", &format!("{OBJECTS}/deals/61"), |_| Answer::json(200, &record("61")));
    run(&host, "get_deal", &json!({"id": "61"})).unwrap();
    let input = json!({"id": "61", "properties": ["dealname", "own_thing"], "associations": ["contacts"]});
    run(&host, "get_deal", &input).unwrap();
    let requests = host.http().requests();
    assert!(
        requests[0].query().starts_with("properties=dealname&properties=amount&"),
        "{}",
        requests[0].query()
    );
    assert_eq!(requests[1].query(), "properties=dealname&properties=own_thing&associations=contacts");
}

#[test]
fn many_upserts_are_one_request_and_each_has_its_own_answer() {
    let host = FakeHost::new();
    let mut kept = record("7");
    kept["objectWriteTraceId"] = json!("1");
    let fault = json!({"message": "bad", "context": {"objectWriteTraceId": ["0"]}});
    let answer = json!({"results": [kept], "errors": [fault]});
    host.http().once("POST", &format!("{OBJECTS}/contacts/batch/upsert"), Answer::json(207, &answer));
    let item = |id: &str| json!({"id_property": "email", "id": id, "properties": {}}).to_string();
    let (first, second) = (item("a"), item("b@example.com"));
    let answers = connector().run_batch(&host.calling("upsert_contact"), &[&first, "{}", &second]).unwrap();
    assert_eq!(answers[0], Err(Error::rejected(207, "bad")));
    assert!(matches!(&answers[1], Err(Error::InvalidInput { .. })));
    assert!(answers[2].as_ref().unwrap().contains(r#""id":"7""#), "{answers:?}");
    assert_eq!(host.http().requests()[0].json()["inputs"].as_array().unwrap().len(), 2);
}

#[test]
fn a_search_is_listed_page_by_page() {
    let host = FakeHost::new();
    let page = json!({"total": 2, "results": [record("1")], "paging": {"next": {"after": "1"}}});
    let url = format!("{OBJECTS}/contacts/search");
    host.http().once("POST", &url, Answer::json(200, &page));
    host.http().once("POST", &url, Answer::json(200, &json!({"total": 2, "results": [record("2")]})));
    let filter = json!({"property_name": "email", "operator": "EQ", "value": "ada@example.com"});
    let input = json!({"filter_groups": [{"filters": [filter]}], "sort": "-createdate", "limit": 1});
    let found = every_item(&connector(), &host.calling("search_contacts"), &input.to_string()).unwrap();
    assert_eq!(found, [record("1"), record("2")]);
    let sent: Vec<_> = host.http().requests().iter().map(Seen::json).collect();
    let filter = json!({"propertyName": "email", "operator": "EQ", "value": "ada@example.com"});
    assert_eq!(sent[0]["filterGroups"], json!([{"filters": [filter]}]));
    assert_eq!((&sent[0]["sorts"], &sent[0]["limit"]), (&json!(["-createdate"]), &json!(1)));
    assert_eq!((sent[0].get("after"), &sent[1]["after"]), (None, &json!("1")));
}
