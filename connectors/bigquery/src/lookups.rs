//! What a person chooses from: the project's datasets, and the tables of one.

use trunnion_sdk::{
    http::encode,
    lookup::{Choice, Choices, Query},
    prelude::*,
};

use crate::api;

/// Entries of one page.
const OF_PAGE: &str = "100";

/// The project's datasets.
pub(crate) fn datasets(ctx: &Context, query: &Query) -> Result<Choices> {
    listed(ctx, query, "/datasets", "datasets", "/datasetReference/datasetId")
}

/// The tables of the dataset that was chosen.
pub(crate) fn tables(ctx: &Context, query: &Query) -> Result<Choices> {
    let Some(dataset) = query.chosen("dataset").filter(|dataset| !dataset.is_empty()) else {
        return Ok(Choices::default());
    };
    let path = format!("/datasets/{}/tables", encode(dataset));
    listed(ctx, query, &path, "tables", "/tableReference/tableId")
}

/// One page of a list, whose entries are called as they are named.
fn listed(ctx: &Context, query: &Query, path: &str, list: &str, name: &str) -> Result<Choices> {
    let mut request = api::get(ctx, path)?.query("maxResults", OF_PAGE);
    if let Some(page) = query.cursor.as_ref().and_then(Value::as_str) {
        request = request.query("pageToken", page);
    }
    let answer: Value = request.send()?.json()?;
    let entries = answer.get(list).and_then(Value::as_array).into_iter().flatten();
    let names = entries.filter_map(|entry| entry.pointer(name)?.as_str());
    let found = query.among(names.map(|name| Choice::new(name, name)));
    let next = answer.get("nextPageToken").filter(|token| token.is_string());
    Ok(Choices::page(found.items().to_vec(), next.cloned()))
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::Answer;

    use super::*;
    use crate::api::testing::{PROJECT_URL, host};

    fn query(search: &str, cursor: Option<&str>, values: Value) -> Query {
        let values = values.as_object().cloned().unwrap_or_default();
        Query { search: search.to_owned(), cursor: cursor.map(Value::from), values }
    }

    #[test]
    fn datasets_and_their_tables_are_offered_page_by_page() {
        let host = host();
        let dataset = |id: &str| json!({ "datasetReference": { "datasetId": id } });
        let page = json!({ "datasets": [dataset("raw"), dataset("marts")], "nextPageToken": "p2" });
        host.http().on("GET", &format!("{PROJECT_URL}/datasets"), move |_| Answer::json(200, &page));
        let tables = json!({ "tables": [{ "tableReference": { "tableId": "orders" } }] });
        host.http()
            .on("GET", &format!("{PROJECT_URL}/datasets/raw/tables"), move |_| Answer::json(200, &tables));
        let ctx = host.context();
        let titles = |choices: &Choices| {
            choices.items().iter().map(|choice| choice.title().to_owned()).collect::<Vec<_>>()
        };
        let first = datasets(&ctx, &query("RA", Some("p1"), json!({}))).unwrap();
        assert_eq!((titles(&first), first.next()), (vec!["raw".to_owned()], Some(&json!("p2"))));
        assert_eq!(host.http().requests()[0].query(), "maxResults=100&pageToken=p1");
        let of_raw = super::tables(&ctx, &query("", None, json!({ "dataset": "raw" }))).unwrap();
        assert_eq!((titles(&of_raw), of_raw.next()), (vec!["orders".to_owned()], None));
        assert!(super::tables(&ctx, &query("", None, json!({}))).unwrap().items().is_empty());
    }

    #[test]
    fn a_project_without_datasets_offers_none() {
        let host = host();
        host.http().on("GET", &format!("{PROJECT_URL}/datasets"), |_| Answer::json(200, &json!({})));
        assert!(datasets(&host.context(), &query("", None, json!({}))).unwrap().items().is_empty());
    }
}
