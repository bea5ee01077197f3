//! `add_columns`: columns that a table lacks. What is there stays as it is; two at once do not undo each other.

use trunnion_sdk::prelude::*;

use super::table;
use crate::{
    api,
    rows::Row,
    schema::{self, Column},
};

/// How often somebody else's change between reading and writing is read anew.
const MOST_CHANGES: u32 = 5;

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AddColumns {
    /// The dataset.
    #[schemars(extend("x-lookup" = "datasets"))]
    dataset: String,
    /// The table.
    #[schemars(extend("x-lookup" = "tables"))]
    table: String,
    /// Columns that it shall have.
    #[serde(default)]
    columns: Vec<Column>,
    /// A row that it shall be able to hold, where no columns are given.
    #[serde(default)]
    sample: Option<Row>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Added {
    /// What was added, inner columns as in `who.mail`.
    added: Vec<String>,
}

/// Adds what is missing.
pub(crate) fn add_columns(ctx: &Context, input: AddColumns) -> Result<Added> {
    let AddColumns { dataset, table, columns, sample } = input;
    let wanted = table::columns(columns, sample.as_ref())?;
    for _ in 0..MOST_CHANGES {
        let present = table::read(ctx, &dataset, &table)?;
        let mut fields = present.schema.fields;
        let added = schema::add_missing(&mut fields, wanted.clone(), "");
        if added.is_empty() {
            return Ok(Added { added });
        }
        let changed = api::patch(ctx, &api::table(&dataset, &table))?
            .header("If-Match", present.etag)
            .json(&json!({ "schema": { "fields": fields } }))?
            .repeatable()
            .send();
        match changed {
            Ok(_) => return Ok(Added { added }),
            Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Unavailable(format!("somebody else keeps changing `{dataset}.{table}`")))
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost};

    use crate::{
        api::testing::{PROJECT_URL, host, refusal},
        connector,
    };

    use super::*;

    fn add(host: &FakeHost) -> Result<String> {
        let input = json!({ "dataset": "raw", "table": "orders", "sample": { "id": 1, "new": true } });
        connector().run(&host.calling("add_columns"), &input.to_string())
    }

    #[test]
    fn what_is_missing_is_added_though_somebody_else_changes_the_table() {
        let host = host();
        let url = format!("{PROJECT_URL}/datasets/raw/tables/orders");
        let table = |etag: &str| json!({ "etag": etag, "schema": { "fields": [{ "name": "id", "type": "INTEGER" }] } });
        host.http().once("GET", &url, Answer::json(200, &table("one")));
        host.http().once("PATCH", &url, refusal(412, "conditionNotMet", "changed"));
        host.http().once("GET", &url, Answer::json(200, &table("two")));
        host.http().once("PATCH", &url, Answer::json(200, &json!({})));
        assert_eq!(add(&host).unwrap(), r#"{"added":["new"]}"#);
        let last = &host.http().requests()[3];
        assert_eq!(last.header("if-match"), Some("two"));
        let expected = json!([{ "name": "id", "type": "INTEGER" }, { "name": "new", "type": "BOOLEAN" }]);
        assert_eq!(last.json()["schema"]["fields"], expected);
    }

    #[test]
    fn nothing_is_written_where_nothing_is_missing() {
        let host = host();
        let fields = json!([{ "name": "id", "type": "INTEGER" }, { "name": "new", "type": "STRING" }]);
        let url = format!("{PROJECT_URL}/datasets/raw/tables/orders");
        host.http().once(
            "GET",
            &url,
            Answer::json(200, &json!({ "etag": "x", "schema": { "fields": fields } })),
        );
        assert_eq!(add(&host).unwrap(), r#"{"added":[]}"#);
        assert_eq!(host.http().requests().len(), 1);
    }
}
