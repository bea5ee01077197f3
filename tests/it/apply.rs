//! `trunnion apply`: what an ISV defines as files, through the command line, on a real host.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use trunnion_tests::{
    component,
    host::{self, Client, HostOptions, TestHost},
};

/// AcmeCo's folder, with the workflow in JSON, and everything else in YAML beside a file that is none of it.
const THINGS: &str = r#"
kind: event
name: Fulfillment Updated
description: AcmeCo has shipped an order.
sample: { orderId: "123", status: FULFILLED }
---
kind: stream
name: acmeco-orders
url: https://${ORDERS_HOST}/orders
signatures: [standard, alloy]
---
kind: integration
app: bigcommerce
"#;

const FULFILMENT: &str = r#"
kind: workflow
app: bigcommerce
definition:
  name: Fulfilment
  trigger: { type: event, event: Fulfillment Updated }
  maps:
    order_status: { entries: { FULFILLED: 2 } }
  steps:
    - id: update
      type: action
      app: bigcommerce
      action: update_order_status
      input:
        order_id: "{{ trigger.orderId }}"
        status_id: { $map: order_status, of: "{{ trigger.status }}" }
"#;

struct Folder {
    host: TestHost,
    client: Client,
    dir: TempDir,
}

/// What the command said and how it ended.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Folder {
    async fn made() -> Self {
        let options = HostOptions {
            components: vec![component::bigcommerce().await.unwrap()],
            ..HostOptions::default()
        };
        let host = TestHost::start(options).await.unwrap();
        let client = host.client().unwrap();
        let this = Self { host, client, dir: tempfile::tempdir().unwrap() };
        fs::create_dir(this.path().join("workflows")).unwrap();
        this.write("acme.yaml", THINGS);
        this.write("workflows/fulfilment.yml", FULFILMENT);
        this.write("workflows/created.json", &created("{{ trigger }}").to_string());
        this.write("README.md", "not a definition");
        this
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    async fn apply(&self, arguments: &[&str]) -> Said {
        let binary = tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap();
        let mut command = Command::new(binary);
        command.arg("apply").arg(".").current_dir(self.path()).args(["--host", self.host.base_url()]);
        command.arg("--data-dir").arg(self.host.data_dir()).args(arguments);
        command.env("ORDERS_HOST", "acmeco.example").env_remove("TRUNNION_KEY");
        let done = command.stdin(std::process::Stdio::null()).output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
    }

    async fn listed(&self, path: &str) -> Vec<Value> {
        self.client.get(path).await.unwrap().ok().unwrap()["data"].as_array().unwrap().clone()
    }

    /// Every workflow's name and newest release.
    async fn workflows(&self) -> Vec<(String, u64)> {
        let listed = self.listed("/v1/workflows").await;
        let of = |it: &Value| {
            (it["definition"]["name"].as_str().unwrap().to_owned(), it["latest_release"].as_u64().unwrap())
        };
        listed.iter().map(of).collect()
    }
}

fn created(body: &str) -> Value {
    json!({ "kind": "workflow", "app": "bigcommerce", "definition": {
        "name": "Order created",
        "trigger": { "type": "app", "app": "bigcommerce", "trigger": "order_created" },
        "steps": [{ "id": "send", "type": "stream", "destination": "acmeco-orders", "body": body }],
    } })
}

#[tokio::test]
async fn a_folder_becomes_what_it_says_and_is_then_unchanged() {
    let folder = Folder::made().await;
    let planned = folder.apply(&["--plan"]).await;
    assert_eq!(planned.code, 2, "{planned:?}");
    for line in [
        "+ integration `bigcommerce`  ./acme.yaml:12",
        "+ event `Fulfillment Updated`  ./acme.yaml:2",
        "+ stream `acmeco-orders`  ./acme.yaml:7",
        "+ workflow `Fulfilment` of `bigcommerce`  ./workflows/fulfilment.yml:2",
        "+ workflow `Order created` of `bigcommerce`  ./workflows/created.json:1",
    ] {
        assert!(planned.out.contains(line), "{line}: {}", planned.out);
    }
    assert!(folder.listed("/v1/events").await.is_empty() && folder.workflows().await.is_empty());
    let unasked = folder.apply(&[]).await;
    assert!(unasked.code == 1 && unasked.err.contains("--yes"), "{unasked:?}");
    assert!(folder.workflows().await.is_empty(), "nobody agreed");

    let secrets = folder.path().join("secrets.txt");
    let done = folder.apply(&["--yes", "--release", "--secrets", secrets.to_str().unwrap()]).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(folder.workflows().await, [("Order created".to_owned(), 1), ("Fulfilment".to_owned(), 1)]);
    let stream = &folder.listed("/v1/streams").await[0];
    assert_eq!(
        (&stream["url"], &stream["signatures"]),
        (&json!("https://acmeco.example/orders"), &json!(["standard", "alloy"]))
    );
    let kept: Value = serde_json::from_str(&fs::read_to_string(&secrets).unwrap()).unwrap();
    let secret = kept["acmeco-orders"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && !format!("{done:?}").contains(secret), "it is shown nowhere");
    assert_eq!(folder.listed("/v1/integrations").await.len(), 1);

    let again = folder.apply(&["--plan", "--release"]).await;
    assert_eq!((again.code, again.out.as_str()), (0, "= 5 as the files say\n"), "{again:?}");

    // One thing changes, another is released only, a third is the host's own.
    folder.write("workflows/created.json", &created("{{ trigger.id }}").to_string());
    folder.client.define_event("Theirs", "Made by hand.", &json!({ "a": 1 })).await.unwrap();
    let planned = folder.apply(&["--plan"]).await;
    assert!(planned.out.contains("~ workflow `Order created` of `bigcommerce` (steps)"), "{planned:?}");
    assert!(planned.out.contains("? event `Theirs` is on the host only; it stays"), "{planned:?}");
    assert_eq!(folder.apply(&["--yes"]).await.code, 0);
    assert_eq!(folder.workflows().await[0], ("Order created".to_owned(), 1), "a draft is no release");
    let planned = folder.apply(&["--plan", "--release"]).await;
    assert!(planned.out.contains("^ release of workflow `Order created`"), "{planned:?}");
    assert_eq!(folder.apply(&["--yes", "--release"]).await.code, 0);
    assert_eq!(folder.workflows().await, [("Order created".to_owned(), 2), ("Fulfilment".to_owned(), 1)]);
    let releases = folder.listed("/v1/workflows").await[0]["id"].as_str().unwrap().to_owned();
    let releases = folder.listed(&format!("/v1/workflows/{releases}/releases")).await;
    let bodies: Vec<_> = releases.iter().map(|it| &it["definition"]["steps"][0]["body"]).collect();
    assert_eq!(bodies, ["{{ trigger }}", "{{ trigger.id }}"]);
}

#[tokio::test]
async fn faults_are_told_with_their_lines_and_nothing_is_released() {
    let folder = Folder::made().await;
    // What the files themselves get wrong: nothing is asked of the host.
    folder.write(
        "wrong.yaml",
        "kind: workflow\napp: bigcommerce\ndefinition:\n  name: Wrong\n  steps: []\n---\nkind: evnt\n",
    );
    folder.write("workflows/wrong.json", "{\n  \"kind\": \"event\",\n}");
    let told = folder.apply(&["--yes"]).await;
    assert_eq!(told.code, 3, "{told:?}");
    for place in ["./wrong.yaml:3: ", "./wrong.yaml:7: ", "./workflows/wrong.json:3: this is no JSON"] {
        assert!(told.err.contains(place), "{place}: {}", told.err);
    }
    assert!(folder.listed("/v1/events").await.is_empty(), "nothing was made");
    fs::remove_file(folder.path().join("wrong.yaml")).unwrap();
    fs::remove_file(folder.path().join("workflows/wrong.json")).unwrap();

    // What only the host knows: every draft's problems at once, and no release of any.
    folder.write("workflows/fulfilment.yml", &FULFILMENT.replace("trigger.orderId", "trigger.orderNo"));
    folder.write("workflows/created.json", &serde_json::to_string_pretty(&created("{{ nobody }}")).unwrap());
    let told = folder.apply(&["--yes", "--release"]).await;
    assert_eq!(told.code, 3, "{told:?}");
    assert!(told.err.contains("./workflows/fulfilment.yml:15: workflow `Fulfilment`"), "{}", told.err);
    assert!(told.err.contains("./workflows/created.json:") && told.err.contains("nobody"), "{}", told.err);
    assert_eq!(folder.workflows().await, [("Order created".to_owned(), 0), ("Fulfilment".to_owned(), 0)]);
    let told = folder.apply(&["--plan", "--environment", "production"]).await;
    assert!(
        told.out.contains("+ stream `acmeco-orders`") && !told.out.contains("event"),
        "streams are production's own: {told:?}"
    );
}
