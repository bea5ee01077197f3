//! Drafts that are tried: what a run would do is shown, nothing leaves the host but what is named, and nothing is kept.

use serde_json::{Value, json};
use trunnion_tests::{
    bigcommerce::{Fault, Match},
    host::{Answer, Client},
    scenario::{FULFILMENT_EVENT, Merchant, STREAM, Scenario},
};

/// A scenario with one customer, whose store calls nobody by itself.
struct Trying {
    scenario: Scenario,
    ada: Merchant,
    order: u64,
}

async fn trying() -> Trying {
    let scenario = Scenario::start().await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let ada = scenario.merchant("ada").await.unwrap();
    let order = scenario.bigcommerce.create_order(&ada.store, 11).unwrap();
    scenario.bigcommerce.forget_requests();
    Trying { scenario, ada, order }
}

impl Trying {
    fn client(&self) -> &Client {
        &self.scenario.client
    }

    /// A workflow that is a draft and nothing more.
    async fn draft(&self, definition: Value) -> String {
        let body = json!({ "integration_id": self.scenario.catalogue.integration, "definition": definition });
        let made = self.client().post("/v1/workflows", &body).await.unwrap().ok().unwrap();
        made["id"].as_str().unwrap().to_owned()
    }

    async fn ask(&self, workflow: &str, body: &Value) -> Answer {
        self.client().post(&format!("/v1/workflows/{workflow}/test"), body).await.unwrap()
    }

    /// What a draft of these steps, started by a request, is said to do.
    async fn tried(&self, steps: Value, body: Value) -> Value {
        let sample = json!({ "order": self.order, "lines": [1, 2, 3, 4, 5, 6, 7] });
        let trigger = json!({ "type": "request", "sample": sample });
        let workflow = self.draft(json!({ "name": "Tried", "trigger": trigger, "steps": steps })).await;
        self.ask(&workflow, &body).await.ok().unwrap()
    }

    /// Calls that reached anybody outside.
    fn calls(&self) -> (usize, usize) {
        (self.scenario.bigcommerce.requests().len(), self.scenario.isv.arrivals().len())
    }

    /// Everything that is kept of what happened.
    async fn kept(&self) -> Vec<String> {
        let mut kept = Vec::new();
        for path in ["/v1/runs", "/v1/dead-letters", "/v1/installations", "/v1/streams", "/v1/polling"] {
            kept.push(self.client().get(path).await.unwrap().text);
        }
        let connections = format!("/v1/users/{}/connections", self.ada.user);
        kept.push(self.client().get(&connections).await.unwrap().text);
        kept
    }

    fn status(&self) -> u64 {
        self.scenario.bigcommerce.status_of(&self.ada.store, self.order).unwrap()
    }
}

/// The step of this id.
fn step<'a>(tried: &'a Value, id: &str) -> &'a Value {
    let steps = tried["steps"].as_array().unwrap();
    steps.iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no step `{id}`: {tried:#}"))
}

fn statuses(tried: &Value) -> Vec<(&str, &str)> {
    let steps = tried["steps"].as_array().unwrap();
    steps.iter().map(|step| (step["id"].as_str().unwrap(), step["status"].as_str().unwrap())).collect()
}

fn places(problems: &Value) -> Vec<&str> {
    problems.as_array().unwrap().iter().map(|problem| problem["at"].as_str().unwrap()).collect()
}

fn update(id: &str, order: &str) -> Value {
    json!({ "id": id, "type": "action", "app": "bigcommerce", "action": "update_order_status",
        "input": { "order_id": order, "status_id": 2 } })
}

fn send(id: &str, body: Value) -> Value {
    json!({ "id": id, "type": "stream", "destination": STREAM, "body": body })
}

#[tokio::test]
async fn a_draft_shows_what_every_step_would_do_and_nothing_leaves_the_host() {
    let trying = trying().await;
    let kept = trying.kept().await;
    let tried = trying
        .tried(
            json!([
                { "id": "some", "type": "filter", "condition": "trigger.body.lines | length > 0" },
                { "id": "sum", "type": "set", "value": { "lines": "{{ trigger.body.lines | length }}" } },
                { "id": "pause", "type": "delay", "seconds": "{{ steps.sum.lines * 60 }}" },
                { "id": "size", "type": "branch", "branches": [
                    { "when": "steps.sum.lines > 100", "steps": [{ "id": "large", "type": "set", "value": 1 }] }
                ], "otherwise": [{ "id": "small", "type": "set", "value": 2 }] },
                update("ship", "{{ trigger.body.order }}"),
                { "id": "each", "type": "for_each", "items": "{{ trigger.body.lines }}", "steps": [
                    { "id": "odd", "type": "filter", "condition": "item is odd" },
                    send("tell", json!({ "line": "{{ item }}", "order": "{{ steps.ship.id }}" })),
                ] },
                { "id": "list", "type": "for_each",
                  "from": { "app": "bigcommerce", "action": "list_orders", "input": { "status_id": 11 } },
                  "steps": [{ "id": "note", "type": "set", "value": "{{ item.id }}" }] },
                { "id": "known", "type": "batch", "app": "bigcommerce", "action": "upsert_customer",
                  "items": ["ada@example.com", 7], "input": { "email": "{{ item }}" }, "on_error": "continue" },
                { "id": "done", "type": "respond", "status": 202, "body": { "size": "{{ steps.small }}" } },
                send("all", json!({ "done": "{{ steps.each.succeeded }}" })),
            ]),
            json!({}),
        )
        .await;
    assert_eq!(
        (&tried["status"], &tried["problems"], &tried["performed"]),
        (&json!("succeeded"), &json!([]), &json!([])),
        "{tried:#}"
    );
    assert_eq!(
        statuses(&tried),
        [
            ("some", "succeeded"),
            ("sum", "succeeded"),
            ("pause", "simulated"),
            ("size", "succeeded"),
            ("large", "not_reached"),
            ("small", "succeeded"),
            ("ship", "simulated"),
            ("each", "succeeded"),
            ("list", "simulated"),
            ("known", "simulated"),
            ("done", "succeeded"),
            ("all", "simulated"),
        ],
        "{tried:#}"
    );
    assert_eq!(step(&tried, "pause")["waits_seconds"], 420.0);
    assert_eq!(step(&tried, "size")["ways"], json!([0]));
    let ship = step(&tried, "ship");
    assert_eq!(ship["input"], json!({ "order_id": trying.order, "status_id": 2 }));
    assert_eq!(ship["output"]["status"], "Shipped", "the manifest's sample stands in: {ship}");
    let each = &step(&tried, "each")["items"];
    assert_eq!((&each["count"], &each["more"]), (&json!(7), &json!(2)), "{each:#}");
    let ends: Vec<_> =
        each["tried"].as_array().unwrap().iter().map(|item| item["status"].as_str().unwrap()).collect();
    assert_eq!(ends, ["succeeded", "filtered", "succeeded", "filtered", "succeeded"]);
    let told = &each["tried"][2]["steps"][1];
    assert_eq!(
        (&told["input"], &told["status"]),
        (&json!({ "line": 3, "order": 123 }), &json!("simulated")),
        "{each:#}"
    );
    assert_eq!(each["tried"][1]["steps"][1]["status"], "not_reached");
    let list = step(&tried, "list");
    assert_eq!(
        (&list["input"], &list["output"]["pages"]),
        (&json!({ "status_id": 11 }), &json!(1)),
        "{list:#}"
    );
    assert_eq!(list["items"]["tried"][0]["steps"][0]["output"], 123, "the sample of the listing: {list:#}");
    let known = &step(&tried, "known")["items"]["tried"];
    assert_eq!(known[0]["input"], json!({ "email": "ada@example.com" }), "{known:#}");
    assert_eq!(
        (&known[1]["status"], places(&known[1]["problems"])),
        (&json!("failed"), vec!["/email"]),
        "{known:#}"
    );
    assert_eq!(tried["answer"]["status"], 202);
    assert_eq!(tried["answer"]["body"], json!({ "size": 2 }));
    assert_eq!(step(&tried, "all")["input"], json!({ "done": 3 }));
    assert_eq!(trying.calls(), (0, 0), "nothing left the host");
    assert_eq!(trying.status(), 11);
    assert_eq!(trying.kept().await, kept, "nothing is kept");
}

#[tokio::test]
async fn only_what_is_named_is_carried_out_and_once_for_each_key() {
    let trying = trying().await;
    let runs = trying.client().get("/v1/runs").await.unwrap().text;
    let definition = json!({ "name": "Tried", "trigger": { "type": "event", "event": FULFILMENT_EVENT }, "steps": [
        update("ship", "{{ trigger.orderId }}"),
        { "id": "note", "type": "action", "app": "bigcommerce", "action": "update_order",
          "input": { "order_id": "{{ trigger.orderId }}", "staff_notes": "{{ user.username }}" } },
        send("tell", json!({ "status": "{{ steps.ship.status_id }}", "by": "{{ run.id }}" })),
    ] });
    let workflow = trying.draft(definition).await;
    let sample = json!({ "orderId": trying.order.to_string(), "status": "FULFILLED" });
    let body = json!({ "sample": sample, "user_id": "ada", "perform": ["ship"] });
    let tried = trying.ask(&workflow, &body).await.ok().unwrap();
    assert_eq!(tried["performed"], json!(["ship"]), "{tried:#}");
    assert_eq!(statuses(&tried), [("ship", "performed"), ("note", "simulated"), ("tell", "simulated")]);
    assert_eq!(step(&tried, "ship")["output"]["id"], trying.order, "what the store answered, no sample");
    assert!(
        step(&tried, "ship")["log"][0]["message"].as_str().unwrap().contains("PUT api.bigcommerce.com"),
        "{tried:#}"
    );
    assert_eq!(step(&tried, "note")["input"]["staff_notes"], "ada");
    assert_eq!((trying.calls(), trying.status()), ((1, 0), 2));
    assert!(!tried.to_string().contains(&trying.ada.token), "no credential is shown");

    let body = json!({ "sample": sample, "perform": ["tell"] });
    let tried = trying.ask(&workflow, &body).await.ok().unwrap();
    assert_eq!((&tried["status"], &tried["performed"]), (&json!("succeeded"), &json!(["tell"])), "{tried:#}");
    assert_eq!(trying.calls(), (1, 1));
    let sent = trying.scenario.isv.posts().remove(0);
    assert!(sent.accepted(), "it is signed as any stream is");
    assert_eq!(sent.json()["status"], 2);

    // The same key: it is not carried out again, and what was shown is shown again.
    let ask = |body: Value| {
        let url = format!("{}/v1/workflows/{workflow}/test", trying.scenario.host.base_url());
        let request = reqwest::Client::new().post(url).bearer_auth(&trying.scenario.host.keys().development);
        async move { request.header("idempotency-key", "k1").body(body.to_string()).send().await.unwrap() }
    };
    let body = json!({ "sample": sample, "user_id": "ada", "perform": ["ship"] });
    let first = ask(body.clone()).await;
    assert!(!first.headers().contains_key("idempotent-replayed"));
    let again = ask(body).await;
    assert!(again.headers().contains_key("idempotent-replayed"));
    assert_eq!(first.text().await.unwrap(), again.text().await.unwrap());
    assert_eq!(trying.calls(), (2, 1));

    // What fails at the vendor is shown once, and nobody tries again.
    trying.scenario.bigcommerce.fail_next(1, Match::call("PUT", "/orders"), Fault::Unavailable);
    let body = json!({ "sample": sample, "user_id": "ada", "perform": ["ship"], "connections": { "bigcommerce": trying.ada.credential } });
    let tried = trying.ask(&workflow, &body).await.ok().unwrap();
    assert_eq!((&tried["status"], &tried["ended_at"]), (&json!("failed"), &json!("ship")), "{tried:#}");
    assert_eq!(step(&tried, "ship")["error"]["kind"], "unavailable");
    assert_eq!(statuses(&tried)[1..], [("note", "simulated"), ("tell", "skipped")], "{tried:#}");
    assert_eq!(step(&tried, "note")["after_failure"], true);
    assert_eq!(trying.calls(), (3, 1));
    assert_eq!(trying.client().get("/v1/runs").await.unwrap().text, runs);
    assert_eq!(trying.client().get("/v1/dead-letters").await.unwrap().json()["data"], json!([]));
}

#[tokio::test]
async fn a_listing_and_a_batch_are_carried_out_where_they_are_named() {
    let trying = trying().await;
    let list = json!([{ "id": "list", "type": "for_each",
        "from": { "app": "bigcommerce", "action": "list_orders", "input": { "status_id": 11 } },
        "steps": [update("ship", "{{ item.id }}")] }]);
    let tried = trying.tried(list.clone(), json!({ "user_id": "ada", "perform": ["list"] })).await;
    let item = &step(&tried, "list")["items"]["tried"][0]["steps"][0];
    assert_eq!(
        (&item["input"]["order_id"], &item["status"]),
        (&json!(trying.order), &json!("simulated")),
        "{tried:#}"
    );
    assert_eq!((trying.calls().0, trying.status()), (1, 11), "it was only read");
    let given = trying.tried(list, json!({ "outputs": { "list": [{ "id": 5 }, { "id": 6 }] } })).await;
    let items = &step(&given, "list")["items"]["tried"];
    assert_eq!(items[1]["steps"][0]["input"]["order_id"], 6, "{given:#}");
    let known = json!([{ "id": "known", "type": "batch", "app": "bigcommerce", "action": "upsert_customer",
        "items": ["ada@example.com", "bob@example.com", "eve@example.com"], "input": { "email": "{{ item }}", "first_name": "Ada", "last_name": "Lovelace" } }]);
    let body = json!({ "user_id": "ada", "perform": ["known"], "items": 2 });
    let tried = trying.tried(known, body).await;
    let known = step(&tried, "known");
    assert_eq!((&known["status"], &known["items"]["more"]), (&json!("performed"), &json!(1)), "{tried:#}");
    assert!(trying.calls().0 > 1, "the store was called");
    let sent: String = trying
        .scenario
        .bigcommerce
        .requests()
        .iter()
        .map(|sent| format!("{:?}{:?}", sent.uri, sent.body))
        .collect();
    assert!(!sent.contains("eve@"), "only the items that are tried: {sent}");
}

#[tokio::test]
async fn one_fault_does_not_hide_the_others() {
    let trying = trying().await;
    let tried = trying
        .tried(
            json!([
                { "id": "two", "type": "set", "value": { "a": "{{ trigger.body.nothing }}", "b": 1, "c": ["{{ 'x' | int }}"] } },
                { "id": "on_two", "type": "set", "value": "{{ steps.two.b }}" },
                update("missing", "{{ trigger.body.order.number }}"),
                { "id": "wrong", "type": "set", "value": "{{ nobody.knows }}" },
                { "id": "way", "type": "branch", "branches": [
                    { "when": "trigger.body.order", "steps": [{ "id": "inside", "type": "set", "value": 1 }] } ] },
                { "id": "each", "type": "for_each", "items": "{{ trigger.body.order }}", "steps": [{ "id": "one", "type": "set", "value": 1 }] },
                { "id": "called", "type": "call", "workflow": "6".repeat(24), "input": {} },
                { "id": "on_called", "type": "set", "value": "{{ steps.called.sku }}" },
                { "id": "fine", "type": "set", "value": "{{ trigger.body.order }}" },
            ]),
            json!({ "outputs": { "called": { "sku": "A-1" } } }),
        )
        .await;
    assert_eq!((&tried["status"], &tried["ended_at"]), (&json!("failed"), &json!("two")), "{tried:#}");
    assert_eq!(
        places(&tried["problems"]),
        ["/steps/3/value", "/steps/5/items", "/steps/6/workflow"],
        "{tried:#}"
    );
    assert_eq!(
        statuses(&tried),
        [
            ("two", "failed"),
            ("on_two", "skipped"),
            ("missing", "failed"),
            ("wrong", "invalid"),
            ("way", "failed"),
            ("inside", "not_reached"),
            ("each", "failed"),
            ("called", "simulated"),
            ("on_called", "succeeded"),
            ("fine", "succeeded"),
        ],
        "{tried:#}"
    );
    assert_eq!(places(&step(&tried, "two")["problems"]), ["/a", "/c/0"], "every field that cannot be made");
    assert_eq!(places(&step(&tried, "missing")["problems"]), ["/order_id"]);
    assert_eq!(step(&tried, "on_called")["output"], "A-1");
    assert_eq!(step(&tried, "fine")["after_failure"], true);
    assert_eq!(tried["answer"]["status"], 500, "what the caller would be told: {tried:#}");
    // A step whose failure the run outlives is one of `steps`, as in a run.
    let outlived = trying
        .tried(
            json!([
                { "id": "two", "type": "set", "value": "{{ trigger.body.nothing }}", "on_error": "continue" },
                { "id": "why", "type": "set", "value": "{{ steps.two.error.kind }}" },
            ]),
            json!({}),
        )
        .await;
    assert_eq!(
        (&outlived["status"], &step(&outlived, "why")["output"]),
        (&json!("succeeded"), &json!("invalid_input"))
    );
}

#[tokio::test]
async fn poison_is_cut() {
    let trying = trying().await;
    let tried = trying
        .tried(
            json!([
                { "id": "text", "type": "set", "value": "{{ 'a' * 20000000 }}" },
                { "id": "list", "type": "set", "value": "{{ [1] * 2000000 }}" },
                { "id": "more", "type": "for_each", "items": "{{ range(9000) | list }}", "steps": [
                    { "id": "inner", "type": "for_each", "items": "{{ range(9000) | list }}", "steps": [
                        { "id": "one", "type": "set", "value": "{{ 'a' * 100000 }}" } ] } ] },
                { "id": "behind", "type": "set", "value": 1 },
            ]),
            json!({ "items": 50 }),
        )
        .await;
    assert!(step(&tried, "text")["error"]["message"].as_str().unwrap().contains("bytes of text"), "{tried}");
    assert!(step(&tried, "list")["error"]["message"].as_str().unwrap().contains("1000000 values"));
    assert!(tried["stopped"].as_str().unwrap().contains("MB"), "{}", tried["stopped"]);
    assert_eq!(step(&tried, "behind")["status"], "not_reached");
    assert!(tried.to_string().len() < 32 << 20, "{}", tried.to_string().len());
}

#[tokio::test]
async fn what_cannot_be_tried_is_refused_with_every_place() {
    let trying = trying().await;
    let steps = json!([
        update("ship", "{{ trigger.body.order }}"),
        { "id": "sum", "type": "set", "value": 1 },
        { "id": "wrong", "type": "stream", "destination": "nowhere", "body": 1 },
    ]);
    let fields = json!([{ "name": "limit", "title": "Limit", "kind": { "type": "number" } }]);
    let definition =
        json!({ "name": "Tried", "trigger": { "type": "request" }, "fields": fields, "steps": steps });
    let workflow = trying.draft(definition).await;
    let body = json!({
        "items": 51, "perform": ["ship", "sum", "gone", "wrong"], "outputs": { "sum": 1, "none": 2 },
        "config": { "limit": "many", "other": 1 }, "connections": { "bigcommerce": trying.ada.credential },
    });
    let refused = trying.ask(&workflow, &body).await;
    assert_eq!((refused.status, &refused.json()["code"]), (400, &json!("test-invalid")), "{refused:?}");
    let mut found = places(&refused.json()["errors"]).iter().map(|at| (*at).to_owned()).collect::<Vec<_>>();
    found.sort();
    assert_eq!(
        found,
        [
            "/config/limit",
            "/config/other",
            "/connections/bigcommerce",
            "/items",
            "/outputs/none",
            "/outputs/sum",
            "/perform/0",
            "/perform/1",
            "/perform/2",
            "/perform/3",
        ]
    );
    let bob = trying.scenario.merchant("bob").await.unwrap();
    let body = json!({ "user_id": "bob", "connections": { "bigcommerce": trying.ada.credential } });
    let refused = trying.ask(&workflow, &body).await;
    assert_eq!(
        places(&refused.json()["errors"]),
        ["/connections/bigcommerce"],
        "another user's connection: {refused:?}"
    );

    // Whose it is not does not find it, and says who is not there.
    trying.client().delete(&format!("/users/{}", bob.user)).await.unwrap().ok().unwrap();
    let production =
        trying.scenario.host.client_with(trying.scenario.host.keys().production.as_str()).unwrap();
    let path = format!("/v1/workflows/{workflow}/test");
    for (client, user) in [
        (trying.client(), bob.user.as_str()),
        (trying.client(), "bob"),
        (&production, trying.ada.user.as_str()),
    ] {
        let gone = client.post(&path, &json!({ "user_id": user })).await.unwrap();
        assert_eq!((gone.status, &gone.json()["code"]), (404, &json!("user-unknown")), "{gone:?}");
        assert!(gone.text.contains(user), "{gone:?}");
    }
    assert_eq!(production.post(&path, &json!({})).await.unwrap().status, 200, "the draft is the workspace's");
    let operator = trying.scenario.host.client_with(&trying.scenario.host.keys().operator).unwrap();
    let made = operator.post("/v1/workspaces", &json!({ "name": "othercorp" })).await.unwrap().ok().unwrap();
    let other = trying.scenario.host.client_with(made["keys"]["development"].as_str().unwrap()).unwrap();
    let foreign = other.post(&path, &json!({})).await.unwrap();
    assert_eq!((foreign.status, &foreign.json()["code"]), (404, &json!("workflow-unknown")), "{foreign:?}");
    // Bob's store was called when he came and went.
    let requests = trying.scenario.bigcommerce.requests();
    assert!(requests.iter().all(|request| request.uri.path().contains(&bob.store)), "{requests:?}");
    assert!(trying.scenario.isv.arrivals().is_empty());
}

#[tokio::test]
async fn every_trigger_has_a_sample_of_its_own() {
    let trying = trying().await;
    for (trigger, place, expected) in [
        (json!({ "type": "app", "app": "bigcommerce", "trigger": "order_created" }), "/status_id", json!(11)),
        (json!({ "type": "event", "event": FULFILMENT_EVENT }), "/orderId", json!("123")),
        (json!({ "type": "schedule", "every": "2m" }), "/count", json!(1)),
        (json!({ "type": "installed" }), "/workflows/0/trigger", json!("installed")),
        (json!({ "type": "removed" }), "/removed/0/name", json!("Tried")),
        (json!({ "type": "request", "sample": { "sku": "A" } }), "/body/sku", json!("A")),
        (json!({ "type": "preprocess", "sample": { "sku": "B" } }), "/body/sku", json!("B")),
        (json!({ "type": "call", "sample": "C" }), "", json!("C")),
    ] {
        let steps = json!([{ "id": "it", "type": "set", "value": "{{ trigger }}" }]);
        let workflow = trying.draft(json!({ "name": "Tried", "trigger": trigger, "steps": steps })).await;
        let tried = trying.ask(&workflow, &json!({})).await.ok().unwrap();
        assert_eq!(tried["trigger"].pointer(place), Some(&expected), "{tried:#}");
        assert_eq!(step(&tried, "it")["output"], tried["trigger"]);
        let given = trying.ask(&workflow, &json!({ "sample": null })).await.ok().unwrap();
        assert_eq!(given["trigger"], Value::Null, "a null is a sample");
    }
}

/// Whether everything that is shown is so.
fn has(found: &Value, shown: &Value) -> bool {
    match (found, shown) {
        (Value::Object(found), Value::Object(shown)) => {
            shown.iter().all(|(name, shown)| found.get(name).is_some_and(|found| has(found, shown)))
        }
        (Value::Array(found), Value::Array(shown)) => {
            found.len() == shown.len() && found.iter().zip(shown).all(|(found, shown)| has(found, shown))
        }
        (found, shown) => found == shown,
    }
}

#[tokio::test]
async fn the_page_shows_what_a_test_shows() {
    let page = include_str!("../../host/docs/NATIVE.md");
    let section =
        page.split("## Try a draft before you release it").nth(1).unwrap().split("\n## ").next().unwrap();
    let blocks = section.split("```json").skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks: Vec<Value> = blocks.map(|block| serde_json::from_str(block).unwrap()).collect();
    let [definition, body, shown] = blocks.try_into().unwrap();
    let trying = trying().await;
    let workflow = trying.draft(definition).await;
    let tried = trying.ask(&workflow, &body).await.ok().unwrap();
    assert!(has(&tried, &shown), "{tried:#}");
}
