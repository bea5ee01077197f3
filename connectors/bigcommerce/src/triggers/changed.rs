//! Triggers that ask: what changed since the last look, for whoever cannot be reached by webhooks or wants to make up for
//! lost ones. Each version of a record is one occurrence.

use std::{fmt, marker::PhantomData, time::Duration};

use trunnion_sdk::{
    http::{RequestBuilder, Response},
    prelude::*,
    time::{parse_rfc2822, parse_rfc3339, rfc3339},
};

use crate::{
    api, customer, order, product,
    record::{Record, Wrapped, list, not_understood},
};

/// Records of a page, the most BigCommerce gives.
const LIMIT: usize = 250;

const POLLING: Polling = Polling::every(Duration::from_secs(300));

/// A listing by time of change.
pub(crate) trait Listing: 'static {
    /// The record's shape.
    type Shape: JsonSchema + 'static;
    /// What one record is called in occurrences.
    const KIND: &'static str;
    /// Where the list stands in an answer.
    const WRAPPED: Wrapped;

    /// Asks for records changed at `since` or later, the earliest first.
    fn ask<'c>(ctx: &'c Context, since: &str) -> Result<RequestBuilder<'c>>;

    /// Reads a time of change.
    fn time(text: &str) -> Option<u64> {
        parse_rfc3339(text)
    }
}

/// The trigger of a listing.
pub(crate) struct Changed<L>(PhantomData<L>);

impl<L> fmt::Debug for Changed<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changed")
    }
}

impl<L: Listing> Poll for Changed<L> {
    type Data = Record<L::Shape>;
    type Cursor = Since;
    const POLLING: Polling = POLLING;

    fn start(ctx: &Context) -> Result<Since> {
        Ok(Since::now(ctx))
    }

    fn poll(ctx: &Context, cursor: Since) -> Result<Page<Self::Data, Since>> {
        let window = cursor.window(ctx, &POLLING);
        let request = L::ask(ctx, &rfc3339(window.since_ms()))?;
        let request = request.query("page", &window.page().to_string()).query("limit", &LIMIT.to_string());
        let occurrences = read::<L::Shape>(&request.send()?, L::KIND, L::WRAPPED, L::time)?;
        let more = occurrences.len() == LIMIT;
        Ok(window.answer(occurrences, more))
    }
}

fn read<S>(
    answer: &Response,
    kind: &str,
    wrapped: Wrapped,
    time: fn(&str) -> Option<u64>,
) -> Result<Vec<Occurrence<Record<S>>>> {
    let mut latest = 0;
    let records = list::<S>(answer, wrapped)?;
    let occurrence = |record: Record<S>| {
        let changed_at = record.text("date_modified").unwrap_or_default();
        let at = time(changed_at).ok_or_else(|| {
            not_understood(&format!("has a {kind} whose `date_modified` is no time: `{changed_at}`"))
        })?;
        // Otherwise what is asked for next would begin behind records that no page has shown.
        if at < latest {
            return Err(not_understood(&format!("lists a {kind} changed earlier behind one changed later")));
        }
        latest = at;
        let version = record.version(changed_at);
        Ok(Occurrence::of_record(format!("{kind}/{}", record.id()?), version, record).at_ms(Some(at)))
    };
    records.into_iter().map(occurrence).collect()
}

/// Orders, those that are not placed yet among them.
#[derive(Debug)]
pub(crate) struct Orders;

impl Listing for Orders {
    type Shape = order::Shape;
    const KIND: &'static str = "order";
    const WRAPPED: Wrapped = Wrapped::No;

    fn ask<'c>(ctx: &'c Context, since: &str) -> Result<RequestBuilder<'c>> {
        // The published description knows no direction here; ascending is what there is without one.
        Ok(api::get(ctx, "/v2/orders")?.query("min_date_modified", since).query("sort", "date_modified"))
    }

    fn time(text: &str) -> Option<u64> {
        parse_rfc2822(text)
    }
}

/// Customers.
#[derive(Debug)]
pub(crate) struct Customers;

impl Listing for Customers {
    type Shape = customer::Shape;
    const KIND: &'static str = "customer";
    const WRAPPED: Wrapped = Wrapped::InData;

    fn ask<'c>(ctx: &'c Context, since: &str) -> Result<RequestBuilder<'c>> {
        let request = api::get(ctx, "/v3/customers")?;
        Ok(request.query("date_modified:min", since).query("sort", "date_modified:asc"))
    }
}

/// Products.
#[derive(Debug)]
pub(crate) struct Products;

impl Listing for Products {
    type Shape = product::Shape;
    const KIND: &'static str = "product";
    const WRAPPED: Wrapped = Wrapped::InData;

    fn ask<'c>(ctx: &'c Context, since: &str) -> Result<RequestBuilder<'c>> {
        let request = api::get(ctx, "/v3/catalog/products")?;
        Ok(request.query("date_modified:min", since).query("sort", "date_modified").query("direction", "asc"))
    }
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, Polls};

    use super::*;
    use crate::{
        api::testing::{STORE, host},
        connector,
    };

    const DAY: u64 = 1_767_225_600_000;

    fn polled(
        trigger: &'static str,
        path: &str,
        answers: Vec<Answer>,
    ) -> Result<(Vec<Occurrence<Value>>, Vec<String>)> {
        let host = host();
        for answer in answers {
            host.http().once("GET", &format!("{STORE}{path}"), answer);
        }
        let connector = connector();
        let found = Polls::new(&connector, &host, trigger).round()?;
        Ok((found, host.http().requests().iter().map(|request| request.query().to_owned()).collect()))
    }

    #[test]
    fn each_listing_is_asked_from_where_polling_began() {
        let order = json!([{"id": 7, "date_modified": "Thu, 01 Jan 2026 00:00:05 +0000"}]);
        let (found, asked) = polled("order_changed", "/v2/orders", vec![Answer::json(200, &order)]).unwrap();
        assert_eq!((found[0].data["id"].as_u64(), found[0].occurred_at_ms), (Some(7), Some(DAY + 5000)));
        assert!(found[0].id.starts_with("order/7@Thu, 01 Jan 2026 00:00:05 +0000-"), "{}", found[0].id);
        assert_eq!(asked, ["min_date_modified=2026-01-01T00%3A00%3A00Z&sort=date_modified&page=1&limit=250"]);
        for (trigger, path) in
            [("customer_changed", "/v3/customers"), ("product_changed", "/v3/catalog/products")]
        {
            let records = json!({"data": [{"id": 7, "date_modified": "2026-01-01T00:00:05Z"}], "meta": {}});
            let (found, asked) = polled(trigger, path, vec![Answer::json(200, &records)]).unwrap();
            assert_eq!(found[0].occurred_at_ms, Some(DAY + 5000), "{trigger}");
            assert!(asked[0].starts_with("date_modified%3Amin=2026-01-01T00%3A00%3A00Z&sort="), "{asked:?}");
        }
    }

    #[test]
    fn a_full_page_is_followed_by_what_came_later() {
        let page = |from: u64, count: u64| {
            let customer = |n: u64| json!({"id": n, "date_modified": format!("2026-01-01T00:{:02}:{:02}Z", n / 60, n % 60)});
            Answer::json(200, &json!({"data": (from..from + count).map(customer).collect::<Vec<_>>()}))
        };
        let (found, asked) =
            polled("customer_changed", "/v3/customers", vec![page(1, 250), page(250, 3)]).unwrap();
        assert_eq!(found.len(), 252, "the record at the seam is one occurrence");
        assert!(asked[1].starts_with("date_modified%3Amin=2026-01-01T00%3A04%3A10Z"), "{asked:?}");
    }

    #[test]
    fn nothing_new_is_204_without_a_body() {
        let (found, _) = polled("order_changed", "/v2/orders", vec![Answer::empty(204)]).unwrap();
        assert!(found.is_empty());
    }

    #[test]
    fn a_listing_in_another_order_or_without_times_loses_nothing_silently() {
        let customer = |id: u64, at: &str| json!({"id": id, "date_modified": at});
        let backwards = [customer(1, "2026-01-01T00:00:09Z"), customer(2, "2026-01-01T00:00:05Z")];
        for (records, phrase) in [
            (json!(backwards), "changed earlier"),
            (json!([{"id": 1}]), "is no time"),
            (json!(7), "a single value"),
        ] {
            let answer = Answer::json(200, &json!({ "data": records }));
            let error = polled("customer_changed", "/v3/customers", vec![answer]).unwrap_err();
            assert!(error.to_string().contains(phrase), "{error}");
        }
    }
}
