//! Sets an order's status. Setting the same one twice is harmless, so it may be repeated.

use trunnion_sdk::prelude::*;

use super::update_order;
use crate::order::{Order, OrderId};

/// Which order, and its new status.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct UpdateOrderStatus {
    order_id: OrderId,
    /// The new status, for example 2 (shipped), 5 (cancelled), 10 (completed).
    #[schemars(extend("x-lookup" = "order_statuses"))]
    status_id: u32,
}

pub(crate) fn update_order_status(ctx: &Context, input: UpdateOrderStatus) -> Result<Order> {
    update_order::put(ctx, &input.order_id, &json!({ "status_id": input.status_id }))
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::{
        http::SendError,
        test::{Answer, FakeHost},
    };

    use super::*;
    use crate::{
        api::testing::{STORE, host},
        connector,
    };

    fn order_url() -> String {
        format!("{STORE}/v2/orders/123")
    }

    fn run(host: &FakeHost, input: &str) -> Result<String> {
        connector().run(&host.calling("update_order_status"), input)
    }

    #[test]
    fn puts_the_status_and_answers_the_order() {
        let host = host();
        host.http().on("PUT", &order_url(), |request| {
            Answer::json(200, &json!({"id": 123, "status_id": request.json()["status_id"]}))
        });
        let output = run(&host, r#"{"order_id":"123","status_id":2}"#).unwrap();
        assert_eq!(output, r#"{"id":123,"status_id":2}"#);
        let seen = host.http().requests();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].text(), r#"{"status_id":2}"#);
        assert_eq!(seen[0].0.headers.len(), 2, "one Content-Type, not two");
    }

    #[test]
    fn an_empty_answer_is_followed_by_a_read() {
        let host = host();
        host.http().on("PUT", &order_url(), |_| Answer::empty(204));
        host.http().on("GET", &order_url(), |_| Answer::json(200, &json!({"id": 123, "status_id": 2})));
        assert_eq!(run(&host, r#"{"order_id":123,"status_id":2}"#).unwrap(), r#"{"id":123,"status_id":2}"#);
    }

    #[test]
    fn a_wrong_input_names_its_field_and_sends_nothing() {
        for (input, at) in [
            (r#"{"order_id":"12a","status_id":2}"#, "/order_id"),
            (r#"{"order_id":"12","status_id":"FULFILLED"}"#, "/status_id"),
            (r#"{"order_id":"12"}"#, ""),
        ] {
            let host = host();
            let Err(Error::InvalidInput { field, message }) = run(&host, input) else {
                panic!("{input} is wrong")
            };
            assert_eq!(field, at, "{message}");
            assert!(host.http().requests().is_empty());
        }
    }

    #[test]
    fn a_lost_answer_may_be_repeated() {
        let host = host();
        host.http()
            .on("PUT", &order_url(), |_| Answer::fail(SendError::Interrupted("connection reset".into())));
        assert!(matches!(run(&host, r#"{"order_id":123,"status_id":2}"#), Err(Error::Unavailable(_))));
    }

    #[test]
    fn an_action_that_does_not_exist_is_named() {
        let error = connector().run(&host().calling("delete_order"), "{}").unwrap_err();
        assert!(error.to_string().contains("no action `delete_order`"), "{error}");
    }
}
