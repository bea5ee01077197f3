//! What manifests are read and refused, and that shape and types agree.

use serde_json::json;

use super::*;

/// A manifest that uses every member there is.
fn whole() -> Value {
    json!({
        "manifest_version": 1,
        "id": "acme-shop",
        "version": "1.2.3",
        "title": "Acme Shop",
        "help": "A shop.",
        "icon": "data:image/svg+xml;base64,PHN2Zy8+",
        "hosts": ["api.acme.example", "{shop}.acme.example", "login.acme.example"],
        "connection": {
            "parameters": [{"name": "shop", "title": "Shop", "help": "Its name", "pattern": "host_label"}],
            "schemes": [{
                "id": "token", "title": "Access token", "type": "fields",
                "fields": [{"name": "access_token", "title": "Access token", "help": "In the settings"}],
                "place": [
                    {"in": "header", "name": "X-Auth-Token", "value": "Bearer {{secret:access_token}}"},
                    {"in": "query", "name": "key", "value": "{{secret:access_token}}"}
                ]
            }, {
                "id": "oauth", "title": "Acme", "type": "oauth2",
                "authorize": {
                    "url": "https://{shop}.acme.example/authorize", "parameters": {"access": "offline", "of": "{shop}"},
                    "scope_separator": ",", "pkce": "s256"
                },
                "token": {
                    "url": "https://login.acme.example/{shop}/token", "client": "basic", "body": "json",
                    "parameters": {"expiring": "1"}
                },
                "scopes": ["read", "write"], "refresh": "rotating", "repeat": ["context", "scope"],
                "captures": [{
                    "parameter": "shop", "from": "callback", "name": "shop", "prefix": "x/", "suffix": ".acme.example"
                }],
                "callback": {
                    "parameter": "hmac", "unsigned": ["signature"],
                    "timestamp": {"parameter": "timestamp", "tolerance_ms": 90_000}
                },
                "place": [{"in": "header", "name": "Authorization", "value": "Bearer {{secret:access_token}}"}]
            }, {
                "id": "client", "title": "Own client", "type": "client_credentials",
                "token": {"url": "https://login.acme.example/token", "client": "body", "body": "form"},
                "scopes": ["read"],
                "fields": [
                    {"name": "client_id", "title": "Client ID"}, {"name": "client_secret", "title": "Client secret"}
                ],
                "place": []
            }, {
                "id": "account", "title": "Service account", "type": "jwt_bearer",
                "key": {"name": "key", "title": "Key", "help": "In the console"}, "scopes": ["rows"],
                "audience": "https://api.acme.example/token", "place": []
            }, {
                "id": "basic", "title": "User", "type": "fields",
                "fields": [{"name": "username", "title": "User"}, {"name": "password", "title": "Password"}],
                "place": [{"in": "basic", "username": "{{secret:username}}/x", "password": "{{secret:password}}"}]
            }, {
                "id": "aws", "title": "Access key", "type": "fields",
                "fields": [{"name": "secret_key", "title": "Secret access key"}],
                "place": [{
                    "in": "aws_sigv4", "access_key": "AKIA", "secret_key": "{{secret:secret_key}}",
                    "session_token": "{{secret:secret_key}}", "service": "s3", "region": "{shop}"
                }]
            }]
        },
        "triggers": [{
            "id": "order_created", "title": "Order created", "help": "When", "source": "webhook",
            "registration": "per_connection",
            "verify": {
                "method": "hmac", "algorithm": "sha256", "header": "X-Signature", "encoding": "hex", "prefix": "v0=",
                "parts": ["method", "url", {"header": "X-Time"}, {"literal": ":"}, "body"], "secret": "access_token",
                "timestamp": {"header": "x-time", "unit": "seconds", "tolerance_ms": 300_000}
            },
            "dedup": {"from": "body", "pointer": "/hash"},
            "schema": {"type": "object"}, "sample": {"id": 1}
        }, {
            "id": "order_gone", "title": "Order gone", "source": "webhook", "registration": "per_connection",
            "verify": {"method": "secret_header", "header": "x-secret", "secret": "subscription"},
            "dedup": {"from": "header", "name": "X-Id"}, "schema": {}, "sample": {"id": 1}
        }, {
            "id": "deal_won", "title": "Deal won", "source": "webhook", "registration": "per_app",
            "verify": {
                "method": "hmac", "algorithm": "sha256", "header": "X-App-Signature", "encoding": "base64",
                "parts": ["method", {"url_decoded": ":/"}, "body"], "secret": "client_secret"
            },
            "dedup": {"from": "body_hash"}, "schema": {}, "sample": {"id": 1}
        }, {
            "id": "by_hand", "title": "By hand", "source": "webhook", "registration": "manual",
            "verify": {"method": "secret_header", "header": "x-secret", "secret": "subscription"},
            "dedup": {"from": "body_hash"}, "schema": {}, "sample": {"id": 1}
        }, {
            "id": "hashed", "title": "Hashed", "source": "webhook", "registration": "per_connection",
            "verify": {"method": "secret_header", "header": "x-secret", "secret": "subscription"},
            "dedup": {"from": "body_hash"}, "schema": {}, "sample": {"id": 1}
        }],
        "actions": [{
            "id": "update", "title": "Update", "help": "Does", "input": {"type": "object"}, "output": {},
            "sample_input": {"id": 1}, "sample_output": null, "repeat": "key", "batch": 10, "pages": true,
            "ext": {"x": 1}
        }],
        "buckets": [{"id": "store", "capacity": 150, "window_ms": 30_000}]
    })
}

fn parse(value: &Value) -> Result<Manifest, Problems> {
    Manifest::parse(&value.to_string())
}

fn places(value: &Value) -> Vec<String> {
    parse(value).expect_err("refused").0.into_iter().map(|problem| problem.at).collect()
}

/// The manifest with the value at a pointer's place replaced; `None` removes it.
fn with(pointer: &str, new: Option<Value>) -> Value {
    let mut value = whole();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap();
    match (parent, new) {
        (Value::Object(members), Some(new)) => drop(members.insert(name.to_owned(), new)),
        (Value::Object(members), None) => drop(members.remove(name)),
        (Value::Array(items), Some(new)) => items[name.parse::<usize>().unwrap()] = new,
        (other, _) => panic!("{other} at {pointer}"),
    }
    value
}

/// Every pointer into a value.
fn pointers(value: &Value, at: &str, all: &mut Vec<(String, bool)>) {
    all.push((at.to_owned(), value.is_object()));
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| pointers(member, &format!("{at}/{name}"), all));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| pointers(item, &format!("{at}/{index}"), all));
        }
        _ => {}
    }
}

/// Whether a place holds the author's own JSON, where nothing is unknown.
fn free(pointer: &str) -> bool {
    [
        "/authorize/parameters",
        "/token/parameters",
        "/schema",
        "/sample",
        "/input",
        "/output",
        "/sample_input",
        "/sample_output",
        "/ext",
    ]
    .iter()
    .any(|member| pointer.ends_with(member))
}

#[test]
fn a_whole_manifest_is_read_and_written_the_same() {
    let manifest = parse(&whole()).unwrap();
    assert_eq!(serde_json::to_value(&manifest).unwrap(), whole());
    assert_eq!(
        manifest.trigger("order_created").map(|trigger| trigger.title.as_str()),
        Some("Order created")
    );
    assert_eq!(parse(&serde_json::to_value(&manifest).unwrap()).unwrap(), manifest);
}

#[test]
fn an_unknown_member_is_refused_at_every_level_with_its_pointer() {
    let mut all = Vec::new();
    pointers(&whole(), "", &mut all);
    let mut tried = 0;
    for (pointer, _) in all.iter().filter(|(pointer, object)| *object && !free(pointer)) {
        // A part is written with one member, so that a second one is no longer a part at all.
        let one_member = pointer.contains("/parts/");
        let value = with(&format!("{pointer}/surprise"), Some(json!(1)));
        let expected = if one_member { pointer.clone() } else { format!("{pointer}/surprise") };
        assert_eq!(places(&value), [expected], "{pointer}");
        // serde never looks beside the tag of a case without members: there the shape stands alone.
        let bare = whole().pointer(pointer).is_some_and(|place| place["from"] == "body_hash");
        assert_eq!(serde_json::from_value::<Manifest>(value).is_ok(), bare, "serde alone: {pointer}");
        tried += 1;
    }
    assert!(tried >= 15, "{tried}");
}

#[test]
fn a_wrong_type_is_refused_at_every_place_with_its_pointer() {
    let mut all = Vec::new();
    pointers(&whole(), "", &mut all);
    for (pointer, _) in all.iter().filter(|(pointer, _)| !pointer.is_empty() && !pointer.contains("/ext/")) {
        if free(pointer)
            || pointer.contains("/schema/")
            || pointer.contains("/sample")
            || pointer.contains("put/")
        {
            continue;
        }
        let value = with(pointer, Some(json!(true)));
        if pointer.ends_with("/pages") {
            continue;
        }
        assert_eq!(places(&value), [pointer.as_str()], "{pointer}");
        assert!(
            serde_json::from_value::<Manifest>(value).is_err() || pointer == "/manifest_version",
            "{pointer}"
        );
    }
}

#[test]
fn a_missing_member_is_named() {
    for pointer in
        ["/title", "/hosts", "/connection", "/triggers/0/verify", "/triggers/0/sample", "/actions/0/repeat"]
    {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let problems = parse(&with(pointer, None)).unwrap_err().0;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].at, parent);
        assert!(problems[0].message.starts_with(&format!("lacks `{name}`; add it")), "{problems:?}");
    }
}

#[test]
fn an_unknown_version_is_all_that_is_said() {
    let problems = parse(&json!({"manifest_version": 2, "novel": true})).unwrap_err().0;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].at, "/manifest_version");
    assert!(
        problems[0].message.contains("version 2") && problems[0].message.contains("reads 1"),
        "{problems:?}"
    );
    assert!(Manifest::parse("{").unwrap_err().to_string().contains("not JSON"));
}

#[test]
fn the_rules_between_members() {
    let table = [
        ("/id", json!("Acme"), "/id", "not an id"),
        ("/id", json!("acme_shop"), "/id", "use a hyphen"),
        ("/version", json!("1.2"), "/version", "semantic version"),
        ("/title", json!(" "), "/title", "is empty"),
        ("/icon", json!("https://acme.example/icon.svg"), "/icon", "`data:` URL"),
        ("/icon", json!("data:text/html,<script>"), "/icon", "`data:` URL"),
        ("/hosts", json!([]), "/hosts", "names no host"),
        ("/hosts/0", json!("*"), "/hosts/0", "every host"),
        ("/hosts/1", json!("{other}.acme.example"), "/hosts/1", "not a connection parameter"),
        ("/connection/parameters/0/pattern", json!("identifier"), "/hosts/1", "host_label"),
        ("/connection/schemes/0/fields", json!([]), "/connection/schemes/0/fields", "asks for nothing"),
        (
            "/connection/schemes/0/fields/0/name",
            json!("subscription"),
            "/connection/schemes/0/fields/0/name",
            "host's own",
        ),
        (
            "/connection/schemes/0/place/0/value",
            json!("{{secret:other}}"),
            "/connection/schemes/0/place/0/value",
            "no secret `other`",
        ),
        (
            "/connection/schemes/0/place/0/value",
            json!("{{token}}"),
            "/connection/schemes/0/place/0/value",
            "not a reference",
        ),
        (
            "/connection/schemes/0/place/0/value",
            json!("{{secret:x"),
            "/connection/schemes/0/place/0/value",
            "without `}}`",
        ),
        (
            "/connection/schemes/0/place/0/value",
            json!("a\r\nb"),
            "/connection/schemes/0/place/0/value",
            "control character",
        ),
        (
            "/connection/schemes/0/place/0/name",
            json!("Host"),
            "/connection/schemes/0/place/0/name",
            "belongs to the connection",
        ),
        (
            "/connection/schemes/0/place/0/name",
            json!("a b"),
            "/connection/schemes/0/place/0/name",
            "not a header's name",
        ),
        ("/connection/schemes/0/place/1/name", json!(""), "/connection/schemes/0/place/1/name", "is empty"),
        ("/triggers/1/id", json!("order_created"), "/triggers/1/id", "twice"),
        (
            "/triggers/0/verify/secret",
            json!("other"),
            "/triggers/0/verify/secret",
            "`access_token`, `client_id`, `client_secret`, `key`, `password`, `secret_key`, `subscription`",
        ),
        ("/triggers/0/verify/parts", json!([{"header": "X-Time"}]), "/triggers/0/verify/parts", "add `body`"),
        ("/triggers/0/verify/parts", json!(["body"]), "/triggers/0/verify/timestamp/header", "not signed"),
        (
            "/triggers/0/verify/timestamp/tolerance_ms",
            json!(0),
            "/triggers/0/verify/timestamp/tolerance_ms",
            "is 0",
        ),
        ("/triggers/0/verify/algorithm", json!("md5"), "/triggers/0/verify/algorithm", "one of `sha1`"),
        ("/triggers/0/dedup/pointer", json!("hash"), "/triggers/0/dedup/pointer", "JSON pointer"),
        ("/triggers/0/dedup/from", json!("luck"), "/triggers/0/dedup/from", "not known"),
        ("/triggers/0/source", json!("push"), "/triggers/0/source", "`webhook`"),
        ("/triggers/0/schema", json!(true), "/triggers/0/schema", "JSON Schema object"),
        ("/triggers/0/sample", json!(null), "/triggers/0/sample", "is null"),
        ("/actions/0/input", json!("object"), "/actions/0/input", "JSON Schema object"),
        ("/actions/0/repeat", json!("often"), "/actions/0/repeat", "`safe`"),
        ("/actions/0/batch", json!(0), "/actions/0/batch", "is 0"),
        ("/buckets/0/capacity", json!(0), "/buckets/0/capacity", "is 0"),
        ("/buckets/0/window_ms", json!(-1), "/buckets/0/window_ms", "whole number"),
    ];
    for (pointer, new, at, reason) in table {
        refused(pointer, &new, at, reason);
    }
}

fn refused(pointer: &str, new: &Value, at: &str, reason: &str) {
    let problems = parse(&with(pointer, Some(new.clone()))).expect_err(pointer).0;
    // Without its fields a scheme's placements and the triggers' secrets refer to nothing, either.
    let alone = !pointer.contains("/fields");
    assert!(!alone || problems.len() == 1, "{pointer} {new}: {problems:?}");
    let problem =
        problems.iter().find(|problem| problem.at == at).unwrap_or_else(|| panic!("{pointer}: {problems:?}"));
    assert!(problem.message.contains(reason), "{pointer} {new}: {problems:?}");
}

#[test]
fn the_rules_of_auth_schemes() {
    let table = [
        (1, "authorize/url", json!("http://acme.example/authorize"), "not an https URL"),
        (1, "authorize/url", json!("https://*.acme.example/"), "leaves the host open"),
        (1, "authorize/url", json!("https://10.0.0.1/authorize"), "IP address"),
        (1, "authorize/url", json!("https://acme.example/{tenant}"), "not a connection parameter"),
        (1, "authorize/url", json!("https://acme.example/}x"), "alone"),
        (1, "authorize/url", json!("https://acme.example/#x"), "fragment"),
        (1, "authorize/parameters/access", json!("{tenant}"), "not a connection parameter"),
        (1, "authorize/scope_separator", json!(""), "is empty"),
        (1, "token/url", json!("https://elsewhere.example/token"), "not in `hosts`"),
        (1, "scopes/0", json!("read write"), "not one scope"),
        (1, "repeat/0", json!("client_secret"), "not the vendor's own"),
        (1, "captures/0/parameter", json!("store"), "not a connection parameter"),
        (1, "captures/0/name", json!(""), "is empty"),
        (1, "callback/parameter", json!(""), "is empty"),
        (1, "callback/timestamp/tolerance_ms", json!(0), "is 0"),
        (1, "place/0/value", json!("{{secret:client_secret}}"), "no secret `client_secret`"),
        (1, "type", json!("oauth1"), "not known"),
        (2, "token/url", json!("https://api.acme.example:8443/token"), "not in `hosts`"),
        (2, "fields/0/name", json!("client"), "`client_id` and `client_secret`"),
        (3, "key/name", json!("The Key"), "not an id"),
        (5, "place/0/region", json!("{zone}"), "not a connection parameter"),
        (5, "place/0/service", json!(""), "is empty"),
        (5, "place/0/session_token", json!("{{secret:token}}"), "no secret `token`"),
        (4, "place/0/username", json!("{{secret:name}}"), "no secret `name`"),
    ];
    for (index, member, new, reason) in table {
        let scheme = format!("/connection/schemes/{index}");
        // What is asked for is judged as a whole.
        let at = if member == "fields/0/name" { "fields" } else { member };
        refused(&format!("{scheme}/{member}"), &new, &format!("{scheme}/{at}"), reason);
    }
}

#[test]
fn what_a_scheme_asks_and_places() {
    let manifest = parse(&whole()).unwrap();
    let of = |id| manifest.scheme(id).unwrap();
    let asked = |id| of(id).asks().iter().map(|field| field.name.as_str()).collect::<Vec<_>>();
    assert_eq!(asked("oauth"), [""; 0]);
    assert_eq!(asked("client"), ["client_id", "client_secret"]);
    assert_eq!(asked("account"), ["key"]);
    assert_eq!(of("account").placeable(), ["access_token"], "the key goes nowhere");
    assert_eq!(of("basic").placeable(), ["username", "password"]);
    assert!(of("oauth").needs_registration() && !of("client").needs_registration());
    assert!(!of("oauth").captures("shop"), "the authorize URL needs it first");
}

#[test]
fn an_action_draws_from_limits_that_are_declared() {
    let mut value = with("/title", Some(json!("Shop")));
    value["actions"][0]["buckets"] = json!(["store", "search"]);
    assert_eq!(places(&value), ["/actions/0/buckets/1"]);
    value["actions"][0]["buckets"] = json!(["store"]);
    assert_eq!(parse(&value).unwrap().actions[0].buckets, ["store"]);
}

#[test]
fn only_a_parameter_of_whole_hosts_stands_alone_as_a_host() {
    let mut value = whole();
    let scheme = value["connection"]["schemes"][0].clone();
    value["connection"]["schemes"] = json!([scheme]);
    value["triggers"] = json!([]);
    value["hosts"] = json!(["{shop}"]);
    assert_eq!(places(&value), ["/hosts/0"]);
    value["connection"]["parameters"][0]["pattern"] = json!("host_names");
    assert!(parse(&value).is_ok());
    value["hosts"] = json!(["{shop}.acme.example"]);
    assert_eq!(places(&value), ["/hosts/0"]);
    // In a URL several hosts would change what it means.
    let several = with("/connection/parameters/0/pattern", Some(json!("host_names")));
    assert!(
        places(&several).contains(&"/connection/schemes/1/authorize/url".to_owned()),
        "{:?}",
        places(&several)
    );
}

#[test]
fn an_action_that_is_looked_up_takes_no_batches() {
    let value = with("/actions/0/repeat", Some(json!("lookup")));
    assert_eq!(places(&value), ["/actions/0/batch"]);
    assert!(parse(&with("/actions/0/batch", None)).is_ok());
}

#[test]
fn a_field_names_a_lookup_that_is_declared() {
    let mut value = with("/title", Some(json!("Shop")));
    value["actions"][0]["input"]["properties"] =
        json!({"status": {"type": "integer", "x-lookup": "statuses"}, "x-lookup": {"type": "string"}});
    assert_eq!(places(&value), ["/actions/0/input/properties/status/x-lookup"]);
    value["lookups"] = json!([{"id": "statuses", "title": "Statuses"}]);
    assert_eq!(parse(&value).unwrap().lookup("statuses").unwrap().title, "Statuses");
    value["lookups"] = json!([{"id": "statuses", "title": ""}, {"id": "statuses", "title": "Twice"}]);
    let places = places(&value);
    assert!(places.contains(&"/lookups/0/title".to_owned()), "{places:?}");
    assert!(places.contains(&"/lookups/1/id".to_owned()), "{places:?}");
}

#[test]
fn every_problem_is_said_at_once() {
    let mut value = with("/title", Some(json!("")));
    value["hosts"][0] = json!("*");
    value["actions"][0]["batch"] = json!(0);
    value["buckets"][0]["capacity"] = json!(0);
    assert_eq!(places(&value), ["/title", "/hosts/0", "/actions/0/batch", "/buckets/0/capacity"]);
    value["surprise"] = json!(1);
    value["actions"][0]["id"] = json!(1);
    assert_eq!(places(&value), ["/actions/0/id", "/surprise"], "what has no shape is not judged further");
}

#[test]
fn an_absent_option_may_be_null() {
    let value = with("/actions/0/batch", Some(Value::Null));
    assert_eq!(parse(&value).unwrap().action("update").map(|action| action.batch), Some(None));
    assert_eq!(places(&with("/help", Some(Value::Null))), ["/help"]);
}

#[test]
fn a_polling_triggers_faults_are_said_at_its_members() {
    let mut trigger = json!({
        "id": "order_changed", "title": "Order changed", "source": "poll", "interval_ms": 300_000,
        "min_interval_ms": 60_000, "overlap_ms": 120_000, "recheck": {"every_ms": 3_600_000, "look_back_ms": 21_600_000},
        "cursor_format": {"writes": 2, "reads": [1, 2]}, "dedup": {"from": "occurrence"},
        "schema": {"type": "object"}, "sample": {"id": 1},
        "options": {"type": "object"}, "sample_options": {"table": "orders"}
    });
    let manifest = parse(&with("/triggers/0", Some(trigger.clone()))).unwrap();
    assert_eq!(manifest.poll("order_changed").unwrap().cursor_format.reads, [1, 2]);
    trigger["min_interval_ms"] = json!(5);
    trigger["recheck"]["look_back_ms"] = json!(7);
    trigger["cursor_format"]["writes"] = json!(3);
    let problems = parse(&with("/triggers/0", Some(trigger))).unwrap_err().0;
    let places: Vec<_> = problems.iter().map(|problem| problem.at.as_str()).collect();
    for member in ["min_interval_ms", "recheck/look_back_ms", "cursor_format/reads"] {
        assert!(places.contains(&format!("/triggers/0/{member}").as_str()), "{member}: {places:?}");
    }
}

#[test]
fn an_apps_webhook_is_verified_once_with_a_key_of_the_apps_own() {
    let manifest = parse(&whole()).unwrap();
    assert_eq!(manifest.app_webhooks().map(|(id, _)| id).collect::<Vec<_>>(), ["deal_won"]);
    let place = whole()["triggers"].as_array().unwrap().iter().position(|it| it["id"] == "deal_won").unwrap();
    let at = format!("/triggers/{place}");
    for (member, value) in [
        ("verify/secret", json!("subscription")),
        ("verify/secret", json!("Client Secret")),
        ("verify/parts/1/url_decoded", json!("")),
        ("verify/parts/1/url_decoded", json!("ü")),
    ] {
        let pointer = format!("{at}/{member}");
        assert_eq!(places(&with(&pointer, Some(value.clone()))), [pointer], "{value}");
    }
    let mut two = whole();
    let mut other = two["triggers"][place].clone();
    other["id"] = json!("deal_lost");
    two["triggers"].as_array_mut().unwrap().push(other);
    let second = two["triggers"].as_array().unwrap().len() - 1;
    parse(&two).unwrap();
    two["triggers"][second]["dedup"] = json!({"from": "header", "name": "x-id"});
    assert_eq!(places(&two), [format!("/triggers/{second}")]);
}

#[test]
fn what_a_webhook_leaves_to_its_options_is_declared_and_shown() {
    let mut value = whole();
    let mut left = value["triggers"][0].clone();
    left["id"] = json!("left_open");
    left["registration"] = json!("manual");
    left["verify"] = json!({"method": "configured"});
    left["dedup"] = json!({"from": "configured"});
    left["options"] = json!({"type": "object"});
    left["sample_options"] =
        json!({"verify": {"method": "secret_header", "header": "x-token", "secret": "subscription"}});
    value["triggers"].as_array_mut().unwrap().push(left);
    let at = format!("/triggers/{}", value["triggers"].as_array().unwrap().len() - 1);
    parse(&value).unwrap();
    let place = |pointer: &str, changed: Value| {
        let mut value = value.clone();
        *value.pointer_mut(&format!("{at}{pointer}")).unwrap() = changed;
        places(&value)
    };
    let sample = "/sample_options/verify";
    assert_eq!(place(sample, json!(null)), [format!("{at}{sample}")]);
    assert_eq!(place(&format!("{sample}/secret"), json!("none")), [format!("{at}{sample}/secret")]);
    assert_eq!(place("/options", json!(null)), [format!("{at}/sample_options")]);
    assert_eq!(
        place("/sample_options", json!(null)),
        [format!("{at}/sample_options"), format!("{at}{sample}")]
    );
    assert!(
        place("/registration", json!("per_app")).contains(&at),
        "no workflow can say it for an app's own"
    );
    assert_eq!(
        place("/options", json!({"properties": {"a": {"x-lookup": "none"}}})),
        [format!("{at}/options/properties/a/x-lookup")]
    );
}
