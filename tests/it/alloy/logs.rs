//! What people read of runs: by workflow, of the whole environment, in figures; and its deletion.

use serde_json::{Value, json};
use trunnion_tests::{
    host::Client,
    scenario::{Merchant, Scenario},
};

/// Ada fulfils three orders, of which the first does not exist; Bob one.
async fn with_runs() -> (Scenario, Merchant, Merchant) {
    let scenario = Scenario::start().await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let bob = scenario.merchant("bob").await.unwrap();
    scenario.fulfil(&ada, 999_999, "FULFILLED").await.unwrap().ok().unwrap();
    scenario.client.runs_ended(&scenario.catalogue.fulfilment, "ada", 1).await.unwrap();
    for count in 2..=3 {
        let order = scenario.bigcommerce.create_order(&ada.store, 11).unwrap();
        scenario.fulfil(&ada, order, "FULFILLED").await.unwrap().ok().unwrap();
        scenario.client.runs_ended(&scenario.catalogue.fulfilment, "ada", count).await.unwrap();
    }
    let order = scenario.bigcommerce.create_order(&bob.store, 11).unwrap();
    scenario.fulfil(&bob, order, "FULFILLED").await.unwrap().ok().unwrap();
    scenario.client.runs_ended(&scenario.catalogue.fulfilment, "bob", 1).await.unwrap();
    (scenario, ada, bob)
}

async fn get(client: &Client, path: &str) -> Value {
    client.get(path).await.unwrap().ok().unwrap()
}

#[tokio::test]
async fn a_workflows_executions_are_read_page_by_page_in_either_order() {
    let (scenario, ada, _) = with_runs().await;
    let Scenario { client, catalogue, .. } = &scenario;
    let ids = async |path: String| {
        let listed = get(client, &path).await;
        let listed = listed["data"].as_array().unwrap().clone();
        listed.iter().map(|it| it["executionId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let logs = format!("/2024-03/workflows/{}/logs?userId=ada", catalogue.fulfilment);
    let newest_first = ids(logs.clone()).await;
    assert_eq!(newest_first.len(), 3);
    let mut oldest_first = ids(format!("{logs}&order=asc")).await;
    oldest_first.reverse();
    assert_eq!(newest_first, oldest_first);
    for (page, expected) in [(0, &newest_first[..2]), (1, &newest_first[2..]), (2, &[])] {
        assert_eq!(ids(format!("{logs}&limit=2&page={page}")).await, expected, "page {page}");
    }
    assert_eq!(ids(format!("{logs}&error=true")).await, newest_first[2..], "only the one that failed");
    assert_eq!(ids(format!("{logs}&error=false")).await, newest_first);
    let everybodys = format!("/2023-01/workflow/{}/logs", catalogue.fulfilment);
    assert_eq!(ids(everybodys).await.len(), 4);

    let one = get(client, &format!("{logs}&limit=1")).await["data"][0].clone();
    assert_eq!(
        (&one["finished"], &one["status"], &one["userId"]),
        (&json!(true), &json!("success"), &json!(ada.user))
    );
    let result = &one["results"][0];
    assert_eq!(
        (&result["block"], result["data"][0][0].get("json").is_some()),
        (&json!("update"), true),
        "{result}"
    );

    let errors = get(client, &format!("/2024-03/workflows/{}/errors?userId=ada", catalogue.fulfilment)).await;
    let errors = errors["data"].as_array().unwrap().clone();
    assert_eq!((errors.len(), &errors[0]["block"]), (1, &json!("update")));
    assert!(errors[0]["message"].as_str().is_some_and(|text| !text.is_empty()), "{errors:?}");
    let figures = get(client, &format!("/2024-03/workflows/{}/analytics", catalogue.fulfilment)).await;
    assert_eq!(figures, json!({ "totalAppActions": 4, "totalWorkflowRuns": 4, "totalErrors": 1 }));
    let path = format!("/2024-03/workflows/{}/analytics?userId=bob", catalogue.fulfilment);
    assert_eq!(
        get(client, &path).await,
        json!({ "totalAppActions": 1, "totalWorkflowRuns": 1, "totalErrors": 0 })
    );
}

#[tokio::test]
async fn the_environments_log_is_filtered_sorted_and_counted() {
    let (scenario, ada, bob) = with_runs().await;
    let Scenario { client, catalogue, .. } = &scenario;
    let found = async |query: &str| {
        let answer = get(client, &format!("/2024-03/logs?workflowId={}&{query}", catalogue.fulfilment)).await;
        let users = answer["notifications"].as_array().unwrap().iter().map(|it| it["userId"].clone());
        (users.collect::<Vec<_>>(), answer["pagination"].clone())
    };
    let (users, pagination) = found("limit=3").await;
    assert_eq!(users, [json!(bob.user), json!(ada.user), json!(ada.user)], "the newest first");
    assert_eq!(pagination, json!({ "totalItems": 4, "totalPages": 2, "currentPage": 1, "pageSize": 3 }));
    let (users, pagination) = found("limit=3&skip=3&sortOrder=desc&sortBy=completedAt").await;
    assert_eq!((users.as_slice(), &pagination["currentPage"]), ([json!(ada.user)].as_slice(), &json!(2)));
    assert_eq!(found("associatedUserId=bob").await.0, [json!(bob.user)]);
    assert_eq!(
        found("sortBy=userId&sortOrder=asc").await.0[3],
        json!(bob.user),
        "the younger id is the last"
    );
    let others = get(client, "/2024-03/logs?limit=100").await["notifications"].as_array().unwrap().clone();
    assert!(others.iter().filter(|it| it["workflowId"] == json!(catalogue.fulfilment)).count() == 4);
    let filters =
        r#"[{"columns":"message","operators":"equals","userinput":"executionError","condition":"and"}]"#;
    let failed = reqwest::Url::parse_with_params("http://x/2024-03/logs", [("filters", filters)]).unwrap();
    let failed = get(client, &format!("{}?{}", failed.path(), failed.query().unwrap())).await;
    let [one] = failed["notifications"].as_array().unwrap().as_slice() else { panic!("{failed}") };
    assert_eq!(one["message"], "executionError");
    assert_eq!((&one["user"]["email"], &one["forgeWorkflow"]["name"]), (&json!("ada"), &json!("Fulfilment")));
    assert_eq!(one["forgeWorkflow"]["integrationId"]["_id"], json!(catalogue.integration));
    assert_eq!(one["data"]["executionId"], one["_id"]);
    for (query, named) in [("sortBy=colour", "colour"), ("filters=nonsense", "filters")] {
        let refused = client.get(&format!("/2024-03/logs?{query}")).await.unwrap();
        assert_eq!((refused.status, refused.message().contains(named)), (400, true), "{}", refused.text);
    }
}

#[tokio::test]
async fn an_execution_is_run_again_for_its_own_user_only() {
    let (scenario, _, _) = with_runs().await;
    let Scenario { client, catalogue, .. } = &scenario;
    let logs = format!("/2024-03/workflows/{}/logs?userId=ada", catalogue.fulfilment);
    let execution = get(client, &logs).await["data"][0]["executionId"].as_str().unwrap().to_owned();
    let rerun =
        |user: &str| format!("/2024-03/workflows/{}/rerun/{execution}?userId={user}", catalogue.fulfilment);
    let refused = client.send(reqwest::Method::POST, &rerun("bob"), None).await.unwrap();
    assert_eq!(refused.status, 404, "{}", refused.text);
    let again = client.send(reqwest::Method::POST, &rerun("ada"), None).await.unwrap().ok().unwrap();
    assert_eq!(again["message"], "success");
    let runs = client.runs_ended(&catalogue.fulfilment, "ada", 4).await.unwrap();
    assert_eq!(json!(runs[0].id()), again["executionUuid"]);
}

#[tokio::test]
async fn a_users_logs_are_deleted_and_nobody_elses() {
    let (scenario, _, _) = with_runs().await;
    let Scenario { client, catalogue, .. } = &scenario;
    let deleted = client.delete("/2023-01/users/ada/logs").await.unwrap().ok().unwrap();
    assert_eq!(deleted, json!({ "message": "Success" }));
    assert_eq!(client.runs(&catalogue.fulfilment, "ada").await.unwrap().len(), 0);
    assert_eq!(client.runs(&catalogue.fulfilment, "bob").await.unwrap().len(), 1);
    let logs = get(client, &format!("/2024-03/workflows/{}/logs", catalogue.fulfilment)).await;
    assert_eq!(logs["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        client.delete("/2023-01/users/ada/logs").await.unwrap().status,
        200,
        "nothing is left to delete"
    );
}
