//! Reads one order.

use trunnion_sdk::prelude::*;

use crate::order::{Order, OrderId};

/// Which order.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct GetOrder {
    order_id: OrderId,
}

pub(crate) fn get_order(ctx: &Context, input: GetOrder) -> Result<Order> {
    Order::fetch(ctx, &input.order_id)
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::Answer;

    use super::*;
    use crate::{
        api::testing::{STORE, host},
        connector,
    };

    fn run(answer: Answer, input: &str) -> Result<String> {
        let host = host();
        host.http().once("GET", &format!("{STORE}/v2/orders/123"), answer);
        connector().run(&host.calling("get_order"), input)
    }

    #[test]
    fn answers_the_whole_order() {
        let order = json!({"id": 123, "status_id": 11, "total_inc_tax": "41.9000", "unheard_of": [1]});
        let output = run(Answer::json(200, &order), r#"{"order_id":"123"}"#).unwrap();
        assert_eq!(output, order.to_string());
    }

    #[test]
    fn an_order_that_is_not_there_is_named() {
        let refusal = json!([{"status": 404, "message": "The requested resource was not found."}]);
        for answer in [Answer::json(404, &refusal), Answer::empty(204)] {
            let Err(Error::NotFound(message)) = run(answer, r#"{"order_id":123}"#) else {
                panic!("the order is not there")
            };
            assert!(message.contains("123"), "{message}");
        }
    }

    #[test]
    fn an_answer_that_is_no_order_is_an_error() {
        let error = run(Answer::text(200, "<html>"), r#"{"order_id":123}"#).unwrap_err();
        assert!(matches!(error, Error::Other { code, .. } if code == "answer-not-understood"));
    }
}
