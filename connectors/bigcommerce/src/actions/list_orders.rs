//! Lists orders, a page at a time.

use trunnion_sdk::{action::Listing, prelude::*};

use crate::{
    api,
    order::{self, Order},
    record::{Number, Wrapped, list},
};

/// The most BigCommerce gives on one page.
const LIMIT: u64 = 250;

/// Which orders.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ListOrders {
    /// Only orders of this status.
    #[schemars(extend("x-lookup" = "order_statuses"))]
    status_id: Option<u32>,
    /// Only this customer's orders.
    customer_id: Option<Number>,
    /// Only orders of the buyer with this e-mail address.
    email: Option<String>,
    /// Only the order that another system knows by this id.
    external_order_id: Option<String>,
    /// Only orders placed then or later, as in `2026-01-06T09:30:00Z`.
    min_date_created: Option<String>,
    /// Only orders placed then or earlier.
    max_date_created: Option<String>,
    /// Only orders changed then or later.
    min_date_modified: Option<String>,
    /// Only orders changed then or earlier.
    max_date_modified: Option<String>,
    /// How many on a page: 50 unless said otherwise, 250 at most.
    #[schemars(range(min = 1, max = 250))]
    limit: Option<u64>,
}

pub(crate) fn list_orders(
    ctx: &Context,
    input: ListOrders,
    page: Option<u32>,
) -> Result<Listing<Order, u32>> {
    let limit = input.limit.unwrap_or(50);
    if limit == 0 || limit > LIMIT {
        return Err(Error::invalid_input(
            "/limit",
            format!("{limit} is not from 1 to {LIMIT}; give fewer, and ask for more pages"),
        ));
    }
    let page = page.unwrap_or(1);
    let text = |number: Option<u64>| number.map(|number| number.to_string());
    let filters = [
        ("status_id", text(input.status_id.map(u64::from))),
        ("customer_id", text(input.customer_id.map(|Number(id)| id))),
        ("email", input.email),
        ("external_order_id", input.external_order_id),
        ("min_date_created", input.min_date_created),
        ("max_date_created", input.max_date_created),
        ("min_date_modified", input.min_date_modified),
        ("max_date_modified", input.max_date_modified),
    ];
    let mut request = api::get(ctx, "/v2/orders")?;
    for (name, value) in filters {
        if let Some(value) = value {
            request = request.query(name, &value);
        }
    }
    let request = request.query("page", &page.to_string()).query("limit", &limit.to_string());
    let items = list::<order::Shape>(&request.send()?, Wrapped::No)?;
    let full = u64::try_from(items.len()).is_ok_and(|count| count >= limit);
    Ok(Listing { items, next: full.then(|| page.saturating_add(1)) })
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost, every_item};

    use crate::{
        api::testing::{STORE, host},
        connector,
    };

    use super::*;

    fn run(host: &FakeHost, input: &Value) -> Result<Value> {
        let output = connector().run(&host.calling("list_orders"), &input.to_string())?;
        Ok(serde_json::from_str(&output).unwrap())
    }

    #[test]
    fn filters_are_passed_on_and_a_full_page_is_followed_by_another() {
        let host = host();
        host.http().once(
            "GET",
            &format!("{STORE}/v2/orders"),
            Answer::json(200, &json!([{"id": 1}, {"id": 2}])),
        );
        host.http().once("GET", &format!("{STORE}/v2/orders"), Answer::empty(204));
        let input = json!({"status_id": 11, "email": "a b@x.example", "limit": 2, "customer_id": "7"});
        let found = every_item(&connector(), &host.calling("list_orders"), &input.to_string()).unwrap();
        assert_eq!(found, [json!({"id": 1}), json!({"id": 2})]);
        let asked: Vec<_> = host.http().requests().iter().map(|request| request.query().to_owned()).collect();
        assert_eq!(asked[0], "status_id=11&customer_id=7&email=a%20b%40x.example&page=1&limit=2");
        assert!(asked[1].ends_with("page=2&limit=2"), "{asked:?}");
    }

    #[test]
    fn a_page_too_large_or_an_unknown_filter_sends_nothing() {
        let host = host();
        for (input, at) in [(json!({"limit": 251}), "/limit"), (json!({"limit": 0}), "/limit")] {
            let Err(Error::InvalidInput { field, .. }) = run(&host, &input) else { panic!("{input}") };
            assert_eq!(field, at);
        }
        assert!(run(&host, &json!({"status": 1})).unwrap_err().to_string().contains("status"));
        assert!(host.http().requests().is_empty());
    }
}
