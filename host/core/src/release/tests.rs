//! What definitions are released and refused, and what a release holds.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::{clock::Timestamp, id::Id, machine::Act, manifest::Repeat, payload::Payload, retry::RetryPolicy};

/// A workspace with one connector, two events and one stream destination.
struct Workspace {
    manifest: Option<Arc<Manifest>>,
}

impl Workspace {
    fn new() -> Self {
        let manifest = json!({
            "manifest_version": 1, "id": "shop", "version": "1.0.0", "title": "Shop", "hosts": ["api.shop.example"],
            "connection": {},
            "triggers": [{
                "id": "order_created", "title": "Order created", "source": "webhook", "registration": "per_connection",
                "verify": {"method": "secret_header", "header": "x-secret", "secret": "subscription"},
                "dedup": {"from": "body_hash"},
                "schema": {"$ref": "#/$defs/Order", "$defs": {"Order": {
                    "type": "object", "additionalProperties": false,
                    "properties": {"id": {"type": "integer"}, "note": {"type": ["string", "null"]}, "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}}, "extra": {}},
                }, "Line": {"type": "object", "properties": {"sku": {"type": "string"}}}}},
                "sample": {"id": 1, "note": null, "lines": [{"sku": "a"}], "extra": "x"}
            }, {
                "id": "stock_changed", "title": "Stock changed", "source": "poll", "interval_ms": 300_000,
                "min_interval_ms": 60_000, "overlap_ms": 120_000, "cursor_format": {"writes": 1, "reads": [1]},
                "dedup": {"from": "occurrence"}, "schema": {"type": "object"}, "sample": {"id": 1}
            }, {
                "id": "rows_added", "title": "Rows added", "source": "poll", "interval_ms": 300_000,
                "min_interval_ms": 60_000, "overlap_ms": 120_000, "cursor_format": {"writes": 1, "reads": [1]},
                "dedup": {"from": "occurrence"}, "schema": {"type": "object"}, "sample": {"id": 1},
                "options": {
                    "type": "object", "required": ["table"], "additionalProperties": false,
                    "properties": {"table": {"type": "string"}, "most": {"type": "integer"}}
                },
                "sample_options": {"table": "orders"}
            }, {
                "id": "posted", "title": "Posted", "source": "webhook", "registration": "manual",
                "verify": {"method": "configured"}, "dedup": {"from": "configured"}, "schema": {}, "sample": {"id": 1},
                "options": {"type": "object"},
                "sample_options": {"verify": {"method": "secret_header", "header": "x-secret", "secret": "subscription"}}
            }],
            "actions": [{
                "id": "update_order", "title": "Update",
                "input": {
                    "type": "object", "additionalProperties": false, "required": ["order_id", "status_id"],
                    "properties": {
                        "order_id": {"type": ["string", "integer"]},
                        "status_id": {"type": "integer"},
                        "note": {"type": "string"},
                        "kind": {"enum": ["full", "part"]},
                        "weight": {"type": "number"},
                        "tags": {"type": "array", "items": {"type": "string"}},
                        "address": {"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}]}
                    },
                    "$defs": {"Address": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}, "additionalProperties": false}}
                },
                "output": {"type": "object", "properties": {"id": {"type": "integer"}}},
                "sample_input": {"order_id": 1, "status_id": 2}, "sample_output": {"id": 1, "date": "today"}, "repeat": "lookup"
            }, {
                "id": "put_row", "title": "Put a row",
                "input": {"type": "object", "required": ["row"], "properties": {"row": {"type": "object"}}}, "output": {},
                "sample_input": {"row": {}}, "sample_output": {}, "repeat": "key", "batch": 500
            }, {
                "id": "list_orders", "title": "List orders",
                "input": {"type": "object", "properties": {"since": {"type": "string"}}, "additionalProperties": false},
                "output": {}, "sample_input": {}, "sample_output": {"items": [], "next": null}, "repeat": "safe", "pages": true
            }, {
                "id": "anything", "title": "Anything", "input": {}, "output": {}, "sample_input": {}, "sample_output": {}, "repeat": "never"
            }]
        });
        Self { manifest: Some(Arc::new(Manifest::parse(&manifest.to_string()).unwrap())) }
    }
}

impl Catalog for Workspace {
    fn manifest(&self, app: &str) -> Option<Arc<Manifest>> {
        self.manifest.clone().filter(|_| app == "shop")
    }

    fn event_sample(&self, name: &str) -> Option<Value> {
        (name == "Fulfillment Updated")
            .then(|| json!({"orderId": "123", "status": "FULFILLED", "count": 3, "note": null, "lines": [{"sku": "a"}]}))
    }

    fn destination(&self, name: &str) -> bool {
        name == "orders"
    }

    fn callee(&self, workflow: WorkflowId) -> Callee {
        match workflow.as_bytes() {
            [0x67, ..] => Callee::Callable,
            [2, ..] => Callee::OtherTrigger,
            [3, ..] => Callee::Unreleased,
            [4, ..] => Callee::Itself,
            _ => Callee::Unknown,
        }
    }
}

fn definition(steps: Value) -> Value {
    json!({
        "name": "Fulfilment",
        "trigger": {"type": "event", "event": "Fulfillment Updated"},
        "fields": [
            {"name": "channel", "title": "Channel", "kind": {"type": "text"}, "default": "web"},
            {"name": "limit", "title": "Limit", "kind": {"type": "number"}}
        ],
        "maps": {"order_status": {"entries": {"FULFILLED": 2}}, "texts": {"entries": {"FULFILLED": "two"}}},
        "steps": steps
    })
}

fn update(input: Value) -> Value {
    definition(
        json!([{"id": "update", "type": "action", "app": "shop", "action": "update_order", "input": input}]),
    )
}

fn outcome(definition: &Value) -> Result<Checked, Vec<(String, String)>> {
    let definition = Definition::parse(definition).unwrap();
    check(&definition, &Workspace::new())
        .map_err(|problems| problems.0.into_iter().map(|problem| (problem.at, problem.message)).collect())
}

/// Exactly one problem, there, with these words.
fn refused(definition: &Value, at: &str, words: &str) {
    let problems = outcome(definition).map(|_| ()).expect_err(words);
    assert_eq!(problems.len(), 1, "{words}: {problems:?}");
    assert_eq!(problems[0].0, at, "{problems:?}");
    assert!(problems[0].1.contains(words), "{problems:?}");
}

fn stored(definition: &Value) -> StoredRelease {
    StoredRelease {
        workflow: WorkflowId(Id::from_bytes([1; 12])),
        integration: IntegrationId(Id::from_bytes([2; 12])),
        number: 3,
        definition: Definition::parse(definition).unwrap(),
        released_at: Timestamp::ZERO,
    }
}

#[test]
fn a_release_has_each_steps_form_and_rule() {
    let definition = definition(json!([
        {"id": "big", "type": "filter", "condition": "trigger.count > 2"},
        {"id": "update", "type": "action", "app": "shop", "action": "update_order", "input": {
            "order_id": "{{ trigger.orderId }}", "status_id": {"$map": "order_status", "of": "{{ trigger.status }}"}}},
        {"id": "any", "type": "action", "app": "shop", "action": "anything", "input": "{{ steps.update }}"},
        {"id": "send", "type": "stream", "destination": "orders", "body": {"order": "{{ trigger }}", "updated": "{{ steps.update.id }}"}}
    ]));
    let checked = outcome(&definition).unwrap();
    let release =
        checked.release(WorkflowId(Id::from_bytes([1; 12])), IntegrationId(Id::from_bytes([2; 12])), 3);
    let again = Release::compile(stored(&definition), &Workspace::new()).unwrap();
    for release in [&release, &again] {
        assert_eq!(release.number, 3);
        assert_eq!(
            release.program.steps.iter().map(|step| step.id.as_str()).collect::<Vec<_>>(),
            ["big", "update", "any", "send"]
        );
        let rules: Vec<_> =
            release.program.rules.iter().map(|rule| (rule.id.as_str(), rule.act, &rule.retry)).collect();
        let (action, stream) = (RetryPolicy::action(), RetryPolicy::stream());
        assert_eq!(
            rules,
            [
                ("big", Act::Pure, &action),
                ("update", Act::Outside(Repeat::Lookup), &action),
                ("any", Act::Outside(Repeat::Never), &action),
                ("send", Act::Outside(Repeat::Key), &stream),
            ]
        );
        assert!(matches!(release.program.steps[0].kind, CompiledKind::Filter { .. }));
        assert!(
            matches!(&release.program.steps[3].kind, CompiledKind::Stream { destination, .. } if destination == "orders")
        );
    }
}

#[test]
fn a_stored_release_outlives_what_it_named_except_its_actions() {
    let mut gone = definition(
        json!([{"id": "send", "type": "stream", "destination": "gone", "body": "{{ trigger.gone }}"}]),
    );
    gone["trigger"]["event"] = json!("Gone");
    assert!(Release::compile(stored(&gone), &Workspace::new()).is_ok());
    let update = update(json!({"order_id": 1, "status_id": 2, "gone": 3}));
    assert!(Release::compile(stored(&update), &Workspace::new()).is_ok());
    let problems = Release::compile(stored(&update), &Workspace { manifest: None }).unwrap_err();
    assert_eq!(problems.0[0].at, "/steps/0/app");
}

#[test]
fn what_an_input_lacks_or_has_too_much() {
    refused(
        &update(json!({"order_id": 1})),
        "/steps/0/input",
        "lacks the required `status_id`; add it: it takes a whole number",
    );
    refused(
        &update(json!({"order_id": 1, "status_id": 2, "colour": 1})),
        "/steps/0/input/colour",
        "there is no `colour`",
    );
    refused(
        &update(json!({"order_id": "{{ trigger.orderId }}", "status_id": 2, "colour": 1})),
        "/steps/0/input/colour",
        "there is no `colour`",
    );
    refused(
        &update(json!({"order_id": 1, "status_id": 2, "address": {"zip": "{{ trigger.orderId }}"}})),
        "/steps/0/input/address",
        "lacks the required `city`; add it: it takes a text",
    );
    refused(
        &update(json!({"order_id": 1, "status_id": 2, "address": {"city": "x", "town": "y"}})),
        "/steps/0/input/address/town",
        "there is no `town`; remove it or correct its name: `city`, `zip`",
    );
    assert!(outcome(&update(json!({"order_id": 1, "status_id": 2, "address": null}))).is_ok());
    assert!(outcome(&update(json!("{{ trigger }}"))).is_ok(), "an object may have what is required");
}

#[test]
fn types_that_cannot_fit() {
    let with = |name: &str, value: Value| {
        let mut input = json!({"order_id": 1, "status_id": 2});
        input[name] = value;
        update(input)
    };
    let at = |name: &str| format!("/steps/0/input/{name}");
    let wrong = [
        (
            "status_id",
            json!("2"),
            "takes a whole number, but is given `\"2\"`; write the value without quotes",
        ),
        ("status_id", json!(2.5), "takes a whole number, but is given `2.5`"),
        ("status_id", json!(null), "takes a whole number, but is given `null`"),
        ("order_id", json!(true), "takes a text or a whole number, but is given `true`"),
        ("note", json!(5), "takes a text, but is given `5`; write a text"),
        ("kind", json!("half"), "which it does not take; use one of `\"full\"`, `\"part\"`"),
        ("kind", json!(1), "takes a text, but is given `1`"),
        ("address", json!("Bonn"), "takes an object or null, but is given"),
        ("status_id", json!("No. {{ trigger.count }}"), "but is given a text with expressions in it"),
        ("status_id", json!(["{{ trigger.count }}"]), "but is given a list"),
        ("status_id", json!({"id": "{{ trigger.count }}"}), "but is given an object"),
        (
            "status_id",
            json!("{{ trigger.status }}"),
            "but `trigger.status` is a text; convert it, as in `{{ trigger.status | int }}`",
        ),
        (
            "note",
            json!("{{ trigger.count }}"),
            "but `trigger.count` is a number; convert it, as in `{{ trigger.count | string }}`",
        ),
        ("note", json!("{{ trigger.lines }}"), "but `trigger.lines` is a list"),
        ("note", json!("{{ config.limit }}"), "but `config.limit` is a number"),
        ("status_id", json!("{{ user.username }}"), "but `user.username` is a text"),
        (
            "status_id",
            json!({"$map": "texts", "of": "{{ trigger.status }}"}),
            "the value map `texts` gives a text for `FULFILLED`",
        ),
        (
            "note",
            json!("{{ trigger.nope }}"),
            "`trigger.nope` is not in the sample of the event `Fulfillment Updated`",
        ),
        ("note", json!("a {{ trigger.nope }} b"), "`trigger.nope` is not in the sample"),
    ];
    for (name, value, words) in wrong {
        refused(&with(name, value), &at(name), words);
    }
    refused(&with("tags", json!(["a", 1])), "/steps/0/input/tags/1", "takes a text, but is given `1`");
    refused(
        &with("tags", json!(["a", "{{ trigger.count }}"])),
        "/steps/0/input/tags/1",
        "`trigger.count` is a number",
    );
    refused(
        &with("status_id", json!({"$map": "order_status", "of": "{{ trigger.nope }}"})),
        "/steps/0/input/status_id/of",
        "is not in the sample",
    );
    let right = [
        ("order_id", json!("{{ trigger.orderId }}")),
        ("order_id", json!(2.0)),
        ("status_id", json!("{{ trigger.count }}")),
        ("status_id", json!("{{ trigger.status | int }}")),
        ("status_id", json!("{{ config.limit }}")),
        ("weight", json!(2)),
        ("weight", json!("{{ trigger.count }}")),
        ("note", json!("{{ trigger.note }}")),
        ("note", json!("{{ trigger.lines[0].sku }}")),
        ("note", json!("{{ trigger.lines[4].sku }}")),
        ("note", json!("{{ trigger.nope | default('x') }}")),
        ("note", json!("No. {{ trigger.count }}")),
        ("note", json!("{{ user.fullName }}")),
        ("note", json!("{{ config.channel }}")),
        ("kind", json!("full")),
        ("tags", json!(["{{ trigger.status }}"])),
    ];
    for (name, value) in right {
        let found = outcome(&with(name, value.clone()));
        assert!(found.is_ok(), "{name} {value}: {found:?}");
    }
}

#[test]
fn an_apps_trigger_and_earlier_steps_are_known_by_their_schemas() {
    let about = |note: &str| {
        let mut definition = definition(json!([
            {"id": "first", "type": "action", "app": "shop", "action": "update_order", "input": {"order_id": 1, "status_id": 2}},
            {"id": "second", "type": "action", "app": "shop", "action": "update_order", "input": {"order_id": 1, "status_id": 2, "note": note}}
        ]));
        definition["trigger"] = json!({"type": "app", "app": "shop", "trigger": "order_created"});
        definition
    };
    let at = "/steps/1/input/note";
    refused(&about("{{ trigger.id }}"), at, "`trigger.id` is a whole number; convert it");
    refused(
        &about("{{ trigger.nope }}"),
        at,
        "there is no `trigger.nope`: `trigger` has `id`, `note`, `lines`, `extra`",
    );
    refused(&about("{{ steps.first.id }}"), at, "`steps.first.id` is a whole number; convert it");
    for right in [
        "{{ trigger.note }}",
        "{{ trigger.lines[0].sku }}",
        "{{ trigger.lines[0].more }}",
        "{{ trigger.extra }}",
        "{{ steps.first.date }}",
        "{{ steps.first.unheard }}",
    ] {
        let found = outcome(&about(right));
        assert!(found.is_ok(), "{right}: {found:?}");
    }
}

#[test]
fn every_problem_is_said_at_once() {
    let definition = json!({
        "name": " ",
        "trigger": {"type": "app", "app": "shop", "trigger": "nope"},
        "fields": [
            {"name": "a b", "title": "A", "kind": {"type": "text"}},
            {"name": "size", "title": "", "kind": {"type": "number"}, "default": "five"},
            {"name": "size", "title": "Size", "kind": {"type": "choice", "options": []}, "default": 1}
        ],
        "maps": {"none": {"entries": {}}, "open": {"entries": {"a": "{{ trigger.x }}"}}},
        "steps": [
            {"id": "One", "type": "action", "app": "nope", "action": "x", "input": {"a": "{{ b }}"}},
            {"id": "two", "type": "action", "app": "shop", "action": "nope", "input": {}},
            {"id": "two", "type": "stream", "destination": "nope", "body": "{{ steps.three }}"},
            {"id": "three", "type": "filter", "condition": "b"}
        ]
    });
    let problems = outcome(&definition).map(|_| ()).unwrap_err();
    let places: Vec<_> = problems.iter().map(|(at, _)| at.as_str()).collect();
    assert_eq!(
        places,
        [
            "/fields/0/name",
            "/fields/1/default",
            "/fields/1/title",
            "/fields/2/default",
            "/fields/2/kind/options",
            "/fields/2/name",
            "/maps/none/entries",
            "/maps/open/entries/a",
            "/name",
            "/steps/0/app",
            "/steps/0/id",
            "/steps/0/input/a",
            "/steps/1/action",
            "/steps/2/body",
            "/steps/2/destination",
            "/steps/2/id",
            "/steps/3/condition",
            "/trigger/trigger"
        ]
    );
    let message = |at: &str| {
        problems.iter().find(|(place, _)| place == at).map(|(_, message)| message.as_str()).unwrap()
    };
    assert_eq!(
        message("/trigger/trigger"),
        "`shop` 1.0.0 has no trigger `nope`; it has `order_created`, `stock_changed`, `rows_added`, `posted`"
    );
    assert_eq!(
        message("/steps/1/action"),
        "`shop` 1.0.0 has no action `nope`; it has `update_order`, `put_row`, `list_orders`, `anything`"
    );
    assert!(message("/steps/0/app").contains("no active connector for the app `nope`"));
    assert!(message("/steps/2/destination").contains("no stream destination `nope`"));
}

#[test]
fn an_unknown_event_and_a_workflow_without_steps() {
    let mut unknown = update(json!({"order_id": 1, "status_id": 2}));
    unknown["trigger"]["event"] = json!("Fulfilment Updated");
    refused(&unknown, "/trigger/event", "no event `Fulfilment Updated`");
    refused(&definition(json!([])), "/steps", "no step");
}

#[test]
fn a_definition_is_read_with_every_unknown_member_at_its_pointer() {
    let whole = json!({
        "name": "n", "trigger": {"type": "app", "app": "a", "trigger": "t"},
        "fields": [{"name": "a", "title": "A", "help": "h", "kind": {"type": "choice", "options": [{"value": 1, "title": "One"}]}, "required": true, "default": 1}],
        "maps": {"m": {"entries": {"a": 1}}},
        "steps": [
            {"id": "a", "type": "action", "app": "a", "action": "b", "input": {}},
            {"id": "s", "type": "stream", "destination": "d", "body": {}},
            {"id": "f", "type": "filter", "condition": "true"}
        ]
    });
    let read = Definition::parse(&whole).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), whole);
    for pointer in [
        "",
        "/trigger",
        "/fields/0",
        "/fields/0/kind",
        "/fields/0/kind/options/0",
        "/maps/m",
        "/steps/0",
        "/steps/1",
        "/steps/2",
    ] {
        let mut value = whole.clone();
        value.pointer_mut(pointer).unwrap()["surprise"] = json!(1);
        let problems = Definition::parse(&value).unwrap_err();
        assert_eq!(
            problems.0.iter().map(|problem| problem.at.as_str()).collect::<Vec<_>>(),
            [format!("{pointer}/surprise")]
        );
        assert!(serde_json::from_value::<Definition>(value).is_err(), "serde alone: {pointer}");
    }
    let problems =
        Definition::parse(&json!({"name": 1, "trigger": {"type": "moon"}, "steps": [{"type": "filter"}]}))
            .unwrap_err();
    let places: BTreeMap<_, _> =
        problems.0.iter().map(|problem| (problem.at.as_str(), problem.message.as_str())).collect();
    assert_eq!(places.keys().copied().collect::<Vec<_>>(), ["/name", "/steps/0", "/trigger/type"]);
    assert!(places["/trigger/type"].starts_with("`moon` is not known; use `app`, `event`"), "{places:?}");
}

/// Which steps a run goes through where exactly these guards hold, by `branch/way`.
fn walked(program: &Program, holding: &[&str]) -> Vec<String> {
    let (mut at, mut walked) = (0, Vec::new());
    while let (Some(step), Some(rule)) = (program.steps.get(at), program.rules.get(at)) {
        let (next, otherwise) = (rule.next, rule.otherwise);
        assert!(next > at && otherwise > at, "{} leads back", step.id);
        at = match &step.kind {
            CompiledKind::Guard { way, .. } if holding.contains(&format!("{}/{way}", step.id).as_str()) => {
                next
            }
            CompiledKind::Guard { .. } => otherwise,
            _ => {
                walked.push(step.id.clone());
                next
            }
        };
    }
    walked
}

fn set(id: &str) -> Value {
    json!({"id": id, "type": "set", "value": id})
}

fn program(steps: Value) -> Program {
    let checked = outcome(&definition(steps)).unwrap();
    checked.release(WorkflowId(Id::from_bytes([1; 12])), IntegrationId(Id::from_bytes([2; 12])), 1).program
}

#[test]
fn the_first_branch_that_holds_is_gone_and_no_other() {
    let program = program(json!([
        set("before"),
        {"id": "route", "type": "branch", "branches": [
            {"when": "trigger.count > 2", "steps": [
                set("big"),
                {"id": "inner", "type": "branch", "branches": [{"when": "true", "steps": [set("deep")]}]},
            ]},
            {"when": "trigger.count > 1", "steps": []},
            {"when": "trigger.count > 0", "steps": [set("small")]},
        ], "otherwise": [set("none")]},
        set("after"),
    ]));
    let table: [(&[&str], &[&str]); 6] = [
        (&[], &["before", "none", "after"]),
        (&["route/1"], &["before", "big", "after"]),
        (&["route/1", "inner/1"], &["before", "big", "deep", "after"]),
        (&["route/1", "route/3"], &["before", "big", "after"]),
        (&["route/2", "route/3"], &["before", "after"]),
        (&["route/3"], &["before", "small", "after"]),
    ];
    for (holding, expected) in table {
        assert_eq!(walked(&program, holding), expected, "{holding:?}");
    }
}

#[test]
fn every_branch_that_holds_is_gone_in_order() {
    let program = program(json!([
        {"id": "route", "type": "branch", "pick": "all", "branches": [
            {"when": "trigger.count > 2", "steps": [set("big")]},
            {"when": "trigger.count > 1", "steps": [set("some"), set("more")]},
        ], "otherwise": [set("none")]},
        set("after"),
    ]));
    let table: [(&[&str], &[&str]); 4] = [
        (&["route/0"], &["none", "after"]),
        (&["route/1"], &["big", "after"]),
        (&["route/2"], &["some", "more", "after"]),
        (&["route/1", "route/2"], &["big", "some", "more", "after"]),
    ];
    for (holding, expected) in table {
        assert_eq!(walked(&program, holding), expected, "{holding:?}");
    }
}

#[test]
fn a_for_each_has_a_program_of_its_own_that_sees_what_is_around_it() {
    let program = program(json!([
        set("before"),
        {"id": "each", "type": "for_each", "items": "{{ trigger.lines }}", "concurrency": 4, "steps": [
            {"id": "one", "type": "set", "value": "{{ item.id }} of {{ steps.before }}, {{ index }}"},
            {"id": "two", "type": "set", "value": "{{ steps.one }}"},
        ]},
        {"id": "after", "type": "set", "value": "{{ steps.each.succeeded }}"},
    ]));
    assert_eq!(walked(&program, &[]), ["before", "each", "after"]);
    assert_eq!(program.rules[1].act, Act::Resumable);
    let CompiledKind::ForEach { concurrency: 4, body, .. } = &program.steps[1].kind else {
        panic!("{:?}", program.steps[1])
    };
    assert_eq!(walked(body, &[]), ["one", "two"]);
    assert_eq!(body.steps[1].at, "/steps/1/steps/1");
}

#[test]
fn what_blocks_may_not_do() {
    let table = [
        (
            json!([{"id": "a", "type": "set", "value": "{{ item }}"}]),
            "/steps/0/value",
            "only there inside a `for_each`",
        ),
        (json!([{"id": "a", "type": "branch", "branches": []}]), "/steps/0/branches", "no way to go"),
        (
            json!([{"id": "a", "type": "branch", "branches": [{"when": "nonsense", "steps": []}]}]),
            "/steps/0/branches/0/when",
            "`nonsense`",
        ),
        (
            json!([{"id": "a", "type": "for_each", "items": "{{ trigger.lines }}", "steps": []}]),
            "/steps/0/steps",
            "no step to do for each item",
        ),
        (
            json!([{"id": "a", "type": "for_each", "items": "{{ trigger.lines }}", "concurrency": 0, "steps": [set("b")]}]),
            "/steps/0/concurrency",
            "write 1",
        ),
        (
            json!([{"id": "a", "type": "for_each", "items": 3, "steps": [set("b")]}]),
            "/steps/0/items",
            "takes a list",
        ),
        (json!([{"id": "a", "type": "delay", "seconds": -1}]), "/steps/0/seconds", "a year"),
        (json!([{"id": "a", "type": "delay", "seconds": "soon"}]), "/steps/0/seconds", "takes a number"),
        (
            json!([{"id": "a", "type": "set", "value": 1, "retry": {"attempts": 2, "delay_ms": 1, "backoff": 1, "max_delay_ms": 1}}]),
            "/steps/0/retry",
            "only actions and streams",
        ),
        (
            json!([
                {"id": "a", "type": "for_each", "items": "{{ trigger.lines }}", "steps": [set("b")]},
                {"id": "c", "type": "set", "value": "{{ steps.b }}"},
            ]),
            "/steps/1/value",
            "`steps.b`",
        ),
    ];
    for (steps, at, words) in table {
        refused(&definition(steps), at, words);
    }
    let mut deep = set("last");
    for level in 0..10 {
        deep = json!({"id": format!("level{level}"), "type": "branch", "branches": [{"when": "true", "steps": [deep]}]});
    }
    let problems = outcome(&definition(json!([deep]))).unwrap_err();
    assert!(problems.iter().any(|(_, message)| message.contains("blocks deep")), "{problems:?}");
}

#[test]
fn a_batch_sends_groups_and_lets_each_refused_item_fail_for_itself() {
    let listing =
        json!({"app": "shop", "action": "list_orders", "input": {"since": "{{ trigger.orderId }}"}});
    let program = program(json!([
        {"id": "rows", "type": "batch", "app": "shop", "action": "put_row", "items": "{{ trigger.lines }}", "concurrency": 3,
         "input": {"row": "{{ item }}"}},
        {"id": "all", "type": "batch", "app": "shop", "action": "put_row", "from": listing, "input": {"row": "{{ item }}"}},
        {"id": "each", "type": "for_each", "from": listing, "steps": [set("one")]},
    ]));
    assert_eq!(walked(&program, &[]), ["rows", "all", "each"]);
    assert!(program.rules.iter().all(|rule| rule.act == Act::Resumable));
    let CompiledKind::ForEach { group: Some(500), concurrency: 3, body, .. } = &program.steps[0].kind else {
        panic!("{:?}", program.steps[0])
    };
    // A group of which nothing was refused is over; what was refused is not sent again unknown.
    assert_eq!(
        (body.rules[0].act, body.rules[0].next, body.rules[0].otherwise),
        (Act::Outside(Repeat::Key), 1, 2)
    );
    let CompiledKind::ForEach { items: Items::Refused, body, .. } = &body.steps[1].kind else {
        panic!("{body:?}")
    };
    assert_eq!(body.rules[0].act, Act::Outside(Repeat::Never));
    for (place, grouped) in [(1, Some(500)), (2, None)] {
        let CompiledKind::Pages { body } = &program.steps[place].kind else {
            panic!("{:?}", program.steps[place])
        };
        assert_eq!(body.rules[0].act, Act::Outside(Repeat::Safe), "a page may be read again");
        let CompiledKind::ForEach { items: Items::OfPage, group, .. } = &body.steps[1].kind else {
            panic!("{body:?}")
        };
        assert_eq!(*group, grouped);
    }
}

#[test]
fn what_batches_and_listings_may_not_do() {
    let batch = |members: Value| {
        let mut step = json!({"id": "a", "type": "batch", "app": "shop", "action": "put_row", "items": [], "input": {"row": {}}});
        for (name, value) in members.as_object().unwrap() {
            step[name] = value.clone();
        }
        json!([step])
    };
    let from = |action: &str, input: Value| json!({"items": null, "from": {"app": "shop", "action": action, "input": input}});
    let table = [
        (
            batch(json!({"action": "update_order", "input": {"order_id": 1, "status_id": 2}})),
            "/steps/0/action",
            "use it in a `for_each`",
        ),
        (batch(json!({"items": null})), "/steps/0", "needs its items from one place"),
        (
            batch(json!({"from": {"app": "shop", "action": "list_orders"}})),
            "/steps/0",
            "needs its items from one place",
        ),
        (batch(from("put_row", json!({"row": {}}))), "/steps/0/from/action", "gives no pages"),
        (batch(from("list_customers", json!({}))), "/steps/0/from/action", "has no action `list_customers`"),
        (batch(from("list_orders", json!({"until": "x"}))), "/steps/0/from/input/until", "no `until`"),
        (
            batch(from("list_orders", json!({"since": "{{ item }}"}))),
            "/steps/0/from/input/since",
            "only there inside",
        ),
        (batch(json!({"input": {}})), "/steps/0/input", "row"),
        (batch(json!({"concurrency": 51})), "/steps/0/concurrency", "write 1"),
        (
            json!([{"id": "a", "type": "for_each", "steps": [set("b")]}]),
            "/steps/0",
            "needs its items from one place",
        ),
    ];
    for (steps, at, words) in table {
        refused(&definition(steps), at, words);
    }
}

#[test]
fn a_step_has_its_own_retries_and_may_be_gone_on_from() {
    let program = program(json!([
        {"id": "any", "type": "action", "app": "shop", "action": "anything", "input": {}, "on_error": "continue",
         "retry": {"attempts": 2, "delay_ms": 500, "backoff": 3, "max_delay_ms": 9000}},
        {"id": "after", "type": "set", "value": "{{ steps.any.error.kind | default('none') }}"},
    ]));
    let rule = &program.rules[0];
    assert_eq!(
        (rule.on_error, rule.retry.attempts, rule.retry.delay_ms),
        (crate::machine::OnError::Continue, 2, 500)
    );
}

fn started_by(trigger: Value, value: &str) -> Value {
    let mut definition = definition(json!([{"id": "seen", "type": "set", "value": value}]));
    definition["trigger"] = trigger;
    definition
}

#[test]
fn a_schedule_is_checked_and_what_its_ticks_say_is_known() {
    let thursdays = json!({"type": "schedule", "cron": "0 19 * * THU", "time_zone": "Europe/Berlin", "missed": "catch_up"});
    let checked =
        outcome(&started_by(thursdays.clone(), "{{ trigger.scheduled_at }} {{ trigger.count }}")).unwrap();
    assert_eq!(serde_json::to_value(&checked.definition).unwrap()["trigger"], thursdays);
    assert!(checked.definition.apps().is_empty());

    refused(&started_by(thursdays, "{{ trigger.at }}"), "/steps/0/value", "there is no `trigger.at`");
    let zoneless = json!({"type": "schedule", "cron": "0 19 * * THU"});
    refused(&started_by(zoneless, "1"), "/trigger", "lacks `time_zone`");
    let nowhere = json!({"type": "schedule", "cron": "0 19 * * THU", "time_zone": "Mars/Base"});
    refused(&started_by(nowhere, "1"), "/trigger/time_zone", "there is no time zone `Mars/Base`");
    let hasty = json!({"type": "schedule", "every": "1s"});
    refused(&started_by(hasty, "1"), "/trigger/every", "shorter than one minute");
    let unknown = started_by(json!({"type": "schedule", "every": "2m", "jitter": 1}), "1");
    assert_eq!(Definition::parse(&unknown).unwrap_err().0[0].at, "/trigger/jitter");
}

#[test]
fn how_runs_wait_for_each_other_is_checked_and_compiled() {
    let with = |concurrency: Value| {
        let mut whole = definition(json!([{"id": "one", "type": "set", "value": 1}]));
        whole["concurrency"] = concurrency;
        whole
    };
    let compiled = |concurrency: Value| {
        Release::compile(stored(&with(concurrency)), &Workspace::new()).unwrap().concurrent
    };
    assert!(matches!(compiled(json!({"type": "parallel"})), Concurrent::Parallel));
    assert!(matches!(compiled(json!({"type": "throttled", "limit": 3})), Concurrent::Throttled { limit: 3 }));
    let by = json!({"type": "ordered", "by": "{{ trigger.orderId }}-{{ config.channel }}"});
    assert!(matches!(compiled(by), Concurrent::Ordered { .. }));
    for (concurrency, at, words) in [
        (json!({"type": "throttled", "limit": 0}), "/concurrency/limit", "1 to 1000"),
        (json!({"type": "ordered", "by": "orderId"}), "/concurrency/by", "the same for every event"),
        (json!({"type": "ordered", "by": "{{ trigger.nothing }}"}), "/concurrency/by", "not in the sample"),
        (json!({"type": "ordered", "by": "{{ steps.one }}"}), "/concurrency/by", "one"),
        (json!({"type": "ordered", "by": "{{ config.nothing }}"}), "/concurrency/by", "nothing"),
    ] {
        refused(&with(concurrency), at, words);
    }
    let plain = Definition::parse(&with(json!({"type": "parallel"}))).unwrap();
    assert!(
        serde_json::to_value(&plain).unwrap().get("concurrency").is_none(),
        "what says nothing is not stored"
    );
}

#[test]
fn every_example_of_the_page_on_workflows_is_released() {
    let page = include_str!("../../../docs/WORKFLOWS.md");
    let examples: Vec<_> =
        page.split("```json").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 6, "{}", examples.len());
    for example in examples {
        let shown: Value = serde_json::from_str(example).unwrap_or_else(|error| panic!("{error}: {example}"));
        let definition = match shown.get("type") {
            Some(_) => started_by(shown, "{{ trigger }}"),
            // Other members of a workflow are shown with its steps.
            None if shown.is_object() => {
                let mut whole = definition(json!([]));
                for (member, value) in shown.as_object().unwrap() {
                    whole[member] = value.clone();
                }
                whole
            }
            None => definition(shown),
        };
        if let Err(problems) = outcome(&definition) {
            panic!("{problems:?}: {example}");
        }
    }
}

#[test]
fn of_a_draft_that_is_wrong_the_rest_can_be_tried() {
    let draft = definition(json!([
        {"id": "one", "type": "set", "value": "{{ nobody.knows }}"},
        {"id": "route", "type": "branch", "branches": [
            {"when": "nobody == 1", "steps": [{"id": "two", "type": "set", "value": 2}]}]},
        {"id": "gone", "type": "action", "app": "shop", "action": "gone", "input": {}},
        {"id": "send", "type": "stream", "destination": "nowhere", "body": 1},
        {"id": "last", "type": "set", "value": "{{ trigger.orderId }}"}
    ]));
    let attempt = attempt(&Definition::parse(&draft).unwrap(), &Workspace::new());
    let refused = outcome(&draft).unwrap_err();
    let problems: Vec<_> = attempt.problems.into_iter().map(|it| (it.at, it.message)).collect();
    assert_eq!(problems, refused, "they are those that keep it from being released");
    let places: Vec<_> = attempt.program.steps.iter().map(|step| step.at.as_str()).collect();
    let expected = ["/steps/1/branches/0", "/steps/1/branches/0/steps/0", "/steps/3", "/steps/4"];
    assert_eq!(places, expected);
    assert_eq!(attempt.program.rules.len(), places.len());
    let ends: Vec<_> = attempt.program.rules.iter().map(|rule| (rule.next, rule.otherwise)).collect();
    assert_eq!(ends, [(1, 2), (2, 2), (3, 3), (4, 4)]);
}

#[test]
fn only_workflows_with_the_trigger_call_are_called() {
    let calls = |workflow: &str, input: Value| json!([{"id": "sub", "type": "call", "workflow": workflow, "input": input}]);
    let callable = "67".repeat(12);
    let released = outcome(&definition(calls(&callable, json!({"id": "{{ trigger.orderId }}"})))).unwrap();
    assert_eq!(released.program.rules[0].act, Act::Resumable);
    assert_eq!(released.program.rules[0].retry.attempts, 1, "the called run tries again for itself");
    for (workflow, words) in [
        ("02".repeat(12), "not started by calls"),
        ("03".repeat(12), "no release yet"),
        ("04".repeat(12), "cannot call itself"),
        ("05".repeat(12), "there is no workflow"),
        ("orders".to_owned(), "not an id"),
    ] {
        refused(&definition(calls(&workflow, json!(null))), "/steps/0/workflow", words);
    }
    refused(&definition(calls(&callable, json!("{{ trigger.nothing }}"))), "/steps/0/input", "`nothing`");
    let mut called =
        definition(json!([respond("told"), {"id": "all", "type": "set", "value": "{{ trigger.any }}"}]));
    called["steps"][0]["headers"] = json!({});
    called["trigger"] = json!({"type": "call"});
    outcome(&called).unwrap();
}

fn requested(steps: Value) -> Value {
    json!({
        "name": "Asked", "trigger": {"type": "request", "sample": {"sku": "a", "count": 1}}, "steps": steps,
    })
}

fn respond(id: &str) -> Value {
    json!({"id": id, "type": "respond", "status": 201, "headers": {"x-sku": "{{ trigger.body.sku }}"}, "body": {"ok": true}})
}

#[test]
fn one_answer_may_be_given_on_every_way() {
    let steps = json!([
        {"id": "route", "type": "branch", "branches": [
            {"when": "trigger.method == 'GET'", "steps": [respond("got")]},
            {"when": "trigger.body.count > 1", "steps": [{"id": "pause", "type": "delay", "seconds": 1}, respond("many")]},
        ], "otherwise": [respond("other")]},
        {"id": "send", "type": "stream", "destination": "orders", "body": "{{ steps.other | default('') }}"},
    ]);
    let release = outcome(&requested(steps)).unwrap().release(
        WorkflowId(Id::from_bytes([1; 12])),
        IntegrationId(Id::from_bytes([2; 12])),
        1,
    );
    let rule = release.program.rules.iter().find(|rule| rule.id == "got").unwrap();
    assert_eq!(rule.act, Act::Resumable, "what is answered is durable first");
    outcome(&requested(json!([{"id": "only", "type": "respond"}]))).unwrap();
}

#[test]
fn an_answer_is_refused_where_nobody_waits_or_it_would_not_be_the_only_one() {
    let set = json!({"id": "one", "type": "set", "value": 1});
    refused(
        &definition(json!([set, json!({"id": "told", "type": "respond"})])),
        "/steps/1",
        "give the workflow the trigger `request` or `call`",
    );
    refused(
        &requested(json!([respond("told"), set, respond("again")])),
        "/steps/2",
        "may come after another answer",
    );
    let loop_ = json!({"id": "each", "type": "for_each", "items": [1], "steps": [respond("told")]});
    refused(&requested(json!([loop_])), "/steps/0/steps/0", "once for each item");
    let way = |pick: &str, otherwise: Value| {
        json!([{"id": "route", "type": "branch", "pick": pick, "branches": [
            {"when": "trigger.method == 'GET'", "steps": [respond("got")]},
            {"when": "trigger.method == 'PUT'", "steps": [respond("put")]},
        ], "otherwise": otherwise}])
    };
    outcome(&requested(way("first", json!([respond("other")])))).unwrap();
    refused(
        &requested(way("all", json!([respond("other")]))),
        "/steps/0/branches/1/steps/0",
        "may come after another answer",
    );
    let mut behind = way("first", json!([]));
    behind.as_array_mut().unwrap().push(respond("told"));
    refused(&requested(behind), "/steps/1", "may come after another answer");
}

#[test]
fn a_preprocess_flow_ends_by_handing_its_request_on() {
    let flow = |steps: Value| json!({"name": "Router", "trigger": {"type": "preprocess"}, "steps": steps});
    let to = json!({"id": "to", "type": "set", "value": {"workflow": "Inventory", "user": "{{ trigger.body.shop }}"}});
    let way = json!({"id": "route", "type": "branch", "branches": [{"when": "trigger.method == 'GET'", "steps": [to]}]});
    let checked = outcome(&flow(json!([way]))).unwrap();
    let last = checked.program.rules.last().unwrap();
    assert_eq!((last.id.as_str(), last.act), (ROUTED, Act::Resumable));
    let end = checked.program.rules.len() - 1;
    assert_eq!(checked.program.rules[0].otherwise, end, "whatever way was gone");
    refused(&flow(json!([to, respond("told")])), "/steps/1", "nobody waits for the answer");

    let mut state = RunState::queued(Timestamp::ZERO);
    assert_eq!(Release::routed_to(&state), None);
    let run = "0f".repeat(12);
    state.results.push(crate::machine::StepResult {
        id: ROUTED.to_owned(),
        started_at: Timestamp::ZERO,
        ended_at: Timestamp::ZERO,
        attempts: 1,
        input: Payload::NULL,
        output: json!({"workflow": "w", "user": "u", "run": run}).into(),
        error: None,
    });
    assert_eq!(Release::routed_to(&state).map(|run| run.to_string()), Some(run));
}

#[test]
fn what_a_request_and_an_answer_look_like_is_known() {
    let told = |member: &str, value: Value| {
        let mut step = respond("told");
        step[member] = value;
        requested(json!([step]))
    };
    refused(
        &told("body", json!("{{ trigger.boddy }}")),
        "/steps/0/body",
        "`trigger` has `method`, `query`, `headers`, `body`",
    );
    refused(&told("status", json!("created")), "/steps/0/status", "");
    refused(&told("headers", json!([])), "/steps/0/headers", "");
    outcome(&told("body", json!("{{ trigger.body.other | default(1) }}{{ trigger.query.page }}"))).unwrap();
}

#[test]
fn a_run_answers_with_its_respond_step_and_else_with_its_end() {
    let steps = json!([respond("told"), {"id": "one", "type": "set", "value": 7}]);
    let release = outcome(&requested(steps)).unwrap().release(
        WorkflowId(Id::from_bytes([1; 12])),
        IntegrationId(Id::from_bytes([2; 12])),
        1,
    );
    let result = |id: &str, output: Value| crate::machine::StepResult {
        id: id.to_owned(),
        started_at: Timestamp::ZERO,
        ended_at: Timestamp::ZERO,
        attempts: 1,
        input: Payload::NULL,
        output: output.into(),
        error: None,
    };
    let mut state = RunState::queued(Timestamp::ZERO);
    assert_eq!(release.answer(&state), None);
    let given = Answer { status: 201, headers: BTreeMap::new(), body: json!({"ok": true}) };
    state.results.push(result("told", serde_json::to_value(&given).unwrap()));
    assert_eq!(release.answer(&state), Some(given.clone()), "before its end");
    state.results.push(result("one", json!(7)));
    let outcome = crate::machine::Outcome::Succeeded;
    state.status = crate::machine::Status::Ended { outcome, at: Timestamp::ZERO };
    assert_eq!(release.answer(&state), Some(given));
    state.results.remove(0);
    assert_eq!(release.answer(&state).unwrap().body, json!(7), "its end answers");
}

#[test]
fn an_interval_is_for_triggers_that_poll() {
    let with = |trigger: &str, every: &str| {
        let trigger = json!({"type": "app", "app": "shop", "trigger": trigger, "every": every});
        let steps = json!([{"id": "a", "type": "set", "value": 1}]);
        let definition = json!({"name": "n", "trigger": trigger, "steps": steps});
        check(&Definition::parse(&definition).unwrap(), &Workspace::new()).map(drop)
    };
    assert!(with("stock_changed", "5m").is_ok());
    for (trigger, every, phrase) in
        [("stock_changed", "30s", "at least `60s`"), ("order_created", "5m", "is a webhook")]
    {
        let problems = with(trigger, every).unwrap_err();
        assert!(problems.0[0].at == "/trigger/every" && problems.0[0].message.contains(phrase), "{problems}");
    }
}

#[test]
fn a_triggers_options_are_values_and_fields() {
    let with = |trigger: &str, options: Value| {
        let mut definition = definition(json!([{"id": "a", "type": "set", "value": 1}]));
        definition["trigger"] = json!({"type": "app", "app": "shop", "trigger": trigger, "options": options});
        definition
    };
    outcome(&with("rows_added", json!({"table": "orders", "most": 7}))).unwrap();
    outcome(&with("rows_added", json!({"table": "{{ config.channel }}"}))).unwrap();
    let verify = |verify: Value| json!({"verify": verify});
    let header = json!({"method": "secret_header", "header": "x-token", "secret": "subscription"});
    outcome(&with("posted", verify(header.clone()))).unwrap();
    for (trigger, options, at, words) in [
        ("rows_added", json!({}), "/trigger/options", "table"),
        ("rows_added", json!({"table": 7}), "/trigger/options/table", "7"),
        ("rows_added", json!({"table": "a", "colour": "red"}), "/trigger/options/colour", "colour"),
        ("rows_added", json!({"table": "{{ config.shade }}"}), "/trigger/options/table", "shade"),
        (
            "rows_added",
            json!({"table": "of {{ config.channel }}"}),
            "/trigger/options/table",
            "stands, alone",
        ),
        ("stock_changed", json!({"table": "orders"}), "/trigger/options", "has no options"),
        ("posted", json!({}), "/trigger/options/verify", "how deliveries are verified"),
        ("posted", verify(json!({"method": "hope"})), "/trigger/options/verify", "hope"),
        (
            "posted",
            verify(json!({"method": "secret_header", "header": "x-token", "secret": "other"})),
            "/trigger/options/verify/secret",
            "no secret `other`",
        ),
    ] {
        refused(&with(trigger, options), at, words);
    }
    let plain = Definition::parse(&with("stock_changed", json!({}))).unwrap();
    let stored = serde_json::to_value(&plain).unwrap();
    assert!(stored["trigger"].get("options").is_none(), "what says nothing is not stored");
}

#[test]
fn a_trigger_starts_only_for_members_that_it_gives_and_values_that_they_can_have() {
    let with = |only: Value| {
        let trigger = json!({"type": "app", "app": "shop", "trigger": "order_created", "only": only});
        let fields = json!([{"name": "which", "title": "Which", "kind": {"type": "text"}}]);
        let steps = json!([{"id": "a", "type": "set", "value": 1}]);
        json!({"name": "n", "trigger": trigger, "fields": fields, "steps": steps})
    };
    outcome(&with(json!({"note": ["fragile", null, "{{ config.which }}"], "id": [7]}))).unwrap();
    for (only, at, words) in [
        (json!({"colour": ["red"]}), "/trigger/only/colour", "it gives `extra`, `id`, `lines`, `note`"),
        (json!({"note": []}), "/trigger/only/note", "has no value"),
        (json!({"note": ["x", {"a": 1}]}), "/trigger/only/note/1", "no text, number or boolean"),
        (json!({"note": ["{{ config.other }}"]}), "/trigger/only/note/0", "no field `other`"),
        (json!({"note": ["a {{ config.which }}"]}), "/trigger/only/note/0", "compared as it stands"),
    ] {
        refused(&with(only), at, words);
    }
}
