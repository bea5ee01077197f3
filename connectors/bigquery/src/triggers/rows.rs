//! `new_rows`: rows of a table whose column has passed what was seen, such as a time of change or a number that grows.
//!
//! Pages are told apart by the column's value and the row's id together, so rows of the same value are neither skipped nor
//! read in circles. A time may show up late (a streaming buffer, a slow writer), so each round of a `TIMESTAMP` looks back;
//! of other types nothing is known of how far back that would be.

use std::{rc::Rc, time::Duration};

use trunnion_sdk::{
    prelude::*,
    trigger::{Occurrence, Page, Poll, Polling},
};

use crate::{
    actions::{
        query::{Statement, at_once},
        table,
    },
    api,
    rows::Row,
    schema::Column,
    values::{Item, rfc3339},
};

/// Rows of one page.
const OF_PAGE: u32 = 1_000;

/// How late a row may show up with an earlier time.
const OVERLAP: Duration = Duration::from_secs(600);

/// Which rows.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct Options {
    /// The dataset.
    #[schemars(extend("x-lookup" = "datasets"))]
    dataset: String,
    /// The table or view.
    #[schemars(extend("x-lookup" = "tables"))]
    table: String,
    /// The column that grows: a `TIMESTAMP` at best, or a `DATETIME`, `DATE`, `INTEGER`, `NUMERIC` or `STRING`.
    column: String,
    /// The column that tells rows apart. Rows without a value there are not seen.
    id: String,
    /// Where the dataset is, such as `europe-west3`; where absent, BigQuery finds out.
    #[serde(default)]
    location: Option<String>,
}

/// A position: values as BigQuery writes them, times as microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// The column's type, as parameters name it.
    kind: String,
    /// Nothing earlier is asked for; none where the table had no row.
    from: Option<String>,
    /// The highest value that finished rounds have seen.
    seen: Option<String>,
    /// In the middle of a round: the last row of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behind: Option<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    at: String,
    id: String,
}

#[derive(Debug)]
pub(crate) struct NewRows;

impl Poll for NewRows {
    type Data = Row;
    type Cursor = Cursor;
    const POLLING: Polling = Polling::every(Duration::from_secs(900)).overlap(OVERLAP);

    fn start(ctx: &Context) -> Result<Cursor> {
        let options = Options::of(ctx)?;
        let columns = table::read(ctx, &options.dataset, &options.table)?.schema.fields;
        let column = found(&columns, "column", &options.column)?;
        found(&columns, "id", &options.id)?;
        let kind = parameter_type(column)?.to_owned();
        let from = if kind == TIMESTAMP {
            Some(micros(ctx.polling_since_ms()).to_string())
        } else {
            options.highest(ctx)?
        };
        Ok(Cursor { kind, seen: from.clone(), from, behind: None })
    }

    fn poll(ctx: &Context, cursor: Cursor) -> Result<Page<Row, Cursor>> {
        let options = Options::of(ctx)?;
        let statement = options.page(ctx, &cursor)?;
        let (columns, rows, cut) = at_once(ctx, &statement)?;
        let columns: Rc<[Column]> = columns.into_iter().skip(2).collect();
        let more = cut || rows.len() >= OF_PAGE as usize;
        if rows.is_empty() && cut {
            return Err(Error::Unavailable("BigQuery gave none of the rows that there are".to_owned()));
        }
        let (mut occurrences, mut last) = (Vec::with_capacity(rows.len()), None);
        for mut row in rows {
            let [at, id] = row.take_two();
            let at_ms =
                at.parse::<u64>().ok().filter(|_| cursor.kind == TIMESTAMP).map(|micros| micros / 1_000);
            let data = Row::of(&Item::new(&columns, row))?;
            occurrences.push(Occurrence::of_record(&id, &at, data).at_ms(at_ms));
            last = Some(Place { at, id });
        }
        let behind = last.or_else(|| cursor.behind.clone());
        if more {
            return Ok(Page::and_more(occurrences, Cursor { behind, ..cursor }));
        }
        // Rows come in the column's order, so the last one has passed most; those of a deeper look may have passed less.
        let seen = match behind {
            Some(Place { at, .. }) if cursor.is_ahead(&at) => Some(at),
            _ => cursor.seen.clone(),
        };
        Ok(Page::last(occurrences, Cursor { seen, behind: None, ..cursor }))
    }
}

const TIMESTAMP: &str = "TIMESTAMP";

impl Cursor {
    /// Whether a value, the last of a round, has passed what was seen. Of other types than times a round begins there.
    fn is_ahead(&self, at: &str) -> bool {
        let seen = self.seen.as_deref().and_then(|seen| seen.parse::<i64>().ok());
        match (seen, at.parse::<i64>()) {
            (Some(seen), Ok(at)) if self.kind == TIMESTAMP => at > seen,
            _ => true,
        }
    }

    /// Where a round begins.
    fn beginning(&self, ctx: &Context) -> Option<String> {
        let seen = self.seen.as_deref()?;
        let (Ok(micros), true) = (seen.parse::<i64>(), self.kind == TIMESTAMP) else {
            return Some(seen.to_owned());
        };
        let back = ctx.look_back().unwrap_or_default().max(OVERLAP);
        let back = i64::try_from(back.as_micros()).unwrap_or(i64::MAX);
        let from = self.from.as_deref().and_then(|from| from.parse::<i64>().ok()).unwrap_or_default();
        Some(micros.saturating_sub(back).max(from).to_string())
    }

    /// A value as a parameter takes it.
    fn given(&self, value: &str) -> String {
        match value.parse() {
            Ok(micros) if self.kind == TIMESTAMP => rfc3339(micros),
            _ => value.to_owned(),
        }
    }
}

impl Options {
    fn of(ctx: &Context) -> Result<Self> {
        let options: Self = ctx.options()?;
        for (at, name) in [
            ("/dataset", &options.dataset),
            ("/table", &options.table),
            ("/column", &options.column),
            ("/id", &options.id),
        ] {
            let quotable = |character: char| !matches!(character, '`' | '\\') && !character.is_control();
            if name.is_empty() || !name.chars().all(quotable) {
                return Err(Error::invalid_input(at, "is no name; write it as BigQuery shows it"));
            }
        }
        Ok(options)
    }

    fn table(&self, ctx: &Context) -> Result<String> {
        Ok(format!("`{}.{}.{}`", ctx.parameter(api::PROJECT)?, self.dataset, self.table))
    }

    fn statement(&self, sql: String, parameters: Vec<Value>) -> Statement<'_> {
        Statement { sql, parameters, location: self.location.as_deref(), rows: OF_PAGE }
    }

    /// The highest value that there is.
    fn highest(&self, ctx: &Context) -> Result<Option<String>> {
        let sql = format!(
            "SELECT MAX(t.`{}`) AS trunnion_at, '' AS trunnion_id FROM {} AS t",
            self.column,
            self.table(ctx)?
        );
        let (_, rows, _) = at_once(ctx, &self.statement(sql, Vec::new()))?;
        Ok(rows
            .into_iter()
            .next()
            .map(|mut row| row.take_two()[0].clone())
            .filter(|highest| !highest.is_empty()))
    }

    fn page(&self, ctx: &Context, cursor: &Cursor) -> Result<Statement<'_>> {
        let Self { column, id, .. } = self;
        let typed = |name: &str, kind: &str, value: String| json!({ "name": name, "parameterType": { "type": kind }, "parameterValue": { "value": value } });
        let (condition, parameters) = match (&cursor.behind, cursor.beginning(ctx)) {
            (Some(Place { at, id: last }), _) => {
                let at = typed("at", &cursor.kind, cursor.given(at));
                let last = typed("id", "STRING", last.clone());
                let condition = format!(
                    " AND (t.`{column}` > @at OR (t.`{column}` = @at AND CAST(t.`{id}` AS STRING) > @id))"
                );
                (condition, vec![at, last])
            }
            (None, Some(from)) => (
                format!(" AND t.`{column}` >= @from"),
                vec![typed("from", &cursor.kind, cursor.given(&from))],
            ),
            (None, None) => (format!(" AND t.`{column}` IS NOT NULL"), Vec::new()),
        };
        let sql = format!(
            "SELECT t.`{column}` AS trunnion_at, CAST(t.`{id}` AS STRING) AS trunnion_id, t.* FROM {} AS t WHERE t.`{id}` IS \
             NOT NULL{condition} ORDER BY trunnion_at, trunnion_id LIMIT {OF_PAGE}",
            self.table(ctx)?
        );
        Ok(self.statement(sql, parameters))
    }
}

fn found<'c>(columns: &'c [Column], option: &str, name: &str) -> Result<&'c Column> {
    columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let known = columns.iter().map(|column| format!("`{}`", column.name)).collect::<Vec<_>>().join(", ");
        Error::invalid_input(
            format!("/{option}"),
            format!("the table has no column `{name}`; it has {known}"),
        )
    })
}

/// The column's type as parameters name it, where its values have an order that can be gone by.
fn parameter_type(column: &Column) -> Result<&str> {
    match column.kind.as_str() {
        _ if column.mode.as_deref() == Some("REPEATED") => {}
        kind @ ("TIMESTAMP" | "DATETIME" | "DATE" | "NUMERIC" | "BIGNUMERIC" | "STRING") => return Ok(kind),
        "INTEGER" | "INT64" => return Ok("INT64"),
        _ => {}
    }
    let message = format!(
        "`{}` is {}, which rows cannot be followed by; name a column that grows",
        column.name, column.kind
    );
    Err(Error::invalid_input("/column", message))
}

fn micros(millis: u64) -> i64 {
    i64::try_from(millis.saturating_mul(1_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
