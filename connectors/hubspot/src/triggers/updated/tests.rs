//! Polls of a search that behaves as HubSpot's: 200 a page, 10,000 in all, one sort, a late index.

use std::{cell::RefCell, rc::Rc};

use trunnion_sdk::test::{Answer, FakeHost, Polls, Seen};

use super::*;
use crate::{connector, object::Contact};

const SEARCH: &str = "https://api.hubapi.com/crm/v3/objects/contacts/search";

/// Records by id and time of change.
type Records = Rc<RefCell<Vec<(u64, u64)>>>;

fn vendor() -> (FakeHost, Records) {
    let (host, records) = (FakeHost::new(), Records::default());
    let known = Rc::clone(&records);
    host.http().on("POST", SEARCH, move |request| answer(request, &known.borrow()));
    (host, records)
}

fn answer(request: &Seen, records: &[(u64, u64)]) -> Answer {
    let search = request.json();
    let filters = search["filterGroups"][0]["filters"].as_array().unwrap().clone();
    let fits = |&&(id, at): &&(u64, u64)| {
        filters.iter().all(|filter| {
            let value: u64 = filter["value"].as_str().unwrap().parse().unwrap();
            let own = if filter["propertyName"] == ID { id } else { at };
            match filter["operator"].as_str().unwrap() {
                "GTE" => own >= value,
                "EQ" => own == value,
                "GT" => own > value,
                other => panic!("{other}"),
            }
        })
    };
    let mut found: Vec<(u64, u64)> = records.iter().filter(fits).copied().collect();
    // Records of the same time come in any order but that of their ids.
    found.sort_by_key(|&(id, at)| if search["sorts"][0] == ID { (id, 0) } else { (at, u64::MAX - id) });
    assert!(search.get("after").is_none(), "a search by `after` ends at 10,000");
    let results: Vec<_> = found.iter().take(200).map(|(id, at)| record(*id, *at)).collect();
    Answer::json(200, &json!({"total": found.len(), "results": results}))
}

fn record(id: u64, at: u64) -> Value {
    let seconds = at / 1000;
    let of_day = seconds % 86_400;
    let time = format!(
        "2026-01-01T{:02}:{:02}:{:02}.{:03}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
        at % 1000
    );
    json!({"id": id.to_string(), "properties": {"lastmodifieddate": time, "email": "ada@example.com"}})
}

fn ids(found: Vec<Occurrence<Value>>) -> Vec<u64> {
    let mut ids: Vec<u64> =
        found.iter().map(|occurrence| occurrence.data["id"].as_str().unwrap().parse().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn more_than_a_search_can_page_through_is_found_whole() {
    let (host, records) = vendor();
    let now = host.context().now_ms();
    let connector = connector();
    let mut polls = Polls::new(&connector, &host, "contact_updated");
    assert!(polls.round().unwrap().is_empty());
    host.advance(Duration::from_secs(600));
    // 11,000 spread over time, among them 900 of the very same moment.
    *records.borrow_mut() =
        (1..=11_000).map(|id| (id, now + if (5_000..5_900).contains(&id) { 5_000 } else { id })).collect();
    assert_eq!(ids(polls.round().unwrap()), (1..=11_000).collect::<Vec<_>>());
    assert!(polls.round().unwrap().is_empty(), "nothing is new");
}

#[test]
fn an_update_is_new_and_what_the_index_shows_late_is_found() {
    let (host, records) = vendor();
    let now = host.context().now_ms();
    let connector = connector();
    let mut polls = Polls::new(&connector, &host, "contact_updated");
    polls.round().unwrap();
    host.advance(Duration::from_secs(1_200));
    records.borrow_mut().extend([(1, now + 600_000), (2, now + 900_000)]);
    assert_eq!(ids(polls.round().unwrap()), [1, 2]);
    records.borrow_mut().extend([(3, now + 700_000), (4, now + 100_000)]);
    assert_eq!(ids(polls.round().unwrap()), [3], "inside the overlap");
    assert_eq!(ids(polls.look_back(Duration::from_secs(3600)).unwrap()), [4], "deeper");
    records.borrow_mut()[0].1 = now + 950_000;
    assert_eq!(ids(polls.round().unwrap()), [1], "another version of it");
}

#[test]
fn what_is_asked_names_the_usual_properties_and_one_sort() {
    let (host, _) = vendor();
    let ctx = host.calling("contact_updated");
    connector().poll(&ctx, None).unwrap();
    let search = host.http().requests()[0].json();
    assert_eq!(search["sorts"], json!(["lastmodifieddate"]));
    assert_eq!(search["limit"], 200);
    assert_eq!(search["properties"].as_array().unwrap().len(), Contact::NAMES.properties.len());
    let filter =
        json!({"propertyName": "lastmodifieddate", "operator": "GTE", "value": ctx.now_ms().to_string()});
    assert_eq!(search["filterGroups"], json!([{"filters": [filter]}]));
}
