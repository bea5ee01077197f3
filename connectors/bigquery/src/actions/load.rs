//! `load_rows`: rows by a load job, all of them or none, exactly once.
//!
//! The job's id is made of the idempotency key: however often it is asked for, BigQuery runs it once. Jobs take seconds,
//! and a table takes 1,500 of them a day, so this is for many rows at a time.

use trunnion_sdk::prelude::*;

use crate::{
    api,
    jobs::{self, Job},
    rows::Row,
    schema::Column,
};

/// Inputs of one job.
pub(crate) const MOST_INPUTS: u32 = 10_000;

/// What a request may hold of the host's allowance of 16 MB.
const MOST_BYTES: usize = 15_000_000;

/// A reference to a secret, in which the host would write one; and the same JSON text, in which it sees none.
const SECRET_OPENING: &str = "{{secret:";
const SECRET_OPENING_NEUTRAL: &str = "{\\u007bsecret:";

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct LoadRows {
    /// The dataset.
    #[schemars(extend("x-lookup" = "datasets"))]
    dataset: String,
    /// The table.
    #[schemars(extend("x-lookup" = "tables"))]
    table: String,
    /// The rows.
    rows: Vec<Row>,
    /// What becomes of the rows that are there.
    #[serde(default)]
    write: Write,
    /// Makes the table where it is not there, from `columns`, or else from the rows.
    #[serde(default)]
    create: bool,
    /// The table's columns, where it is made.
    #[serde(default)]
    columns: Vec<Column>,
    /// Adds columns that the rows have and the table lacks.
    #[serde(default)]
    add_columns: bool,
    /// Drops members that are no column, instead of failing.
    #[serde(default)]
    ignore_unknown_values: bool,
    /// Where the dataset is, such as `EU`; where absent, BigQuery finds out.
    #[serde(default)]
    location: Option<String>,
}

/// What becomes of the rows that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Write {
    /// They stay.
    #[default]
    Append,
    /// They go.
    Replace,
}

/// Rows of one job.
struct Sink<'a> {
    /// Where they go, and how: the first input that says so.
    input: &'a LoadRows,
    rows: Vec<&'a Row>,
}

impl LoadRows {
    /// Whether the rows of both go to one table in one way.
    fn goes_with(&self, other: &Self) -> bool {
        self.dataset == other.dataset
            && self.table == other.table
            && self.write == other.write
            && self.create == other.create
            && self.columns == other.columns
            && self.add_columns == other.add_columns
            && self.ignore_unknown_values == other.ignore_unknown_values
            && self.location == other.location
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Loaded {
    /// The job.
    job: String,
    /// Rows that it wrote.
    rows: u64,
}

/// Loads the rows of one input.
pub(crate) fn load_rows(ctx: &Context, input: LoadRows) -> Result<Loaded> {
    load(ctx, "load", &Sink { input: &input, rows: input.rows.iter().collect() })
}

/// Loads the rows of many inputs, with one job for each table. A job fails as a whole, so the call does.
pub(crate) fn load_batch(ctx: &Context, inputs: Vec<LoadRows>) -> Result<Vec<Result<()>>> {
    let mut sinks: Vec<Sink<'_>> = Vec::new();
    for input in &inputs {
        match sinks.iter_mut().find(|sink| sink.input.goes_with(input)) {
            Some(sink) => sink.rows.extend(&input.rows),
            None => sinks.push(Sink { input, rows: input.rows.iter().collect() }),
        }
    }
    for (number, sink) in sinks.iter().enumerate() {
        load(ctx, &format!("load{number}"), sink)?;
    }
    Ok(inputs.iter().map(|_| Ok(())).collect())
}

fn load(ctx: &Context, what: &str, sink: &Sink<'_>) -> Result<Loaded> {
    let Sink { input, rows } = sink;
    for row in rows {
        row.check()?;
    }
    let bytes: usize = rows.iter().map(|row| row.bytes() + 1).sum();
    if bytes > MOST_BYTES {
        let message = format!("have {bytes} bytes; one job takes {MOST_BYTES}: give fewer at a time");
        return Err(Error::invalid_input("/rows", message));
    }
    let project = ctx.parameter(api::PROJECT)?;
    let mut load = json!({
        "destinationTable": { "projectId": project, "datasetId": input.dataset, "tableId": input.table },
        "sourceFormat": "NEWLINE_DELIMITED_JSON",
        "writeDisposition": match input.write { Write::Append => "WRITE_APPEND", Write::Replace => "WRITE_TRUNCATE" },
        "createDisposition": if input.create { "CREATE_IF_NEEDED" } else { "CREATE_NEVER" },
        "ignoreUnknownValues": input.ignore_unknown_values,
    });
    if let Some(load) = load.as_object_mut() {
        if !input.columns.is_empty() {
            load.insert("schema".to_owned(), json!({ "fields": input.columns }));
        } else if input.create || input.add_columns {
            load.insert("autodetect".to_owned(), json!(true));
        }
        if input.add_columns {
            load.insert("schemaUpdateOptions".to_owned(), json!(["ALLOW_FIELD_ADDITION"]));
        }
    }
    let location = input.location.as_deref();
    let insert = |id: &str| -> Result<Job> {
        let mut reference = json!({ "projectId": project, "jobId": id });
        if let (Some(location), Some(members)) = (location, reference.as_object_mut()) {
            members.insert("location".to_owned(), json!(location));
        }
        let job = json!({ "jobReference": reference, "configuration": { "load": load } });
        let (content_type, body) = multipart(id, &job, rows);
        api::upload(ctx)?.body(&content_type, body).repeatable().send()?.json()
    };
    let job = jobs::ended(ctx, jobs::once(ctx, what, location, insert)?)?;
    let written = job.statistics.pointer("/load/outputRows").and_then(Value::as_str);
    Ok(Loaded {
        rows: written.and_then(|rows| rows.parse().ok()).unwrap_or_default(),
        job: job.job_reference.job_id,
    })
}

/// A job and its rows as `multipart/related`. The job's id, which no row can know, is the boundary.
fn multipart(id: &str, job: &Value, rows: &[&Row]) -> (String, Vec<u8>) {
    let mut data = String::with_capacity(rows.iter().map(|row| row.bytes() + 1).sum());
    for row in rows {
        // Between JSON's tokens a line break is a space.
        data.extend(
            row.json()
                .get()
                .chars()
                .map(|character| if matches!(character, '\n' | '\r') { ' ' } else { character }),
        );
        data.push('\n');
    }
    let body = format!(
        "--{id}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{job}\r\n--{id}\r\nContent-Type: \
         application/octet-stream\r\n\r\n{data}\r\n--{id}--\r\n"
    );
    // Data from outside can never make the host write a secret into it.
    let body = if body.contains(SECRET_OPENING) {
        body.replace(SECRET_OPENING, SECRET_OPENING_NEUTRAL)
    } else {
        body
    };
    (format!("multipart/related; boundary={id}"), body.into_bytes())
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost};

    use super::*;
    use crate::{
        api::testing::{PROJECT_URL, UPLOAD_URL, host, refusal},
        connector,
    };

    fn id(host: &FakeHost, rest: &str) -> String {
        format!("trunnion_{}_{rest}", host.context().idempotency_key())
    }

    fn job(id: &str, state: &str, failed: Option<&str>) -> Value {
        let mut status = json!({ "state": state });
        if let Some(message) = failed {
            status["errorResult"] = json!({ "reason": "invalid", "message": message });
            status["errors"] =
                json!([{ "reason": "invalid", "location": "row 3", "message": "no such column" }]);
        }
        json!({
            "jobReference": { "projectId": "acme", "jobId": id, "location": "EU" }, "status": status,
            "statistics": { "load": { "outputRows": "2" } },
        })
    }

    fn load(host: &FakeHost) -> Result<Value> {
        let input = "{\"dataset\":\"raw\",\"table\":\"orders\",\"rows\":[{\"id\":\n1.10},{\"t\":\"{{secret:x}}\"}],\"add_columns\":true}";
        let output = connector().run(&host.calling("load_rows"), input)?;
        Ok(serde_json::from_str(&output).unwrap())
    }

    #[test]
    fn a_job_carries_its_rows_and_is_waited_for() {
        let host = host();
        let own = id(&host, "load");
        host.http().once("POST", UPLOAD_URL, Answer::json(200, &job(&own, "RUNNING", None)));
        let looked = format!("{PROJECT_URL}/jobs/{own}");
        host.http().once("GET", &looked, Answer::json(200, &job(&own, "RUNNING", None)));
        host.http().once("GET", &looked, Answer::json(200, &job(&own, "DONE", None)));
        assert_eq!(load(&host).unwrap(), json!({ "job": own, "rows": 2 }));
        let requests = host.http().requests();
        assert_eq!(requests[0].query(), "uploadType=multipart");
        assert_eq!(requests[1].query(), "location=EU");
        let text = requests[0].text();
        assert!(text.contains("\r\n\r\n{\"id\": 1.10}\n{\"t\":\"{\\u007bsecret:x}}\"}\n\r\n--"), "{text}");
        assert!(text.contains(r#""schemaUpdateOptions":["ALLOW_FIELD_ADDITION"]"#), "{text}");
        assert!(text.contains(r#""createDisposition":"CREATE_NEVER""#), "{text}");
    }

    #[test]
    fn a_job_that_is_known_is_not_begun_again() {
        let host = host();
        let own = id(&host, "load");
        host.http().once("POST", UPLOAD_URL, refusal(409, "duplicate", "Already Exists: Job"));
        host.http().once(
            "GET",
            &format!("{PROJECT_URL}/jobs/{own}"),
            Answer::json(200, &job(&own, "DONE", None)),
        );
        assert_eq!(load(&host).unwrap()["job"], own.as_str());
        assert_eq!(host.http().requests().len(), 2);
    }

    #[test]
    fn a_job_that_failed_before_is_begun_with_another_id_and_one_that_fails_now_says_why() {
        let host = host();
        let (own, second) = (id(&host, "load"), id(&host, "load_2"));
        host.http().once("POST", UPLOAD_URL, refusal(409, "duplicate", "Already Exists: Job"));
        host.http().once(
            "GET",
            &format!("{PROJECT_URL}/jobs/{own}"),
            Answer::json(200, &job(&own, "DONE", Some("bad"))),
        );
        host.http().once("POST", UPLOAD_URL, Answer::json(200, &job(&second, "DONE", Some("bad again"))));
        let error = load(&host).unwrap_err();
        assert!(
            matches!(&error, Error::Rejected { status: 400, message }
            if message.contains("bad again (invalid)") && message.contains("row 3 no such column")),
            "{error}"
        );
    }

    #[test]
    fn a_job_that_takes_long_is_looked_at_by_the_next_attempt() {
        let host = host();
        let own = id(&host, "load");
        host.http().once("POST", UPLOAD_URL, Answer::json(200, &job(&own, "PENDING", None)));
        let running = job(&own, "RUNNING", None);
        host.http().on("GET", &format!("{PROJECT_URL}/jobs/{own}"), move |_| Answer::json(200, &running));
        assert!(
            matches!(load(&host), Err(Error::Unavailable(message)) if message.contains("still under way"))
        );
    }

    #[test]
    fn a_batch_is_one_job_for_each_table() {
        let host = host();
        host.http().on("POST", UPLOAD_URL, |_| Answer::json(200, &job("any", "DONE", None)));
        let item =
            |table: &str, id: u32| format!(r#"{{"dataset":"raw","table":"{table}","rows":[{{"id":{id}}}]}}"#);
        let items = [item("a", 1), item("b", 2), item("a", 3)];
        let answers = connector().run_batch(&host.calling("load_rows"), &items).unwrap();
        assert_eq!(answers, [Ok("null".to_owned()), Ok("null".to_owned()), Ok("null".to_owned())]);
        let bodies: Vec<_> = host.http().requests().iter().map(|seen| seen.text()).collect();
        assert_eq!(bodies.len(), 2);
        assert!(bodies[0].contains("{\"id\":1}\n{\"id\":3}\n"), "{}", bodies[0]);
    }
}
