//! The vendor's HTTP surface. Every request is recorded, refused ones too.
#![expect(clippy::indexing_slicing, reason = "a JSON value has null wherever it has nothing")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Json, Path, Query, Request, State as Shelf},
    http::{HeaderMap, StatusCode},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Job, State, locked, tables::Table};
use crate::record::Recorded;

const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
/// What BigQuery takes in one streaming request.
const MAX_REQUEST_BYTES: usize = 10_485_760;
const MAX_ROWS: usize = 50_000;

type App = Shelf<Arc<Mutex<State>>>;

/// A refusal as BigQuery words it.
struct Refusal(StatusCode, &'static str, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, reason, message) = self;
        let errors = json!([{ "domain": "global", "reason": reason, "message": message }]);
        let error = json!({ "code": status.as_u16(), "message": message, "errors": errors });
        (status, Json(json!({ "error": error }))).into_response()
    }
}

type Answer = Result<Json<Value>, Refusal>;

pub(super) fn router(shared: Arc<Mutex<State>>) -> Router {
    let project = "/bigquery/v2/projects/{project}";
    Router::new()
        .route(&format!("{project}/datasets"), get(async || Json(json!({ "kind": "bigquery#datasetList" }))))
        .route(&format!("{project}/datasets/{{dataset}}/tables"), post(create_table))
        .route(&format!("{project}/datasets/{{dataset}}/tables/{{table}}"), get(get_table).patch(patch_table))
        .route(&format!("{project}/datasets/{{dataset}}/tables/{{table}}/insertAll"), post(insert_all))
        .route(&format!("{project}/jobs"), post(insert_query))
        .route(&format!("{project}/jobs/{{job}}"), get(get_job))
        .route(&format!("{project}/queries"), post(query_at_once))
        .route(&format!("{project}/queries/{{job}}"), get(query_results))
        .route(&format!("/upload{project}/jobs"), post(insert_load))
        .route("/token", post(token))
        .layer(from_fn_with_state(Arc::clone(&shared), surround))
        .with_state(shared)
}

/// Records, authenticates, and lets faults happen.
async fn surround(Shelf(shared): App, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        let message = "Request payload size exceeds the limit".to_owned();
        return Refusal(StatusCode::PAYLOAD_TOO_LARGE, "uploadTooLarge", message).into_response();
    };
    let (method, uri, headers) = (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
    let path = uri.to_string();
    let (refused, gate) = {
        let mut state = locked(&shared);
        let fits = |(left, part, ..): &&mut (u32, String, StatusCode, String)| {
            *left > 0 && path.contains(part.as_str())
        };
        let refused = state.refusals.iter_mut().find(fits).map(|(left, _, status, reason)| {
            *left -= 1;
            (*status, reason.clone())
        });
        let at = state.gates.iter().position(|(part, _)| path.contains(part.as_str()));
        let known = headers.get("authorization").and_then(|value| value.to_str().ok());
        let refused = match known {
            // Whoever asks for a token has none yet.
            _ if path == "/token" => refused,
            Some(given) if given == format!("Bearer {}", state.token) => refused,
            _ => Some((StatusCode::UNAUTHORIZED, "authError".to_owned())),
        };
        (refused, at.map(|at| state.gates.remove(at).1))
    };
    let answer = match refused {
        Some((status, reason)) => {
            let errors = json!([{ "domain": "global", "reason": reason, "message": "no" }]);
            let error = json!({ "code": status.as_u16(), "message": "no", "errors": errors });
            (status, Json(json!({ "error": error }))).into_response()
        }
        None => next.run(Request::from_parts(parts, Body::from(body.clone()))).await,
    };
    locked(&shared).requests.push(Recorded { method, uri, headers, body, status: answer.status() });
    if let Some(gate) = gate {
        gate.pass().await;
    }
    answer
}

/// What a refresh takes.
const REFRESH: &str = "1//refresh-token-of-a-person";

/// A refusal as Google's token endpoint words it.
fn refused(what: &str) -> Box<Response> {
    let error = json!({ "error": "invalid_grant", "error_description": what });
    Box::new((StatusCode::BAD_REQUEST, Json(error)).into_response())
}

/// Google's token endpoint: a token for a service account's assertion, a person's code, or a refresh token.
async fn token(Shelf(shared): App, body: Bytes) -> Response {
    issued(&shared, &body).map_or_else(|refused| *refused, IntoResponse::into_response)
}

fn issued(shared: &Mutex<State>, body: &[u8]) -> Result<Json<Value>, Box<Response>> {
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    let member = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let mut answer = json!({ "expires_in": 3599, "token_type": "Bearer" });
    match member("grant_type") {
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => asserted(member("assertion"))?,
        "authorization_code" => {
            let challenge = locked(shared).codes.remove(member("code"));
            let proof = digest(&SHA256, member("code_verifier").as_bytes());
            if challenge != Some(URL_SAFE_NO_PAD.encode(proof)) || member("client_secret").is_empty() {
                return Err(refused("code, code_verifier or client_secret"));
            }
            answer["refresh_token"] = json!(REFRESH);
        }
        "refresh_token" if member("refresh_token") == REFRESH => {}
        other => return Err(refused(other)),
    }
    answer["access_token"] = json!(locked(shared).token);
    Ok(Json(answer))
}

/// Whether an assertion says what Google wants to hear. Whether it is signed well is not looked at here.
fn asserted(assertion: &str) -> Result<(), Box<Response>> {
    let claims = assertion.split('.').nth(1);
    let claims = claims.and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok()).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&claims).map_err(|_| refused("no claims"))?;
    if claims["aud"] != "https://oauth2.googleapis.com/token"
        || claims["scope"] != "https://www.googleapis.com/auth/bigquery"
        || !claims["iss"].is_string()
    {
        return Err(refused("aud, scope or iss"));
    }
    Ok(())
}

type TablePath = Path<(String, String, String)>;

fn not_found(what: &str) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, "notFound", format!("Not found: {what}"))
}

fn table_of<'a>(state: &'a mut State, dataset: &str, table: &str) -> Result<&'a mut Table, Refusal> {
    let key = (dataset.to_owned(), table.to_owned());
    state.tables.get_mut(&key).ok_or_else(|| not_found(&format!("Table {dataset}.{table}")))
}

async fn create_table(
    Shelf(shared): App,
    Path((_, dataset)): Path<(String, String)>,
    Json(asked): Json<Value>,
) -> Answer {
    let table = asked["tableReference"]["tableId"].as_str().unwrap_or_default().to_owned();
    let mut state = locked(&shared);
    if state.tables.contains_key(&(dataset.clone(), table.clone())) {
        return Err(Refusal(
            StatusCode::CONFLICT,
            "duplicate",
            format!("Already Exists: Table {dataset}.{table}"),
        ));
    }
    let made = Table::new(asked["schema"]["fields"].clone());
    let shown = made.shown();
    state.tables.insert((dataset, table), made);
    Ok(Json(shown))
}

async fn get_table(Shelf(shared): App, Path((_, dataset, table)): TablePath) -> Answer {
    Ok(Json(table_of(&mut locked(&shared), &dataset, &table)?.shown()))
}

async fn patch_table(
    Shelf(shared): App,
    Path((_, dataset, table)): TablePath,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Answer {
    let mut state = locked(&shared);
    let table = table_of(&mut state, &dataset, &table)?;
    let wanted = headers.get("if-match").and_then(|value| value.to_str().ok());
    if wanted.is_some_and(|wanted| wanted != format!("v{}", table.version)) {
        return Err(Refusal(
            StatusCode::PRECONDITION_FAILED,
            "conditionNotMet",
            "Precondition Failed".to_owned(),
        ));
    }
    table.columns = asked["schema"]["fields"].as_array().cloned().unwrap_or_default();
    table.version += 1;
    Ok(Json(table.shown()))
}

async fn insert_all(Shelf(shared): App, Path((_, dataset, table)): TablePath, body: Bytes) -> Answer {
    if body.len() > MAX_REQUEST_BYTES {
        let message = format!("Request payload size exceeds the limit: {MAX_REQUEST_BYTES} bytes.");
        return Err(Refusal(StatusCode::BAD_REQUEST, "badRequest", message));
    }
    let asked: Value = serde_json::from_slice(&body)
        .map_err(|error| Refusal(StatusCode::BAD_REQUEST, "parseError", error.to_string()))?;
    let rows = asked["rows"].as_array().cloned().unwrap_or_default();
    if rows.is_empty() || rows.len() > MAX_ROWS {
        let message = format!("too many rows present in the request, or none: {}", rows.len());
        return Err(Refusal(StatusCode::BAD_REQUEST, "invalid", message));
    }
    let mut state = locked(&shared);
    let table = table_of(&mut state, &dataset, &table)?;
    let errors = table.insert(&rows, asked["ignoreUnknownValues"] == true);
    let mut answer = json!({ "kind": "bigquery#tableDataInsertAllResponse" });
    if !errors.is_empty() {
        answer["insertErrors"] = errors.into();
    }
    Ok(Json(answer))
}

/// Takes a job's id, which nobody has had.
fn begun(state: &State, reference: &Value) -> Result<String, Refusal> {
    let id = reference["jobId"].as_str().unwrap_or_default().to_owned();
    if state.jobs.contains_key(&id) {
        return Err(Refusal(StatusCode::CONFLICT, "duplicate", format!("Already Exists: Job {id}")));
    }
    Ok(id)
}

async fn insert_query(Shelf(shared): App, Json(asked): Json<Value>) -> Answer {
    let mut state = locked(&shared);
    let id = begun(&state, &asked["jobReference"])?;
    let query = &asked["configuration"]["query"];
    let sql = query["query"].as_str().unwrap_or_default();
    let named = sql.rsplit(' ').next().unwrap_or_default().replace('`', "");
    let (dataset, table) = match named.split_once('.') {
        Some((dataset, table)) => (dataset.to_owned(), table.to_owned()),
        None => (query["defaultDataset"]["datasetId"].as_str().unwrap_or_default().to_owned(), named),
    };
    let table = table_of(&mut state, &dataset, &table)?;
    let rows = table.rows.iter().map(|row| table.written(row)).collect();
    let result = Some((json!({ "fields": table.columns }), rows));
    let reference = json!({ "projectId": "acme", "jobId": id, "location": "EU" });
    let shown = json!({ "jobReference": reference, "status": { "state": "DONE" }, "statistics": {} });
    state.jobs.insert(id, Job { shown: shown.clone(), result });
    Ok(Json(shown))
}

async fn get_job(Shelf(shared): App, Path((_, id)): Path<(String, String)>) -> Answer {
    let state = locked(&shared);
    let job = state.jobs.get(&id).ok_or_else(|| not_found(&format!("Job {id}")))?;
    Ok(Json(job.shown.clone()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paging {
    max_results: usize,
    #[serde(default)]
    page_token: Option<usize>,
}

async fn query_results(
    Shelf(shared): App,
    Path((_, id)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Answer {
    let state = locked(&shared);
    let result = state.jobs.get(&id).and_then(|job| job.result.as_ref());
    let (schema, rows) = result.ok_or_else(|| not_found(&format!("Job {id}")))?;
    let from = paging.page_token.unwrap_or_default();
    let page: Vec<_> = rows.iter().skip(from).take(paging.max_results).cloned().collect();
    let behind = from + page.len();
    let mut answer = json!({
        "kind": "bigquery#getQueryResultsResponse", "jobComplete": true, "schema": schema, "rows": page,
        "totalRows": rows.len().to_string(),
    });
    if behind < rows.len() {
        answer["pageToken"] = json!(behind.to_string());
    }
    Ok(Json(answer))
}

/// A statement that gives its rows at once. The fake knows no SQL, but those that follow a number: which columns and table
/// they name, and what their parameters mean.
async fn query_at_once(Shelf(shared): App, Json(asked): Json<Value>) -> Answer {
    let sql = asked["query"].as_str().unwrap_or_default().to_owned();
    let names: Vec<&str> = sql.split('`').skip(1).step_by(2).collect();
    let unknown = || Refusal(StatusCode::BAD_REQUEST, "invalidQuery", format!("Syntax error: {sql}"));
    let highest = sql.starts_with("SELECT MAX(");
    let (column, path) = match (names.as_slice(), highest) {
        ([column, path], true) | ([column, _, path, ..], false) => (*column, *path),
        _ => return Err(unknown()),
    };
    let mut place = path.split('.').skip(1);
    let (dataset, table) = place.next().zip(place.next()).ok_or_else(unknown)?;
    let mut state = locked(&shared);
    let table = table_of(&mut state, dataset, table)?;
    let given = |name: &str| {
        let parameters = asked["queryParameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let found = parameters.iter().find(|parameter| parameter["name"] == name);
        found.and_then(|parameter| parameter["parameterValue"]["value"].as_str()?.parse::<i64>().ok())
    };
    let mut rows: Vec<(i64, &Value)> =
        table.rows.iter().filter_map(|row| Some((row[column].as_i64()?, row))).collect();
    rows.sort_by_key(|(at, _)| *at);
    let answer = |rows: Vec<Value>, columns: Vec<Value>| json!({ "kind": "bigquery#queryResponse", "jobComplete": true, "schema": { "fields": columns }, "rows": rows });
    let mut columns = vec![json!({ "name": "trunnion_at" }), json!({ "name": "trunnion_id" })];
    columns.iter_mut().for_each(|column| column["type"] = json!("STRING"));
    if highest {
        let value = rows.last().map_or(Value::Null, |(at, _)| json!(at.to_string()));
        return Ok(Json(answer(vec![json!({ "f": [{ "v": value }, { "v": "" }] })], columns)));
    }
    let wanted =
        |at: i64| given("from").is_none_or(|from| at >= from) && given("at").is_none_or(|behind| at > behind);
    let most = asked["maxResults"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let rows = rows.into_iter().filter(|(at, _)| wanted(*at)).take(most).map(|(at, row)| {
        let mut written = table.written(row);
        if let Some(fields) = written["f"].as_array_mut() {
            fields.splice(..0, [json!({ "v": at.to_string() }), json!({ "v": at.to_string() })]);
        }
        written
    });
    let rows = rows.collect();
    columns.extend(table.columns.clone());
    Ok(Json(answer(rows, columns)))
}

/// A load job: all rows or none.
async fn insert_load(Shelf(shared): App, body: Bytes) -> Answer {
    let text = String::from_utf8_lossy(&body);
    let malformed = || Refusal(StatusCode::BAD_REQUEST, "badRequest", "Malformed multipart body.".to_owned());
    let mut parts = text.split("\r\n\r\n").skip(1);
    let part = |part: Option<&str>| {
        let part = part?.split("\r\n--").next()?;
        Some(part.to_owned())
    };
    let asked = part(parts.next()).ok_or_else(malformed)?;
    let asked: Value = serde_json::from_str(&asked).map_err(|_| malformed())?;
    let data = part(parts.next()).ok_or_else(malformed)?;
    let rows: Vec<Value> = data
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).map_err(|_| malformed()))
        .collect::<Result<_, _>>()?;
    let mut state = locked(&shared);
    let id = begun(&state, &asked["jobReference"])?;
    let to = &asked["configuration"]["load"]["destinationTable"];
    let (dataset, table) =
        (to["datasetId"].as_str().unwrap_or_default(), to["tableId"].as_str().unwrap_or_default());
    let table = table_of(&mut state, dataset, table)?;
    let fault = rows.iter().enumerate().find_map(|(place, row)| {
        let (_, message) = table.fault(row, asked["configuration"]["load"]["ignoreUnknownValues"] == true)?;
        Some(json!({ "reason": "invalid", "location": format!("row {place}"), "message": message }))
    });
    let mut status = json!({ "state": "DONE" });
    let count = rows.len();
    match fault {
        Some(fault) => {
            status["errorResult"] = fault.clone();
            status["errors"] = json!([fault]);
        }
        None => table.rows.extend(rows),
    }
    let shown = json!({
        "jobReference": { "projectId": "acme", "jobId": id, "location": "EU" }, "status": status,
        "statistics": { "load": { "outputRows": count.to_string() } },
    });
    state.jobs.insert(id, Job { shown: shown.clone(), result: None });
    Ok(Json(shown))
}
