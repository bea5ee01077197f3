//! What a candidate may change, and what it may not take away.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;

use super::*;
use crate::{
    clock::Timestamp,
    id::{ConnectionId, Id, UserId},
};

fn whole() -> Value {
    json!({
        "manifest_version": 1, "id": "shop", "version": "1.0.0", "title": "Shop", "hosts": ["{shop}.shop.example"],
        "connection": {
            "parameters": [{"name": "shop", "title": "Shop", "pattern": "host_label"}],
            "schemes": [{
                "id": "token", "title": "Token", "type": "fields",
                "fields": [{"name": "token", "title": "Token"}],
                "place": [{"in": "header", "name": "x-token", "value": "{{secret:token}}"}]
            }]
        },
        "triggers": [{
            "id": "order_created", "title": "Order created", "source": "webhook", "registration": "per_connection",
            "verify": {"method": "secret_header", "header": "x-secret", "secret": "subscription"},
            "dedup": {"from": "body_hash"},
            "schema": {"type": "object", "additionalProperties": false, "properties": {"id": {"type": "integer"}, "note": {"type": "string"}}},
            "sample": {"id": 1, "note": "n"}
        }],
        "actions": [{
            "id": "update", "title": "Update",
            "input": {"type": "object", "additionalProperties": false, "properties": {"id": {"type": "integer"}, "note": {"type": "string"}}},
            "output": {"type": "object"}, "sample_input": {"id": 1}, "sample_output": {}, "repeat": "safe"
        }, {
            "id": "unused", "title": "Unused", "input": {}, "output": {}, "sample_input": {}, "sample_output": {}, "repeat": "safe"
        }]
    })
}

fn manifest(change: impl FnOnce(&mut Value)) -> Arc<Manifest> {
    let mut manifest = whole();
    change(&mut manifest);
    Arc::new(Manifest::parse(&manifest.to_string()).unwrap())
}

struct Under(Arc<Manifest>);

impl Catalog for Under {
    fn manifest(&self, app: &str) -> Option<Arc<Manifest>> {
        (app == "shop").then(|| Arc::clone(&self.0))
    }

    fn event_sample(&self, _: &str) -> Option<Value> {
        None
    }

    fn destination(&self, _: &str) -> bool {
        true
    }
}

fn definition() -> Definition {
    Definition::parse(&json!({
        "name": "Orders",
        "trigger": {"type": "app", "app": "shop", "trigger": "order_created"},
        "steps": [{
            "id": "update", "type": "action", "app": "shop", "action": "update",
            "input": {"id": "{{ trigger.id }}", "note": "{{ trigger.note }}"}
        }]
    }))
    .unwrap()
}

fn faults(change: impl FnOnce(&mut Value)) -> Vec<Problem> {
    release_faults(&definition(), &Under(manifest(|_| ())), &Under(manifest(change)))
}

fn connection() -> Connection {
    let now = Timestamp::from_millis(0);
    let named = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    Connection {
        id: ConnectionId(Id::from_bytes([1; 12])),
        user: UserId(Id::from_bytes([2; 12])),
        app: "shop".to_owned(),
        scheme: "token".to_owned(),
        account: "1".to_owned(),
        title: String::new(),
        parameters: named("shop", "acme"),
        secrets: named("token", "secret"),
        created_at: now,
        updated_at: now,
        tokens: None,
        needs_attention: None,
    }
}

#[test]
fn words_and_additions_are_nobodys_news() {
    let present = manifest(|_| ());
    let reworded = manifest(|it| {
        it["version"] = json!("3.0.0");
        it["title"] = json!("Another");
        it["actions"][0]["help"] = json!("More.");
        it["actions"].as_array_mut().unwrap().reverse();
    });
    assert!(interchangeable(&present, &reworded));
    for change in [
        |it: &mut Value| it["actions"][0]["output"] = json!({"type": "string"}),
        |it: &mut Value| it["triggers"][0]["id"] = json!("order_made"),
        |it: &mut Value| it["connection"]["parameters"][0]["pattern"] = json!("digits"),
        |it: &mut Value| it["connection"]["schemes"][0]["id"] = json!("key"),
    ] {
        assert!(!interchangeable(&present, &manifest(change)));
    }
}

#[test]
fn what_a_release_uses_must_stay() {
    assert_eq!(faults(|_| ()), []);
    for (change, named) in [
        ((|it| it["actions"][0]["id"] = json!("renamed")) as fn(&mut Value), "`update`"),
        (|it| it["triggers"][0]["id"] = json!("order_made"), "`order_created`"),
        (
            |it| {
                it["actions"][0]["input"]["properties"].as_object_mut().unwrap().remove("note");
            },
            "note",
        ),
        (
            |it| it["actions"][0]["input"]["properties"]["id"] = json!({"type": "boolean"}),
            "/steps/0/input/id",
        ),
        (
            |it| {
                it["triggers"][0]["schema"]["properties"].as_object_mut().unwrap().remove("note");
                it["triggers"][0]["sample"] = json!({"id": 1});
            },
            "note",
        ),
        (|it| it["actions"][0]["input"]["required"] = json!(["id", "reason"]), "reason"),
    ] {
        let found = faults(change);
        assert!(found.iter().any(|fault| fault.to_string().contains(named)), "{named}: {found:?}");
    }
}

#[test]
fn what_nobody_uses_may_go_and_what_is_new_may_come() {
    assert_eq!(
        faults(|it| {
            it["actions"].as_array_mut().unwrap().remove(1);
            it["actions"][0]["input"]["properties"]["extra"] = json!({"type": "string"});
            it["version"] = json!("2.0.0");
        }),
        []
    );
}

#[test]
fn what_was_wrong_before_refuses_nothing() {
    let broken = |it: &mut Value| it["actions"][0]["id"] = json!("renamed");
    let present = Under(manifest(broken));
    let candidate = Under(manifest(|it| {
        broken(it);
        it["actions"].as_array_mut().unwrap().remove(1);
    }));
    assert_eq!(release_faults(&definition(), &present, &candidate), []);
}

#[test]
fn a_stored_connection_must_still_serve() {
    let present = manifest(|_| ());
    let under =
        |change: fn(&mut Value)| connection_faults(&connection(), &present, &manifest(change)).join(", ");
    assert_eq!(under(|_| ()), "");
    assert!(under(|it| it["connection"]["schemes"][0]["id"] = json!("key")).contains("`token`"));
    assert!(
        under(|it| it["connection"]["schemes"][0]["fields"] =
            json!([{"name": "token", "title": "Token"}, {"name": "id", "title": "Id"}]))
        .contains("`id`")
    );
    assert!(
        under(|it| it["connection"]["parameters"] = json!([
            {"name": "shop", "title": "Shop", "pattern": "host_label"},
            {"name": "region", "title": "Region", "pattern": "identifier"}
        ]))
        .contains("`region`")
    );
    assert!(under(|it| it["connection"]["parameters"][0]["pattern"] = json!("digits")).contains("digits"));
    let broken = Connection { scheme: "old".to_owned(), ..connection() };
    assert!(connection_faults(&broken, &present, &present).is_empty(), "it was broken before");
}

#[test]
fn a_webhook_needs_its_trigger_and_its_secret() {
    let present = manifest(|_| ());
    let connection = connection();
    let under = |change: fn(&mut Value)| {
        subscription_fault("order_created", Some(&connection), &present, &manifest(change))
    };
    assert_eq!(under(|_| ()), None);
    assert!(under(|it| it["triggers"][0]["id"] = json!("x")).unwrap().contains("`order_created`"));
    let signed = |it: &mut Value| {
        it["triggers"][0]["verify"]["secret"] = json!("client_secret");
        it["connection"]["schemes"][0]["fields"] =
            json!([{"name": "token", "title": "T"}, {"name": "client_secret", "title": "C"}]);
    };
    assert!(under(signed).unwrap().contains("`client_secret`"));
    assert_eq!(under(|it| it["triggers"][0]["verify"]["secret"] = json!("token")), None);
    assert_eq!(subscription_fault("gone", None, &present, &present), None, "it was gone before");
}

fn polling(reads: &[u32], writes: u32) -> Arc<Manifest> {
    manifest(|manifest| {
        manifest["triggers"][0] = json!({
            "id": "order_created", "title": "Order created", "source": "poll", "interval_ms": 60_000,
            "min_interval_ms": 60_000, "overlap_ms": 60_000, "dedup": {"from": "occurrence"},
            "cursor_format": {"writes": writes, "reads": reads}, "schema": {"type": "object"}, "sample": {"id": 1}
        });
    })
}

#[test]
fn a_version_that_cannot_read_stored_cursors_does_not_take_over() {
    let (one, both, two) = (polling(&[1], 1), polling(&[1, 2], 2), polling(&[2], 2));
    let fault = |format, present: &Manifest, candidate: &Manifest| {
        poller_fault("order_created", format, present, candidate).unwrap_or_default()
    };
    assert_eq!(fault(Some(1), &one, &both), "", "the next version reads what is stored");
    assert_eq!(
        fault(Some(1), &both, &one),
        "",
        "so does the one before, as long as nothing was written anew"
    );
    assert!(
        fault(Some(2), &both, &one).contains("format 2"),
        "a rollback cannot read what was written since"
    );
    assert!(fault(Some(1), &both, &two).contains("has 2"), "nor a version that dropped the old form");
    assert_eq!(fault(None, &both, &two), "", "a poller that never polled has nothing to be read");
    assert!(fault(None, &one, &manifest(|_| ())).contains("no longer polls"));
    let subscription = subscription_fault("order_created", None, &manifest(|_| ()), &one);
    assert!(subscription.unwrap().contains("no longer a webhook"));
    let gone = manifest(|manifest| manifest["triggers"] = json!([]));
    assert!(fault(Some(1), &one, &gone).contains("is gone"));
    assert_eq!(fault(Some(1), &gone, &gone), "", "what was wrong before refuses nothing");
    assert!(!interchangeable(&one, &both));
}

#[test]
fn an_apps_own_webhook_stays_as_its_hearers_need_it() {
    let per_app = |secret: &'static str| {
        move |it: &mut Value| {
            it["triggers"][0]["registration"] = json!("per_app");
            it["triggers"][0]["verify"]["secret"] = json!(secret);
        }
    };
    let (present, same) = (manifest(per_app("app_secret")), manifest(per_app("app_secret")));
    let keys = BTreeSet::from(["app_secret"]);
    let fault = |present: &Manifest, candidate: &Manifest| {
        app_webhook_fault("order_created", &keys, present, candidate)
    };
    assert_eq!(fault(&present, &same), None);
    let renamed = manifest(per_app("other_secret"));
    assert!(fault(&present, &renamed).unwrap().contains("`other_secret`, which is not there"));
    assert_eq!(fault(&renamed, &renamed), None, "what was wrong before refuses nothing");
    let per_connection = manifest(|_| {});
    assert!(fault(&present, &per_connection).unwrap().contains("no longer delivered to the app's own URL"));
    let gone = manifest(|it| it["triggers"] = json!([]));
    assert!(fault(&present, &gone).unwrap().contains("is gone"));
    let moved = subscription_fault("order_created", None, &per_connection, &present).unwrap();
    assert!(moved.contains("now delivered to the app's URL"), "{moved}");
}
