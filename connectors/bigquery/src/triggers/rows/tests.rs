//! Following a table natively: what is asked, how pages and rounds go on from each other, and what cannot be followed.

use trunnion_sdk::test::{Answer, FakeHost, Polls};

use super::*;
use crate::{
    api::testing::{PROJECT_URL, host},
    connector,
};

const TABLE: &str = "/datasets/raw/tables/orders";

fn following(column: &str) -> FakeHost {
    let host = host().with_options(&format!(
        r#"{{"dataset":"raw","table":"orders","column":"{column}","id":"id","location":"EU"}}"#
    ));
    let columns = json!([
        { "name": "id", "type": "INTEGER" }, { "name": "placed_at", "type": "TIMESTAMP" }, { "name": "ratio", "type": "FLOAT" },
    ]);
    host.http().on("GET", &format!("{PROJECT_URL}{TABLE}"), move |_| {
        Answer::json(200, &json!({ "etag": "x", "schema": { "fields": columns } }))
    });
    host
}

/// A page of rows `(at, id)`, as BigQuery answers it.
fn page(rows: &[(i64, u32)]) -> Answer {
    let fields = json!([
        { "name": "trunnion_at", "type": "TIMESTAMP" }, { "name": "trunnion_id", "type": "STRING" },
        { "name": "id", "type": "INTEGER" }, { "name": "placed_at", "type": "TIMESTAMP" },
    ]);
    let row = |(at, id): &(i64, u32)| {
        let (at, id) = (at.to_string(), id.to_string());
        json!({ "f": [{ "v": at }, { "v": id }, { "v": id }, { "v": at }] })
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    Answer::json(200, &json!({ "jobComplete": true, "schema": { "fields": fields }, "rows": rows }))
}

fn asked(host: &FakeHost) -> Vec<Value> {
    let posts = host.http().requests().into_iter().filter(|seen| seen.0.method == "POST");
    posts.map(|seen| seen.json()).collect()
}

#[test]
fn a_time_is_followed_page_by_page_with_a_look_back() {
    let host = following("placed_at");
    let queries = format!("{PROJECT_URL}/queries");
    let now = micros(host.context().now_ms());
    let full: Vec<_> = (0..OF_PAGE).map(|id| (now + i64::from(id / 600), id)).collect();
    host.http().once("POST", &queries, page(&full));
    host.http().once("POST", &queries, page(&[(now + 1, OF_PAGE)]));
    let connector = connector();
    let mut polls = Polls::new(&connector, &host, "new_rows");
    let first = polls.round().unwrap();
    assert_eq!(first.len(), 1_001);
    assert_eq!(
        (first[0].id.clone(), first[0].occurred_at_ms),
        (format!("0@{now}"), Some(host.context().now_ms()))
    );
    assert_eq!(first[7].data, json!({ "id": 7, "placed_at": rfc3339(now) }));
    let requests = asked(&host);
    let sql = requests[0]["query"].as_str().unwrap();
    assert!(sql.starts_with("SELECT t.`placed_at` AS trunnion_at, CAST(t.`id` AS STRING) AS trunnion_id, t.* FROM `acme.raw.orders` AS t"), "{sql}");
    let from = json!([{ "name": "from", "parameterType": { "type": "TIMESTAMP" }, "parameterValue": { "value": rfc3339(now) } }]);
    assert_eq!(
        (&requests[0]["queryParameters"], &requests[0]["location"]),
        (&from, &json!("EU")),
        "not before it was installed"
    );
    let values: Vec<_> = requests[1]["queryParameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|given| given["parameterValue"]["value"].clone())
        .collect();
    assert_eq!(values, [json!(rfc3339(now + 1)), json!("999")], "behind the last row of the page");

    // An hour later the next round begins a little before what was seen.
    let later = now + 3_600_000_000;
    host.http().once("POST", &queries, page(&[(later, 2_000)]));
    assert_eq!(polls.round().unwrap().len(), 1);
    host.http().once("POST", &queries, page(&[(later, 2_000)]));
    assert!(polls.round().unwrap().is_empty());
    let requests = asked(&host);
    let back = json!(rfc3339(later - 600_000_000));
    assert_eq!(requests[3]["queryParameters"][0]["parameterValue"]["value"], back);
    host.http().once("POST", &queries, page(&[(now, 3_000)]));
    assert_eq!(polls.look_back(Duration::from_secs(7_200)).unwrap().len(), 1, "one that came late");
    assert_eq!(asked(&host)[4]["queryParameters"][0]["parameterValue"]["value"], json!(rfc3339(now)));
    host.http().once("POST", &queries, page(&[]));
    assert!(polls.round().unwrap().is_empty());
    assert_eq!(
        asked(&host)[5]["queryParameters"][0]["parameterValue"]["value"],
        back,
        "what came late takes nothing back"
    );
}

#[test]
fn a_number_is_followed_from_the_highest_that_there_is() {
    let host = following("id");
    let queries = format!("{PROJECT_URL}/queries");
    host.http().once("POST", &queries, page(&[(41, 0)]));
    host.http().once("POST", &queries, page(&[(41, 41), (42, 42)]));
    let connector = connector();
    let mut polls = Polls::new(&connector, &host, "new_rows");
    assert_eq!(
        polls.round().unwrap().len(),
        2,
        "the host drops what it has seen, and what is new has its number or more"
    );
    let requests = asked(&host);
    assert!(requests[0]["query"].as_str().unwrap().starts_with("SELECT MAX(t.`id`)"), "{}", requests[0]);
    let from = &requests[1]["queryParameters"][0];
    assert_eq!(
        (&from["parameterType"]["type"], &from["parameterValue"]["value"]),
        (&json!("INT64"), &json!("41"))
    );
    assert!(polls.cursor().unwrap().contains(r#""seen":"42""#), "{:?}", polls.cursor());
}

#[test]
fn a_statement_that_takes_long_is_waited_for() {
    let host = following("placed_at");
    let job = json!({ "projectId": "acme", "jobId": "job_1", "location": "EU" });
    let begun = json!({ "jobComplete": false, "jobReference": job });
    host.http().once("POST", &format!("{PROJECT_URL}/queries"), Answer::json(200, &begun));
    let now = micros(host.context().now_ms());
    host.http().once("GET", &format!("{PROJECT_URL}/queries/job_1"), page(&[(now, 1)]));
    assert_eq!(Polls::new(&connector(), &host, "new_rows").round().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_followed_is_named() {
    for (column, words) in
        [("total", "it has `id`, `placed_at`"), ("ratio", "`ratio` is FLOAT"), ("a`b", "is no name")]
    {
        let host = following(column);
        let error = connector().poll(&host.calling("new_rows"), None).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidInput { field, message } if field == "/column" && message.contains(words)),
            "{error}"
        );
    }
}
