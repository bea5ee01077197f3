//! Erasure, looked for: a user with work in every state is erased, and then none of what names them or was theirs is in
//! any file of the data directory, of a backup taken before, or of what that was restored to; nor can anybody who has the
//! files, the keys and the master key read any of it.

mod attack;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use axum::{Json, Router, http::StatusCode, routing::any};
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command};
use trunnion_tests::{
    component,
    eventual::Eventual,
    host::{self, Client, HostOptions, TestHost},
    isv::Isv,
    scan::Canary,
    wait,
};

const EVENT: &str = "Person Changed";
const STREAM: &str = "people";
const APP_CLIENT: &str = "acmeco-app";

/// What names the user, or is theirs.
const USERNAME: &str = "cnry-username-4f1d7a.ada@example.net";
const FULL_NAME: &str = "Cnry-Fullname Ada 9c27e1b0";
const PAYLOAD: &str = "cnry-payload-\"x/+&%=-5b0c93ae";
/// A record's id at the vendor, in paths.
const RECORD: &str = "cnry-record-77ac02.ada@example.net";
const ORDERING_KEY: &str = "cnry-ordering-key-1e88f0d4";
const VENDORS_WORDS: &str = "cnry-vendor-says-no-c3410d55";
const CREDENTIAL: &str = "cnry-credential-93be0712c6f4";
const FIELD: &str = "cnry-field-value-08d1e6b2aa";
const REQUESTED: &str = "cnry-requested-6b31d9f047ce";
const POLLED: &str = "cnry-polled-e20cb7715f3a";
const POLLED_KEY: &str = "cnry-pollers-credential-2b9e41";
/// Kept nowhere, from the beginning: as keyed hashes at most.
const IDEMPOTENCY_KEY: &str = "cnry-idempotency-key-d70f3b19";
const ACCOUNT: &str = "cnry-polled-account-5512fe90";

/// What can be read as long as the user is there.
const KEPT: [&str; 11] = [
    USERNAME,
    FULL_NAME,
    PAYLOAD,
    RECORD,
    ORDERING_KEY,
    VENDORS_WORDS,
    CREDENTIAL,
    FIELD,
    REQUESTED,
    POLLED,
    POLLED_KEY,
];

fn canaries() -> Vec<Canary> {
    KEPT.iter().chain(&[IDEMPOTENCY_KEY, ACCOUNT]).map(|text| Canary::new(text)).collect()
}

/// A vendor that refuses people in its own words, and is down for letters.
async fn vendor() -> String {
    let router = Router::new()
        .route(
            "/people/{id}",
            any(|| async { (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "message": VENDORS_WORDS }))) }),
        )
        .route("/letters", any(|| async { (StatusCode::SERVICE_UNAVAILABLE, VENDORS_WORDS) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    base
}

/// Everything that users of this test install; all but the last two start by the one event.
fn definitions() -> Vec<Value> {
    let event = json!({ "type": "event", "event": EVENT });
    let once = json!({ "attempts": 1, "delay_ms": 1, "backoff": 1, "max_delay_ms": 1 });
    let person = json!({ "url": "https://api.anything.example/people/{{ trigger.record }}", "auth": "none" });
    let letter = json!({ "url": "https://api.anything.example/letters", "auth": "none",
                         "query": { "to": "{{ item }}" } });
    vec![
        json!({ "name": "Refused", "trigger": event,
            "concurrency": { "type": "ordered", "by": "{{ trigger.line }}" },
            "steps": [{ "id": "ask", "type": "action", "app": "http", "action": "get", "retry": once, "input": person }] }),
        json!({ "name": "Letters", "trigger": event, "steps": [{ "id": "each", "type": "for_each",
            "items": "{{ [trigger.record, trigger.payload] }}", "steps": [
            { "id": "send", "type": "action", "app": "http", "action": "get", "retry": once, "input": letter }] }] }),
        json!({ "name": "Waits", "trigger": event,
            "fields": [{ "name": "greeting", "title": "Greeting", "kind": { "type": "text" } }],
            "steps": [{ "id": "greet", "type": "set", "value": "{{ config.greeting }} {{ user.username }}" },
                      { "id": "pause", "type": "delay", "seconds": 86_400 },
                      { "id": "after", "type": "set", "value": "{{ steps.greet.output }}" }] }),
        json!({ "name": "Streams", "trigger": event,
            "steps": [{ "id": "tell", "type": "stream", "destination": STREAM, "body": "{{ trigger }}" }] }),
        json!({ "name": "Ends well", "trigger": event,
            "steps": [{ "id": "keep", "type": "set", "value": "{{ trigger.payload }}" }] }),
        json!({ "name": "Asked", "trigger": { "type": "request" },
            "steps": [{ "id": "keep", "type": "set", "value": "{{ trigger.body }}" },
                      { "id": "pause", "type": "delay", "seconds": 86_400 }] }),
    ]
}

/// A host with the vendors, and AcmeCo's receiver, which is down.
struct Stage {
    host: TestHost,
    client: Client,
    isv: Isv,
    polled: Eventual,
    integration: String,
    polling: String,
    workflows: Vec<String>,
}

/// Who a user is, and what is theirs.
struct Person<'a> {
    username: &'a str,
    full_name: &'a str,
    credential: &'a str,
    account: &'a str,
    account_key: &'a str,
    field: &'a str,
}

const ADA: Person<'_> = Person {
    username: USERNAME,
    full_name: FULL_NAME,
    credential: CREDENTIAL,
    account: ACCOUNT,
    account_key: POLLED_KEY,
    field: FIELD,
};

const BOB: Person<'_> = Person {
    username: "bob",
    full_name: "Bob",
    credential: "bobs-credential",
    account: "bobs-account",
    account_key: "key-of-bobs-account",
    field: "Hello",
};

impl Stage {
    async fn set() -> Self {
        let polled = Eventual::start(7).await.unwrap();
        let isv = Isv::start().await.unwrap();
        let options = HostOptions {
            rewrites: vec![
                format!("*.anything.example={}", vendor().await),
                format!("api.poller.example={}", polled.base_url()),
            ],
            components: vec![
                component::http().await.unwrap(),
                component::guest("poller").await.unwrap(),
                component::bigcommerce().await.unwrap(),
            ],
            ..HostOptions::default()
        };
        let host = TestHost::start(options).await.unwrap();
        let client = host.client().unwrap();
        client.put_stream(STREAM, &isv.url("/people")).await.unwrap();
        isv.answer_next(&[StatusCode::SERVICE_UNAVAILABLE; 1_000]);
        let sample = json!({ "record": "r", "line": "l", "payload": "p" });
        client.define_event(EVENT, "AcmeCo has changed a person.", &sample).await.unwrap();
        let registration = json!({ "client_id": APP_CLIENT, "client_secret": "the-apps-secret" });
        client.put("/v1/apps/bigcommerce/oauth-client", &registration).await.unwrap().ok().unwrap();
        let integration = client.create_integration("http").await.unwrap();
        let mut workflows = Vec::new();
        for definition in definitions() {
            workflows.push(client.release_workflow(&integration, &definition).await.unwrap());
        }
        let polling = client.create_integration("poller").await.unwrap();
        let definition = json!({
            "name": "Polled", "trigger": { "type": "app", "app": "poller", "trigger": "item_changed", "every": "1s" },
            "steps": [{ "id": "keep", "type": "set", "value": "{{ trigger }}" }],
        });
        workflows.push(client.release_workflow(&polling, &definition).await.unwrap());
        Self { host, client, isv, polled, integration, polling, workflows }
    }

    /// A user who has installed everything: the id.
    async fn welcome(&self, person: &Person<'_>) -> String {
        let client = &self.client;
        let user = client.create_user(person.username, person.full_name).await.unwrap();
        let data = json!({ "hosts": "api.anything.example", "key": person.credential });
        let credential = client.create_credential(&user, "http", &data).await.unwrap();
        let wanted =
            json!({ "userId": user, "integrationId": self.integration, "credentialIds": [credential] });
        let started =
            client.post("/2023-12/headless/startInstallation", &wanted).await.unwrap().ok().unwrap();
        let field = json!({ "workflowId": self.workflows[2], "fields": [{ "name": "greeting", "value": person.field }] });
        let complete = json!({ "installationId": started["installationId"], "data": [field] });
        client.post("/2023-12/headless/completeInstallation", &complete).await.unwrap().ok().unwrap();
        self.polled.add_account(person.account, person.account_key);
        let data = json!({ "api_key": person.account_key });
        let credential = client.create_credential(&user, "poller", &data).await.unwrap();
        client.install(&user, &self.polling, &credential, &[]).await.unwrap();
        user
    }

    /// Runs of a workflow, once there are so many and one is in this state.
    async fn runs(&self, user: &str, workflow: usize, count: usize, status: &str) -> Vec<Value> {
        wait::until(&format!("{count} runs of workflow {workflow} that are {status}"), || async {
            let runs = self.client.runs(&self.workflows[workflow], user).await.ok()?;
            let there = runs.len() >= count && runs.iter().any(|run| run.status() == status);
            there.then(|| runs.into_iter().map(|run| run.0).collect())
        })
        .await
        .unwrap()
    }

    /// Work in every state there is.
    async fn work(&self, user: &str) {
        let client = &self.client;
        let data = json!({ "record": RECORD, "line": ORDERING_KEY, "payload": PAYLOAD });
        let event = json!({ "event": EVENT, "userId": user, "data": data });
        let http = reqwest::Client::new();
        // The second one waits in its line behind the first, which failed.
        for number in 0..2 {
            let answer = http
                .post(format!("{}/2023-12/run/event", self.host.base_url()))
                .bearer_auth(&self.host.keys().development)
                .header("idempotency-key", format!("{IDEMPOTENCY_KEY}{number}"))
                .body(event.to_string())
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        }
        self.runs(user, 0, 2, "failed").await;
        self.runs(user, 1, 2, "failed").await;
        for run in self.runs(user, 2, 2, "queued").await {
            wait::until("the step before the delay", || async {
                self.client.run(run["id"].as_str()?).await.ok()?.step("greet").map(|_| ())
            })
            .await
            .unwrap();
        }
        wait::until("a stream that failed", || async { (!self.isv.posts().is_empty()).then_some(()) })
            .await
            .unwrap();
        self.runs(user, 4, 2, "succeeded").await;

        let (url, _) = client.entrance(user, &self.workflows[5]).await.unwrap();
        let url = url.replace(self.host.public_url(), self.host.base_url());
        let asked = http
            .post(format!("{url}?about={REQUESTED}"))
            .header("prefer", "respond-async")
            .header("idempotency-key", IDEMPOTENCY_KEY)
            .header("trunnion-callback", self.isv.url("/answers"))
            .body(json!({ "for": REQUESTED }).to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(asked.status(), 202, "{}", asked.text().await.unwrap());

        self.polled.change_as(ACCOUNT, 1, POLLED, Duration::ZERO).unwrap();
        self.polled.advance(Duration::from_secs(1));
        self.runs(user, 6, 1, "succeeded").await;

        let letters = client.get("/v1/dead-letters").await.unwrap().ok().unwrap();
        assert!(!letters["data"].as_array().unwrap().is_empty(), "some work has exhausted its retries");

        // What begins and does not end: an installation, a consent at a vendor, a link.
        client.user_token(user).await.unwrap();
        let wanted = json!({ "userId": user, "integrationId": self.integration });
        client.post("/2023-12/headless/startInstallation", &wanted).await.unwrap().ok().unwrap();
        let consent = format!("/2024-03/headless/oauthUrl?userId={user}&app=bigcommerce");
        client.get(&consent).await.unwrap().ok().unwrap();
        let link = format!("/2024-03/users/{user}/integrations/{}/install-url", self.integration);
        client.get(&link).await.unwrap().ok().unwrap();
    }

    fn data_dir(&self) -> &Path {
        self.host.data_dir()
    }
}

async fn trunnion(arguments: &[&str], paths: &[&Path]) -> Output {
    let binary = tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap();
    let mut command = Command::new(binary);
    command.args(arguments).args(paths).env_remove("TRUNNION_MASTER_KEY").env_remove("TRUNNION_KEY");
    command.output().await.unwrap()
}

/// `trunnion backup`, with the keys.
async fn back_up(host: &TestHost, to: &Path, keys: &Path) {
    let address = host.base_url().to_owned();
    let dir = host.data_dir().to_str().unwrap();
    let keys = keys.to_str().unwrap();
    let done = trunnion(&["backup", "--host", &address, "--data-dir", dir, "--keys", keys], &[to]).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// The canaries that somebody finds who reads all of this.
fn found(read: &[Vec<u8>]) -> Vec<String> {
    let canaries = canaries();
    let all = canaries.iter().filter(|canary| read.iter().any(|text| !canary.found_in(text).is_empty()));
    all.map(|canary| canary.secret.clone()).collect()
}

fn assert_nowhere(what: &str, place: &Path) {
    for canary in canaries() {
        let found = canary.in_files(place).unwrap();
        assert!(found.is_empty(), "{what}: {found:?}");
    }
}

#[tokio::test]
async fn an_erased_user_is_in_no_file_no_backup_and_behind_no_key() {
    let mut stage = Stage::set().await;
    let (ada, bob) = (stage.welcome(&ADA).await, stage.welcome(&BOB).await);
    stage.work(&ada).await;
    let safe = tempfile::tempdir().unwrap();
    let (backup, keys) = (safe.path().join("trunnion.backup"), safe.path().join("keys"));
    let master = stage.data_dir().join("master.key");
    back_up(&stage.host, &backup, &keys).await;

    // Nothing stands in a file as it is; but with the keys, before the erasure, the attack reads everything.
    assert_nowhere("the data directory before", stage.data_dir());
    assert_nowhere("the backup before", safe.path());
    let read = attack::readable(&attack::backup(&backup), &attack::data_keys(&keys, &master));
    assert_eq!(found(&read), [&KEPT[..], &[ACCOUNT]].concat(), "the attack works, and finds what is kept");

    let deleted = stage.client.delete(&format!("/2024-03/users/{ada}")).await.unwrap();
    assert_eq!(deleted.status, 200, "{}", deleted.text);
    // The next backup's copy of the keys is written over the one before.
    let next = safe.path().join("next.backup");
    back_up(&stage.host, &next, &keys).await;
    assert_nowhere("the data directory while the host runs", stage.data_dir());
    stage.host.stop().await.unwrap();
    assert_nowhere("the data directory", stage.data_dir());
    assert_nowhere("backups and keys", safe.path());
    for key_file in [&stage.data_dir().join("keys"), &keys] {
        let data_keys = attack::data_keys(key_file, &master);
        assert!(data_keys.len() > 3, "others' keys are still there");
        let live = attack::readable(&attack::store(&stage.data_dir().join("store")).await, &data_keys);
        assert_eq!(found(&live), [""; 0], "the store can be read with {}", key_file.display());
        for file in [&backup, &next] {
            let read = attack::readable(&attack::backup(file), &data_keys);
            assert_eq!(found(&read), [""; 0], "{} with {}", file.display(), key_file.display());
        }
    }
    let log = stage.host.log();
    assert_eq!(found(&[log.clone().into_bytes()]), [""; 0], "the host's log: {log}");

    restored(&stage, (&ada, &bob), (&backup, &keys)).await;
}

/// The backup from before the erasure, put back by the keys as they are now, and a host on it.
async fn restored(stage: &Stage, (ada, bob): (&str, &str), (backup, keys): (&Path, &Path)) {
    let dir: PathBuf = tempfile::tempdir().unwrap().keep();
    for file in ["master.key", "keys.json"] {
        fs::copy(stage.data_dir().join(file), dir.join(file)).unwrap();
    }
    let arguments = ["restore", "--data-dir", dir.to_str().unwrap(), "--keys", keys.to_str().unwrap()];
    let done = trunnion(&arguments, &[backup]).await;
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success() && said.contains("left out one user who was erased since"), "{said}");
    let again = trunnion(&arguments, &[backup]).await;
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(!again.status.success() && said.contains("is there already"), "{said}");

    let mut host =
        TestHost::start(HostOptions { data_dir: Some(dir.clone()), ..HostOptions::default() }).await.unwrap();
    let client = host.client().unwrap();
    for name in [ada, USERNAME] {
        assert_eq!(client.get(&format!("/2024-03/users/{name}")).await.unwrap().status, 404, "{name}");
    }
    let shown = client.get("/2024-03/users/bob").await.unwrap().ok().unwrap();
    assert_eq!(shown["userId"], bob, "others are as they were");
    let data = json!({ "record": "r", "line": "l", "payload": "p" });
    client.run_event(EVENT, bob, &data).await.unwrap().ok().unwrap();
    let runs = client.runs_ended(&stage.workflows[4], bob, 1).await.unwrap();
    assert_eq!(runs[0].status(), "succeeded", "and their workflows run: {}", runs[0].text());
    for path in ["/v1/runs?limit=100", "/v1/dead-letters", "/2024-03/users", "/v1/pollers"] {
        let listed = client.get(path).await.unwrap();
        assert_eq!((listed.status, found(&[listed.text.into_bytes()])), (200, Vec::new()), "{path}");
    }
    host.stop().await.unwrap();
    assert_nowhere("what was restored", &dir);
    let data_keys = attack::data_keys(&dir.join("keys"), &dir.join("master.key"));
    let read = attack::readable(&attack::store(&dir.join("store")).await, &data_keys);
    assert_eq!(found(&read), [""; 0], "what was restored, with its keys");
    let log = host.log();
    assert!(!log.contains("panicked") && found(&[log.clone().into_bytes()]).is_empty(), "{log}");
    fs::remove_dir_all(dir).unwrap();
}
