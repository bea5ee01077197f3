//! `stream_rows`: rows by `tabledata.insertAll`, there within seconds.
//!
//! One row that does not fit keeps BigQuery from inserting any of its request: the others come back as `stopped`. So they
//! are sent again without it, and it alone is refused. Each row carries an id made of the idempotency key, by which
//! BigQuery drops, for about a minute, what it has seen.

use serde_json::value::RawValue;
use trunnion_sdk::prelude::*;

use crate::{
    api::{self, table},
    rows::Row,
};

/// What BigQuery recommends for one request.
pub(crate) const MOST_ROWS: u32 = 500;
/// What one request may weigh, with room for what stands around the rows: BigQuery takes 10 MB.
const MOST_BYTES: usize = 9_500_000;
/// What stands around one row: its id and member names.
const AROUND_ROW: usize = 120;
/// How often what was stopped is sent again. Each time at least one more row is found not to fit.
const MOST_ROUNDS: usize = 20;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct StreamRows {
    /// The dataset.
    #[schemars(extend("x-lookup" = "datasets"))]
    dataset: String,
    /// The table, which must exist.
    #[schemars(extend("x-lookup" = "tables"))]
    table: String,
    /// The rows.
    rows: Vec<Row>,
    /// Drops members that are no column, instead of refusing their row.
    #[serde(default)]
    ignore_unknown_values: bool,
}

/// Where rows go, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sink<'a> {
    dataset: &'a str,
    table: &'a str,
    ignore_unknown_values: bool,
}

/// A row on its way.
struct Sent<'a> {
    /// Which of the call's inputs it belongs to.
    item: usize,
    /// Its place there.
    place: usize,
    insert_id: String,
    row: &'a Row,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InsertAll<'a> {
    ignore_unknown_values: bool,
    rows: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    insert_id: &'a str,
    json: &'a RawValue,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inserted {
    #[serde(default)]
    insert_errors: Vec<InsertErrors>,
}

#[derive(Deserialize)]
struct InsertErrors {
    #[serde(default)]
    index: usize,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    location: String,
    #[serde(default)]
    message: String,
}

impl Fault {
    /// Whether the row itself is at fault; else it shares the request with one that is, or BigQuery failed.
    fn is_final(&self) -> bool {
        !matches!(self.reason.as_str(), "stopped" | "timeout" | "backendError" | "internalError")
    }

    fn error(&self) -> Error {
        let Self { reason, location, message } = self;
        let at = if location.is_empty() { String::new() } else { format!("`{location}`: ") };
        let message = if message.is_empty() { "no explanation" } else { message };
        Error::rejected(400, format!("BigQuery refuses the row: {at}{message} ({reason})"))
    }
}

/// What became of a row. What is named was not inserted, whether for its own sake or another row's; the rest was.
enum Fate {
    Inserted,
    Stopped,
    Refused(Error),
}

/// What is wrong with the rows of one input.
struct Refusal {
    /// The place of the first row that was refused.
    first: usize,
    error: Error,
    /// How many were.
    count: usize,
}

impl Refusal {
    /// As the input's error: the rest of its rows are in the table all the same.
    fn of(self, rows: usize) -> Error {
        let Self { first, error, count } = self;
        match (rows, error) {
            (2.., Error::Rejected { status, message }) => Error::Rejected {
                status,
                message: format!(
                    "{count} of {rows} rows were refused, the others inserted; row {first}: {message}"
                ),
            },
            (_, error) => error,
        }
    }
}

/// Streams the rows of one input.
pub(crate) fn stream_rows(ctx: &Context, input: StreamRows) -> Result<()> {
    let mut answers = stream_batch(ctx, vec![input])?;
    answers.pop().unwrap_or(Ok(()))
}

/// Streams the rows of many inputs, each of which answers for its own.
pub(crate) fn stream_batch(ctx: &Context, inputs: Vec<StreamRows>) -> Result<Vec<Result<()>>> {
    let mut refusals: Vec<Option<Refusal>> = inputs.iter().map(|_| None).collect();
    let mut sinks: Vec<(Sink<'_>, Vec<Sent<'_>>)> = Vec::new();
    let mut number = 0;
    for (item, input) in inputs.iter().enumerate() {
        let mut rows = Vec::with_capacity(input.rows.len());
        for (place, row) in input.rows.iter().enumerate() {
            let insert_id = format!("{}-{number}", ctx.idempotency_key());
            number += 1;
            match checked(row) {
                Ok(()) => rows.push(Sent { item, place, insert_id, row }),
                Err(error) => refuse(&mut refusals, item, place, error),
            }
        }
        match sinks.iter_mut().find(|(sink, _)| *sink == input.sink()) {
            Some((_, others)) => others.append(&mut rows),
            None => sinks.push((input.sink(), rows)),
        }
    }
    for (sink, rows) in &sinks {
        for request in requests(rows) {
            insert(ctx, *sink, request, &mut refusals)?;
        }
    }
    let answer = |(refusal, input): (Option<Refusal>, &StreamRows)| match refusal {
        None => Ok(()),
        Some(refusal) => Err(refusal.of(input.rows.len())),
    };
    Ok(refusals.into_iter().zip(&inputs).map(answer).collect())
}

impl StreamRows {
    fn sink(&self) -> Sink<'_> {
        let Self { dataset, table, ignore_unknown_values, .. } = self;
        Sink { dataset, table, ignore_unknown_values: *ignore_unknown_values }
    }
}

fn checked(row: &Row) -> Result<()> {
    row.check()?;
    if row.bytes() > MOST_BYTES {
        return Err(Error::rejected(413, format!("the row has {} bytes; BigQuery takes 10 MB", row.bytes())));
    }
    Ok(())
}

fn refuse(refusals: &mut [Option<Refusal>], item: usize, place: usize, error: Error) {
    if let Some(refusal) = refusals.get_mut(item) {
        refusal.get_or_insert(Refusal { first: place, error, count: 0 }).count += 1;
    }
}

/// Divides rows so that BigQuery takes each part as one request. The same rows are always divided the same way.
fn requests<'r>(rows: &'r [Sent<'r>]) -> Vec<Vec<&'r Sent<'r>>> {
    let mut requests = Vec::new();
    let (mut request, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let size = row.row.bytes() + AROUND_ROW;
        if !request.is_empty() && (request.len() >= MOST_ROWS as usize || bytes + size > MOST_BYTES) {
            requests.push(std::mem::take(&mut request));
            bytes = 0;
        }
        bytes += size;
        request.push(row);
    }
    if !request.is_empty() {
        requests.push(request);
    }
    requests
}

/// Inserts the rows of one request, without those that do not fit.
fn insert<'r>(
    ctx: &Context,
    sink: Sink<'_>,
    mut rows: Vec<&'r Sent<'r>>,
    refusals: &mut [Option<Refusal>],
) -> Result<()> {
    let path = format!("{}/insertAll", table(sink.dataset, sink.table));
    for _ in 0..MOST_ROUNDS {
        let entry = |sent: &&'r Sent<'r>| Entry { insert_id: &sent.insert_id, json: sent.row.json() };
        let body = InsertAll {
            ignore_unknown_values: sink.ignore_unknown_values,
            rows: rows.iter().map(entry).collect(),
        };
        // Its rows carry their ids: BigQuery drops what it has seen.
        let answer: Inserted = api::post(ctx, &path)?.json(&body)?.repeatable().send()?.json()?;
        if answer.insert_errors.is_empty() {
            return Ok(());
        }
        let mut fates: Vec<Fate> = rows.iter().map(|_| Fate::Inserted).collect();
        for InsertErrors { index, errors } in &answer.insert_errors {
            let Some(fate) = fates.get_mut(*index) else { continue };
            match errors.iter().find(|fault| fault.is_final()) {
                Some(fault) => *fate = Fate::Refused(fault.error()),
                None if matches!(fate, Fate::Inserted) => *fate = Fate::Stopped,
                None => {}
            }
        }
        if !fates.iter().any(|fate| matches!(fate, Fate::Refused(_))) {
            break;
        }
        let mut stopped = Vec::new();
        for (sent, fate) in rows.into_iter().zip(fates) {
            match fate {
                Fate::Refused(error) => refuse(refusals, sent.item, sent.place, error),
                Fate::Stopped => stopped.push(sent),
                Fate::Inserted => {}
            }
        }
        if stopped.is_empty() {
            return Ok(());
        }
        rows = stopped;
    }
    let Sink { dataset, table, .. } = sink;
    Err(Error::Unavailable(format!(
        "BigQuery stopped inserting into `{dataset}.{table}` and named no row at fault"
    )))
}

#[cfg(test)]
mod tests;
