//! `trunnion connector record` and the replay of what it recorded: on the connectors of this repository, against the
//! vendors' fakes. The cassettes of `connectors/*/cassettes` were made so; `TRUNNION_KEEP_CASSETTES=1` makes them anew.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use trunnion_tests::{
    bigcommerce::BigCommerce, bigquery::BigQuery, component, host::workspace, hubspot::HubSpot,
    issuer::Issuer, scan, scenario::shopify::rewrite, shopify::Shopify,
};

use super::author::{does, is_refused};

const TOKEN: &str = "shpat-canary/of the+cassettes";

/// A component, and a connection to a fake.
struct Recorder {
    folder: tempfile::TempDir,
    component: PathBuf,
    base_url: String,
}

impl Recorder {
    fn new(component: PathBuf, base_url: String, connection: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("connection.json"), connection.to_string()).unwrap();
        Self { folder, component, base_url }
    }

    /// Records one call and answers the cassette.
    async fn record(&self, what: &str, input: Option<Value>) -> Value {
        let out = format!("cassettes/{what}.json");
        let input = input.map(|input| input.to_string());
        let given = input.as_deref().map_or(vec![], |input| vec!["--input", input]);
        let arguments = self.reaching(&["record", self.component.to_str().unwrap(), what, "--out", &out]);
        does(self.folder.path(), &[arguments, given].concat()).await;
        let text = fs::read_to_string(self.folder.path().join(out)).unwrap();
        assert!(!text.contains(TOKEN), "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Everything that was recorded.
    fn all(&self) -> String {
        let recorded = scan::files(&self.folder.path().join("cassettes")).unwrap();
        recorded.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    fn reaching<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [arguments, &["--connection", "connection.json", "--base-url", &self.base_url]].concat()
    }

    /// Replayed, and as calls at the fake, nothing is broken. Kept where the caller of the tests wants that.
    async fn holds(&self, app: &str) {
        let test = ["test", self.component.to_str().unwrap(), "--cassettes", "cassettes"];
        let said = does(self.folder.path(), &test).await;
        assert!(said.contains(" 0 are broken"), "{said}");
        let said = does(self.folder.path(), &self.reaching(&test)).await;
        assert!(said.contains(" 0 are broken"), "{said}");
        if keep() {
            let kept = workspace().join("connectors").join(app).join("cassettes");
            fs::create_dir_all(&kept).unwrap();
            for entry in fs::read_dir(self.folder.path().join("cassettes")).unwrap() {
                let path = entry.unwrap().path();
                fs::copy(&path, kept.join(path.file_name().unwrap())).unwrap();
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says so")]
fn keep() -> bool {
    std::env::var("TRUNNION_KEEP_CASSETTES").is_ok()
}

#[tokio::test]
async fn bigcommerce_is_recorded_without_its_token_and_replays() {
    let vendor = BigCommerce::start().await.unwrap();
    vendor.add_store("storeada", TOKEN);
    let order = vendor.create_order("storeada", 11).unwrap();
    let recorder = Recorder::new(
        component::bigcommerce().await.unwrap(),
        format!("api.bigcommerce.com={}", vendor.base_url()),
        &json!({"parameters": {"store_hash": "storeada"}, "secrets": {"access_token": TOKEN}}),
    );
    let check = recorder.record("check", None).await;
    assert_eq!(check["exchanges"][0]["request"]["headers"]["x-auth-token"], "{{secret:access_token}}");
    let got = recorder.record("get_order", Some(json!({"order_id": order}))).await;
    assert_eq!(got["ends"]["output"]["id"], order);
    let mail = got.pointer("/ends/output/billing_address/email").and_then(Value::as_str).unwrap();
    assert!(mail.chars().all(|letter| "x0@.-_+".contains(letter)), "{mail}");
    recorder.record("update_order_status", Some(json!({"order_id": order, "status_id": 2}))).await;
    recorder.holds("bigcommerce").await;
}

#[tokio::test]
async fn shopify_is_recorded_without_its_token_and_replays() {
    let vendor = Shopify::start().await.unwrap();
    vendor.add_shop("ada", TOKEN, "client-secret-of-ada");
    let order = vendor.create_order("ada").unwrap();
    let secrets = json!({"access_token": TOKEN, "client_secret": "client-secret-of-ada"});
    let recorder = Recorder::new(
        component::shopify().await.unwrap(),
        rewrite(&vendor),
        &json!({"parameters": {"shop": "ada"}, "secrets": secrets}),
    );
    recorder.record("check", None).await;
    let got = recorder.record("get_order", Some(json!({"order_id": order}))).await;
    assert_eq!(
        got["exchanges"][0]["request"]["headers"]["x-shopify-access-token"],
        "{{secret:access_token}}"
    );
    recorder.holds("shopify").await;
}

/// The rest of consent, as a person's browser and the ISV's server go through it.
async fn consented(vendor: &HubSpot, client: &str, secret: &str) -> Value {
    let back = "https://acmeco.example/back";
    let base = vendor.base_url();
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let asked = [("client_id", client), ("redirect_uri", back), ("state", "s"), ("response_type", "code")];
    let page = url::Url::parse_with_params(&format!("{base}/oauth/authorize"), asked).unwrap();
    let sent = browser.get(page).send().await.unwrap();
    let sent = url::Url::parse(sent.headers()["location"].to_str().unwrap()).unwrap();
    let code = sent.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("client_secret", secret),
            ("redirect_uri", back),
            ("code", &code),
        ])
        .finish();
    let answer = browser
        .post(format!("{base}/oauth/v3/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap();
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn hubspot_is_recorded_by_a_refresh_token_and_replays() {
    let (client, secret) = ("acme-app", "canary-client-secret-of-the-cassettes");
    let vendor = HubSpot::start(secret).await.unwrap();
    vendor.add_client(client, secret);
    vendor.add_portal(62_515, "another-token-of-the-portal");
    vendor.sign_in(62_515);
    let tokens = consented(&vendor, client, secret).await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let secrets = json!({"refresh_token": refresh, "client_id": client, "client_secret": secret});
    let recorder = Recorder::new(
        component::hubspot().await.unwrap(),
        format!("api.hubapi.com={}", vendor.base_url()),
        &json!({ "secrets": secrets }),
    );
    let before = vendor.grants().len();
    let check = recorder.record("check", None).await;
    assert_eq!(vendor.grants()[before..], ["refresh_token"], "a token was obtained for the call");
    assert_eq!(
        check["exchanges"][0]["request"]["headers"]["authorization"],
        "Bearer {{secret:access_token}}"
    );
    assert_eq!(check["ends"]["output"]["id"], "62515");
    let contact = json!({"properties": {"email": "ada@example.com", "firstname": "Ada"}});
    let made = recorder.record("create_contact", Some(contact)).await;
    recorder.record("get_contact", Some(json!({"id": made["ends"]["output"]["id"]}))).await;
    let kept = recorder.all();
    for hidden in [secret, refresh, tokens["access_token"].as_str().unwrap(), "ada@example.com"] {
        assert!(!kept.contains(hidden), "{hidden} is in {kept}");
    }
    recorder.holds("hubspot").await;
}

#[tokio::test]
async fn bigquery_is_recorded_by_a_service_account_and_replays() {
    let token = "ya29-canary-token-of-the-cassettes";
    let vendor = BigQuery::start(token).await.unwrap();
    vendor.add_table(
        "raw",
        "orders",
        json!([{"name": "id", "type": "INTEGER", "mode": "REQUIRED"}, {"name": "total", "type": "STRING"}]),
    );
    let (key, private) = Issuer::start().await.unwrap().service_account("robot@acme.example").unwrap();
    let mut key: Value = serde_json::from_str(&key).unwrap();
    key["token_uri"] = json!("https://oauth2.googleapis.com/token");
    let recorder = Recorder::new(
        component::bigquery().await.unwrap(),
        format!("*.googleapis.com={}", vendor.base_url()),
        &json!({"parameters": {"project": "acme"}, "secrets": {"service_account_key": key.to_string()}}),
    );
    let check = recorder.record("check", None).await;
    assert_eq!(
        check["exchanges"][0]["request"]["headers"]["authorization"],
        "Bearer {{secret:access_token}}"
    );
    let rows = json!({"dataset": "raw", "table": "orders", "rows": [{"id": 7, "total": "41.90"}],
        "ignore_unknown_values": false});
    recorder.record("stream_rows", Some(rows)).await;
    assert_eq!(vendor.rows("raw", "orders").len(), 1);
    let columns = json!({"dataset": "raw", "table": "orders", "sample": {"id": 7, "note": "gift"}});
    recorder.record("add_columns", Some(columns)).await;
    let kept = recorder.all();
    for hidden in [token, &private, "robot@acme.example"] {
        assert!(!kept.contains(hidden), "{hidden} is in {kept}");
    }
    recorder.holds("bigquery").await;
}

#[tokio::test]
async fn http_is_recorded_without_its_token_and_replays() {
    use axum::{Json, Router, http::HeaderMap, routing::get};
    let guarded = async |headers: HeaderMap| {
        let known = headers.get("authorization").is_some_and(|it| it == &format!("Bearer {TOKEN}"));
        let status = if known { axum::http::StatusCode::OK } else { axum::http::StatusCode::UNAUTHORIZED };
        (status, Json(json!({ "id": 7, "total": "41.90" })))
    };
    let router = Router::new().route("/orders/7", get(guarded).post(guarded));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let recorder = Recorder::new(
        component::http().await.unwrap(),
        format!("api.example.com={base}"),
        &json!({"parameters": {"hosts": "api.example.com"}, "secrets": {"token": TOKEN}}),
    );
    let got = recorder.record("get", Some(json!({"url": "https://api.example.com/orders/7"}))).await;
    assert_eq!(got["exchanges"][0]["request"]["headers"]["authorization"], "Bearer {{secret:token}}");
    assert_eq!(got["ends"]["output"]["body"]["id"], 7);
    let order =
        json!({"url": "https://api.example.com/orders/7", "method": "POST", "body": {"json": {"id": 7}}});
    recorder.record("request_once", Some(order)).await;
    recorder.holds("http").await;
    server.abort();
}

#[tokio::test]
async fn tokens_are_obtained_for_an_author_as_a_host_obtains_them() {
    // `tokens.example` replaces its refresh token at each use.
    let issuer = Issuer::start().await.unwrap();
    let (client, secret) = ("acme", "client-canary-9c1e7a52d0");
    issuer.add_client(client, secret);
    let first = issuer.refresh_token("ada");
    let recorder = Recorder::new(
        component::guest("tokens").await.unwrap(),
        format!("*.tokens.example={}", issuer.base_url()),
        &json!({"scheme": "oauth", "parameters": {"shop": "ada", "portal": "1"}, "secrets":
            {"refresh_token": first, "client_id": client, "client_secret": secret}}),
    );
    let run = recorder.reaching(&["run", recorder.component.to_str().unwrap(), "check"]);
    let said = does(recorder.folder.path(), &run).await;
    assert!(said.contains("\"id\": \"ada\"") && !said.contains(&first), "{said}");
    let kept = fs::read_to_string(recorder.folder.path().join("connection.json")).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_ne!(kept["secrets"]["refresh_token"], first, "the new one is kept");
    assert_eq!(kept["secrets"]["client_secret"], secret);
    // The old one is worth nothing any more; the file's is.
    does(recorder.folder.path(), &run).await;

    // The app itself, and a service account, get theirs without anybody's consent.
    let (account, private) = issuer.service_account("robot@acme.example").unwrap();
    for (scheme, secrets, grant) in [
        ("app", json!({"client_id": client, "client_secret": secret}), "client_credentials"),
        ("own", json!({"client_id": client, "client_secret": secret}), "client_credentials"),
        ("account", json!({"service_account": account}), "urn:ietf:params:oauth:grant-type:jwt-bearer"),
    ] {
        let connection =
            json!({"scheme": scheme, "parameters": {"shop": "ada", "portal": "1"}, "secrets": secrets});
        fs::write(recorder.folder.path().join("connection.json"), connection.to_string()).unwrap();
        let said = does(recorder.folder.path(), &run).await;
        assert!(said.contains("\"title\": \"Tokens\"") && !said.contains(&private), "{said}");
        assert_eq!(issuer.asked().last().map(|asked| asked.grant.clone()).as_deref(), Some(grant));
    }
    issuer.distrust(true);
    let refused = is_refused(recorder.folder.path(), &run).await;
    assert!(refused.contains("no token for the connection of `tokens`"), "{refused}");
    for secret in [&private, &account] {
        assert!(!refused.contains(secret), "{refused}");
    }
}

/// Every connector's, as `connectors/*/cassettes` has them: nothing is skipped, and nothing but what is there is replayed.
#[tokio::test]
async fn the_cassettes_that_are_kept_replay() {
    for (app, component) in [
        ("bigcommerce", component::bigcommerce().await.unwrap()),
        ("bigquery", component::bigquery().await.unwrap()),
        ("http", component::http().await.unwrap()),
        ("hubspot", component::hubspot().await.unwrap()),
        ("shopify", component::shopify().await.unwrap()),
    ] {
        let folder = workspace().join("connectors").join(app).join("cassettes");
        let kept = scan::files(&folder).unwrap();
        assert!(
            kept.len() >= 2,
            "{app} has {} cassettes; record them with TRUNNION_KEEP_CASSETTES=1",
            kept.len()
        );
        let arguments =
            ["test", component.to_str().unwrap(), "--cassettes", folder.to_str().unwrap(), "--json"];
        let output = super::author::author(folder.as_path(), &arguments).await;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let verdicts = report["verdicts"].as_array().cloned().unwrap_or_default();
        for path in &kept {
            let text = fs::read_to_string(path).unwrap();
            // What the fakes' accounts are opened with, and how vendors' own tokens begin.
            for hidden in ["canary", "cnry", "shpat", "ya29", "PRIVATE KEY", "client-secret-of-"] {
                assert!(!text.contains(hidden), "{hidden} is in {}", path.display());
            }
        }
        let replayed =
            verdicts.iter().filter(|it| it["rule"] == "its cassettes replay" && it["outcome"] == "passed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(replayed.count(), kept.len(), "{app}: {verdicts:#?} {said}");
        assert!(output.status.success(), "{app}: {said}");
    }
}

#[tokio::test]
async fn a_cassette_that_does_not_fit_says_how() {
    let vendor = BigCommerce::start().await.unwrap();
    vendor.add_store("storeada", TOKEN);
    let order = vendor.create_order("storeada", 11).unwrap();
    let recorder = Recorder::new(
        component::bigcommerce().await.unwrap(),
        format!("api.bigcommerce.com={}", vendor.base_url()),
        &json!({"parameters": {"store_hash": "storeada"}, "secrets": {"access_token": TOKEN}}),
    );
    let got = recorder.record("get_order", Some(json!({"order_id": order}))).await;
    let path = recorder.folder.path().join("cassettes/get_order.json");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut cassette = got.clone();
        change(&mut cassette);
        fs::write(&path, cassette.to_string()).unwrap();
    };
    let test = ["test", recorder.component.to_str().unwrap(), "--cassettes", "cassettes", "--json"];
    let said = async || broken(recorder.folder.path(), &test).await;

    changed(&|cassette| {
        cassette["exchanges"][0]["request"]["headers"]["x-auth-token"] = json!("{{secret:other}}")
    });
    let text = said().await;
    assert!(text.contains("it asked") && text.contains("which is not recorded"), "{text}");
    assert!(text.contains("it did not ask `GET"), "{text}");
    changed(&|cassette| cassette["ends"] = json!({"error": "not_found"}));
    let text = said().await;
    assert!(text.contains("it ended as") && text.contains("not_found"), "{text}");

    changed(&|cassette| cassette["call"] = json!({"action": "ship_order"}));
    let text = is_refused(recorder.folder.path(), &test).await;
    assert!(text.contains("has no action ship_order"), "{text}");
    fs::write(&path, "{}").unwrap();
    let text = is_refused(recorder.folder.path(), &test).await;
    assert!(text.contains("get_order.json") && text.contains("missing field"), "{text}");
}

/// What a test that fails says of the rules that are broken.
async fn broken(folder: &Path, arguments: &[&str]) -> String {
    let output = super::author::author(folder, arguments).await;
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let verdicts = report["verdicts"].as_array().unwrap();
    verdicts.iter().filter(|verdict| verdict["outcome"] == "broken").map(Value::to_string).collect()
}
