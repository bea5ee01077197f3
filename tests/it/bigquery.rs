//! Rows into a warehouse: in batches, from events and from a vendor's pages, each exactly once over refusals and kills.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};
use trunnion_tests::{
    bigquery::BigQuery,
    bqemulator::Emulator,
    component,
    host::{Client, HostOptions, RunView, TestHost},
    hubspot::HubSpot,
    issuer::{self, Issuer},
    judge::{Judge, Vendor},
    record::Recorded,
    scenario::shopify::ShopifyScenario,
    wait,
};
use url::Url;

const EVENT: &str = "Rows Ready";
const TOKEN: &str = "canary-token-warehouse-51b0c9e2d7f84a63";

/// A host whose only customer has a warehouse.
struct Warehouse {
    bigquery: BigQuery,
    host: TestHost,
    client: Client,
    workflow: String,
    user: String,
}

impl Warehouse {
    /// With a workflow of these steps.
    async fn start(steps: Value) -> Self {
        let bigquery = BigQuery::start(TOKEN).await.unwrap();
        let columns = json!([
            { "name": "id", "type": "INTEGER", "mode": "REQUIRED" }, { "name": "note", "type": "STRING" },
        ]);
        for table in ["rows", "copy"] {
            bigquery.add_table("raw", table, columns.clone());
        }
        let options = HostOptions {
            rewrites: vec![format!("*.googleapis.com={}", bigquery.base_url())],
            components: vec![component::bigquery().await.unwrap()],
            ..HostOptions::default()
        };
        let host = TestHost::start(options).await.unwrap();
        let (client, workflow, user) = installed(&host, steps).await;
        Self { bigquery, host, client, workflow, user }
    }

    async fn fire(&self, rows: &[Value]) {
        let data = json!({ "rows": rows });
        self.client.run_event(EVENT, &self.user, &data).await.unwrap().ok().unwrap();
    }

    /// The only run, once it has ended.
    async fn ended(&self) -> RunView {
        let runs = self.client.runs_ended(&self.workflow, &self.user, 1).await.unwrap();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.into_iter().next().unwrap()
    }

    async fn redriven(&self, run: &RunView) -> RunView {
        let redrive = format!("/v1/dead-letters/{}/redrive", run.id());
        self.client.post(&redrive, &json!({})).await.unwrap().ok().unwrap();
        wait::until("the redriven run to end", || async {
            self.client.run(run.id()).await.ok().filter(RunView::ended)
        })
        .await
        .unwrap()
    }

    async fn crash(&mut self) {
        self.host.kill9().await.unwrap();
        self.host.start_again().await.unwrap();
        self.client = self.host.client().unwrap();
    }

    /// The ids in a table, which holds none twice.
    fn ids(&self, table: &str) -> BTreeSet<i64> {
        let rows = self.bigquery.rows("raw", table);
        let ids: BTreeSet<_> = rows.iter().map(id_of).collect();
        assert_eq!(ids.len(), rows.len(), "a row is in `{table}` twice");
        ids
    }

    /// Rows that were sent, over all requests.
    fn sent(&self) -> usize {
        let inserts =
            self.bigquery.requests().into_iter().filter(|request| request.uri.path().ends_with("insertAll"));
        inserts.map(|request| request.json()["rows"].as_array().unwrap().len()).sum()
    }
}

/// A workflow of these steps, installed for a user; answers both with a client.
async fn installed(host: &TestHost, steps: Value) -> (Client, String, String) {
    let client = host.client().unwrap();
    let sample = json!({ "rows": [{ "id": 1, "note": "a" }] });
    client.define_event(EVENT, "There are rows.", &sample).await.unwrap();
    let integration = client.create_integration("bigquery").await.unwrap();
    let definition =
        json!({ "name": "Rows", "trigger": { "type": "event", "event": EVENT }, "steps": steps });
    let workflow = client.release_workflow(&integration, &definition).await.unwrap();
    let user = client.create_user("ada", "Merchant Ada").await.unwrap();
    let data = json!({ "project": "acme", "access_token": TOKEN });
    let credential = client.create_credential(&user, "bigquery", &data).await.unwrap();
    client.install(&user, &integration, &credential, &[]).await.unwrap();
    (client, workflow, user)
}

fn id_of(row: &Value) -> i64 {
    row["id"].as_i64().or_else(|| row["id"].as_str()?.parse().ok()).unwrap()
}

fn rows(ids: std::ops::Range<i64>) -> Vec<Value> {
    ids.map(|id| json!({ "id": id, "note": format!("row {id}") })).collect()
}

/// Streams every item into a table.
fn batch(table: &str, items: Value) -> Value {
    let mut step = json!({
        "id": "insert", "type": "batch", "app": "bigquery", "action": "stream_rows", "concurrency": 2,
        "input": { "dataset": "raw", "table": table, "rows": ["{{ item }}"] },
    });
    for (name, value) in items.as_object().unwrap() {
        step[name] = value.clone();
    }
    step
}

fn of_event() -> Value {
    json!({ "items": "{{ trigger.rows }}" })
}

/// Every row of the table `rows`, by pages of a hundred.
fn of_pages() -> Value {
    let input = json!({ "sql": "SELECT * FROM raw.rows", "page_rows": 100 });
    json!({ "from": { "app": "bigquery", "action": "query", "input": input } })
}

#[tokio::test]
async fn a_batch_delivers_every_row_in_requests_of_the_vendors_size() {
    let warehouse = Warehouse::start(json!([batch("copy", of_event())])).await;
    warehouse.fire(&rows(0..1_200)).await;
    let run = warehouse.ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(warehouse.ids("copy"), (0..1_200).collect());
    assert_eq!(
        run.step("insert").unwrap()["output"],
        json!({ "results": [], "succeeded": 1_200, "failed": 0, "filtered": 0 })
    );
    let inserts = warehouse
        .bigquery
        .requests()
        .iter()
        .filter(|request| request.uri.path().ends_with("insertAll"))
        .count();
    assert_eq!(inserts, 3);
}

#[tokio::test]
async fn refused_rows_are_a_dead_letter_with_their_reasons_and_the_rest_is_delivered() {
    let warehouse = Warehouse::start(json!([batch("copy", of_event())])).await;
    let mut given = rows(0..600);
    given[7] = json!({ "id": 7, "colour": "red" });
    given[550] = json!({ "id": 550, "colour": "blue" });
    warehouse.fire(&given).await;
    let run = warehouse.ended().await;
    assert_eq!(run.status(), "failed", "{}", run.text());
    assert_eq!(warehouse.ids("copy").len(), 598);
    let step = run.step("insert").unwrap();
    let message = step["error"]["message"].as_str().unwrap();
    assert!(message.contains("2 of 600 items failed; the first was item 7"), "{message}");
    assert!(message.contains("no such field: colour."), "{message}");
    let results = step["input"]["results"].as_array().unwrap();
    assert_eq!(results.iter().map(|result| result["index"].clone()).collect::<Vec<_>>(), [7, 550]);
    let letters = warehouse.client.get("/v1/dead-letters").await.unwrap().ok().unwrap();
    assert!(letters["data"][0]["reason"].as_str().unwrap().contains("no such field"), "{letters}");

    let sent = warehouse.sent();
    let again = warehouse.redriven(&run).await;
    assert_eq!(again.status(), "failed", "nothing has changed: {}", again.text());
    assert_eq!(warehouse.sent() - sent, 2, "only what was refused is sent again");
    warehouse.bigquery.add_column("raw", "copy", json!({ "name": "colour", "type": "STRING" }));
    let done = warehouse.redriven(&run).await;
    assert_eq!(done.status(), "succeeded", "{}", done.text());
    assert_eq!(done.step("insert").unwrap()["output"]["succeeded"], 600, "{}", done.text());
    assert_eq!(warehouse.ids("copy"), (0..600).collect());
}

#[tokio::test]
async fn a_batch_that_cannot_be_sent_for_now_is_tried_again_as_it_is() {
    let warehouse = Warehouse::start(json!([batch("copy", of_event())])).await;
    warehouse.bigquery.refuse_next(1, "insertAll", StatusCode::SERVICE_UNAVAILABLE, "backendError");
    warehouse.fire(&rows(0..700)).await;
    let run = warehouse.ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(warehouse.ids("copy"), (0..700).collect());
    assert!(warehouse.sent() > 700, "one request was refused and made again");
}

#[tokio::test]
async fn killed_in_the_middle_of_a_batch_no_row_is_lost_or_doubled() {
    let mut warehouse = Warehouse::start(json!([batch("copy", of_event())])).await;
    let held = warehouse.bigquery.hold_next("insertAll");
    warehouse.fire(&rows(0..1_500)).await;
    held.arrived().await;
    warehouse.crash().await;
    held.release();
    let run = warehouse.ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(warehouse.ids("copy"), (0..1_500).collect());
    assert_eq!(run.step("insert").unwrap()["output"]["succeeded"], 1_500);
}

#[tokio::test]
async fn every_page_of_a_listing_goes_through_a_batch_over_a_kill_too() {
    let mut warehouse = Warehouse::start(json!([batch("copy", of_pages())])).await;
    warehouse.bigquery.fill("raw", "rows", rows(0..450));
    let held = warehouse.bigquery.hold_next("pageToken=200");
    warehouse.fire(&[]).await;
    held.arrived().await;
    assert_eq!(warehouse.ids("copy"), (0..200).collect(), "a page is read when the one before is done");
    warehouse.crash().await;
    held.release();
    let run = warehouse.ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(warehouse.ids("copy"), (0..450).collect());
    let expected = json!({ "pages": 5, "results": [], "succeeded": 450, "failed": 0, "filtered": 0 });
    assert_eq!(run.step("insert").unwrap()["output"], expected);
    let statements = warehouse
        .bigquery
        .requests()
        .iter()
        .filter(|request| request.line() == "POST /bigquery/v2/projects/acme/jobs")
        .count();
    assert_eq!(statements, 1, "the statement ran once");
}

#[tokio::test]
async fn rows_that_are_refused_of_a_page_are_kept_for_later_and_the_other_pages_go_on() {
    let warehouse = Warehouse::start(json!([batch("copy", of_pages())])).await;
    let mut given = rows(0..250);
    // What the listing gives without an id cannot be inserted.
    given[120] = json!({ "note": "no id" });
    warehouse.bigquery.fill("raw", "rows", given);
    warehouse.fire(&[]).await;
    let run = warehouse.ended().await;
    assert_eq!(run.status(), "failed", "{}", run.text());
    assert_eq!(warehouse.ids("copy").len(), 249);
    let step = run.step("insert").unwrap();
    assert!(
        step["error"]["message"]
            .as_str()
            .unwrap()
            .contains("1 of 250 items failed; the first was item 20 of page 1"),
        "{step}"
    );
    let sent = warehouse.sent();
    let again = warehouse.redriven(&run).await;
    assert_eq!(again.status(), "failed", "{}", again.text());
    assert_eq!(warehouse.sent() - sent, 1, "only what was refused is sent again");
    assert_eq!(again.step("insert").unwrap()["input"]["succeeded"], 249, "{}", again.text());
}

#[tokio::test]
async fn a_loop_takes_its_items_from_pages() {
    let steps = json!([{
        "id": "each", "type": "for_each", "concurrency": 10, "from": of_pages()["from"], "steps": [
            { "id": "even", "type": "filter", "condition": "item.id % 2 == 0" },
            { "id": "insert", "type": "action", "app": "bigquery", "action": "stream_rows",
              "input": { "dataset": "raw", "table": "copy", "rows": ["{{ item }}"] } },
        ],
    }, { "id": "sum", "type": "set", "value": "{{ steps.each.succeeded }}" }]);
    let warehouse = Warehouse::start(steps).await;
    warehouse.bigquery.fill("raw", "rows", rows(0..130));
    warehouse.bigquery.refuse_next(1, "queries/", StatusCode::SERVICE_UNAVAILABLE, "backendError");
    warehouse.fire(&[]).await;
    let run = warehouse.ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    assert_eq!(run.step("sum").unwrap()["output"], 65, "{}", run.text());
    assert_eq!(run.step("each").unwrap()["output"]["filtered"], 65, "{}", run.text());
    assert_eq!(warehouse.ids("copy"), (0..130).step_by(2).collect());
}

#[tokio::test]
async fn a_run_that_is_cancelled_reads_no_further_page() {
    let warehouse = Warehouse::start(json!([batch("copy", of_pages())])).await;
    warehouse.bigquery.fill("raw", "rows", rows(0..300));
    let held = warehouse.bigquery.hold_next("insertAll");
    warehouse.fire(&[]).await;
    held.arrived().await;
    let runs = warehouse.client.runs(&warehouse.workflow, &warehouse.user).await.unwrap();
    let cancel = format!("/v1/runs/{}/cancel", runs[0].id());
    warehouse.client.post(&cancel, &json!({})).await.unwrap().ok().unwrap();
    held.release();
    let run = warehouse.ended().await;
    assert_eq!(run.status(), "cancelled", "{}", run.text());
    assert_eq!(warehouse.ids("copy").len(), 100);
}

#[tokio::test]
async fn rows_are_loaded_exactly_once_by_a_job_and_tables_are_made_and_widened() {
    let columns = json!([{ "name": "id", "type": "INTEGER", "mode": "REQUIRED" }]);
    let target = json!({ "dataset": "raw", "table": "loaded" });
    let with = |members: Value| {
        let mut input = target.clone();
        input.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        input
    };
    let action = |id: &str, action: &str, input: Value| json!({ "id": id, "type": "action", "app": "bigquery", "action": action, "input": input });
    let steps = json!([
        action("make", "create_table", with(json!({ "columns": columns }))),
        action("made", "create_table", with(json!({ "columns": columns }))),
        action("widen", "add_columns", with(json!({ "sample": { "id": 1, "note": "a" } }))),
        action("load", "load_rows", with(json!({ "rows": "{{ trigger.rows }}" }))),
        { "id": "load_all", "type": "batch", "app": "bigquery", "action": "load_rows", "items": "{{ trigger.rows }}",
          "input": { "dataset": "raw", "table": "copy", "rows": ["{{ item }}"] } },
    ]);
    let mut warehouse = Warehouse::start(steps).await;
    let held = warehouse.bigquery.hold_next("/upload/");
    warehouse.fire(&rows(0..20)).await;
    held.arrived().await;
    // The job is done and nobody was told: the next life finds it by its id.
    warehouse.crash().await;
    held.release();
    let run = warehouse.ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    let created = |id: &str| run.step(id).unwrap()["output"]["created"].clone();
    assert_eq!((created("make"), created("made")), (json!(true), json!(false)));
    assert_eq!(run.step("widen").unwrap()["output"], json!({ "added": ["note"] }));
    assert_eq!(run.step("load").unwrap()["output"]["rows"], 20);
    assert_eq!((warehouse.ids("loaded"), warehouse.ids("copy")), ((0..20).collect(), (0..20).collect()));
    let uploads: Vec<_> = warehouse
        .bigquery
        .requests()
        .iter()
        .filter(|request| request.uri.path().starts_with("/upload/"))
        .map(|request| request.status.as_u16())
        .collect();
    assert_eq!(uploads, [200, 409, 200]);
}

/// A workflow that follows the table which its user fills in, and copies what is new.
fn following() -> Value {
    let options = json!({ "dataset": "raw", "table": "{{ config.table }}", "column": "id", "id": "id" });
    json!({
        "name": "Follow",
        "trigger": { "type": "app", "app": "bigquery", "trigger": "new_rows", "every": "1h", "options": options },
        "fields": [{ "name": "table", "title": "Table", "kind": { "type": "text" }, "required": true }],
        "steps": [{ "id": "copy", "type": "action", "app": "bigquery", "action": "stream_rows",
            "input": { "dataset": "raw", "table": "copy", "rows": ["{{ trigger }}"] } }],
    })
}

#[tokio::test]
async fn new_rows_of_the_table_that_the_user_names_start_runs_over_a_kill_too() {
    let mut warehouse = Warehouse::start(json!([batch("copy", of_event())])).await;
    warehouse.bigquery.fill("raw", "rows", rows(0..8));
    let integration = warehouse.client.create_integration("bigquery").await.unwrap();
    let workflow = warehouse.client.release_workflow(&integration, &following()).await.unwrap();
    let bob = warehouse.client.create_user("bob", "Merchant Bob").await.unwrap();
    let data = json!({ "project": "acme", "access_token": TOKEN });
    let credential = warehouse.client.create_credential(&bob, "bigquery", &data).await.unwrap();
    let install = json!({ "userId": bob, "integrationId": integration, "credentialIds": [credential] });
    let started =
        warehouse.client.post("/2023-12/headless/startInstallation", &install).await.unwrap().ok().unwrap();
    let fields = json!([{ "name": "table", "value": "rows" }]);
    let data = json!([{ "workflowId": workflow, "fields": fields }]);
    let complete = json!({ "installationId": started["installationId"], "data": data });
    warehouse.client.post("/2023-12/headless/completeInstallation", &complete).await.unwrap().ok().unwrap();
    // From the highest number on.
    let first = warehouse.client.runs_ended(&workflow, &bob, 1).await.unwrap();
    assert_eq!(
        (first[0].status(), first[0].0["event"]["data"]["id"].clone()),
        ("succeeded", json!(7)),
        "{}",
        first[0].text()
    );

    warehouse.bigquery.fill("raw", "rows", rows(8..30));
    let listed =
        warehouse.client.get(&format!("/v1/installations?user_id={bob}")).await.unwrap().ok().unwrap();
    let poll = format!("/v1/installations/{}/poll", listed["data"][0]["id"].as_str().unwrap());
    warehouse.client.post(&poll, &json!({})).await.unwrap().ok().unwrap();
    warehouse.crash().await;
    warehouse.client.runs_ended(&workflow, &bob, 23).await.unwrap();
    assert_eq!(warehouse.ids("copy"), (7..30).collect());
    warehouse.client.post(&poll, &json!({})).await.unwrap().ok().unwrap();
    assert_eq!(warehouse.client.runs(&workflow, &bob).await.unwrap().len(), 23, "nothing is new");
}

#[tokio::test]
async fn a_trigger_without_its_options_is_no_release() {
    let warehouse = Warehouse::start(json!([batch("copy", of_event())])).await;
    let integration = warehouse.client.create_integration("bigquery").await.unwrap();
    for (change, at) in [
        (json!({ "dataset": "raw" }), "/trigger/options"),
        (
            json!({ "dataset": "raw", "table": "{{ config.other }}", "column": "id", "id": "id" }),
            "/trigger/options/table",
        ),
        (
            json!({ "dataset": "raw", "table": "{{ trigger.id }}", "column": "id", "id": "id" }),
            "/trigger/options/table",
        ),
    ] {
        let mut definition = following();
        definition["trigger"]["options"] = change;
        let refused = warehouse.client.release_workflow(&integration, &definition).await.unwrap_err();
        assert!(format!("{refused:#}").contains(at), "{refused:#}");
    }
}

#[tokio::test]
async fn every_request_passes_the_judge() {
    let Some(judge) = Judge::start(Vendor::BigQuery).await.unwrap() else {
        println!("SKIPPED every_request_passes_the_judge: no description of BigQuery in ../shared");
        return;
    };
    let input = |members: Value| {
        let mut input = json!({ "dataset": "raw", "table": "made" });
        input.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        input
    };
    let action = |id: &str, action: &str, input: Value| json!({ "id": id, "type": "action", "app": "bigquery", "action": action, "input": input });
    let columns = json!([{ "name": "id", "type": "INTEGER" }, { "name": "at", "type": "TIMESTAMP" }]);
    let table = json!({ "columns": columns, "partition_by": "at", "cluster_by": ["id"] });
    let sql = json!({ "sql": "SELECT * FROM rows", "dataset": "raw", "parameters": { "id": 7, "name": "a" }, "page_rows": 100 });
    let warehouse = Warehouse::start(json!([
        action("make", "create_table", input(table.clone())),
        action("again", "create_table", input(table)),
        action("widen", "add_columns", input(json!({ "sample": { "note": "a" } }))),
        action(
            "load",
            "load_rows",
            input(json!({ "rows": "{{ trigger.rows }}", "add_columns": true, "location": "EU" }))
        ),
        batch("copy", json!({ "from": { "app": "bigquery", "action": "query", "input": sql } })),
    ]))
    .await;
    warehouse.bigquery.fill("raw", "rows", rows(0..250));
    warehouse.bigquery.refuse_next(1, "/upload/", StatusCode::SERVICE_UNAVAILABLE, "backendError");
    warehouse.fire(&rows(0..3)).await;
    let run = warehouse.ended().await;
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    let requests = warehouse.bigquery.requests();
    for request in &requests {
        let request = judged(request);
        let verdict = judge.verdict(&request).await.unwrap();
        assert!(verdict.allows(), "{}: {} {}\n{request:?}", request.line(), verdict.status, verdict.reasons);
    }
    for part in [
        "GET /bigquery/v2/projects/acme/datasets",
        "/tables",
        "PATCH ",
        "insertAll",
        "/jobs",
        "/queries/",
        "/upload/",
    ] {
        assert!(
            requests.iter().any(|request| request.line().contains(part)),
            "{part} was not among what was judged"
        );
    }
    // A judge that accepts everything would prove nothing.
    let mut wrong = requests.iter().find(|request| request.line().ends_with("insertAll")).unwrap().clone();
    wrong.body = r#"{"rows":"none"}"#.into();
    assert!(!judge.verdict(&wrong).await.unwrap().allows(), "rows that are no list");
    let mut anonymous = requests[0].clone();
    anonymous.headers.remove("authorization");
    assert!(!judge.verdict(&anonymous).await.unwrap().allows(), "a request without a token");
}

/// The description knows no uploads: of one, the job is judged, as what it is.
fn judged(request: &Recorded) -> Recorded {
    let mut request = request.clone();
    if request.uri.path().starts_with("/upload/") {
        let text = String::from_utf8(request.body.to_vec()).unwrap();
        let job = text.split("\r\n\r\n").nth(1).unwrap().split("\r\n--").next().unwrap().to_owned();
        request.uri = "/bigquery/v2/projects/acme/jobs".parse().unwrap();
        request.headers.insert("content-type", "application/json".parse().unwrap());
        request.body = job.into();
    }
    request
}

#[tokio::test]
async fn the_connector_works_against_an_emulator_that_knows_sql() {
    let test = "the_connector_works_against_an_emulator_that_knows_sql";
    let Some(emulator) = Emulator::start("acme").await.unwrap() else {
        println!("SKIPPED {test}: there is no python3 with venv");
        return;
    };
    let datasets = format!("{}/bigquery/v2/projects/acme/datasets", emulator.base_url());
    let dataset = json!({ "datasetReference": { "projectId": "acme", "datasetId": "raw" } });
    let request = reqwest::Client::new().post(datasets).header("content-type", "application/json");
    let made = request.body(dataset.to_string()).send().await.unwrap();
    assert!(made.status().is_success(), "{made:?}");
    let columns = json!([
        { "name": "id", "type": "INTEGER" }, { "name": "at", "type": "TIMESTAMP" }, { "name": "raw", "type": "JSON" },
    ]);
    let action = |id: &str, action: &str, input: Value| json!({ "id": id, "type": "action", "app": "bigquery", "action": action, "input": input });
    let row = json!({ "id": "{{ item.id }}", "at": "2026-10-01T10:00:00.5Z", "raw": "{{ item | to_json }}" });
    let query =
        |sql: &str| json!({ "sql": sql, "parameters": { "from": 10 }, "dataset": "raw", "page_rows": 100 });
    let steps = json!([
        action("make", "create_table", json!({ "dataset": "raw", "table": "rows", "columns": columns })),
        action("copy", "create_table", json!({ "dataset": "raw", "table": "copy", "columns": [columns[0]] })),
        { "id": "insert", "type": "batch", "app": "bigquery", "action": "stream_rows", "items": "{{ trigger.rows }}",
          "input": { "dataset": "raw", "table": "rows", "rows": [row] } },
        { "id": "load", "type": "batch", "app": "bigquery", "action": "load_rows",
          "from": { "app": "bigquery", "action": "query", "input": query("SELECT id FROM rows WHERE id >= @from ORDER BY id") },
          "input": { "dataset": "raw", "table": "copy", "rows": [{ "id": "{{ item.id }}" }] } },
        action("count", "query", query("SELECT COUNT(*) AS n, COUNT(DISTINCT id) AS ids, MIN(id) AS low FROM copy")),
        action("first", "query", query("SELECT * FROM rows WHERE id = @from")),
        action("widen", "add_columns", json!({ "dataset": "raw", "table": "copy", "sample": { "note": "a" } })),
    ]);
    let options = HostOptions {
        rewrites: vec![format!("*.googleapis.com={}", emulator.base_url())],
        components: vec![component::bigquery().await.unwrap()],
        ..HostOptions::default()
    };
    let host = TestHost::start(options).await.unwrap();
    let (client, workflow, user) = installed(&host, steps).await;
    let data = json!({ "rows": rows(0..700) });
    client.run_event(EVENT, &user, &data).await.unwrap().ok().unwrap();
    let run = client.runs_ended(&workflow, &user, 1).await.unwrap().remove(0);
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    let items = |step: &str| run.step(step).unwrap()["output"]["items"].clone();
    assert_eq!(items("count"), json!([{ "n": 690, "ids": 690, "low": 10 }]));
    let expected =
        json!([{ "id": 10, "at": "2026-10-01T10:00:00.500000Z", "raw": { "id": 10, "note": "row 10" } }]);
    assert_eq!(items("first"), expected);
    assert_eq!(run.step("widen").unwrap()["output"], json!({ "added": ["note"] }));

    // Rows are followed by a number and by a time.
    let integration = client.create_integration("bigquery").await.unwrap();
    let follow = |column: &str| {
        let options = json!({ "dataset": "raw", "table": "rows", "column": column, "id": "id" });
        let trigger = json!({ "type": "app", "app": "bigquery", "trigger": "new_rows", "every": "1d", "options": options });
        json!({ "name": column, "trigger": trigger, "steps": [{ "id": "a", "type": "set", "value": 1 }] })
    };
    let by_number = client.release_workflow(&integration, &follow("id")).await.unwrap();
    let by_time = client.release_workflow(&integration, &follow("at")).await.unwrap();
    let bob = client.create_user("bob", "Merchant Bob").await.unwrap();
    let data = json!({ "project": "acme", "access_token": TOKEN });
    let credential = client.create_credential(&bob, "bigquery", &data).await.unwrap();
    client.install(&bob, &integration, &credential, &[]).await.unwrap();
    client.runs_ended(&by_number, &bob, 1).await.unwrap();
    client.run_event(EVENT, &user, &json!({ "rows": rows(700..705) })).await.unwrap().ok().unwrap();
    client.runs_ended(&workflow, &user, 2).await.unwrap();
    let listed = client.get(&format!("/v1/installations?user_id={bob}")).await.unwrap().ok().unwrap();
    for installation in listed["data"].as_array().unwrap() {
        let poll = format!("/v1/installations/{}/poll", installation["id"].as_str().unwrap());
        let polled = client.post(&poll, &json!({})).await.unwrap().ok().unwrap();
        let new = if installation["workflow_id"] == by_number.as_str() { 5 } else { 0 };
        assert_eq!(polled["round"]["accepted"], new, "{polled}");
    }
    let followed = client.runs_ended(&by_number, &bob, 6).await.unwrap();
    let ids: BTreeSet<_> = followed.iter().map(|run| id_of(&run.0["event"]["data"])).collect();
    assert_eq!(ids, (699..705).collect());
    assert!(client.runs(&by_time, &bob).await.unwrap().is_empty(), "those are older than the installation");
}

#[tokio::test]
async fn whoever_consents_at_google_streams_with_tokens_that_are_renewed() {
    let warehouse = Warehouse::start(json!([batch("copy", of_event())])).await;
    let Warehouse { bigquery, host, client, .. } = &warehouse;
    let registration = json!({ "client_id": "acmeco", "client_secret": "canary-google-client-secret-0d77" });
    client.put("/v1/apps/bigquery/oauth-client", &registration).await.unwrap().ok().unwrap();
    let bob = client.create_user("bob", "Merchant Bob").await.unwrap();
    let path = format!("/2024-03/headless/oauthUrl?userId={bob}&app=bigquery&project=acme");
    let asked = client.get(&path).await.unwrap().ok().unwrap();
    let url = Url::parse(asked["oauthUrl"].as_str().unwrap()).unwrap();
    assert_eq!((url.host_str(), url.path()), (Some("accounts.google.com"), "/o/oauth2/v2/auth"));
    let given =
        |name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    let said = ["access_type", "prompt", "scope", "code_challenge_method"]
        .map(|name| given(name).unwrap_or_default());
    assert_eq!(said, ["offline", "consent", "https://www.googleapis.com/auth/bigquery", "S256"]);

    // Google's page is a person's; what follows is between the machines.
    bigquery.consented("4/code-of-bob", &given("code_challenge").unwrap());
    let mut back = Url::parse(&given("redirect_uri").unwrap()).unwrap();
    back.query_pairs_mut()
        .append_pair("state", &given("state").unwrap())
        .append_pair("code", "4/code-of-bob");
    let answer = issuer::come_back(host, &back).await.unwrap();
    assert!(answer.status().is_success() || answer.status().is_redirection(), "{answer:?}");
    let connections = client.get(&format!("/v1/users/{bob}/connections")).await.unwrap().ok().unwrap();
    let credential = connections["data"][0]["id"].as_str().unwrap();
    let integration = client.create_integration("bigquery").await.unwrap();
    let definition = json!({
        "name": "Rows", "trigger": { "type": "event", "event": EVENT }, "steps": [batch("copy", of_event())],
    });
    let workflow = client.release_workflow(&integration, &definition).await.unwrap();
    client.install(&bob, &integration, credential, &[]).await.unwrap();
    for (ids, runs) in [(0..20, 1), (20..40, 2)] {
        client.run_event(EVENT, &bob, &json!({ "rows": rows(ids) })).await.unwrap().ok().unwrap();
        let ended = client.runs_ended(&workflow, &bob, runs).await.unwrap();
        assert!(ended.iter().all(|run| run.status() == "succeeded"), "{}", ended[0].text());
        bigquery.end_token("canary-token-that-came-later-77aa");
    }
    assert_eq!(warehouse.ids("copy"), (0..40).collect());
    let tokens = bigquery.requests().into_iter().filter(|request| request.uri.path() == "/token").count();
    assert_eq!(tokens, 2, "the code, and one refresh");
}

#[tokio::test]
async fn a_shops_order_is_in_the_warehouse_whole() {
    let bigquery = BigQuery::start(TOKEN).await.unwrap();
    bigquery.add_table("raw", "orders", json!([{ "name": "raw", "type": "JSON" }]));
    let component = component::bigquery().await.unwrap();
    let rewrite = format!("*.googleapis.com={}", bigquery.base_url());
    let scenario = ShopifyScenario::start_with(|options| {
        options.components.push(component);
        options.rewrites.push(rewrite);
    })
    .await
    .unwrap();
    let ada = scenario.shopkeeper("ada").await.unwrap();
    let definition = json!({
        "name": "Order to warehouse", "trigger": { "type": "app", "app": "shopify", "trigger": "order_created" },
        "steps": [{ "id": "insert", "type": "action", "app": "bigquery", "action": "stream_rows",
            "input": { "dataset": "raw", "table": "orders", "rows": [{ "raw": "{{ trigger | to_json }}" }] } }],
    });
    let integration = &scenario.catalogue.integration;
    let workflow = scenario.client.release_workflow(integration, &definition).await.unwrap();
    let data = json!({ "project": "acme", "access_token": TOKEN });
    let warehouse = scenario.client.create_credential(&ada.user, "bigquery", &data).await.unwrap();
    let install = json!({
        "userId": ada.user, "integrationId": integration, "workflowIds": [workflow],
        "credentialIds": [ada.credential, warehouse],
    });
    let started =
        scenario.client.post("/2023-12/headless/startInstallation", &install).await.unwrap().ok().unwrap();
    let complete = json!({ "installationId": started["installationId"], "data": [] });
    scenario.client.post("/2023-12/headless/completeInstallation", &complete).await.unwrap().ok().unwrap();

    let order = scenario.shopify.create_order(&ada.shop).unwrap();
    let streamed = scenario.isv.wait_for_order(order).await.unwrap();
    let run = scenario.client.runs_ended(&workflow, &ada.user, 1).await.unwrap().remove(0);
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    let rows = bigquery.rows("raw", "orders");
    let raw: Value = serde_json::from_str(rows[0]["raw"].as_str().unwrap()).unwrap();
    assert_eq!((rows.len(), raw), (1, streamed.json()));
}

#[tokio::test]
async fn a_contact_reaches_the_isvs_own_warehouse_by_a_step_that_users_do_not_see() {
    const CLIENT_SECRET: &str = "canary-hubspot-client-secret-77d0";
    let bigquery = BigQuery::start(TOKEN).await.unwrap();
    bigquery.add_table(
        "crm",
        "events",
        json!([{ "name": "portal", "type": "STRING" }, { "name": "raw", "type": "JSON" }]),
    );
    let hubspot = HubSpot::start(CLIENT_SECRET).await.unwrap();
    let options = HostOptions {
        components: vec![component::hubspot().await.unwrap(), component::bigquery().await.unwrap()],
        rewrites: vec![
            format!("api.hubapi.com={}", hubspot.base_url()),
            format!("*.googleapis.com={}", bigquery.base_url()),
        ],
        ..HostOptions::default()
    };
    let host = TestHost::start(options).await.unwrap();
    let client = host.client().unwrap();
    let set = client
        .put("/v1/apps/hubspot/webhook", &json!({ "secrets": { "client_secret": CLIENT_SECRET } }))
        .await;
    let url = set.unwrap().ok().unwrap()["url"].as_str().unwrap().to_owned();
    hubspot.subscribe(&url, host.public_url(), host.base_url());

    let (key, _) = Issuer::start().await.unwrap().service_account("rows@acme.example").unwrap();
    let mut key: Value = serde_json::from_str(&key).unwrap();
    key["token_uri"] = json!("https://oauth2.googleapis.com/token");
    let data = json!({ "project": "acme", "service_account_key": key.to_string() });
    let own = json!({ "app": "bigquery", "data": data });
    client.put("/v1/connections/warehouse", &own).await.unwrap().ok().unwrap();
    let integration = client.create_integration("hubspot").await.unwrap();
    let definition = json!({
        "name": "Contact to warehouse", "trigger": { "type": "app", "app": "hubspot", "trigger": "contact_created" },
        "steps": [{ "id": "insert", "type": "batch", "app": "bigquery", "action": "stream_rows", "connection": "warehouse",
            "items": ["{{ trigger }}"],
            "input": { "dataset": "crm", "table": "events",
                "rows": [{ "portal": "{{ item.portalId }}", "raw": "{{ item | to_json }}" }] } }],
    });
    let workflow = client.release_workflow(&integration, &definition).await.unwrap();
    hubspot.add_portal(7, "canary-pat-ada");
    let ada = client.create_user("ada", "Ada").await.unwrap();
    let data = json!({ "access_token": "canary-pat-ada" });
    let credential = client.create_credential(&ada, "hubspot", &data).await.unwrap();
    client.install(&ada, &integration, &credential, &[]).await.unwrap();
    let seen = client.get(&format!("/2024-03/integrations/{integration}")).await.unwrap().text;
    assert!(!seen.contains("stream_rows"), "the step is hidden: {seen}");

    hubspot.create(7, "contacts", &json!({ "email": "ada@example.com" })).unwrap();
    let sent = hubspot.deliver().await.unwrap();
    let run = client.runs_ended(&workflow, &ada, 1).await.unwrap().remove(0);
    assert_eq!(run.status(), "succeeded", "{}", run.text());
    let rows = bigquery.rows("crm", "events");
    let raw: Value = serde_json::from_str(rows[0]["raw"].as_str().unwrap()).unwrap();
    assert_eq!((rows.len(), raw), (1, sent[0].events()[0].clone()), "the whole event, as it was sent");
    assert!(!run.text().contains(TOKEN) && !host.log().contains("PRIVATE KEY"));
}
