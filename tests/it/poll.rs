//! Polling triggers in the real host, against an eventually consistent vendor: everything inside the overlap arrives
//! exactly once, what comes later is counted, and nothing that happens to the host or the installation changes that.

mod complaints;
mod troubles;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use serde_json::{Value, json};
use trunnion_tests::{
    component,
    eventual::Eventual,
    host::{Client, HostOptions, TestHost},
    isv::Isv,
    wait,
};

const APP: &str = "poller";
const STREAM: &str = "items";
const SECOND: Duration = Duration::from_secs(1);
/// What the guest's triggers declare.
const OVERLAP: Duration = Duration::from_secs(600);

/// A host with the polling guest, the vendor and AcmeCo's receiver.
struct Polling {
    vendor: Eventual,
    isv: Isv,
    host: TestHost,
    client: Client,
    operator: Client,
    integration: String,
}

/// A user with an account at the vendor and one installed workflow.
struct Shop {
    name: String,
    user: String,
    workflow: String,
    installation: String,
}

/// A workflow that streams what its trigger gives.
fn streams(name: &str, trigger: &str, every: Option<&str>) -> Value {
    let mut definition = json!({
        "name": name,
        "trigger": { "type": "app", "app": APP, "trigger": trigger },
        "steps": [{ "id": "send", "type": "stream", "destination": STREAM, "body": {
            "item": "{{ trigger.id }}", "version": "{{ trigger.version }}", "of": "{{ user.username }}",
        } }],
    });
    if let Some(every) = every {
        definition["trigger"]["every"] = json!(every);
    }
    definition
}

impl Polling {
    async fn start() -> Self {
        Self::start_with("").await
    }

    async fn start_with(config: &str) -> Self {
        let vendor = Eventual::start(11).await.unwrap();
        let isv = Isv::start().await.unwrap();
        let dir = tempfile::tempdir().unwrap().keep();
        let file = dir.join("trunnion.toml");
        fs::write(&file, config).unwrap();
        let options = HostOptions {
            rewrites: vec![format!("api.poller.example={}", vendor.base_url())],
            components: vec![component::guest("poller").await.unwrap()],
            arguments: vec!["--config".to_owned(), file.display().to_string()],
            ..HostOptions::default()
        };
        let host = TestHost::start(options).await.unwrap();
        let client = host.client().unwrap();
        let operator = host.client_with(&host.keys().operator).unwrap();
        let secret = client.put_stream(STREAM, &isv.url("/items")).await.unwrap();
        isv.trust(&secret);
        let integration = client.create_integration(APP).await.unwrap();
        Self { vendor, isv, host, client, operator, integration }
    }

    /// A user connects an account of the same name and installs a workflow of `trigger`.
    async fn shop(&self, name: &str, trigger: &str, every: Option<&str>) -> Shop {
        self.vendor.add_account(name, &key_of(name));
        let definition = streams(&format!("{trigger} of {name}"), trigger, every);
        let workflow = self.client.release_workflow(&self.integration, &definition).await.unwrap();
        let user = self.client.create_user(name, name).await.unwrap();
        let shop = Shop { name: name.to_owned(), user, workflow, installation: String::new() };
        self.connect(&shop, &key_of(name)).await;
        // The first poll comes by itself.
        let poller = wait::until("the first poll to have ended", || async {
            let poller = self.poller_of(&shop).await;
            poller["rounds"].as_u64().is_some_and(|rounds| rounds > 0).then_some(poller)
        })
        .await
        .unwrap();
        Shop { installation: poller["installation_id"].as_str().unwrap().to_owned(), ..shop }
    }

    /// Connects, and installs the newest release with that connection.
    async fn connect(&self, shop: &Shop, key: &str) {
        let credential =
            self.client.create_credential(&shop.user, APP, &json!({ "api_key": key })).await.unwrap();
        self.client.install(&shop.user, &self.integration, &credential, &[&shop.workflow]).await.unwrap();
    }

    async fn pollers_of(&self, shop: &Shop) -> Vec<Value> {
        let listed =
            self.client.get(&format!("/v1/pollers?user_id={}", shop.user)).await.unwrap().ok().unwrap();
        listed["data"].as_array().unwrap().clone()
    }

    async fn poller_of(&self, shop: &Shop) -> Value {
        let pollers = self.pollers_of(shop).await;
        assert_eq!(pollers.len(), 1, "{pollers:?}");
        pollers.into_iter().next().unwrap()
    }

    /// Polls now, and gives what the round came to.
    async fn poll(&self, shop: &Shop) -> Value {
        self.poll_as(shop, &json!({})).await
    }

    async fn poll_as(&self, shop: &Shop, body: &Value) -> Value {
        let path = format!("/v1/installations/{}/poll", shop.installation);
        self.client.post(&path, body).await.unwrap().ok().unwrap()
    }

    async fn set_active(&self, shop: &Shop, active: bool) {
        self.client.set_active(&shop.user, &shop.workflow, active).await.unwrap();
    }

    /// Publishes the workflow anew and moves the installation to that release.
    async fn republish(&self, shop: &Shop) {
        let path = format!("/v1/workflows/{}/releases", shop.workflow);
        self.client.post(&path, &json!({})).await.unwrap().ok().unwrap();
        self.connect(shop, &key_of(&shop.name)).await;
    }

    /// The vendor's changes of these items, shown at once.
    fn change(&self, shop: &Shop, items: std::ops::Range<u64>) -> BTreeSet<(u64, u64)> {
        let changed = |item| (item, self.vendor.change(&shop.name, item, Duration::ZERO).unwrap());
        items.map(changed).collect()
    }

    /// Waits until an account was asked for `more` listings from now on.
    async fn asked(&self, shop: &Shop, more: usize) {
        let before = self.vendor.served(&shop.name).len();
        wait::until(&format!("{more} polls of {}", shop.name), || async {
            (self.vendor.served(&shop.name).len() >= before + more).then_some(())
        })
        .await
        .unwrap();
    }

    /// What was streamed of an account: how often each version of each item, by different runs.
    fn streamed(&self, shop: &Shop) -> BTreeMap<(u64, u64), BTreeSet<String>> {
        let mut streamed: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for post in self.isv.posts().into_iter().filter(|post| post.accepted()) {
            let body = post.json();
            if body["of"] == shop.name.as_str() {
                let key = (body["item"].as_u64().unwrap(), body["version"].as_u64().unwrap());
                streamed.entry(key).or_default().insert(post.key().to_owned());
            }
        }
        streamed
    }

    /// Waits until exactly these were streamed, each by one run.
    async fn streamed_exactly(&self, shop: &Shop, expected: &BTreeSet<(u64, u64)>) {
        wait::until(&format!("{} changes of {} to be streamed", expected.len(), shop.name), || async {
            (self.streamed(shop).len() >= expected.len()).then_some(())
        })
        .await
        .unwrap_or_else(|error| {
            let there: BTreeSet<_> = self.streamed(shop).into_keys().collect();
            panic!("{error}; missing: {:?}", expected.difference(&there).collect::<Vec<_>>())
        });
        let streamed = self.streamed(shop);
        assert_eq!(&streamed.keys().copied().collect::<BTreeSet<_>>(), expected);
        for (change, runs) in streamed {
            assert_eq!(runs.len(), 1, "{change:?} was streamed by {} runs", runs.len());
        }
        let runs = self.client.runs(&shop.workflow, &shop.user).await.unwrap();
        assert_eq!(runs.len(), expected.len().min(100), "one run for each change");
    }

    async fn restart(&mut self) {
        self.host.kill9().await.unwrap();
        self.host.start_again().await.unwrap();
        self.client = self.host.client().unwrap();
        self.operator = self.host.client_with(&self.host.keys().operator).unwrap();
    }
}

fn key_of(name: &str) -> String {
    format!("key-of-{name}")
}

/// The guest as another version, which the guest's cursor format follows.
async fn version(version: &str) -> Vec<u8> {
    fs::read(component::guest_as("poller", version).await.unwrap()).unwrap()
}

#[tokio::test]
async fn every_record_inside_the_overlap_arrives_exactly_once_and_later_ones_are_counted() {
    let mut polling = Polling::start().await;
    let ada = polling.shop("ada", "item_changed", Some("1h")).await;
    let bob = polling.shop("bob", "item_changed", Some("1h")).await;
    let mut expected = BTreeSet::new();
    let mut lag = 0_u64;
    for round in 0..12_u64 {
        // Bursts of the same moment, more than a page; shown late and out of order, within the overlap.
        for burst in 0..25 {
            lag = (lag * 7 + 131) % (OVERLAP.as_secs() - 60);
            let item = round * 100 + burst;
            let shown_after = Duration::from_secs(if burst % 3 == 0 { lag } else { 0 });
            expected.insert((item, polling.vendor.change("ada", item, shown_after).unwrap()));
            if burst % 5 == 0 {
                polling.vendor.advance(SECOND);
            }
        }
        polling.vendor.change("bob", 1_000 + round, Duration::ZERO).unwrap();
        polling.vendor.advance(Duration::from_secs(90));
        match round {
            2 => polling.set_active(&ada, false).await,
            3 => polling.set_active(&ada, true).await,
            5 => polling.republish(&ada).await,
            7 => {
                let next = version("2.0.0").await;
                polling.operator.push_connector(APP, next).await.unwrap().ok().unwrap();
            }
            9 => polling.restart().await,
            _ => {}
        }
        if round != 2 {
            let told = polling.poll(&ada).await;
            assert_eq!(told["round"]["result"], "ended", "{told}");
        }
        polling.poll(&bob).await;
    }
    for _ in 0..12 {
        polling.vendor.advance(SECOND * 60);
        polling.poll(&ada).await;
    }
    polling.streamed_exactly(&ada, &expected).await;
    let poller = polling.poller_of(&ada).await;
    assert_eq!((&poller["accepted"], &poller["late"]), (&json!(expected.len()), &json!(0)), "{poller}");
    assert_eq!(polling.vendor.most_under_way("ada"), 1, "no two polls of one poller at once");

    // What the vendor shows later than the overlap is found by the deeper look, and counted.
    let late = (5_000, polling.vendor.change("ada", 5_000, OVERLAP * 3).unwrap());
    polling.vendor.advance(OVERLAP * 2);
    let after = (5_001, polling.vendor.change("ada", 5_001, Duration::ZERO).unwrap());
    polling.vendor.advance(SECOND);
    assert_eq!(polling.poll(&ada).await["round"]["accepted"], 1);
    polling.vendor.advance(OVERLAP * 2);
    // A usual round does not look so far back; but this may be the hour of the poller's own deeper look.
    let usual = polling.poll(&ada).await;
    let deeper = polling.poll_as(&ada, &json!({ "look_back_seconds": 7_200 })).await;
    let found = |told: &Value, what: &str| told["round"][what].as_u64().unwrap();
    assert_eq!(found(&usual, "accepted") + found(&deeper, "accepted"), 1, "{usual} {deeper}");
    assert_eq!(found(&usual, "late") + found(&deeper, "late"), 1, "{usual} {deeper}");
    assert_eq!((&deeper["late"], deeper["last_late_at"].is_string()), (&json!(1), true), "{deeper}");
    expected.extend([late, after]);
    polling.streamed_exactly(&ada, &expected).await;
}

#[tokio::test]
async fn killed_in_the_middle_of_polls_nothing_is_lost_or_doubled() {
    let mut polling = Polling::start().await;
    let ada = polling.shop("ada", "item_changed", Some("1s")).await;
    let mut expected = BTreeSet::new();
    for round in 0..6_u64 {
        let held = polling.vendor.hold_next("ada");
        held.arrived().await;
        expected.extend(polling.change(&ada, round * 30..round * 30 + 25));
        polling.vendor.advance(SECOND);
        held.release();
        if round % 2 == 0 {
            // Somewhere between the vendor's answer and the last page's commit.
            wait::until("the vendor to have answered", || async {
                polling.vendor.shown("ada").contains(&(round * 30, 1)).then_some(())
            })
            .await
            .unwrap();
        }
        polling.restart().await;
    }
    // What changed lately is listed in another order at every request; once it has settled, one round shows it all.
    polling.vendor.advance(Duration::from_secs(120));
    polling.streamed_exactly(&ada, &expected).await;
}

#[tokio::test]
async fn the_first_poll_starts_now_and_empty_polls_write_nothing() {
    let polling = Polling::start().await;
    polling.vendor.add_account("ada", &key_of("ada"));
    for item in 1..40 {
        polling.vendor.change("ada", item, Duration::ZERO).unwrap();
    }
    let ada = {
        let definition = streams("From now on", "item_from_now", Some("1h"));
        let workflow = polling.client.release_workflow(&polling.integration, &definition).await.unwrap();
        let user = polling.client.create_user("ada", "Ada").await.unwrap();
        let shop = Shop { name: "ada".to_owned(), user, workflow, installation: String::new() };
        polling.connect(&shop, &key_of("ada")).await;
        let installation = polling.poller_of(&shop).await["installation_id"].as_str().unwrap().to_owned();
        Shop { installation, ..shop }
    };
    let first = polling.poll(&ada).await;
    assert_eq!((&first["accepted"], &first["interval_ms"]), (&json!(0), &json!(3_600_000)), "{first}");
    for _ in 0..3 {
        let again = polling.poll(&ada).await;
        assert_eq!(
            again["cursor"]["written_at"], first["cursor"]["written_at"],
            "an empty poll writes nothing"
        );
    }
    // The vendor's time catches up with the host's.
    polling.vendor.advance(Duration::from_secs(20 * 3600 + 60));
    let new = polling.change(&ada, 50..52);
    assert_eq!(polling.poll(&ada).await["round"]["accepted"], 2);
    polling.streamed_exactly(&ada, &new).await;
}

#[tokio::test]
async fn a_backlog_is_read_page_by_page_while_others_are_polled() {
    let polling = Polling::start_with("[polling]\nmax_under_way = 1\n").await;
    polling.vendor.add_account("ada", &key_of("ada"));
    let bob = polling.shop("bob", "item_changed", Some("1s")).await;
    for item in 0..300 {
        polling.vendor.change("ada", item, Duration::ZERO).unwrap();
        if item % 7 == 0 {
            polling.vendor.advance(SECOND);
        }
    }
    polling.vendor.advance(Duration::from_secs(3600));
    let before = polling.vendor.served("bob").len();
    let definition = streams("Backlog", "item_changed", Some("1h"));
    let workflow = polling.client.release_workflow(&polling.integration, &definition).await.unwrap();
    let user = polling.client.create_user("ada", "Ada").await.unwrap();
    let ada = Shop { name: "ada".to_owned(), user, workflow, installation: String::new() };
    polling.connect(&ada, &key_of("ada")).await;
    wait::until("the backlog to be read", || async {
        let poller = polling.poller_of(&ada).await;
        (poller["accepted"] == 300 && poller["backlog"] == false).then_some(())
    })
    .await
    .unwrap();
    assert!(polling.vendor.served("ada").len() >= 30, "a page holds ten");
    polling.asked(&bob, 1).await;
    assert!(polling.vendor.served("bob").len() > before);
    wait::until("every item to be streamed", || async {
        (polling.streamed(&ada).len() == 300).then_some(())
    })
    .await
    .unwrap();
    assert!(polling.streamed(&ada).values().all(|runs| runs.len() == 1));
}

/// A common pattern: one integration exports by events and imports by polls, with one credential.
#[tokio::test]
async fn hybrid_an_event_driven_export_and_a_polled_import_in_one_integration() {
    let polling = Polling::start().await;
    polling.vendor.add_account("ada", &key_of("ada"));
    let client = &polling.client;
    client.define_event("Item Made", "AcmeCo has a new item.", &json!({ "name": "Lamp" })).await.unwrap();
    let export = json!({
        "name": "Export",
        "trigger": { "type": "event", "event": "Item Made" },
        "steps": [{ "id": "put", "type": "action", "app": APP, "action": "put_item",
            "input": { "name": "{{ trigger.name }}" } }],
    });
    let export = client.release_workflow(&polling.integration, &export).await.unwrap();
    let import = streams("Import", "item_changed", Some("1s"));
    let import = client.release_workflow(&polling.integration, &import).await.unwrap();
    let user = client.create_user("ada", "Ada").await.unwrap();
    let credential =
        client.create_credential(&user, APP, &json!({ "api_key": key_of("ada") })).await.unwrap();
    client.install(&user, &polling.integration, &credential, &[&export, &import]).await.unwrap();
    for name in ["Lamp", "Desk", "Chair"] {
        client.run_event("Item Made", &user, &json!({ "name": name })).await.unwrap().ok().unwrap();
    }
    let exports = client.runs_ended(&export, &user, 3).await.unwrap();
    assert!(exports.iter().all(|run| run.status() == "succeeded"), "{exports:?}");
    let mut names = polling.vendor.names("ada");
    names.sort();
    assert_eq!(names, ["Chair", "Desk", "Lamp"]);
    // What was exported comes back by the import, once.
    let ada = Shop { name: "ada".to_owned(), user, workflow: import, installation: String::new() };
    polling.streamed_exactly(&ada, &BTreeSet::from([(1, 1), (2, 1), (3, 1)])).await;
    let run = &client.runs_ended(&ada.workflow, &ada.user, 3).await.unwrap()[0];
    let source = &run.0["event"]["source"];
    assert_eq!((&source["source"], &source["trigger"]), (&json!("poll"), &json!("item_changed")), "{source}");
}
