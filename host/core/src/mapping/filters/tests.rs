//! Every example of MAPPING.md, what filters refuse, and that none knows no bound.

use std::collections::BTreeSet;

use minijinja::context;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::mapping::{
    Names,
    engine::{self, ENGINE},
    expression::Expression,
};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/MAPPING.md"));

/// What is left of minijinja's own filters.
const BUILT_IN: [&str; 33] = [
    "abs",
    "attr",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "escape",
    "first",
    "groupby",
    "items",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "split",
    "sum",
    "title",
    "trim",
    "unique",
    "upper",
];
const OURS: [&str; 48] = [
    "base64_decode",
    "base64_encode",
    "bool",
    "chunk",
    "coalesce",
    "date",
    "date_add",
    "date_diff",
    "date_format",
    "date_only",
    "date_subtract",
    "decimal",
    "decimal_round",
    "decimal_sum",
    "digits",
    "divided_by",
    "flatten",
    "float",
    "format",
    "from_epoch",
    "from_json",
    "from_minor",
    "from_zone",
    "get",
    "group_by",
    "in_zone",
    "index_by",
    "int",
    "join",
    "minus",
    "number",
    "omit",
    "pad_start",
    "parse_date",
    "pick",
    "plus",
    "regex_find",
    "regex_replace",
    "replace",
    "sha256",
    "slug",
    "string",
    "text",
    "times",
    "to_epoch",
    "to_json",
    "to_minor",
    "tojson",
];

fn evaluate(source: &str, trigger: &Json) -> Result<Json, String> {
    let expression =
        ENGINE.compile_expression_owned(source.to_owned()).map_err(|error| engine::explain(&error))?;
    let value = expression
        .eval(context! { trigger => engine::from_json(trigger) })
        .map_err(|error| engine::explain(&error))?;
    engine::to_json(&value)
}

fn refused(source: &str) -> String {
    evaluate(source, &Json::Null).expect_err(source)
}

/// Each line of the page that has an example: its expression and what follows the arrow.
fn examples() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.lines().filter(|line| line.starts_with("{{ ")).map(|line| {
        let (expression, result) = line.rsplit_once("→").expect(line);
        let expression =
            expression.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}")).expect(line);
        (expression.trim(), result.trim())
    })
}

#[test]
fn every_example_of_the_page_holds() {
    let (_, sample) = PAGE.split_once("```json\n").unwrap();
    let trigger: Json = serde_json::from_str(sample.split_once("```").unwrap().0).unwrap();
    let mut wrong = Vec::new();
    for (expression, expected) in examples() {
        let given = evaluate(expression, &trigger);
        let holds = match (expected.strip_prefix("error: "), &given) {
            (Some(message), Err(error)) => error.contains(message),
            (None, Ok(value)) => {
                let expected: Json = serde_json::from_str(expected).expect(expected);
                [value.to_string()] == [expected.to_string()]
            }
            _ => false,
        };
        if !holds {
            wrong.push(format!("{{{{ {expression} }}}} → {given:?}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_page_has_an_example_of_every_filter_and_no_other() {
    let mut shown = BTreeSet::new();
    for (expression, _) in examples() {
        shown.extend(crate::mapping::tokens::words(expression).filters.into_iter().map(str::to_owned));
    }
    let known: BTreeSet<_> = BUILT_IN
        .iter()
        .chain(&OURS)
        .chain(&["urlencode", "without_nulls", "zip", "truncate"])
        .map(|name| (*name).to_owned())
        .collect();
    assert_eq!(&known - &shown, BTreeSet::from(["d".to_owned()]), "not shown");
    assert_eq!(&shown - &known, BTreeSet::new(), "shown, but not known");
    for name in &known {
        assert!(engine::has_filter(name), "{name}");
    }
    for name in super::REMOVED {
        assert!(!engine::has_filter(name), "{name}");
        let problems = Expression::compile(&format!("1 | {name}"), &Names::default()).unwrap_err();
        assert!(problems[0].contains(&format!("there is no filter `{name}`")), "{problems:?}");
    }
}

#[test]
fn errors_name_the_filter_the_value_and_the_remedy() {
    let table = [
        (
            "'1.9' | int",
            "`int` would lose the fraction of the text `1.9`; round it first, as with `decimal_round(0)`",
        ),
        ("none | int", "`int` was given null; say what to use instead, as in `int(0)`"),
        (
            "true | int",
            "`int` cannot read true as a number; give it digits with a point, such as `1234.50`, at most 28 of them: remove \
             signs and separators, as with `replace(',', '')`",
        ),
        (
            "'1234567890.1234567890' | number",
            "`number` cannot carry the text `1234567890.1234567890` exactly, since JSON numbers keep about 15 digits; leave it \
             a text",
        ),
        (
            "2 | bool",
            "`bool` cannot read the number 2; it knows `true`, `yes`, `on`, `1` and their opposites: compare it instead, as in \
             `trigger.count > 0`",
        ),
        ("[1] | text", "`text` takes one value, not a list; write it as JSON with `to_json`"),
        ("1 | int(2, 3)", "`int` takes one argument, the default; remove the others"),
        ("1 | upper | slug(2)", "`slug` takes a text, not the number 2; convert it first, as with `text`"),
        (
            "'a' | replace('', 'b')",
            "`replace` was told to replace an empty text; write what is to be replaced",
        ),
        ("'1' | divided_by(0, 2)", "`divided_by` was told to divide the text `1` by zero; check it first"),
        (
            "'1' | decimal_round(99)",
            "`decimal_round` has the number 99 for its places; write a whole number from 0 to 18",
        ),
        (
            "'1' | decimal_round(2, mode='bankers')",
            "`decimal_round` has the text `bankers` for its mode; write one of `half_up`, `half_even`, `up`, `down`",
        ),
        (
            "'1' | to_minor('EURO')",
            "`to_minor` has the text `EURO` for its unit; write a currency such as `EUR`, or the number of places",
        ),
        (
            "'9999999999999999999999999999' | times('1.5')",
            "`times` gives more than 28 digits; round what it is given, as with `decimal_round(6)`",
        ),
        (
            "'0.0000000000000000000000000001' | times('0.1')",
            "`times` gives more than 28 digits; round what it is given, as with `decimal_round(6)`",
        ),
        (
            "'9999999999999999999999999999' | plus('0.001')",
            "`plus` gives more than 28 digits; round what it is given, as with `decimal_round(6)`",
        ),
        (
            "1795370709 | date",
            "`date` cannot read the number 1795370709 as a date; give it ISO 8601 such as `2026-11-22T19:00:00Z`, or read it \
             first with `parse_date` or `from_epoch`",
        ),
        (
            "'2026-11-22T19:00:00' | in_zone('UTC')",
            "`in_zone` needs to know whose clocks the text `2026-11-22T19:00:00` means; say it first, as with \
             `from_zone('Europe/Berlin')`",
        ),
        (
            "'2026-11-22T19:00:00Z' | from_zone('UTC')",
            "`from_zone` was given the text `2026-11-22T19:00:00Z`, which has an offset already; convert it with `in_zone`",
        ),
        (
            "'2026-11-22T19:00:00Z' | in_zone('Berlin')",
            "`in_zone` has the text `Berlin` for its time zone; write an IANA name such as `Europe/Berlin`, or `UTC`",
        ),
        (
            "'2026-11-22' | date_add('soon')",
            "`date_add` has the text `soon` for its duration; write it as in `3 days`, `2h 30m` or `P1M`",
        ),
        (
            "'2026-11-22' | date_add('2h')",
            "`date_add` cannot move the text `2026-11-22`, a date without a time, by the text `2h`; use days, weeks, months or \
             years",
        ),
        (
            "'2026-11-22' | date_add('19000 years')",
            "`date_add` takes the text `2026-11-22` past the years -9999 to 9999; correct the date or the duration",
        ),
        (
            "'2026-11-22' | date_diff('2026-11-22T00:00:00Z')",
            "`date_diff` cannot compare the text `2026-11-22` with the text `2026-11-22T00:00:00Z`, since one has an offset or \
             a time and the other has none; make them alike, as with `date_only` or `from_zone`",
        ),
        (
            "1795370709000 | from_epoch",
            "`from_epoch` takes the number 1795370709000 past the year 9999; say its unit, `milliseconds` or `seconds`",
        ),
        (
            "[1, 'x'] | sum",
            "`sum` takes numbers, not the text `x` as in item 1; use `decimal_sum` for amounts",
        ),
        ("[1] | map('nope' ~ '')", "`map` knows no filter `nope`; correct its name"),
        (
            "[1] | map",
            "`map` was not told what to give for each item; write `attribute='…'` or a filter's name",
        ),
        ("'x' | chunk(2)", "`chunk` takes a list, not the text `x`; put it in `[…]`, or name a list"),
        ("[1] | chunk(0)", "`chunk` has the number 0 for its size; write a whole number from 1 to 1000000"),
        ("[1] | pick('a')", "`pick` takes an object, not a list; name an object"),
        ("[{'a': 1}] | index_by('b')", "`index_by` finds no `b` in item 0, an object; correct the path"),
        (
            "[{'a': [1]}] | group_by('a')",
            "`group_by` finds a list at `a` in item 0; a key is a text, number or boolean: choose another path",
        ),
        (
            "'x' | base64_decode",
            "`base64_decode` cannot read the text `x`: Invalid input length: 1; give it Base64",
        ),
        (
            "'/w==' | base64_decode",
            "`base64_decode` cannot read the text `/w==`: it holds bytes that are no text; pass it on encoded; mappings carry \
             text only",
        ),
        (
            "'{' | from_json",
            "`from_json` cannot read the text `{`: EOF while parsing an object at line 1 column 1; give it valid JSON",
        ),
        ("'a' | regex_find('(')", "`regex_find` cannot use the pattern `(`: unclosed group; correct it"),
        ("'abc' | truncate(1, '...')", "`truncate` ends with `...`, which is longer than 1 characters"),
        ("'abc' | pad_start(5, 'ab')", "`pad_start` pads with one character, not with the text `ab`"),
    ];
    for (expression, message) in table {
        assert_eq!(refused(expression), message, "{expression}");
    }
    let long = refused(&format!("'{}' | int", "x".repeat(300)));
    assert!(long.contains('…') && long.len() < 400, "{long}");
    for filter in OURS.iter().filter(|filter| !matches!(**filter, "coalesce" | "get")) {
        // Something that is not there is never taken for a value.
        let arguments = match *filter {
            "in_zone" | "from_zone" | "date_add" | "date_subtract" | "date_diff" | "date_format"
            | "parse_date" | "group_by" | "index_by" | "regex_find" | "plus" | "minus" | "times"
            | "chunk" | "pad_start" => "('1')",
            "replace" | "regex_replace" | "divided_by" => "('1', '1')",
            _ => "",
        };
        assert!(evaluate(&format!("trigger.nope | {filter}{arguments}"), &json!({})).is_err(), "{filter}");
    }
}

#[test]
fn money_is_exact() {
    let table = [
        ("'0.1' | plus('0.2')", json!("0.3")),
        ("0.1 | plus(0.2)", json!("0.3")),
        ("'5' | plus('0.00')", json!("5.00")),
        ("'0' | plus('0.00')", json!("0.00")),
        ("'-0.00' | decimal", json!("0.00")),
        ("'-1.005' | decimal_round", json!("-1.01")),
        ("'1.005' | decimal_round(2, mode='down')", json!("1.00")),
        ("'1.001' | decimal_round(2, mode='up')", json!("1.01")),
        ("'-0.001' | decimal_round", json!("0.00")),
        ("18446744073709551615 | decimal", json!("18446744073709551615")),
        ("'12.3400' | to_minor", json!(1234)),
        ("'-0.05' | to_minor", json!(-5)),
        ("'-5' | from_minor", json!("-0.05")),
        ("[] | decimal_sum", json!("0")),
        ("[] | sum", json!(0)),
        ("[1, 0.5, 2] | sum", json!(3.5)),
        ("[9007199254740993, 1] | sum", json!(9_007_199_254_740_994_i64)),
        ("'1e3' | int('no')", json!("no")),
        ("1e3 | int", json!(1000)),
        ("1e-7 | decimal", json!("0.0000001")),
        ("'18446744073709551615' | int", json!(u64::MAX)),
        ("'0.30' | number", json!(0.3)),
        ("'1_000' | int(0)", json!(0)),
        ("trigger | get('nope') | int(5)", json!(5)),
        ("none | number(none)", json!(null)),
        ("' 7 ' | int", json!(7)),
    ];
    for (expression, expected) in table {
        assert_eq!(evaluate(expression, &Json::Null), Ok(expected), "{expression}");
    }
}

#[test]
fn names_of_filters_and_tests_that_others_are_told_to_use_are_checked_at_release() {
    let problem = |expression: &str| {
        Expression::compile(expression, &Names::default()).map(drop).map_err(|all| all.join("; "))
    };
    for (expression, name) in [
        ("trigger.a | map('nope')", "there is no filter `nope`"),
        ("trigger.a | map('batch', 2)", "there is no filter `batch`"),
        ("trigger.a | select('nope')", "there is no test `is nope`"),
        ("trigger.a | reject('nope')", "there is no test `is nope`"),
        ("trigger.a | selectattr('nope.a', 'nope')", "there is no test `is nope`"),
        ("trigger.a | rejectattr('a', 'nope', 1)", "there is no test `is nope`"),
    ] {
        let problem = problem(expression).expect_err(expression);
        assert!(problem.contains(name), "{expression}: {problem}");
    }
    for expression in
        ["trigger.a | map(attribute='nope')", "trigger.a | selectattr('nope')", "trigger.a | map('upper')"]
    {
        assert_eq!(problem(expression), Ok(()), "{expression}");
    }
}

#[test]
fn what_is_not_there_can_be_stood_in_for() {
    let trigger = json!({"null": null, "deep": {"null": null}});
    let table = [
        ("trigger.nope | coalesce('x')", json!("x")),
        ("trigger.nope | coalesce(trigger.null, trigger.nope)", json!(null)),
        ("trigger.null | coalesce(0)", json!(0)),
        ("false | coalesce(true)", json!(false)),
        ("trigger.nope | int(0)", json!(0)),
        ("trigger.nope | text(default='')", json!("")),
        ("trigger | get('deep.null.more', 'x')", json!("x")),
        ("trigger | get('deep.null')", json!(null)),
        ("trigger.nope | get('a', 'x')", json!("x")),
    ];
    for (expression, expected) in table {
        assert_eq!(evaluate(expression, &trigger), Ok(expected), "{expression}");
    }
}

#[test]
fn dates_stay_what_they_are() {
    let table = [
        ("'2026-11-22' | date", json!("2026-11-22")),
        ("'2026-11-22T19:05' | date", json!("2026-11-22T19:05:00")),
        ("'2026-11-22T19:05:09.120+05:45' | date", json!("2026-11-22T19:05:09.12+05:45")),
        ("'2026-11-22T19:05:09+01:00[Europe/Berlin]' | date", json!("2026-11-22T19:05:09+01:00")),
        ("'2026-03-29 02:30' | from_zone('Europe/Berlin')", json!("2026-03-29T03:30:00+02:00")),
        ("'2026-10-25 02:30' | from_zone('Europe/Berlin')", json!("2026-10-25T02:30:00+02:00")),
        ("'2026-11-22' | from_zone('Europe/Berlin')", json!("2026-11-22T00:00:00+01:00")),
        ("'1700000000.5' | from_epoch", json!("2023-11-14T22:13:20.5Z")),
        ("'2026-11-22T19:00:00+01:00' | date_diff('2026-11-22T17:00:00Z', unit='hours')", json!(1)),
        ("'2026-11-20' | date_diff('2026-11-22')", json!(-2)),
        ("'2027-01-31' | date_diff('2026-11-30', unit='months')", json!(2)),
        ("'2026-11-22T10:00:00' | date_add('-1 day')", json!("2026-11-21T10:00:00")),
        ("'22 Nov 2026 +0100 10:30' | parse_date('%d %b %Y %z %H:%M')", json!("2026-11-22T10:30:00+01:00")),
    ];
    for (expression, expected) in table {
        assert_eq!(evaluate(expression, &Json::Null), Ok(expected), "{expression}");
    }
    for format in ["%", "%Q%", "%e%!"] {
        let error = refused(&format!("'2026-11-22' | date_format('{format}')"));
        assert!(error.contains("`date_format`") && error.contains("correct the format"), "{error}");
    }
}

#[test]
fn no_filter_makes_more_than_the_bound() {
    let long = "('a' * 6000000)";
    for (expression, filter) in [
        (format!("{long} | replace('a', 'bbb')"), "replace"),
        (format!("[{long}, {long}, {long}] | join"), "join"),
        (format!("range(100000) | join({long})"), "join"),
        (format!("('%s' * 3) | format({long}, {long}, {long})"), "format"),
        (format!("('%(a)s' * 100000) | format({{'a': {long}}})"), "format"),
        (format!("{long} | regex_replace('a', '')"), "regex_replace"),
        ("('a' * 1000) | regex_replace('', 'a' * 100000)".to_owned(), "regex_replace"),
        (format!("([{long}] * 100000) | map('upper')"), "map"),
        (format!("([{long}] * 100000) | map('regex_find', 'b')"), "regex_find"),
        (format!("([[{long}]] * 100000) | map('map', 'sha256')"), "map"),
        (format!("([{long}] * 100000) | unique"), "unique"),
        (format!("([{{'a': {long}}}] * 100000) | sort(attribute='a')"), "sort"),
        ("([[1]] * 100000) | sum".to_owned(), "sum"),
        (format!("{long} | list"), "list"),
        (format!("{long} | split('')"), "split"),
        ("('\\n' * 2000000) | lines".to_owned(), "lines"),
        (format!("{long} | slug('-----')"), "slug"),
        ("'x' | regex_replace('(a{1000}){1000}', '')".to_owned(), "regex_replace"),
        (format!("'x' | regex_find('{}')", "(".repeat(40) + &")".repeat(40)), "regex_find"),
        (format!("'2026-11-22' | date_format({long})"), "date_format"),
        ("'x' | pad_start(100000)".to_owned(), "pad_start"),
        ("[[1] * 999999, [1] * 999999] | flatten".to_owned(), "flatten"),
        (format!("({long} ~ {long} ~ {long}) | base64_encode"), "base64_encode"),
    ] {
        let error = refused(&expression);
        assert!(error.contains(&format!("`{filter}`")), "{expression}: {error}");
    }
}

proptest! {
    #[test]
    fn no_value_makes_a_filter_panic(
        index in 0..OURS.len(),
        value in prop_oneof![Just(Json::Null), any::<i64>().prop_map(Json::from), any::<f64>().prop_map(Json::from), ".{0,20}".prop_map(Json::from), "[-0-9.TZ:+ ]{0,24}".prop_map(Json::from)],
        argument in prop_oneof![Just(Json::Null), any::<i64>().prop_map(Json::from), "[-%$(a-zA-Z0-9 /]{0,12}".prop_map(Json::from)],
        arity in 0..3,
    ) {
        let arguments = ["", "(trigger.argument)", "(trigger.argument, 2)"][usize::try_from(arity).unwrap()];
        let trigger = json!({"value": value, "argument": argument});
        for value in ["trigger.value", "[trigger.value]"] {
            // Whatever it gives, it gives it or says why; it does not panic.
            if let Err(error) = evaluate(&format!("{value} | {}{arguments}", OURS[index]), &trigger) {
                prop_assert!(!error.is_empty());
            }
        }
    }

    #[test]
    fn minor_units_and_back(cents in -1_000_000_000_000_i64..1_000_000_000_000) {
        let back = evaluate("trigger | from_minor | to_minor", &json!(cents));
        prop_assert_eq!(back, Ok(json!(cents)));
        let sum = evaluate("trigger | from_minor | plus('0.01') | minus('0.01') | to_minor", &json!(cents));
        prop_assert_eq!(sum, Ok(json!(cents)));
    }

    #[test]
    fn instants_survive_zones(seconds in 0_i64..4_000_000_000, zone in prop::sample::select(&["UTC", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Apia"][..])) {
        let back = evaluate(&format!("trigger | from_epoch | in_zone('{zone}') | to_epoch"), &json!(seconds));
        prop_assert_eq!(back, Ok(json!(seconds)));
    }
}
