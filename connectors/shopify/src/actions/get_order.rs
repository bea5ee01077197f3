//! Reads one order.

use trunnion_sdk::prelude::*;

use crate::{ids::OrderId, order::OrderDetails};

/// Which order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetOrder {
    order_id: OrderId,
}

pub(crate) fn get_order(ctx: &Context, input: GetOrder) -> Result<OrderDetails> {
    OrderDetails::fetch(ctx, &input.order_id)
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::Answer;

    use super::*;
    use crate::{
        connector,
        graphql::testing::{URL, answer, host, refused},
    };

    const ID: &str = "gid://shopify/Order/6824239235305";

    fn run(answer: Answer) -> Result<Value> {
        let host = host();
        host.http().once("POST", URL, answer);
        let output = connector().run(&host.calling("get_order"), r#"{"order_id":6824239235305}"#)?;
        assert_eq!(host.http().requests()[0].json()["variables"], json!({ "id": ID }));
        Ok(serde_json::from_str(&output).unwrap())
    }

    fn node() -> Value {
        let price = json!({"shopMoney": {"amount": "12.5", "currencyCode": "EUR"}});
        json!({
            "id": ID, "legacyResourceId": "6824239235305", "name": "#1001", "createdAt": "2026-11-22T09:30:00Z",
            "displayFinancialStatus": null, "displayFulfillmentStatus": "UNFULFILLED", "totalPriceSet": price,
            "test": true, "sourceIdentifier": null, "email": "ada@example.com", "phone": null, "note": null,
            "tags": ["first"], "updatedAt": "2026-11-22T09:31:00Z", "cancelledAt": null,
            "lineItems": {
                "nodes": [
                    {"id": "gid://shopify/LineItem/1", "title": "Gear", "sku": "G-1", "quantity": 2,
                     "variant": {"id": "gid://shopify/ProductVariant/9"}, "originalUnitPriceSet": price},
                    {"id": "gid://shopify/LineItem/2", "title": "Oil", "sku": null, "quantity": 1,
                     "variant": null, "originalUnitPriceSet": price},
                ],
                "pageInfo": {"hasNextPage": true},
            },
        })
    }

    #[test]
    fn answers_the_order_with_its_line_items() {
        let order = run(answer(&json!({ "order": node() }))).unwrap();
        assert_eq!(order["id"], ID);
        assert_eq!(order["legacy_id"], "6824239235305");
        assert_eq!(order["total"], json!({"amount": "12.5", "currency": "EUR"}));
        assert_eq!(order["email"], "ada@example.com");
        assert_eq!(order["tags"], json!(["first"]));
        assert_eq!(order["line_items"][0]["variant_id"], "gid://shopify/ProductVariant/9");
        assert_eq!(order["line_items"][1]["variant_id"], Value::Null);
        assert_eq!(order["more_line_items"], true);
        assert_eq!(order["financial_status"], Value::Null);
    }

    #[test]
    fn an_order_that_is_not_there_is_named() {
        for missing in [answer(&json!({"order": null})), refused("invalid id", "RESOURCE_NOT_FOUND")] {
            let error = run(missing).unwrap_err();
            assert!(matches!(error, Error::NotFound(_)), "{error}");
        }
        let error = run(answer(&json!({"order": null}))).unwrap_err();
        assert!(error.to_string().contains(ID), "{error}");
    }

    #[test]
    fn half_an_answer_is_refused() {
        let error = json!({"message": "This app is not approved to use the email field.", "path": ["order", "email"],
                           "extensions": {"code": "ACCESS_DENIED"}});
        let half = Answer::json(200, &json!({"data": {"order": node()}, "errors": [error]}));
        let error = run(half).unwrap_err();
        assert!(matches!(&error, Error::Rejected { .. }) && error.to_string().contains("email"), "{error}");
    }

    #[test]
    fn an_answer_that_is_no_order_is_an_error_that_names_the_member() {
        let error = run(answer(&json!({"order": {"id": ID}}))).unwrap_err();
        assert!(error.to_string().contains("`legacyResourceId`"), "{error}");
        let error = run(Answer::text(200, "<html>")).unwrap_err();
        assert!(matches!(error, Error::Other { code, .. } if code == "answer-not-understood"));
    }
}
