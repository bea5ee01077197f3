//! `query`: what a SQL statement gives, page by page.
//!
//! The statement runs as a job of an id of ours, so it runs once however often its first page is asked for: a statement
//! that changes something is safe as well.

use std::rc::Rc;

use serde_json::Map;
use trunnion_sdk::{http::encode, prelude::*};

use crate::{
    api,
    jobs::{self, Job, Reference},
    schema::Column,
    values::{Fields, Item},
};

/// How long BigQuery may hold back its answer while the statement runs, milliseconds.
const PATIENCE_MS: u32 = 20_000;
/// How often it is asked whether the statement has ended.
const MOST_LOOKS: u32 = 4;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct Query {
    /// The statement, in GoogleSQL.
    sql: String,
    /// Values for its `@name`s: texts, whole numbers, numbers, booleans.
    #[serde(default)]
    parameters: Map<String, Value>,
    /// The dataset of tables that are named without one.
    #[serde(default)]
    #[schemars(extend("x-lookup" = "datasets"))]
    dataset: Option<String>,
    /// Rows of one page, at most; BigQuery gives fewer where they are wide.
    #[serde(default = "usual_rows")]
    page_rows: u32,
    /// Where the data is, such as `EU`; where absent, BigQuery finds out.
    #[serde(default)]
    location: Option<String>,
}

const fn usual_rows() -> u32 {
    1_000
}

/// Where the next page is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cursor {
    job: Reference,
    page: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Results {
    #[serde(default)]
    job_reference: Option<Reference>,
    #[serde(default)]
    job_complete: bool,
    #[serde(default)]
    schema: Schema,
    #[serde(default)]
    rows: Vec<Fields>,
    #[serde(default)]
    page_token: Option<String>,
}

#[derive(Default, Deserialize)]
struct Schema {
    #[serde(default)]
    fields: Vec<Column>,
}

/// One page of what the statement gives.
pub(crate) fn query(ctx: &Context, input: Query, cursor: Option<Cursor>) -> Result<Listing<Item, Cursor>> {
    let (job, page) = match cursor {
        Some(Cursor { job, page }) => (job, Some(page)),
        None => (begin(ctx, &input)?, None),
    };
    let Results { schema, rows, page_token, .. } = results(ctx, &job, page.as_deref(), input.page_rows)?;
    let columns: Rc<[Column]> = schema.fields.into();
    let items = rows.into_iter().map(|row| Item::new(&columns, row)).collect();
    let next = page_token.filter(|token| !token.is_empty()).map(|page| Cursor { job, page });
    Ok(Listing { items, next })
}

fn begin(ctx: &Context, input: &Query) -> Result<Reference> {
    let Query { sql, parameters, dataset, location, .. } = input;
    let project = ctx.parameter(api::PROJECT)?;
    let mut query = Map::new();
    query.insert("query".to_owned(), json!(sql));
    query.insert("useLegacySql".to_owned(), json!(false));
    if !parameters.is_empty() {
        let parameters = parameters.iter().map(|(name, value)| parameter(name, value));
        query.insert("parameterMode".to_owned(), json!("NAMED"));
        query.insert("queryParameters".to_owned(), parameters.collect::<Result<Vec<_>>>()?.into());
    }
    if let Some(dataset) = dataset {
        query.insert("defaultDataset".to_owned(), json!({ "projectId": project, "datasetId": dataset }));
    }
    let insert = |id: &str| -> Result<Job> {
        let mut reference = json!({ "projectId": project, "jobId": id });
        if let (Some(location), Some(members)) = (location, reference.as_object_mut()) {
            members.insert("location".to_owned(), json!(location));
        }
        let job = json!({ "jobReference": reference, "configuration": { "query": query } });
        api::post(ctx, "/jobs")?.json(&job)?.repeatable().send()?.json()
    };
    Ok(jobs::once(ctx, "query", location.as_deref(), insert)?.job_reference)
}

/// A statement that only reads, so that it may run twice.
pub(crate) struct Statement<'s> {
    pub(crate) sql: String,
    /// As BigQuery writes them.
    pub(crate) parameters: Vec<Value>,
    pub(crate) location: Option<&'s str>,
    /// Rows that it gives at most.
    pub(crate) rows: u32,
}

/// What a statement gives: columns, rows, and whether there were more than an answer holds.
pub(crate) fn at_once(ctx: &Context, statement: &Statement<'_>) -> Result<(Vec<Column>, Vec<Fields>, bool)> {
    let Statement { sql, parameters, location, rows } = statement;
    let mut asked = json!({
        "query": sql, "useLegacySql": false, "maxResults": rows, "timeoutMs": PATIENCE_MS,
        "formatOptions": { "useInt64Timestamp": true },
    });
    if let Some(members) = asked.as_object_mut() {
        if !parameters.is_empty() {
            members.insert("parameterMode".to_owned(), json!("NAMED"));
            members.insert("queryParameters".to_owned(), json!(parameters));
        }
        if let Some(location) = location {
            members.insert("location".to_owned(), json!(location));
        }
    }
    let mut given: Results = api::post(ctx, "/queries")?.json(&asked)?.repeatable().send()?.json()?;
    if !given.job_complete {
        let Some(job) = given.job_reference else {
            return Err(Error::other("answer-not-understood", "BigQuery began a statement and named no job"));
        };
        given = results(ctx, &job, None, *rows)?;
    }
    let Results { schema, rows, page_token, .. } = given;
    Ok((schema.fields, rows, page_token.is_some_and(|token| !token.is_empty())))
}

fn parameter(name: &str, value: &Value) -> Result<Value> {
    let (kind, text) = match value {
        Value::String(text) => ("STRING", text.clone()),
        Value::Bool(value) => ("BOOL", value.to_string()),
        Value::Number(number) if number.is_i64() => ("INT64", number.to_string()),
        Value::Number(number) => ("FLOAT64", number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            let message =
                "is no text, number or boolean; write it into the statement, or pass it as JSON text";
            return Err(Error::invalid_input(format!("/parameters/{name}"), message));
        }
    };
    Ok(json!({ "name": name, "parameterType": { "type": kind }, "parameterValue": { "value": text } }))
}

fn results(ctx: &Context, job: &Reference, page: Option<&str>, rows: u32) -> Result<Results> {
    let path = format!("/queries/{}", encode(&job.job_id));
    for _ in 0..MOST_LOOKS {
        let mut request = api::get(ctx, &path)?
            .query("maxResults", &rows.max(1).to_string())
            .query("timeoutMs", &PATIENCE_MS.to_string())
            .query("formatOptions.useInt64Timestamp", "true");
        if let Some(location) = &job.location {
            request = request.query("location", location);
        }
        if let Some(page) = page {
            request = request.query("pageToken", page);
        }
        let results: Results = request.send()?.json()?;
        if results.job_complete {
            return Ok(results);
        }
    }
    // The next attempt finds the job by its id.
    Err(Error::Unavailable("the statement is still running; it is looked at again".to_owned()))
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost, every_item};

    use super::*;
    use crate::{
        api::testing::{PROJECT_URL, host, refusal},
        connector,
    };

    const SQL: &str = r#"{"sql":"SELECT * FROM orders WHERE id > @id","parameters":{"id":7,"name":"Ada"},"dataset":"raw","page_rows":2}"#;

    fn id(host: &FakeHost) -> String {
        format!("trunnion_{}_query", host.context().idempotency_key())
    }

    fn begun(host: &FakeHost) -> Answer {
        let reference = json!({ "projectId": "acme", "jobId": id(host), "location": "EU" });
        Answer::json(200, &json!({ "jobReference": reference, "status": { "state": "RUNNING" } }))
    }

    fn page(ids: &[u64], next: Option<&str>) -> Answer {
        let rows: Vec<_> = ids.iter().map(|id| json!({ "f": [{ "v": id.to_string() }] })).collect();
        let schema = json!({ "fields": [{ "name": "id", "type": "INTEGER" }] });
        Answer::json(200, &json!({ "jobComplete": true, "schema": schema, "rows": rows, "pageToken": next }))
    }

    #[test]
    fn every_page_of_one_job_is_read() {
        let host = host();
        host.http().once("POST", &format!("{PROJECT_URL}/jobs"), begun(&host));
        let results = format!("{PROJECT_URL}/queries/{}", id(&host));
        host.http().once("GET", &results, Answer::json(200, &json!({ "jobComplete": false })));
        host.http().once("GET", &results, page(&[8, 9], Some("p2")));
        host.http().once("GET", &results, page(&[10], None));
        let items = every_item(&connector(), &host.calling("query"), SQL).unwrap();
        assert_eq!(items, [json!({ "id": 8 }), json!({ "id": 9 }), json!({ "id": 10 })]);
        let requests = host.http().requests();
        let query = &requests[0].json()["configuration"]["query"];
        assert_eq!(query["defaultDataset"], json!({ "projectId": "acme", "datasetId": "raw" }));
        let expected =
            json!({ "name": "id", "parameterType": { "type": "INT64" }, "parameterValue": { "value": "7" } });
        assert_eq!(query["queryParameters"][0], expected);
        assert!(requests[3].query().contains("location=EU&pageToken=p2"), "{}", requests[3].query());
    }

    #[test]
    fn asked_again_the_statement_does_not_run_again() {
        let host = host();
        host.http().once("POST", &format!("{PROJECT_URL}/jobs"), refusal(409, "duplicate", "Already Exists"));
        let known = json!({ "jobReference": { "projectId": "acme", "jobId": id(&host) }, "status": { "state": "DONE" } });
        host.http().once("GET", &format!("{PROJECT_URL}/jobs/{}", id(&host)), Answer::json(200, &known));
        host.http().once("GET", &format!("{PROJECT_URL}/queries/{}", id(&host)), page(&[8], None));
        let first = connector().run(&host.calling("query"), SQL).unwrap();
        assert_eq!(first, r#"{"items":[{"id":8}],"next":null}"#);
    }

    #[test]
    fn a_statement_that_fails_says_why() {
        let host = host();
        host.http().once("POST", &format!("{PROJECT_URL}/jobs"), begun(&host));
        let results = format!("{PROJECT_URL}/queries/{}", id(&host));
        host.http().once("GET", &results, refusal(400, "invalidQuery", "Syntax error at [1:8]"));
        let error = connector().run(&host.calling("query"), SQL).unwrap_err();
        assert!(
            matches!(&error, Error::Rejected { message, .. } if message.contains("Syntax error at [1:8]")),
            "{error}"
        );
        let wrong = r#"{"sql":"SELECT 1","parameters":{"a":[1]}}"#;
        let error = connector().run(&host.calling("query"), wrong).unwrap_err();
        assert!(matches!(&error, Error::InvalidInput { field, .. } if field == "/parameters/a"), "{error}");
    }
}
