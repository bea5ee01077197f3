//! Triggers that ask: what changed since the last look, for whoever cannot be reached by webhooks or wants to make up for
//! lost ones. Each version of a thing is one occurrence.
//!
//! Shopify's listings go on from a cursor of their own, which holds the time of change and the id of the last thing seen;
//! a thing that changes while a round is under way moves behind it and is seen there.

use std::{fmt, marker::PhantomData, time::Duration};

use trunnion_sdk::{
    prelude::*,
    time::{parse_rfc3339, rfc3339},
    trigger::fingerprint,
};

use crate::{
    actions::find_orders::{ORDERS, page},
    graphql::{Query, not_understood},
    record::{Record, Table},
    tables,
};

/// Things on a page.
const FIRST: u32 = 100;

const POLLING: Polling = Polling::every(Duration::from_secs(300));

/// A listing by time of change.
pub(crate) trait Listing: 'static {
    /// What it lists.
    type Table: Table;
    /// What one thing is called in occurrences.
    const KIND: &'static str;
    /// The document, with the listing under `found`.
    const QUERY: Query;
    /// The order to ask for, where the document serves several.
    const SORT: Option<&'static str> = None;
}

/// Where polling stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Nothing earlier is asked for.
    from_ms: u64,
    /// The latest change that finished rounds have seen.
    seen_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    round: Option<Round>,
}

/// A round under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Round {
    since_ms: u64,
    after: Option<String>,
    latest_ms: u64,
}

impl Position {
    /// The round that is under way, or a new one, which begins a little behind what was seen.
    fn round(&self, ctx: &Context) -> Round {
        let back = ctx.look_back().unwrap_or_default().max(POLLING_OVERLAP);
        let back = u64::try_from(back.as_millis()).unwrap_or(u64::MAX);
        let since_ms = self.seen_ms.saturating_sub(back).max(self.from_ms);
        self.round.clone().unwrap_or(Round { since_ms, after: None, latest_ms: self.seen_ms })
    }
}

/// How late Shopify's search may show a change.
const POLLING_OVERLAP: Duration = Duration::from_secs(300);

/// The trigger of a listing.
pub(crate) struct Changed<L>(PhantomData<L>);

impl<L> fmt::Debug for Changed<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changed")
    }
}

impl<L: Listing> Poll for Changed<L> {
    type Data = Record<L::Table>;
    type Cursor = Position;
    const POLLING: Polling = POLLING.overlap(POLLING_OVERLAP);

    fn start(ctx: &Context) -> Result<Position> {
        let from_ms = ctx.polling_since_ms();
        Ok(Position { from_ms, seen_ms: from_ms, round: None })
    }

    fn poll(ctx: &Context, position: Position) -> Result<Page<Self::Data, Position>> {
        let round = position.round(ctx);
        let (found, next) = page(&ask(ctx, L::QUERY, L::SORT, &round)?)?;
        let mut latest_ms = round.latest_ms;
        let mut occurrences = Vec::with_capacity(found.len());
        for record in found {
            let (id, at) = version(L::KIND, &record)?;
            latest_ms = latest_ms.max(at);
            occurrences.push(Occurrence::new("", id, record).at_ms(Some(at)));
        }
        let Position { from_ms, seen_ms, .. } = position;
        if next.is_some() {
            let round = Some(Round { after: next, latest_ms, ..round });
            return Ok(Page::and_more(occurrences, Position { from_ms, seen_ms, round }));
        }
        // A time that lies ahead of the clock would hide everything until then.
        let seen_ms = seen_ms.max(latest_ms.min(ctx.now_ms()));
        Ok(Page::last(occurrences, Position { from_ms, seen_ms, round: None }))
    }
}

fn ask(ctx: &Context, query: Query, sort: Option<&str>, round: &Round) -> Result<Value> {
    let search = format!("updated_at:>='{}'", rfc3339(round.since_ms));
    let mut variables = serde_json::Map::new();
    variables.insert("search".to_owned(), search.into());
    variables.insert("first".to_owned(), FIRST.into());
    variables.insert("after".to_owned(), round.after.clone().into());
    variables.extend(sort.map(|sort| ("sort".to_owned(), sort.into())));
    query.send(ctx, &variables.into())
}

/// The occurrence's name and the time of the change. Times have whole seconds only, so that what was changed twice in one
/// is told apart by all that is in the record.
fn version<T>(kind: &str, record: &Record<T>) -> Result<(String, u64)> {
    let text = |name: &str| {
        record.text(name).ok_or_else(|| not_understood(&format!("has a {kind} without a text in `{name}`")))
    };
    let (id, changed_at) = (text("legacy_id")?, text("updated_at")?);
    let at = parse_rfc3339(changed_at).ok_or_else(|| {
        not_understood(&format!("has a {kind} whose `updatedAt` is no time: `{changed_at}`"))
    })?;
    Ok((format!("{kind}/{id}@{changed_at}-{}", fingerprint(&record.written())), at))
}

/// Orders.
#[derive(Debug)]
pub(crate) struct Orders;

impl Listing for Orders {
    type Table = tables::Order;
    const KIND: &'static str = "order";
    const QUERY: Query = ORDERS;
    const SORT: Option<&'static str> = Some("UPDATED_AT");
}

/// Customers.
#[derive(Debug)]
pub(crate) struct Customers;

impl Listing for Customers {
    type Table = tables::Customer;
    const KIND: &'static str = "customer";
    const QUERY: Query = Query::new(include_str!("../documents/customers.graphql"));
}

/// Products.
#[derive(Debug)]
pub(crate) struct Products;

impl Listing for Products {
    type Table = tables::Product;
    const KIND: &'static str = "product";
    const QUERY: Query = Query::new(include_str!("../documents/products.graphql"));
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{FakeHost, Polls};

    use super::*;
    use crate::{
        connector,
        graphql::testing::{URL, answer, host},
    };

    const TRIGGERS: [&str; 3] = ["order_changed", "customer_changed", "product_changed"];

    fn found(host: &FakeHost, things: &[(u64, &str)], next: Option<&str>) {
        let node = |(id, at): &(u64, &str)| json!({"legacyResourceId": id.to_string(), "updatedAt": at, "note": null});
        let page = json!({"hasNextPage": next.is_some(), "endCursor": next});
        let nodes: Vec<_> = things.iter().map(node).collect();
        host.http().once("POST", URL, answer(&json!({"found": {"nodes": nodes, "pageInfo": page}})));
    }

    #[test]
    fn each_listing_is_asked_from_where_polling_began_and_goes_on_by_its_cursor() {
        for trigger in TRIGGERS {
            let host = host();
            found(&host, &[(1, "2026-01-01T00:00:05Z")], Some("c1"));
            found(&host, &[(2, "2026-01-01T00:00:09Z")], None);
            let connector = connector();
            let mut polls = Polls::new(&connector, &host, trigger);
            let seen = polls.round().unwrap();
            assert_eq!(seen.len(), 2, "{trigger}");
            assert_eq!(seen[1].occurred_at_ms, Some(1_767_225_609_000), "{trigger}");
            let asked: Vec<_> =
                host.http().requests().iter().map(|sent| sent.json()["variables"].clone()).collect();
            assert_eq!(asked[0]["search"], "updated_at:>='2026-01-01T00:00:00Z'", "{trigger}");
            assert_eq!((&asked[0]["after"], &asked[1]["after"]), (&Value::Null, &json!("c1")), "{trigger}");

            // The next round looks a little back, and what was seen is known.
            host.advance(Duration::from_secs(3600));
            found(&host, &[(2, "2026-01-01T00:00:09Z"), (1, "2026-01-01T00:30:00Z")], None);
            let next = polls.round().unwrap();
            assert_eq!(next.len(), 1, "{trigger}: {next:?}");
            let since = host.http().requests()[2].json()["variables"]["search"].clone();
            assert_eq!(since, "updated_at:>='2026-01-01T00:00:00Z'", "{trigger}: never before polling began");
            host.advance(Duration::from_secs(3600));
            found(&host, &[], None);
            polls.round().unwrap();
            let since = host.http().requests()[3].json()["variables"]["search"].clone();
            assert_eq!(since, "updated_at:>='2026-01-01T00:25:00Z'", "{trigger}");
        }
    }

    #[test]
    fn a_listing_without_times_or_without_its_cursor_loses_nothing_silently() {
        let fails = |nodes: Value, page: Value| {
            let host = host();
            host.http().once("POST", URL, answer(&json!({"found": {"nodes": nodes, "pageInfo": page}})));
            Polls::new(&connector(), &host, "order_changed").round().unwrap_err().to_string()
        };
        let last = json!({"hasNextPage": false, "endCursor": null});
        assert!(fails(json!([{"legacyResourceId": "1"}]), last.clone()).contains("`updated_at`"));
        assert!(fails(json!([{"legacyResourceId": "1", "updatedAt": "soon"}]), last).contains("is no time"));
        assert!(
            fails(json!([]), json!({"hasNextPage": true, "endCursor": null})).contains("where the next page")
        );
        assert!(fails(json!(null), json!({})).contains("no list"));
    }
}
