//! Canaries over every auth scheme: the vendor echoes what it was sent, and nothing of it is found anywhere.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;
use trunnion_tests::scan::Canary;

use super::{CLIENT_SECRET, Setting};

const OWN_SECRET: &str = "cnry-own-client-%/+\"secret-27d1c0";
const PASSWORD: &str = "cnry-pass/+\"word-88f1a2";
const KEY: &str = "cnry-api-%/+\"key-4e77b3";
const AWS_KEY: &str = "cnry-aws-%/+\"key-61c0d9";

#[tokio::test]
async fn no_scheme_leaks_what_it_holds() {
    let mut setting = Setting::start().await;
    setting.issuer.add_client("own-client", OWN_SECRET);
    setting.issuer.add_key("basic account", &format!("ada:{PASSWORD}"));
    setting.issuer.add_key("key account", KEY);
    setting.issuer.add_key("aws account", "AKIAEXAMPLE");
    let (account, private_key) = setting.issuer.service_account("robot@acme.example").unwrap();
    let mut secrets: Vec<String> =
        [CLIENT_SECRET, OWN_SECRET, PASSWORD, KEY, AWS_KEY, private_key.as_str()].map(str::to_owned).into();
    secrets.push(BASE64_STANDARD.encode(format!("ada:{PASSWORD}")));

    let mut shown = String::new();
    for (round, data) in [
        None,
        Some(json!({})),
        Some(json!({ "client_id": "own-client", "client_secret": OWN_SECRET })),
        Some(json!({ "service_account": account })),
        Some(json!({ "username": "ada", "password": PASSWORD })),
        Some(json!({ "api_key": KEY })),
        Some(json!({ "access_key_id": "AKIAEXAMPLE", "secret_access_key": AWS_KEY })),
    ]
    .into_iter()
    .enumerate()
    {
        setting.user = setting.client.create_user(&format!("user{round}"), "Ada").await.unwrap();
        match data {
            None => drop(setting.connect().await),
            Some(data) => drop(setting.give(data).await),
        }
        setting.install().await;
        setting.say("hello").await;
        let runs = setting.client.runs_ended(&setting.workflow, &setting.user, 1).await.unwrap();
        assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
        assert!(runs[0].text().contains("[redacted]"), "the echo came back cleaned: {}", runs[0].text());
        shown.push_str(&runs[0].text());
        for path in [
            format!("/v1/users/{}/connections", setting.user),
            format!("/2024-03/users/{}/credentials", setting.user),
            format!("/2023-12/workflows/{}/logs?userId={}", setting.workflow, setting.user),
        ] {
            shown.push_str(&setting.client.get(&path).await.unwrap().text);
        }
    }
    // What is refused is told without what was sent, too.
    setting.issuer.revoke("ada");
    setting.user = "user0".to_owned();
    setting.say("refused").await;
    trunnion_tests::wait::until("the run to wait", || async {
        let runs = setting.client.runs(&setting.workflow, &setting.user).await.ok()?;
        let waiting = runs.iter().find(|run| run.status() == "waiting")?;
        setting.client.run(waiting.id()).await.ok()
    })
    .await
    .map(|run| shown.push_str(&run.text()))
    .unwrap();
    for path in ["/v1/apps/tokens/oauth-client", "/v1/runs", "/v1/connectors", "/v1/users/user0/connections"]
    {
        shown.push_str(&setting.client.get(path).await.unwrap().text);
    }

    secrets.extend(setting.issuer.issued());
    assert!(secrets.len() > 10, "codes and tokens of every kind: {secrets:?}");
    let look = |setting: &Setting| {
        for secret in &secrets {
            let canary = Canary::new(secret);
            for (place, text) in [("what the host answered", &shown), ("its log", &setting.host.log())] {
                let found = canary.found_in(text.as_bytes());
                assert!(found.is_empty(), "{place} holds `{secret}` ({found:?})");
            }
            let files = canary.in_files(setting.host.data_dir()).unwrap();
            assert!(files.is_empty(), "files hold `{secret}`: {files:?}");
        }
    };
    look(&setting);
    setting.host.stop().await.unwrap();
    look(&setting);
}
