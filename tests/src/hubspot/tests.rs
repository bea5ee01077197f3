//! That the fake has HubSpot's rules: whatever passes here would pass there.

use serde_json::json;

use super::*;

async fn call(hubspot: &HubSpot, method: reqwest::Method, path: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().request(method, format!("{}{path}", hubspot.base_url()));
    let mut request = request.header("authorization", "Bearer token");
    if !body.is_null() {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

#[tokio::test]
async fn objects_have_hubspots_rules() {
    let hubspot = HubSpot::start("secret").await.unwrap();
    hubspot.add_portal(7, "token");
    let post = reqwest::Method::POST;
    let create = |properties: Value| {
        let body = json!({ "properties": properties });
        let (hubspot, post) = (hubspot.clone(), post.clone());
        async move { call(&hubspot, post, "/crm/v3/objects/contacts", &body).await }
    };
    assert_eq!(create(json!({ "email": "ada@example.com" })).await.0, 201);
    assert_eq!(create(json!({ "email": "ADA@example.com" })).await.0, 409);
    for properties in
        [json!({ "email": "ada" }), json!({ "nickname": "x" }), json!({ "phone": 7 }), json!(null)]
    {
        assert_eq!(create(properties.clone()).await.0, 400, "{properties}");
    }
    assert_eq!(hubspot.objects(7, "contacts").len(), 1, "what is refused changes nothing");
    let path = "/crm/v3/objects/contacts/ada%40example.com?idProperty=email&properties=phone";
    let (status, read) = call(&hubspot, reqwest::Method::GET, path, &Value::Null).await;
    assert_eq!((status, &read["properties"]["phone"]), (200, &Value::Null), "{read}");
    let (status, gone) =
        call(&hubspot, reqwest::Method::GET, "/crm/v3/objects/contacts/1", &Value::Null).await;
    assert_eq!((status, &gone["category"]), (404, &json!("OBJECT_NOT_FOUND")));
    let details = format!("{}/account-info/v3/details", hubspot.base_url());
    let anonymous = reqwest::Client::new().get(details).send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
}

#[tokio::test]
async fn a_search_ends_at_ten_thousand_and_its_index_is_late() {
    let hubspot = HubSpot::start("secret").await.unwrap();
    hubspot.add_portal(7, "token");
    for _ in 0..3 {
        hubspot.create(7, "deals", &json!({ "dealname": "x" })).unwrap();
    }
    let search = |body: Value| {
        let hubspot = hubspot.clone();
        async move { call(&hubspot, reqwest::Method::POST, "/crm/v3/objects/deals/search", &body).await }
    };
    let (_, page) = search(json!({ "limit": 2, "sorts": ["-hs_object_id"] })).await;
    assert_eq!((&page["total"], &page["paging"]["next"]["after"]), (&json!(3), &json!("2")), "{page}");
    assert_eq!(search(json!({ "limit": 200, "after": "9801" })).await.0, 400);
    assert_eq!(search(json!({ "limit": 201 })).await.0, 400);
    hubspot.set_index_lag(Duration::from_secs(5));
    assert_eq!(search(json!({})).await.1["total"], 0);
    hubspot.advance(Duration::from_secs(5));
    assert_eq!(search(json!({})).await.1["total"], 3);
}

#[tokio::test]
async fn a_batch_keeps_what_it_can_and_says_what_it_cannot() {
    let hubspot = HubSpot::start("secret").await.unwrap();
    hubspot.add_portal(7, "token");
    let input = |id: &str, trace: &str| json!({ "idProperty": "email", "id": id, "properties": {}, "objectWriteTraceId": trace });
    let body = json!({ "inputs": [input("nobody", "0"), input("ada@example.com", "1")] });
    let (status, answer) =
        call(&hubspot, reqwest::Method::POST, "/crm/v3/objects/contacts/batch/upsert", &body).await;
    assert_eq!((status, &answer["numErrors"]), (207, &json!(1)), "{answer}");
    assert_eq!(answer["results"][0]["objectWriteTraceId"], "1");
    assert_eq!(answer["errors"][0]["context"]["objectWriteTraceId"], json!(["0"]));
    assert_eq!(hubspot.objects(7, "contacts").len(), 1);
}
