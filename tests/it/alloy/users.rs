//! `/users`: one by one, many at once, and each environment's own.

use reqwest::Method;
use serde_json::{Value, json};
use trunnion_tests::{
    host::{HostOptions, TestHost},
    scenario::Scenario,
};

#[tokio::test]
async fn a_user_is_made_found_changed_and_listed() {
    let host = TestHost::start(HostOptions::default()).await.unwrap();
    let client = host.client().unwrap();
    let body = json!({ "username": "ada@acme.com", "fullName": "Ada" });
    let made = client.post("/2024-03/users/", &body).await.unwrap();
    assert_eq!((made.status, made.headers["content-type"].to_str().unwrap()), (200, "application/json"));
    let id = made.json()["userId"].as_str().unwrap().to_owned();
    let ada = json!({ "userId": id, "username": "ada@acme.com", "fullName": "Ada" });
    // By id and by name, with a body on the GET and with doubled slashes, as official clients send them.
    for path in
        [format!("/2023-01/users/{id}"), "/2024-03//users/ada@acme.com/".to_owned(), format!("/users/{id}")]
    {
        let answer = client.send(Method::GET, &path, Some(b"{}".to_vec())).await.unwrap();
        assert_eq!(answer.ok().unwrap(), ada, "{path}");
    }
    let changed =
        client.put(&format!("/2024-03/users/{id}"), &json!({ "fullName": "Ada L." })).await.unwrap();
    assert_eq!(
        changed.ok().unwrap(),
        json!({ "userId": id, "username": "ada@acme.com", "fullName": "Ada L." })
    );
    let renamed = client.put("/2024-03/users/ada@acme.com", &json!({ "username": "ada" })).await.unwrap();
    let ada = json!({ "userId": id, "username": "ada", "fullName": "Ada L." });
    assert_eq!(renamed.ok().unwrap(), ada);
    assert_eq!(client.get("/2024-03/users/ada@acme.com").await.unwrap().status, 404, "the old name is free");
    let bob = client.create_user("ada@acme.com", "Bob").await.unwrap();
    let taken = client.put(&format!("/2024-03/users/{bob}"), &json!({ "username": "ada" })).await.unwrap();
    assert_eq!(
        (taken.status, taken.message().contains("`ada` already exists")),
        (409, true),
        "{}",
        taken.text
    );
    let listed = client.get("/2024-03/users").await.unwrap().ok().unwrap();
    assert_eq!(
        listed,
        json!({ "data": [ada, { "userId": bob, "username": "ada@acme.com", "fullName": "Bob" }] })
    );
    for wrong in ["0123456789abcdef01234567", "0123456789ABCDEF01234567", " ", ""] {
        let refused = client.post("/2024-03/users", &json!({ "username": wrong })).await.unwrap();
        assert_eq!(refused.status, 400, "`{wrong}`: {}", refused.text);
        let refused = client.put("/2024-03/users/ada", &json!({ "username": wrong })).await.unwrap();
        assert_eq!(refused.status, 400, "`{wrong}`: {}", refused.text);
    }
    let wordless = client.post("/2024-03/users", &json!({})).await.unwrap();
    assert_eq!((wordless.status, wordless.message().contains("username")), (400, true), "{}", wordless.text);
}

#[tokio::test]
async fn a_batch_makes_whom_it_can_and_names_the_others() {
    let host = TestHost::start(HostOptions::default()).await.unwrap();
    let client = host.client().unwrap();
    client.create_user("taken", "Taken").await.unwrap();
    let wished = json!([
        { "username": "ada", "fullName": "Ada" }, { "username": "bob" }, { "fullName": "Nameless" },
        { "username": "taken" }, { "username": "ada" }, { "username": "0123456789abcdef01234567" },
    ]);
    let made = client.post("/2024-03/users/batch", &json!({ "users": wished })).await.unwrap().ok().unwrap();
    let invalid = json!([
        { "fullName": "Nameless" }, { "username": "taken" }, { "username": "ada" },
        { "username": "0123456789abcdef01234567" },
    ]);
    assert_eq!(made, json!({ "message": "success", "invalidUsers": invalid }));
    // One client sends the list as a text, by default as JavaScript would write it.
    let literal = "[{ \tusername: 'user123', \tfullName: 'Joe Smoe' }, { \tusername: 'user456' }]";
    let made = client.post("/2024-03/users/batch", &json!({ "users": literal })).await.unwrap().ok().unwrap();
    assert_eq!(made, json!({ "message": "success", "invalidUsers": [] }));
    let names = async || {
        let listed = client.get("/2024-03/users").await.unwrap().ok().unwrap();
        let listed = listed["data"].as_array().unwrap().clone();
        let names = listed.iter().map(|user| user["username"].as_str().unwrap().to_owned());
        // Those of one batch are as old as each other.
        std::collections::BTreeSet::from_iter(names)
    };
    let made = ["ada", "bob", "taken", "user123", "user456"].map(str::to_owned);
    assert_eq!(names().await, made.into());

    let none =
        client.post("/2024-03/users/batch", &json!({ "users": [{ "username": "ada" }] })).await.unwrap();
    assert_eq!((none.status, none.json()), (400, json!({ "message": "No valid users provided" })));
    let many: Vec<Value> = (0..1001).map(|number| json!({ "username": format!("many-{number}") })).collect();
    let refused = client.post("/2024-03/users/batch", &json!({ "users": many })).await.unwrap();
    assert_eq!((refused.status, refused.message().contains("1000")), (400, true), "{}", refused.text);
    for wrong in [json!("[{ username: "), json!(7), json!([{ "username": 7 }])] {
        let refused = client.post("/2024-03/users/batch", &json!({ "users": wrong })).await.unwrap();
        assert_eq!(refused.status, 400, "{wrong}: {}", refused.text);
    }
    let thousand = json!({ "users": many[..1000] });
    let made = client.post("/2024-03/users/batch", &thousand).await.unwrap().ok().unwrap();
    assert_eq!(made, json!({ "message": "success", "invalidUsers": [] }));
    assert_eq!(names().await.len(), 1005);
}

#[tokio::test]
async fn environments_share_what_is_defined_and_nothing_of_users() {
    let scenario = Scenario::start().await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let production = scenario.host.client_with(&scenario.host.keys().production).unwrap();
    assert_eq!(production.get("/2024-03/users").await.unwrap().ok().unwrap(), json!({ "data": [] }));
    for path in ["ada", &ada.user] {
        let answer = production.get(&format!("/2024-03/users/{path}")).await.unwrap();
        assert_eq!(answer.status, 404, "{}", answer.text);
    }
    // The same integration, by the same id, with nothing installed for the user of the same name.
    let twin = production.create_user("ada", "Ada in production").await.unwrap();
    let integration = &scenario.catalogue.integration;
    let path = format!("/2024-03/integrations/{integration}?userId=ada");
    let seen = |answer: Value| {
        let data = &answer["data"];
        (
            data["integrationId"].clone(),
            data["installed"].clone(),
            data["workflows"].as_array().unwrap().len(),
        )
    };
    let here = seen(scenario.client.get(&path).await.unwrap().ok().unwrap());
    let there = seen(production.get(&path).await.unwrap().ok().unwrap());
    assert_eq!(here, (json!(integration), json!(true), 2));
    assert_eq!(there, (json!(integration), json!(false), 2));
    let wish = json!({ "userId": twin, "integrationId": integration, "credentialIds": [ada.credential] });
    let refused = production.post("/2024-03/headless/startInstallation", &wish).await.unwrap();
    assert_eq!(refused.status, 404, "a credential of the other environment: {}", refused.text);
    let token = scenario.client.user_token("ada").await.unwrap();
    let answer = production.as_user(&token).get("/2024-03/integrations").await.unwrap().ok().unwrap();
    assert_eq!(answer["data"][0]["installed"], true, "a token says itself which environment it is of");
    let path = format!("/2024-03/users?parentWorkflowId={}", scenario.catalogue.fulfilment);
    let users = scenario.client.get(&path).await.unwrap().ok().unwrap();
    assert_eq!(users["data"][0]["userId"], json!(ada.user));
    assert_eq!(production.get(&path).await.unwrap().ok().unwrap(), json!({ "data": [] }));
}
