//! `create_table`: a table from its columns or from a sample row. One that is there already is left as it is.

use trunnion_sdk::prelude::*;

use crate::{
    api,
    rows::Row,
    schema::{self, Column},
};

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct CreateTable {
    /// The dataset, which must exist.
    #[schemars(extend("x-lookup" = "datasets"))]
    dataset: String,
    /// The table.
    table: String,
    /// Its columns.
    #[serde(default)]
    columns: Vec<Column>,
    /// A row that the columns are made of, where none are given.
    #[serde(default)]
    sample: Option<Row>,
    /// A `TIMESTAMP` or `DATE` column by whose days the table is divided.
    #[serde(default)]
    partition_by: Option<String>,
    /// Columns by which it is sorted inside that, at most four.
    #[serde(default)]
    cluster_by: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Created {
    /// Whether it was made now; else it was there.
    created: bool,
    /// Its columns.
    columns: Vec<Column>,
}

#[derive(Deserialize)]
pub(crate) struct Table {
    #[serde(default)]
    pub(crate) etag: String,
    #[serde(default)]
    pub(crate) schema: TableSchema,
}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct TableSchema {
    #[serde(default)]
    pub(crate) fields: Vec<Column>,
}

/// Makes the table.
pub(crate) fn create_table(ctx: &Context, input: CreateTable) -> Result<Created> {
    let columns = columns(input.columns, input.sample.as_ref())?;
    let CreateTable { dataset, table, partition_by, cluster_by, .. } = input;
    let reference =
        json!({ "projectId": ctx.parameter(api::PROJECT)?, "datasetId": dataset, "tableId": table });
    let mut body = json!({ "tableReference": reference, "schema": { "fields": columns } });
    if let (Some(field), Some(members)) = (partition_by, body.as_object_mut()) {
        members.insert("timePartitioning".to_owned(), json!({ "type": "DAY", "field": field }));
    }
    if let (false, Some(members)) = (cluster_by.is_empty(), body.as_object_mut()) {
        members.insert("clustering".to_owned(), json!({ "fields": cluster_by }));
    }
    let path = format!("/datasets/{}/tables", trunnion_sdk::http::encode(&dataset));
    // Made twice is 409, and then it is there.
    match api::post(ctx, &path)?.json(&body)?.repeatable().send() {
        Ok(answer) => Ok(Created { created: true, columns: answer.json::<Table>()?.schema.fields }),
        Err(Error::Conflict(_)) => {
            Ok(Created { created: false, columns: read(ctx, &dataset, &table)?.schema.fields })
        }
        Err(error) => Err(error),
    }
}

/// A table as it stands.
pub(crate) fn read(ctx: &Context, dataset: &str, table: &str) -> Result<Table> {
    api::get(ctx, &api::table(dataset, table))?.send()?.json()
}

/// Columns as given, or of a sample.
pub(crate) fn columns(given: Vec<Column>, sample: Option<&Row>) -> Result<Vec<Column>> {
    match sample {
        _ if !given.is_empty() => Ok(given),
        Some(sample) => schema::of_sample(&sample.members()?),
        None => Err(Error::invalid_input(
            "/columns",
            "is empty; give the columns, or a sample row to make them of",
        )),
    }
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost};

    use crate::{
        api::testing::{PROJECT_URL, host, refusal},
        connector,
    };

    use super::*;

    fn create(host: &FakeHost, input: Value) -> Result<Value> {
        let output = connector().run(&host.calling("create_table"), &input.to_string())?;
        Ok(serde_json::from_str(&output).unwrap())
    }

    #[test]
    fn a_sample_makes_a_table() {
        let host = host();
        let tables = format!("{PROJECT_URL}/datasets/raw/tables");
        host.http().on("POST", &tables, |request| Answer::json(200, &request.json()));
        let input = json!({
            "dataset": "raw", "table": "orders", "sample": { "id": 1, "at": "2026-10-01T10:00:00Z" },
            "partition_by": "at", "cluster_by": ["id"],
        });
        let output = create(&host, input).unwrap();
        assert_eq!(output["created"], true);
        assert_eq!(output["columns"][1], json!({ "name": "at", "type": "TIMESTAMP" }));
        let sent = host.http().requests()[0].json();
        assert_eq!(
            sent["tableReference"],
            json!({ "projectId": "acme", "datasetId": "raw", "tableId": "orders" })
        );
        assert_eq!(sent["timePartitioning"], json!({ "type": "DAY", "field": "at" }));
        assert_eq!(sent["clustering"], json!({ "fields": ["id"] }));
    }

    #[test]
    fn a_table_that_is_there_is_left_as_it_is() {
        let host = host();
        let tables = format!("{PROJECT_URL}/datasets/raw/tables");
        host.http().once("POST", &tables, refusal(409, "duplicate", "Already Exists"));
        let there = json!({ "etag": "x", "schema": { "fields": [{ "name": "old", "type": "STRING" }] } });
        host.http().once("GET", &format!("{tables}/orders"), Answer::json(200, &there));
        let columns = json!([{ "name": "id", "type": "INTEGER" }]);
        let output =
            create(&host, json!({ "dataset": "raw", "table": "orders", "columns": columns })).unwrap();
        assert_eq!(output, json!({ "created": false, "columns": [{ "name": "old", "type": "STRING" }] }));
        let error = create(&host, json!({ "dataset": "raw", "table": "orders" })).unwrap_err();
        assert!(error.to_string().contains("a sample row"), "{error}");
    }
}
