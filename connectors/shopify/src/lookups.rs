//! What only a shop itself knows: where it keeps its stock.

use trunnion_sdk::{
    lookup::{self, Choice, Choices},
    prelude::*,
};

use crate::graphql::{Query, not_understood};

const LOCATIONS: Query = Query::new(include_str!("documents/locations.graphql"));

/// The shop's locations.
pub(crate) fn locations(ctx: &Context, query: &lookup::Query) -> Result<Choices> {
    // The first word of what a person typed: its letters and digits, since the rest would be Shopify's search syntax.
    let word = query.search.split(|letter: char| !letter.is_alphanumeric()).find(|word| !word.is_empty());
    let search = word.map(|word| format!("name:{word}*"));
    let data = LOCATIONS.send(ctx, &json!({ "search": search, "after": query.cursor }))?;
    let nodes = data.pointer("/locations/nodes").and_then(Value::as_array);
    let nodes = nodes.ok_or_else(|| not_understood("has no list in `locations.nodes`"))?;
    let choice = |node: &Value| Some(Choice::new(node.get("id")?.clone(), node.get("name")?.as_str()?));
    let more = data.pointer("/locations/pageInfo/hasNextPage").and_then(Value::as_bool) == Some(true);
    let next = data.pointer("/locations/pageInfo/endCursor").filter(|_| more).cloned();
    Ok(Choices::page(nodes.iter().filter_map(choice), next))
}

#[cfg(test)]
mod tests {
    use crate::{
        connector,
        graphql::testing::{URL, answer, host},
    };

    use super::*;

    #[test]
    fn locations_are_searched_by_name_and_come_page_by_page() {
        let host = host();
        let page = |more: bool| {
            json!({"locations": {"nodes": [{"id": "gid://shopify/Location/1", "name": "Shop"}],
                                 "pageInfo": {"hasNextPage": more, "endCursor": "c1"}}})
        };
        let ask = |search: &str, cursor: Option<Value>, more: bool| {
            host.http().once("POST", URL, answer(&page(more)));
            let query = lookup::Query { search: search.into(), cursor, ..lookup::Query::default() };
            connector().options(&host.calling("locations"), &query).unwrap()
        };
        let first = ask("\" Sh:* OR id:*", None, true);
        assert_eq!(first.items(), [Choice::new("gid://shopify/Location/1", "Shop")]);
        let last = ask("", first.next().cloned(), false);
        assert_eq!(last.next(), None);
        let sent: Vec<_> =
            host.http().requests().iter().map(|request| request.json()["variables"].clone()).collect();
        assert_eq!(
            sent,
            [json!({"search": "name:Sh*", "after": null}), json!({"search": null, "after": "c1"})]
        );
    }
}
