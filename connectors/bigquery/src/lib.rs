//! BigQuery: rows are streamed, loaded and followed, tables made and widened, statements run.
//!
//! Owns what is particular to BigQuery: `api` (addresses, errors), `jobs` (ids of our own, so that nothing runs twice),
//! `rows` on their way in, `values` on their way out, `schema`, and the functions in `actions` and `triggers`. The README says what it can
//! do and its limits.

mod account;
mod actions;
mod api;
mod jobs;
mod lookups;
mod rows;
mod schema;
mod triggers;
mod values;

use std::time::Duration;

use trunnion_sdk::{connector::Bucket, lookup::Lookup, prelude::*};

use actions::{columns, load, query, stream, table};
use triggers::rows::{NewRows, Options};

trunnion_sdk::connector! {
    id: "bigquery",
    title: "BigQuery",
    help: "Google's data warehouse: rows in, queries out.",
    hosts: ["bigquery.googleapis.com", "oauth2.googleapis.com"],
    connection: account::connection(),
    check: account::check,
    buckets: [
        Bucket::new(api::API_BUCKET, 100, Duration::from_secs(1)),
        Bucket::new(api::STREAMING_BUCKET, 1_000, Duration::from_secs(1)),
    ],
    triggers: [
        Trigger::poll::<NewRows>("new_rows", "New rows")
            .help("Rows whose column has passed what was seen: a time of change, or a number that grows.")
            .options::<Options>(r#"{"dataset":"raw","table":"orders","column":"placed_at","id":"id"}"#)
            .sample(r#"{"id":7,"total":"41.90","placed_at":"2026-10-01T10:00:00.000000Z"}"#),
    ],
    actions: [
        Action::new("stream_rows", "Stream rows", stream::stream_rows)
            .help("Inserts rows that are there within seconds. Repetitions within about a minute are dropped.")
            .recognises_key()
            .batch(stream::MOST_ROWS, stream::stream_batch)
            .draws_from(&[api::STREAMING_BUCKET])
            .sample(
                r#"{"dataset":"raw","table":"orders","rows":[{"id":7,"total":"41.90"}],"ignore_unknown_values":false}"#,
                "null",
            ),
        Action::new("load_rows", "Load rows", load::load_rows)
            .help("Writes rows by a load job: all of them or none, exactly once, within seconds to minutes.")
            .recognises_key()
            .batch(load::MOST_INPUTS, load::load_batch)
            .draws_from(&[api::API_BUCKET])
            .sample(
                include_str!("../samples/load_rows.json"),
                r#"{"job":"trunnion_6f9619ff-8b86-4d01-b42d-00cf4fc964ff_load","rows":1}"#,
            ),
        Action::listing("query", "Query", query::query)
            .help("Runs a SQL statement, once, and gives its rows.")
            .draws_from(&[api::API_BUCKET])
            .sample(
                include_str!("../samples/query.json"),
                r#"{"items":[{"id":7,"total":"41.90"}],"next":null}"#,
            ),
        Action::new("create_table", "Create a table", table::create_table)
            .help("Makes a table from its columns or from a sample row, unless it is there.")
            .safe_to_repeat()
            .draws_from(&[api::API_BUCKET])
            .sample(
                include_str!("../samples/create_table.json"),
                r#"{"created":true,"columns":[{"name":"id","type":"INTEGER"}]}"#,
            ),
        Action::new("add_columns", "Add columns", columns::add_columns)
            .help("Adds the columns that a table lacks, as columns or a sample row have them.")
            .safe_to_repeat()
            .draws_from(&[api::API_BUCKET])
            .sample(
                r#"{"dataset":"raw","table":"orders","sample":{"id":7,"note":"gift"}}"#,
                r#"{"added":["note"]}"#,
            ),
    ],
    lookups: [
        Lookup::new("datasets", "Datasets", lookups::datasets),
        Lookup::new("tables", "Tables", lookups::tables),
    ],
}

#[cfg(test)]
mod tests {
    use trunnion_core::manifest::{Manifest, Repeat};

    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        trunnion_sdk::test::assert_sound(&connector());
    }

    #[test]
    fn the_host_reads_the_manifest() {
        let manifest = Manifest::parse(&connector().manifest()).unwrap();
        assert_eq!(
            (manifest.id.as_str(), manifest.hosts.as_slice()),
            ("bigquery", &["bigquery.googleapis.com".to_owned(), "oauth2.googleapis.com".to_owned()][..])
        );
        let schemes: Vec<_> = manifest.connection.schemes.iter().map(|scheme| scheme.id.as_str()).collect();
        assert_eq!(schemes, ["service_account", "oauth", "access_token"]);
        let stream = manifest.action("stream_rows").unwrap();
        assert_eq!((stream.batch, stream.repeat), (Some(500), Repeat::Key));
        assert_eq!(stream.input["required"], json!(["dataset", "table", "rows"]));
        assert!(manifest.action("query").unwrap().pages);
    }
}
