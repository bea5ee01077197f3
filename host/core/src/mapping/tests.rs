//! What templates give, what they refuse, and that the short way and the engine agree.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{clock::Timestamp, id::Id};

struct World {
    trigger: Payload,
    steps: Vec<StepResult>,
    config: BTreeMap<String, Value>,
}

impl World {
    fn new(trigger: Value) -> Self {
        let at = Timestamp::ZERO;
        let output = json!({"id": 7, "name": "first", "tags": ["a", "b"]});
        let result = StepResult {
            id: "fetch".to_owned(),
            started_at: at,
            ended_at: at,
            attempts: 1,
            input: Payload::NULL,
            output: output.into(),
            error: None,
        };
        let config =
            BTreeMap::from([("channel".to_owned(), json!("orders")), ("limit".to_owned(), json!(5))]);
        Self { trigger: trigger.into(), steps: vec![result], config }
    }

    fn environment(&self) -> Environment<'_> {
        Environment {
            trigger: self.trigger.whole(),
            steps: Results { own: &self.steps, outer: None },
            item: None,
            config: &self.config,
            user: UserNames { id: UserId(Id::from_bytes([1; 12])), username: "ann", full_name: None },
            run: RunId(Id::from_bytes([2; 12])),
        }
    }

    /// The same, all of it kept as texts.
    fn in_texts(&self) -> Self {
        let in_text = |payload: &Payload| Payload::in_text(&payload.to_value());
        let steps =
            self.steps.iter().map(|step| StepResult { output: in_text(&step.output), ..step.clone() });
        Self { trigger: in_text(&self.trigger), steps: steps.collect(), config: self.config.clone() }
    }

    /// What it gives, however the payloads are kept and whatever form it is wanted in.
    fn render(&self, template: &Value) -> Result<Value, MappingError> {
        let compiled = Template::compile(template, &maps(), &names()).expect("compiles");
        let rendered = compiled.render(&self.environment());
        let as_text = |given: Result<Value, MappingError>| given.map(|value| value.to_string());
        let expected = as_text(rendered.clone());
        for world in [self, &self.in_texts()] {
            let environment = world.environment();
            assert_eq!(as_text(compiled.render(&environment)), expected, "{template}");
            assert_eq!(compiled.write(&environment), expected, "{template}");
            let payload = compiled.payload(&environment).map(|payload| payload.to_string());
            assert_eq!(payload, expected, "{template}");
        }
        rendered
    }

    fn engine(&self, expression: &str) -> Result<Value, String> {
        let expression = Expression::compile(expression, &names()).expect("compiles");
        expression.evaluate(&Scope::new(&self.environment()))
    }
}

fn names() -> Names {
    Names {
        steps: vec!["fetch".to_owned()],
        later_steps: vec!["send".to_owned(), "after".to_owned()],
        config: vec!["channel".to_owned(), "limit".to_owned(), "note".to_owned()],
        item: false,
    }
}

fn maps() -> BTreeMap<String, ValueMap> {
    let status = json!({"SHIPPED": 2, "FULFILLED": {"id": 2}, "1": "one", "true": "yes"});
    BTreeMap::from([
        ("fulfilment_status".to_owned(), ValueMap { entries: serde_json::from_value(status).unwrap() }),
        ("empty".to_owned(), ValueMap { entries: BTreeMap::new() }),
    ])
}

fn problems(template: Value) -> Vec<(String, String)> {
    let problems = Template::compile(&template, &maps(), &names()).expect_err("refused");
    problems.into_iter().map(|problem| (problem.at, problem.message)).collect()
}

#[test]
fn what_templates_give() {
    let world = World::new(json!({
        "id": "123", "total": "9.50", "count": 3, "big": u64::MAX, "small": i64::MIN, "one": 1.0, "none": null,
        "flag": true, "name": "Zoë 🦀", "lines": [{"sku": "a", "qty": 1}, {"sku": "b", "qty": 2}],
        "odd key": {"a.b": 1}, "status": "SHIPPED", "items": 5, "nested": {"deep": {"x": [10, 20]}}
    }));
    let table = [
        (json!("{{ trigger.id }}"), json!("123")),
        (json!("{{trigger.count}}"), json!(3)),
        (json!("{{ trigger.big }}"), json!(u64::MAX)),
        (json!("{{ trigger.small }}"), json!(i64::MIN)),
        (json!("{{ trigger.one }}"), json!(1.0)),
        (json!("{{ trigger.none }}"), json!(null)),
        (json!("{{ trigger.name }}"), json!("Zoë 🦀")),
        (json!("{{ trigger.items }}"), json!(5)),
        (json!("{{ trigger.lines[1].sku }}"), json!("b")),
        (json!("{{ trigger.lines[-1].sku }}"), json!("b")),
        (json!("{{ trigger['odd key'][\"a.b\"] }}"), json!(1)),
        (json!("{{ trigger.nested.deep.x[0] }}"), json!(10)),
        (json!("{{ steps.fetch.id }}"), json!(7)),
        (json!("{{ steps.fetch.tags | join('-') }}"), json!("a-b")),
        (json!("{{ config.channel }}"), json!("orders")),
        (json!("{{ user.username }} {{ user.fullName }}"), json!("ann ")),
        (json!("{{ run.id }}"), json!("020202020202020202020202")),
        (json!("{{ user }}"), json!({"id": "010101010101010101010101", "username": "ann", "fullName": null})),
        (json!("{{ trigger.id | int }}"), json!(123)),
        (json!("{{ (trigger.total | float * 100) | int }}"), json!(950)),
        (json!("{{ trigger.count > 2 and trigger.flag }}"), json!(true)),
        (json!("{{ 'many' if trigger.count > 2 else 'few' }}"), json!("many")),
        (json!("{{ trigger.missing | default('none') }}"), json!("none")),
        (json!("{{ trigger.missing is defined }}"), json!(false)),
        (json!("{{ {'a': {'b': trigger.count}} }}"), json!({"a": {"b": 3}})),
        (json!("{{ [trigger.id, '}}'] }}"), json!(["123", "}}"])),
        (json!("{{ trigger.lines | map(attribute='qty') | sum }}"), json!(3)),
        (json!("{{ '%.2f' | format(trigger.one) }}"), json!("1.00")),
        (json!("{{ (-trigger.count) }}"), json!(-3)),
        (json!("No. {{ trigger.id }}: {{ trigger.count }} × {{ trigger.one }}"), json!("No. 123: 3 × 1.0")),
        (
            json!("a {{ trigger.flag }} b {{ trigger.none }} c {{ trigger.lines[0] }}"),
            json!("a true b  c {\"sku\":\"a\",\"qty\":1}"),
        ),
        (json!("{{ '{{' }}{{ '{%' }}"), json!("{{{%")),
        (json!(" {{ trigger.count }}"), json!(" 3")),
        (json!("no braces } { %} }}"), json!("no braces } { %} }}")),
        (json!({"$map": "fulfilment_status", "of": "{{ trigger.status }}"}), json!(2)),
        (json!({"$map": "fulfilment_status", "of": "{{ trigger.count - 2 }}"}), json!("one")),
        (json!({"$map": "fulfilment_status", "of": "{{ trigger.flag }}"}), json!("yes")),
        (
            json!({"a": [1, "{{ trigger.id }}", {"b": "{{ trigger.none }}"}], "c": {}}),
            json!({"a": [1, "123", {"b": null}], "c": {}}),
        ),
    ];
    for (template, expected) in table {
        assert_eq!(world.render(&template), Ok(expected), "{template}");
    }
}

#[test]
fn the_whole_payload_comes_out_as_it_went_in() {
    let text = r#"{"z":1,"a":{"y":1.0,"b":[18446744073709551615,-9223372036854775808,1e300,0.1,-0.0]},"n":null,"ü":"\u0000\n\"é🦀"}"#;
    let trigger: Value = serde_json::from_str(text).unwrap();
    let world = World::new(trigger.clone());
    for template in [json!("{{ trigger }}"), json!("{{ trigger if true else none }}")] {
        let rendered = world.render(&template).unwrap();
        assert_eq!(rendered, trigger);
        assert_eq!(rendered.to_string(), trigger.to_string(), "{template}: order and spelling of numbers");
    }
}

#[test]
fn an_unmapped_value_is_named_with_its_map_and_field() {
    let world = World::new(json!({"status": "REFUNDED", "none": null}));
    let template = json!({"status_id": {"$map": "fulfilment_status", "of": "{{ trigger.status }}"}});
    assert_eq!(
        world.render(&template).unwrap_err().to_string(),
        "/status_id: the value map `fulfilment_status` has no entry for `REFUNDED`; it knows `1`, `FULFILLED`, `SHIPPED`, \
         `true`"
    );
    let template = json!([{"a/b": {"$map": "fulfilment_status", "of": "{{ trigger.none }}"}}]);
    assert_eq!(
        world.render(&template).unwrap_err().to_string(),
        "/0/a~1b: the value map `fulfilment_status` was given null; it maps texts, numbers and booleans only"
    );
}

#[test]
fn what_is_not_there_is_an_error_that_says_where_the_path_ends() {
    let world = World::new(json!({"order": {"id": 1, "lines": []}, "text": "abc", "none": null}));
    let table = [
        (
            "{{ trigger.order.total }}",
            "`trigger.order.total` is not there: `trigger.order` has `id`, `lines`; correct the name, or give a value for \
             that case with `| default(…)`",
        ),
        (
            "{{ trigger.customer.name }}",
            "`trigger.customer.name` is not there, since `trigger.customer` is not: `trigger` has `order`, `text`, `none`; \
             correct the name, or give a value for that case with `| default(…)`",
        ),
        (
            "a {{ trigger.order.lines[0] }}",
            "`trigger.order.lines[0]` is not there: `trigger.order.lines` is a list of 0 items; correct the name, or give a \
             value for that case with `| default(…)`",
        ),
        (
            "{{ trigger.none.name }}",
            "`trigger.none.name` is not there: `trigger.none` is null; correct the name, or give a value for that case with \
             `| default(…)`",
        ),
        (
            "{{ config.note }}",
            "`config.note` is not there: `config` has `channel`, `limit`; correct the name, or give a value for that case \
             with `| default(…)`",
        ),
    ];
    for (template, message) in table {
        let error = world.render(&json!({"field": template})).unwrap_err();
        assert_eq!((error.at.as_str(), error.message.as_str()), ("/field", message));
    }
    for template in [
        "{{ trigger.typo | upper }}",
        "{{ [trigger.typo] }}",
        "{{ {'a': trigger.typo} }}",
        "{{ 1 if trigger.typo else 2 }}",
    ] {
        let error = world.render(&json!(template)).unwrap_err();
        assert!(error.message.contains(template), "{template}: {error}");
    }
}

#[test]
fn every_problem_is_reported_at_its_field_with_a_remedy() {
    let found = problems(json!({
        "a": "{{ FULFILLED }}",
        "b": ["{{ steps.send.id }}", "{{ steps.nope.id }}", "{{ config.nope }} {{ user.email }}"],
        "c": "{% if x %}{% endif %}",
        "d": "{{ trigger.id",
        "e": "{{ trigger.id | shout }}",
        "f": "{{ trigger.id is shouted }}",
        "g": {"$map": "nope", "of": "{{ nope }}", "default": 1},
        "h": {"$map": "fulfilment_status"},
        "i": "{{ trigger. }}",
        "j": "{{ }}",
        "k": "{{- trigger.id }}",
        "{{ trigger.id }}": 1,
        "l": {"$map": 3, "of": 1},
        "m": "{{ debug() }}",
    }));
    let places: Vec<_> = found.iter().map(|(at, _)| at.as_str()).collect();
    assert_eq!(
        places,
        [
            "/a",
            "/b/0",
            "/b/1",
            "/b/2",
            "/b/2",
            "/c",
            "/d",
            "/e",
            "/f",
            "/g/default",
            "/g/of",
            "/g/$map",
            "/h",
            "/i",
            "/j",
            "/k",
            "/{{ trigger.id }}",
            "/l/$map",
            "/m"
        ]
    );
    let message =
        |at: &str| found.iter().find(|(place, _)| place == at).map(|(_, message)| message.as_str()).unwrap();
    let says = [
        ("/a", "`FULFILLED` in `{{ FULFILLED }}` is not known"),
        (
            "/b/0",
            "`steps.send` is not there yet when this step runs; use `fetch` or move this step behind `send`",
        ),
        ("/b/1", "there is no step `nope`; use `fetch`"),
        (
            "/b/2",
            "there is no field `nope` for `config.nope`; add it to the workflow's `fields`, or use `channel`",
        ),
        ("/c", "statement; only `{{ … }}` expressions are read"),
        ("/d", "opens `{{` without `}}`"),
        ("/e", "there is no filter `shout`"),
        ("/f", "there is no test `is shouted`"),
        (
            "/g/$map",
            "there is no value map `nope`; add it to the workflow's `maps`, or use `empty`, `fulfilment_status`",
        ),
        ("/g/default", "takes `$map` and `of`, not `default`"),
        ("/h", "lacks `of`"),
        ("/i", "is not an expression: syntax error"),
        ("/k", "begins with a sign"),
        ("/m", "`debug`"),
    ];
    for (at, expected) in says {
        assert!(message(at).contains(expected), "{at}: {}", message(at));
    }
}

#[test]
fn names_in_texts_arguments_and_attributes_are_not_roots() {
    for template in [
        "{{ trigger.steps.nope }}",
        "{{ 'steps.nope' }}",
        "{{ \"it\\\"s config.nope\" }}",
        "{{ trigger.lines | map(attribute='steps') | list }}",
        "{{ dict(steps=1) }}",
        "{{ trigger.config.nope | default(steps['fetch'].id) }}",
        "{{ steps[trigger.which] }}",
    ] {
        assert!(Template::compile(&json!(template), &maps(), &names()).is_ok(), "{template}");
    }
    for template in [
        "{{ steps['nope'] }}",
        "{{ 1 if config.nope == 2 else 3 }}",
        "{{ [steps.nope] }}",
        "{{ dict(a=config.nope) }}",
    ] {
        assert!(Template::compile(&json!(template), &maps(), &names()).is_err(), "{template}");
    }
}

#[test]
fn work_and_results_are_bounded() {
    let world = World::new(json!({"one": 1}));
    for (template, reason) in [
        ("{{ 'a' * 20000000 }}", "bytes of text"),
        ("{{ [1] * 2000000 }}", "more than 1000000 values"),
        ("{{ range(1000000000) }}", "range"),
        ("{{ '%999999999d' | format(1) }}", "width"),
        ("{{ '%*d' | format(999999999, 1) }}", "width"),
        ("{{ 1 / 0 }}", "unable to calculate 1 / 0"),
        ("{{ 99999999999999999999 * 99999999999999 }}", "cannot carry exactly"),
    ] {
        let error = world.render(&json!(template)).unwrap_err();
        assert!(error.message.contains(reason), "{template}: {error}");
    }
    for template in [
        "{{ 'a' | indent(999999999999) }}",
        "{{ [1] | batch(999999999999, 0) }}",
        "{{ [1] | slice(999999999999) }}",
    ] {
        assert!(Template::compile(&json!(template), &maps(), &names()).is_err(), "{template}");
    }
    assert!(
        Template::compile(&json!(format!("{{{{ '{}' }}}}", "a".repeat(5_000))), &maps(), &names()).is_err()
    );
}

#[test]
fn a_whole_template_says_everything_that_cannot_be_made() {
    let world = World::new(json!({"one": 1}));
    let template = json!({"a": "{{ trigger.two }}", "b/c": [1, "{{ 'x' | int }}", "{{ trigger.one }}"],
        "d": {"$map": "empty", "of": "{{ trigger.one }}"}, "e": "is {{ trigger.three }}", "f": 1});
    let compiled = Template::compile(&template, &maps(), &names()).unwrap();
    let faults = compiled.render_whole(&world.environment()).unwrap_err();
    let places: Vec<_> = faults.iter().map(|fault| fault.at.as_str()).collect();
    assert_eq!(places, ["/a", "/b~1c/1", "/d", "/e"]);
    let first = compiled.render(&world.environment()).unwrap_err();
    assert_eq!(first, faults[0], "a run stops at the first, and says the same of it");
    let fine = json!({"a": ["{{ trigger.one }}", {"b": "{{ steps.fetch.id }} it"}], "c": null});
    let compiled = Template::compile(&fine, &maps(), &names()).unwrap();
    let whole = compiled.render_whole(&world.environment()).unwrap();
    assert_eq!(whole, compiled.render(&world.environment()).unwrap());
    assert_eq!(whole, json!({"a": [1, {"b": "7 it"}], "c": null}));
}

#[test]
fn what_names_steps_says_which() {
    let names = Names { steps: ["fetch", "two", "three"].map(str::to_owned).to_vec(), ..names() };
    let template = json!({"a": ["{{ steps.fetch.id }}", "{{ steps['two'] | default(1) }} {{ trigger.steps }}"],
        "b": {"$map": "empty", "of": "{{ 'steps.none' if steps.three else 1 }}"}, "c": "{{ steps }}"});
    let compiled = Template::compile(&template, &maps(), &names).unwrap();
    assert_eq!(compiled.steps(), BTreeSet::from(["fetch", "two", "three"]));
    let condition = Condition::compile("steps.two.id > 1 and trigger.id == 2", &names).unwrap();
    assert_eq!(condition.steps(), ["two"]);
}

#[test]
fn conditions_give_booleans() {
    let world = World::new(json!({"status_id": 11, "flag": false}));
    let holds =
        |expression: &str| Condition::compile(expression, &names()).unwrap().holds(&world.environment());
    assert_eq!(holds("trigger.status_id > 10 and not trigger.flag"), Ok(true));
    assert_eq!(holds("trigger.flag"), Ok(false));
    assert_eq!(
        holds("trigger.status_id").unwrap_err().message,
        "the condition `trigger.status_id` gives the number 11, neither true nor false; compare it, as in \
         `trigger.status_id == 1`"
    );
    assert!(holds("trigger.nope == 1").is_err());
    for refused in ["{{ trigger.flag }}", "", "nope", "trigger.flag ==", "steps.send.ok"] {
        assert!(Condition::compile(refused, &names()).is_err(), "{refused}");
    }
}

#[test]
fn templates_cross_threads() {
    const fn check<T: Send + Sync>() {}
    check::<Template>();
    check::<Condition>();
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        ".{0,30}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-z]{1,3}|\\PC{0,4}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Every path into a value, as an expression writes it.
fn paths(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
                // What needs escapes is the engine's alone.
                if word {
                    paths(member, &format!("{at}.{name}"), all);
                } else if !name.contains(['\\', '\'']) {
                    paths(member, &format!("{at}['{name}']"), all);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                paths(item, &format!("{at}[{index}]"), all);
            }
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn the_short_way_and_the_engine_agree(trigger in json(), lost in "[a-z]{1,2}") {
        let world = World::new(trigger.clone());
        let mut all = Vec::new();
        paths(&trigger, "trigger", &mut all);
        let astray: Vec<_> = all.iter().flat_map(|path| [format!("{path}.{lost}"), format!("{path}[7]")]).collect();
        for path in all.iter().chain(&astray) {
            let direct = world.render(&json!(format!("{{{{ {path} }}}}"))).map_err(|error| error.message);
            let engine = world.engine(path);
            prop_assert_eq!(direct.as_ref().map(Value::to_string), engine.as_ref().map(Value::to_string), "{}", path);
        }
    }

    #[test]
    fn no_text_makes_compiling_panic(text in "[{}%a-z .'\"|\\[\\]()0-9\\\\é-]{0,40}") {
        let template = json!({ "a": text.clone(), "b": format!("{{{{ {text} }}}}") });
        if let Ok(template) = Template::compile(&template, &maps(), &names()) {
            let world = World::new(json!({"a": [1, 2]}));
            // Whatever it gives, it gives it or says why; it does not panic.
            if let Err(error) = template.render(&world.environment()) {
                prop_assert!(!error.message.is_empty());
            }
        }
    }

    #[test]
    fn json_without_expressions_is_constant(value in json()) {
        prop_assume!(!value.to_string().contains('{') || !value.to_string().contains("{{") && !value.to_string().contains("{%"));
        let world = World::new(Value::Null);
        prop_assert_eq!(world.render(&value), Ok(value));
    }
}
