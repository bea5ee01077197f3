//! Streaming natively: what is sent, what is sent again, and what is refused.

use trunnion_sdk::test::{Answer, FakeHost};

use super::*;
use crate::{
    api::testing::{PROJECT_URL, host, refusal},
    connector,
};

const INSERT: &str = "/datasets/raw/tables/orders/insertAll";

fn url() -> String {
    format!("{PROJECT_URL}{INSERT}")
}

fn items(rows: &[&str]) -> Vec<String> {
    let item = |row: &&str| format!(r#"{{"dataset":"raw","table":"orders","rows":[{row}]}}"#);
    rows.iter().map(item).collect()
}

fn batch(host: &FakeHost, rows: &[&str]) -> Result<Vec<Result<String>>> {
    connector().run_batch(&host.calling("stream_rows"), &items(rows))
}

/// An answer that refuses these rows, with `stopped` for the others.
fn insert_errors(faults: &[(usize, &str, &str)]) -> Answer {
    let errors: Vec<_> = faults
        .iter()
        .map(|(index, reason, message)| {
            json!({"index": index, "errors": [{"reason": reason, "location": "total", "debugInfo": "", "message": message}]})
        })
        .collect();
    Answer::json(200, &json!({"kind": "bigquery#tableDataInsertAllResponse", "insertErrors": errors}))
}

fn done() -> Answer {
    Answer::json(200, &json!({"kind": "bigquery#tableDataInsertAllResponse"}))
}

#[test]
fn rows_go_as_they_came_with_ids_of_their_own() {
    let host = host();
    host.http().once("POST", &url(), done());
    let answers =
        batch(&host, &[r#"{"id":1,"total":10.10}"#, r#"{"total":12345678901234567890.5,"id":2}"#]).unwrap();
    assert_eq!(answers, [Ok("null".to_owned()), Ok("null".to_owned())]);
    let body = String::from_utf8(host.http().requests()[0].0.body.clone().unwrap()).unwrap();
    assert!(body.contains(r#""json":{"total":12345678901234567890.5,"id":2}"#), "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let key = host.context().idempotency_key().to_owned();
    assert_eq!(body["rows"][0]["insertId"], format!("{key}-0"));
    assert_eq!(body["rows"][1]["insertId"], format!("{key}-1"));
    assert_eq!(body["ignoreUnknownValues"], false);
}

#[test]
fn what_was_stopped_is_sent_again_without_the_row_at_fault() {
    let host = host();
    let first = [(0, "stopped", ""), (1, "invalid", "Cannot convert value to integer"), (2, "stopped", "")];
    host.http().once("POST", &url(), insert_errors(&first));
    host.http().once(
        "POST",
        &url(),
        insert_errors(&[(0, "stopped", ""), (1, "invalid", "no such field: x.")]),
    );
    host.http().once("POST", &url(), done());
    let answers = batch(&host, &[r#"{"id":1}"#, r#"{"id":"two"}"#, r#"{"x":3}"#]).unwrap();
    assert!(answers[0].is_ok());
    let error = answers[1].as_ref().unwrap_err();
    assert!(
        matches!(error, Error::Rejected { status: 400, message }
        if message.contains("`total`: Cannot convert value to integer (invalid)")),
        "{error}"
    );
    assert!(answers[2].as_ref().unwrap_err().to_string().contains("no such field: x."));
    let sent: Vec<Vec<Value>> = host
        .http()
        .requests()
        .iter()
        .map(|seen| {
            seen.json()["rows"].as_array().unwrap().iter().map(|row| row["insertId"].clone()).collect()
        })
        .collect();
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(sent[2][0], sent[0][0], "a row keeps its id");
}

#[test]
fn where_no_row_is_at_fault_all_is_tried_again_later() {
    let host = host();
    host.http().once("POST", &url(), insert_errors(&[(0, "backendError", ""), (1, "stopped", "")]));
    assert!(
        matches!(batch(&host, &["{}", "{}"]), Err(Error::Unavailable(message)) if message.contains("`raw.orders`"))
    );
    host.http().once("POST", &url(), refusal(503, "backendError", "try later"));
    assert!(
        matches!(batch(&host, &["{}"]), Err(Error::Unavailable(_))),
        "a POST with row ids may be repeated"
    );
    host.http().once("POST", &url(), refusal(404, "notFound", "Not found: Table acme:raw.orders"));
    assert!(matches!(batch(&host, &["{}"]), Err(Error::NotFound(message)) if message.contains("raw.orders")));
}

#[test]
fn requests_hold_what_bigquery_takes() {
    let host = host();
    host.http().on("POST", &url(), |_| done());
    let wide = format!(r#"{{"text":"{}"}}"#, "x".repeat(4_000_000));
    let answers = batch(&host, &[&wide, &wide, &wide, "{}"]).unwrap();
    assert!(answers.iter().all(Result::is_ok));
    let sizes: Vec<_> =
        host.http().requests().iter().map(|seen| seen.json()["rows"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [2, 2]);
    let bodies = host.http().requests();
    assert!(bodies.iter().all(|seen| seen.0.body.as_ref().unwrap().len() < 10_485_760));

    let rows: Vec<String> = (0..1_200).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    let input = format!(r#"{{"dataset":"raw","table":"orders","rows":[{}]}}"#, rows.join(","));
    assert_eq!(connector().run(&host.calling("stream_rows"), &input).unwrap(), "null");
    let sizes: Vec<_> = host
        .http()
        .requests()
        .iter()
        .skip(2)
        .map(|seen| seen.json()["rows"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [500, 500, 200]);
}

#[test]
fn what_cannot_be_a_row_is_refused_without_asking() {
    let host = host();
    let answers = batch(&host, &["7", &format!(r#"{{"text":"{}"}}"#, "x".repeat(9_600_000))]).unwrap();
    assert!(matches!(&answers[0], Err(Error::InvalidInput { field, .. }) if field == "/rows"));
    assert!(matches!(&answers[1], Err(Error::Rejected { status: 413, .. })));
    assert!(host.http().requests().is_empty());
}

#[test]
fn one_input_with_many_rows_says_how_many_were_refused() {
    let host = host();
    host.http().once("POST", &url(), insert_errors(&[(0, "stopped", ""), (1, "invalid", "bad")]));
    host.http().once("POST", &url(), done());
    let input =
        r#"{"dataset":"raw","table":"orders","rows":[{"id":1},{"id":"x"}],"ignore_unknown_values":true}"#;
    let error = connector().run(&host.calling("stream_rows"), input).unwrap_err().to_string();
    assert!(
        error.contains("1 of 2 rows were refused, the others inserted; row 1: BigQuery refuses"),
        "{error}"
    );
    assert_eq!(host.http().requests()[0].json()["ignoreUnknownValues"], true);
}
