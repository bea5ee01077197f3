//! The host's answers as a person reads them. Pure; a member that an answer lacks shows as `-`.

use std::fmt::Write as _;

use serde_json::Value;

/// Digits of a digest that tell components apart at a glance; `activate` takes them.
const DIGEST_DIGITS: usize = 12;

/// In the order in which a candidate passes them.
const STAGES: [(&str, &str); 5] = [
    ("check", "checked"),
    ("compile", "compiled"),
    ("probe", "probed"),
    ("survey", "surveyed"),
    ("switch", "switched"),
];

/// The active connectors.
pub(super) fn connectors(answer: &Value) -> String {
    let row = |connector: &Value| {
        ["app", "version"]
            .map(|name| text(connector, name))
            .into_iter()
            .chain([digest(connector, "digest"), text(connector, "since")])
            .collect()
    };
    table(&["APP", "VERSION", "DIGEST", "ACTIVE SINCE"], rows(answer).iter().map(row).collect())
}

/// What happened to an app's connectors.
pub(super) fn history(answer: &Value) -> String {
    let row = |line: &Value| {
        let by = line.pointer("/by/name").or_else(|| line.pointer("/by/id")).and_then(Value::as_str);
        vec![
            text(line, "at"),
            text(line, "change"),
            text(line, "version"),
            digest(line, "digest"),
            by.unwrap_or("the host").to_owned(),
            text(line, "reason"),
        ]
    };
    table(&["AT", "CHANGE", "VERSION", "DIGEST", "BY", "REASON"], rows(answer).iter().map(row).collect())
}

/// A push, activation or rollback of `app`.
pub(super) fn swap(app: &str, answer: &Value) -> String {
    let which = format!("{app} {} ({})", text(answer, "version"), digest(answer, "digest"));
    let is = |name| answer.get(name).and_then(Value::as_bool);
    if is("active") == Some(false) {
        return format!(
            "{which} is kept, not active; `trunnion connector activate {app} {}` makes it so\n{}",
            digest(answer, "digest"),
            times(answer)
        );
    }
    if is("changed") == Some(false) {
        return format!("{which} was active already; nothing changed");
    }
    let before = match answer.get("previous").and_then(Value::as_str) {
        Some(_) => format!("before it {}", digest(answer, "previous")),
        None => "the first of this app".to_owned(),
    };
    format!("{which} is active; {before}\n{}", times(answer))
}

fn times(answer: &Value) -> String {
    let millis = |pointer: &str| answer.pointer(pointer).and_then(Value::as_f64);
    let mut line = String::from("  ");
    for (stage, done) in STAGES {
        if let Some(millis) = millis(&format!("/stages_ms/{stage}")) {
            // Writing to a string cannot fail.
            let _written = write!(line, "{done} in {millis:.1} ms, ");
        }
    }
    let total = millis("/total_ms").map_or_else(|| "-".to_owned(), |total| format!("{total:.1} ms"));
    line + "all in " + &total
}

fn rows(answer: &Value) -> &[Value] {
    answer.get("data").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text(row: &Value, name: &str) -> String {
    match row.get(name) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn digest(row: &Value, name: &str) -> String {
    text(row, name).chars().take(DIGEST_DIGITS).collect()
}

/// Columns as wide as their widest cell; the last one ends where its text ends.
pub(super) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let head: Vec<String> = head.iter().map(|title| (*title).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = all.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        all.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn connectors_stand_in_columns() {
        let answer = json!({ "data": [
            { "app": "bigcommerce", "version": "0.1.0", "digest": "0123456789abcdef", "since": "2026-11-22T04:00:00Z" },
            { "app": "x", "version": "10.20.30", "digest": "ff" },
        ] });
        assert_eq!(
            connectors(&answer),
            "APP          VERSION   DIGEST        ACTIVE SINCE\n\
             bigcommerce  0.1.0     0123456789ab  2026-11-22T04:00:00Z\n\
             x            10.20.30  ff            -"
        );
        assert_eq!(connectors(&json!({ "data": [] })), "APP  VERSION  DIGEST  ACTIVE SINCE");
    }

    #[test]
    fn a_swap_says_what_it_replaced_and_how_long_each_stage_took() {
        let answer = json!({
            "app": "x", "version": "1.0.0", "digest": "aaaaaaaaaaaaaaaa", "active": true, "changed": true,
            "previous": "bbbbbbbbbbbbbbbb", "total_ms": 12.34,
            "stages_ms": { "check": 1.0, "compile": 10.0, "probe": 0.96, "survey": 0.0, "switch": 0.4 },
        });
        assert_eq!(
            swap("x", &answer),
            "x 1.0.0 (aaaaaaaaaaaa) is active; before it bbbbbbbbbbbb\n  \
             checked in 1.0 ms, compiled in 10.0 ms, probed in 1.0 ms, surveyed in 0.0 ms, switched in 0.4 ms, \
             all in 12.3 ms"
        );
    }

    #[test]
    fn what_did_not_change_or_is_only_kept_says_so() {
        let same = json!({ "version": "1.0.0", "digest": "aa", "active": true, "changed": false });
        assert_eq!(swap("x", &same), "x 1.0.0 (aa) was active already; nothing changed");
        let kept =
            json!({ "version": "1.0.0", "digest": "aa", "active": false, "changed": true, "total_ms": 1 });
        assert!(
            swap("x", &kept)
                .starts_with("x 1.0.0 (aa) is kept, not active; `trunnion connector activate x aa`")
        );
        let first =
            json!({ "version": "1.0.0", "digest": "aa", "active": true, "changed": true, "previous": null });
        assert!(swap("x", &first).starts_with("x 1.0.0 (aa) is active; the first of this app\n"));
    }

    #[test]
    fn history_names_who_did_it() {
        let answer = json!({ "data": [
            { "at": "T1", "by": { "id": "k1", "name": "first operator key" }, "change": "refused", "version": "2.0.0",
              "digest": "aa", "previous": null, "reason": "traps" },
            { "at": "T0", "by": null, "change": "activated", "version": "1.0.0", "digest": "bb", "reason": null },
        ] });
        assert_eq!(
            history(&answer),
            "AT  CHANGE     VERSION  DIGEST  BY                  REASON\n\
             T1  refused    2.0.0    aa      first operator key  traps\n\
             T0  activated  1.0.0    bb      the host            -"
        );
    }
}
