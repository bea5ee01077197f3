//! Every answer, and what it becomes, for a document that may be repeated and for one that may not.

use std::time::Duration;

use trunnion_sdk::{
    http::{Auth, Redirects, SendError},
    test::{Answer, FakeHost, Observed},
};

use super::{
    testing::{URL, answer, host, refused},
    *,
};

const QUERY: Query = Query::new("query Shop { shop { name } }");
const CREATE: Mutation = Mutation::new("mutation { orderCreate }", "orderCreate", Repeat::Doubles);

fn queried(answer: Answer) -> Result<Value> {
    let host = host();
    host.http().once("POST", URL, answer);
    QUERY.send(&host.context(), &json!({}))
}

fn created(answer: Answer) -> Result<Value> {
    let host = host();
    host.http().once("POST", URL, answer);
    CREATE.send(&host.context(), &json!({}))
}

fn refused_by_user_error(error: &Value) -> Error {
    created(answer(&json!({"orderCreate": {"order": null, "userErrors": [error]}}))).unwrap_err()
}

fn throttled(status: u16) -> Answer {
    let throttle = json!({"maximumAvailable": 1000.0, "currentlyAvailable": 66, "restoreRate": 50.0});
    let cost = json!({"requestedQueryCost": 70, "actualQueryCost": null, "throttleStatus": throttle});
    let error = json!({"message": "Throttled", "extensions": {"code": "THROTTLED"}});
    Answer::json(status, &json!({"errors": [error], "extensions": {"cost": cost}}))
}

#[test]
fn a_document_is_posted_with_its_variables_for_the_connection() {
    let host = host();
    host.http().once("POST", URL, answer(&json!({"shop": {"name": "Ada's Engines"}})));
    let data = QUERY.send(&host.context(), &json!({"first": 1})).unwrap();
    assert_eq!(data, json!({"shop": {"name": "Ada's Engines"}}));
    let seen = &host.http().requests()[0];
    assert_eq!(seen.json(), json!({"query": QUERY.0, "variables": {"first": 1}}));
    assert_eq!((seen.0.auth, seen.0.redirects), (Auth::Connection, Redirects::Manual));
    assert_eq!(seen.header("content-type"), Some("application/json"));
}

#[test]
fn a_secrets_name_in_a_variable_stays_text() {
    let host = host();
    host.http().once("POST", URL, answer(&json!({"shop": null})));
    QUERY.send(&host.context(), &json!({"note": "{{secret:client_secret}}"})).unwrap();
    let seen = &host.http().requests()[0];
    assert!(!seen.text().contains("{{secret:"), "{}", seen.text());
    assert_eq!(seen.json()["variables"]["note"], "{{secret:client_secret}}");
}

#[test]
fn points_are_reported_with_every_answer() {
    let shop = answer(&json!({"shop": {}}));
    for (answer, remaining, reset_ms) in [(shop, 1990, 100), (throttled(200), 66, 18_680)] {
        let host = host();
        host.http().once("POST", URL, answer);
        let _outcome = QUERY.send(&host.context(), &json!({}));
        let expected =
            Observed { bucket: "points".into(), remaining, reset: Duration::from_millis(reset_ms) };
        assert_eq!(host.observed(), [expected]);
    }
}

#[test]
fn a_throttled_document_waits_for_its_points() {
    for status in [200, 429] {
        let wait = Some(Duration::from_millis(80));
        assert_eq!(queried(throttled(status)), Err(Error::RateLimited { retry_after: wait }));
        assert_eq!(created(throttled(status)), Err(Error::RateLimited { retry_after: wait }));
    }
}

#[test]
fn a_429_waits_as_long_as_its_header_says() {
    for (header, wait) in [
        ("2.0", Some(Duration::from_secs(2))),
        ("4", Some(Duration::from_secs(4))),
        ("0.25", Some(Duration::from_secs(1))),
        ("soon", None),
    ] {
        let answer = Answer::empty(429).header("Retry-After", header);
        assert_eq!(queried(answer), Err(Error::RateLimited { retry_after: wait }), "{header}");
    }
}

#[test]
fn a_missing_scope_is_final_and_names_it() {
    let denied = refused("Access denied for orders field. Required access: `read_orders`.", "ACCESS_DENIED");
    let Err(Error::Rejected { status: 200, message }) = queried(denied) else { panic!("it is a rejection") };
    assert!(message.contains("`read_orders`") && message.contains("give the app that scope"), "{message}");
}

#[test]
fn shopifys_own_failure_is_uncertain_only_where_repeating_could_double() {
    for code in ["INTERNAL_SERVER_ERROR", "TIMEOUT"] {
        assert!(matches!(queried(refused("Something went wrong", code)), Err(Error::Unavailable(_))));
        assert!(matches!(created(refused("Something went wrong", code)), Err(Error::Uncertain(_))));
    }
    for status in [500, 502, 504] {
        assert!(matches!(queried(Answer::empty(status)), Err(Error::Unavailable(_))), "{status}");
        assert!(matches!(created(Answer::empty(status)), Err(Error::Uncertain(_))), "{status}");
    }
    for status in [423, 503] {
        assert!(matches!(created(Answer::empty(status)), Err(Error::Unavailable(_))), "{status}");
    }
}

#[test]
fn a_lost_answer_is_uncertain_only_where_repeating_could_double() {
    for lost in [SendError::TimedOut("30 s".into()), SendError::Interrupted("reset".into())] {
        assert!(matches!(queried(Answer::fail(lost.clone())), Err(Error::Unavailable(_))));
        assert!(matches!(created(Answer::fail(lost)), Err(Error::Uncertain(_))));
    }
    let never_left = || Answer::fail(SendError::Unreachable("connection refused".into()));
    assert!(matches!(created(never_left()), Err(Error::Unavailable(_))));
}

#[test]
fn other_refusals_of_a_document_are_final() {
    for code in ["MAX_COST_EXCEEDED", "PARSE_ERROR", "undefinedField", "SHOP_INACTIVE", ""] {
        let error = queried(refused("the reason", code)).unwrap_err();
        let said =
            matches!(&error, Error::Rejected { status: 200, message } if message.contains("the reason"));
        assert!(said, "{code}: {error}");
    }
    for errors in [json!("the reason"), json!([{"message": "the reason"}])] {
        let error = queried(Answer::json(200, &json!({ "errors": errors }))).unwrap_err();
        assert!(
            matches!(&error, Error::Rejected { message, .. } if message.contains("the reason")),
            "{error}"
        );
    }
}

#[test]
fn an_invalid_variable_names_the_inputs_field() {
    let problem = json!({"path": ["lineItems", 0, "priceSet", "shopMoney", "currencyCode"],
                         "explanation": "Expected \"usd\" to be one of: USD, EUR"});
    let error = json!({"message": "Variable $order of type OrderCreateOrderInput! was provided invalid value",
                       "extensions": {"code": "INVALID_VARIABLE", "value": {}, "problems": [problem]}});
    let Err(Error::InvalidInput { field, message }) = created(Answer::json(200, &json!({"errors": [error]})))
    else {
        panic!("the input is wrong")
    };
    assert_eq!(field, "/line_items/0/price/currency");
    assert!(message.contains("Expected \"usd\""), "{message}");
}

#[test]
fn a_user_errors_path_leads_to_the_inputs_field() {
    for (path, at) in [
        (json!(["order", "lineItems", "0", "variantId"]), "/line_items/0/variant_id"),
        (json!(["order", "shippingAddress", "countryCode"]), "/shipping_address/country_code"),
        (json!(["order", "email"]), "/email"),
        (json!(["order"]), ""),
    ] {
        let error =
            refused_by_user_error(&json!({"field": path, "message": "is invalid", "code": "INVALID"}));
        let Error::InvalidInput { field, message } = error else { panic!("{path} is a wrong input") };
        assert_eq!((field.as_str(), message.as_str()), (at, "is invalid"));
    }
}

#[test]
fn user_errors_about_anything_else_have_their_own_cases() {
    let of = |field: Value, message: &str, code: Value| {
        refused_by_user_error(&json!({"field": field, "message": message, "code": code}))
    };
    let wait = Some(Duration::from_secs(60));
    let busy = of(Value::Null, "Too many attempts. Please try again later.", Value::Null);
    assert_eq!(busy, Error::RateLimited { retry_after: wait });
    let stock = of(json!(["order", "lineItems"]), "out of stock", json!("INVENTORY_CLAIM_FAILED"));
    assert!(matches!(stock, Error::Conflict(_)));
    let dormant = of(Value::Null, "Shop is dormant", json!("SHOP_DORMANT"));
    assert!(matches!(dormant, Error::Rejected { status: 200, .. }));
    let gone = of(json!(["id"]), "Webhook subscription does not exist", Value::Null);
    assert!(matches!(gone, Error::NotFound(_)));
    let taken = of(
        json!(["webhookSubscription", "callbackUrl"]),
        "Address for this topic has already been taken",
        Value::Null,
    );
    assert!(matches!(taken, Error::Conflict(_)));
    let blank = of(json!(["webhookSubscription", "callbackUrl"]), "Address can't be blank", Value::Null);
    assert!(matches!(&blank, Error::Rejected { message, .. } if message.contains("can't be blank")));
}

#[test]
fn all_user_errors_are_told() {
    let errors = json!([{"field": ["order", "email"], "message": "Email is invalid"},
                        {"field": ["order", "phone"], "message": "Phone is invalid"}]);
    let error = created(answer(&json!({"orderCreate": {"order": null, "userErrors": errors}}))).unwrap_err();
    assert_eq!(error, Error::invalid_input("/email", "Email is invalid; Phone is invalid"));
}

#[test]
fn what_was_carried_out_is_no_error_though_a_part_of_the_answer_is_refused() {
    let host = host();
    let denied = json!({"message": "Access denied for customer field.", "path": ["orderCreate", "order", "customer"],
                        "extensions": {"code": "ACCESS_DENIED"}});
    let data = json!({"orderCreate": {"order": {"id": "gid://shopify/Order/1"}, "userErrors": []}});
    host.http().once("POST", URL, Answer::json(200, &json!({"data": data, "errors": [denied]})));
    let payload = CREATE.send(&host.context(), &json!({})).unwrap();
    assert_eq!(payload["order"]["id"], "gid://shopify/Order/1");
    assert!(host.logs()[0].1.contains("`orderCreate` was carried out, but"), "{:?}", host.logs());
}

#[test]
fn an_answer_without_data_and_errors_is_not_understood() {
    for body in
        [json!({}), json!({"data": null}), json!({"data": {"orderCreate": null}}), json!([]), json!(1)]
    {
        for result in [created(Answer::json(200, &body)), queried(Answer::json(200, &json!({"data": null})))]
        {
            assert!(
                matches!(&result, Err(Error::Other { code, .. }) if code == "answer-not-understood"),
                "{body}"
            );
        }
    }
}

#[test]
fn refusals_about_the_shop_say_what_to_do() {
    for (answer, status, remedy) in [
        (Answer::empty(402), 402, "frozen"),
        (Answer::json(403, &json!({"errors": "Unavailable Shop"})), 403, "Unavailable Shop"),
        (Answer::json(404, &json!({"errors": "Not Found"})), 404, "check the connection's shop name"),
        (
            Answer::empty(301)
                .header("Location", "https://new-name.myshopify.com/admin/api/2026-10/graphql.json"),
            301,
            "`new-name.myshopify.com`",
        ),
        (
            Answer::json(422, &json!({"errors": {"query": ["Required parameter missing"]}})),
            422,
            "Required parameter",
        ),
        (Answer::text(430, ""), 430, "no explanation"),
    ] {
        let Err(Error::Rejected { status: found, message }) = queried(answer) else {
            panic!("{status} is a rejection")
        };
        assert_eq!(found, status);
        assert!(message.contains(remedy), "{message}");
    }
}

#[test]
fn a_connection_without_shop_is_named() {
    let error = QUERY.send(&FakeHost::new().context(), &json!({})).unwrap_err();
    assert!(error.to_string().contains("`shop`"), "{error}");
}
