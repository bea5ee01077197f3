//! `trunnion connector record` and the replay of what it recorded: on the connectors of this repository, against the
//! vendors' fakes. The cassettes of `connectors/*/cassettes` were made so; `TRUNNION_KEEP_CASSETTES=1` makes them anew.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use trunnion_tests::{
    bigcommerce::BigCommerce, component, host::workspace, scenario::shopify::rewrite, shopify::Shopify,
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
