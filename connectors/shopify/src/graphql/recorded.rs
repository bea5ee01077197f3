//! Shopify's own answers, recorded from live shops, read by the code that reads them in the field.
//!
//! The recordings are not part of this repository; where they are absent the test says so and ends.

use std::{collections::BTreeMap, env, fs, path::Path};

use trunnion_sdk::test::{Answer, FakeHost};

use super::{testing::URL, *};

/// Every answer inside a recording: an object with `data` or `errors` as GraphQL has them.
fn answers<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(members) => {
            let errors = members.get("errors").is_some_and(Value::is_array);
            let data = members.get("data").is_some_and(Value::is_object);
            if errors || data {
                found.push(value);
            } else {
                members.values().for_each(|member| answers(member, found));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| answers(item, found)),
        _ => {}
    }
}

fn recordings(directory: &Path, found: &mut Vec<(String, Value)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            recordings(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path.display().to_string(), serde_json::from_str(&text).unwrap()));
        }
    }
}

fn sent(answer: &Value) -> FakeHost {
    let host = testing::host();
    host.http().once("POST", URL, Answer::json(200, answer));
    host
}

fn case(error: &Error) -> &'static str {
    match error {
        Error::InvalidInput { .. } => "invalid-input",
        Error::NotFound(_) => "not-found",
        Error::Conflict(_) => "conflict",
        Error::Rejected { .. } => "rejected",
        Error::Unavailable(_) => "unavailable",
        Error::RateLimited { .. } => "rate-limited",
        Error::Uncertain(_) | Error::AuthExpired(_) | Error::Other { .. } => "unexpected",
    }
}

#[test]
fn every_recorded_answer_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs/shopify/recorded");
    if !root.is_dir() {
        eprintln!("skipped: no recordings under {}", root.display());
        return;
    }
    let mut files = Vec::new();
    recordings(&root, &mut files);
    let (mut read, mut refusals, mut costs, mut user_errors) = (0, 0, 0, BTreeMap::new());
    for (file, recording) in &files {
        let mut found = Vec::new();
        answers(recording, &mut found);
        for answer in found {
            let host = sent(answer);
            let result = Query::new("").send(&host.context(), &json!({}));
            read += 1;
            let expected = answer.get("errors").is_some();
            assert_eq!(result.is_err(), expected, "{file}: {answer}");
            match &result {
                Ok(data) => assert_eq!(Some(data), answer.get("data"), "{file}"),
                Err(error) => {
                    refusals += 1;
                    assert_ne!(case(error), "unexpected", "{file}: {error}");
                    assert!(!error.to_string().contains("does not say why"), "{file}: {error}");
                }
            }
            if answer.pointer("/extensions/cost/throttleStatus").is_some() {
                costs += 1;
                assert_eq!(host.observed().len(), 1, "{file}");
                assert!(host.observed()[0].remaining <= 2000, "{file}");
            }
            let payloads = answer.get("data").and_then(Value::as_object).into_iter().flatten();
            for (field, payload) in payloads.filter(|(_, payload)| payload.get("userErrors").is_some()) {
                let errors = payload["userErrors"].as_array().unwrap();
                let mutation = Mutation::new("", field.clone().leak(), Repeat::Doubles);
                let result = mutation.send(&sent(answer).context(), &json!({}));
                assert_eq!(result.is_err(), !errors.is_empty(), "{file}: {field}");
                if let Err(error) = result {
                    assert_ne!(case(&error), "unexpected", "{file}: {field}: {error}");
                    *user_errors.entry(case(&error)).or_insert(0) += 1;
                }
            }
        }
    }
    eprintln!(
        "{} recordings, {read} answers, {costs} with costs, {refusals} with errors, userErrors {user_errors:?}",
        files.len()
    );
    assert!(read > 500 && refusals > 20 && costs > 500, "{read} {refusals} {costs}");
    assert!(user_errors.contains_key("not-found") && user_errors.contains_key("rejected"), "{user_errors:?}");
}
