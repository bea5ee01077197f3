//! What only a store itself knows: its order statuses, and where it keeps its stock.

use trunnion_sdk::{
    lookup::{Choice, Choices, Query},
    prelude::*,
};

use crate::{
    api,
    record::{Wrapped, list},
};

/// Locations of a page.
const LOCATIONS: usize = 250;

/// The store's order statuses, by the names its owner gave them.
pub(crate) fn order_statuses(ctx: &Context, query: &Query) -> Result<Choices> {
    let statuses: Value = api::get(ctx, "/v2/order_statuses")?.send()?.json()?;
    let statuses = statuses.as_array().ok_or_else(|| {
        Error::other("answer-not-understood", "BigCommerce's answer is no list of order statuses")
    })?;
    let choices = statuses.iter().filter_map(|status| {
        let text = |name| status.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let title = text("custom_label").or_else(|| text("name"))?;
        Some(Choice::new(status.get("id")?.clone(), title))
    });
    Ok(query.among(choices))
}

/// Where the store keeps its stock.
pub(crate) fn locations(ctx: &Context, query: &Query) -> Result<Choices> {
    let page = query.cursor.as_ref().and_then(Value::as_u64).unwrap_or(1);
    let request = api::get(ctx, "/v3/inventory/locations")?.query("limit", &LOCATIONS.to_string());
    let locations = list::<()>(&request.query("page", &page.to_string()).send()?, Wrapped::InData)?;
    let full = locations.len() == LOCATIONS;
    let choices = locations.iter().filter_map(|location| {
        let title = location.text("label").or_else(|| location.text("code"))?;
        Some(Choice::new(location.id().ok()?, title))
    });
    let found = query.among(choices);
    Ok(Choices::page(found.items().to_vec(), full.then(|| page.saturating_add(1).into())))
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::Answer;

    use super::*;
    use crate::{
        api::testing::{STORE, host},
        connector,
    };

    fn ask(answer: Answer, search: &str) -> Result<Choices> {
        let host = host();
        host.http().once("GET", &format!("{STORE}/v2/order_statuses"), answer);
        let query = Query { search: search.into(), ..Query::default() };
        connector().options(&host.calling("order_statuses"), &query)
    }

    #[test]
    fn statuses_bear_the_names_their_store_gave_them() {
        let statuses = json!([
            {"id": 0, "name": "Incomplete", "system_label": "Incomplete", "custom_label": "", "order": 0},
            {"id": 2, "name": "Shipped", "system_label": "Shipped", "custom_label": "On its way", "order": 8},
        ]);
        let choices = ask(Answer::json(200, &statuses), "").unwrap();
        assert_eq!(choices.items(), [Choice::new(0, "Incomplete"), Choice::new(2, "On its way")]);
        assert_eq!(ask(Answer::json(200, &statuses), "WAY").unwrap().items().len(), 1);
    }

    #[test]
    fn locations_come_a_page_at_a_time() {
        let host = host();
        let of = |ids: std::ops::Range<u64>| {
            ids.map(|id| json!({"id": id, "label": format!("Shop {id}")})).collect::<Vec<_>>()
        };
        let url = format!("{STORE}/v3/inventory/locations");
        host.http().once("GET", &url, Answer::json(200, &json!({"data": of(1..251)})));
        host.http().once("GET", &url, Answer::json(200, &json!({"data": of(251..253)})));
        let ask = |cursor: Option<Value>| {
            connector().options(&host.calling("locations"), &Query { cursor, ..Query::default() }).unwrap()
        };
        let first = ask(None);
        assert_eq!((first.items().len(), first.next()), (250, Some(&json!(2))));
        let second = ask(first.next().cloned());
        assert_eq!(second.items(), [Choice::new(251, "Shop 251"), Choice::new(252, "Shop 252")]);
        assert_eq!(second.next(), None);
        assert!(host.http().requests()[1].query().ends_with("page=2"));
    }

    #[test]
    fn an_answer_that_is_no_list_is_an_error() {
        let error = ask(Answer::json(200, &json!({})), "").unwrap_err();
        assert!(error.to_string().contains("order statuses"), "{error}");
        assert!(matches!(ask(Answer::empty(403), ""), Err(Error::Rejected { status: 403, .. })));
    }
}
