//! Searches: filters, one sort, pages of 200, 10,000 in all, an index that is late.

use std::{cmp::Ordering, time::Duration};

use serde_json::{Value, json};
use trunnion_core::clock::Timestamp;

use super::portals::{Object, Portal, Refusal, modified_property, refusal};

/// Results that one search gives at most, over all its pages.
const MOST: usize = 10_000;
const PAGE: u64 = 200;

pub(super) fn search(
    portal: &Portal,
    kind: &str,
    asked: &Value,
    (now, lag): (Timestamp, Duration),
) -> Result<Value, Refusal> {
    let bad = |message: &str| refusal(400, "VALIDATION_ERROR", message);
    let limit = asked.get("limit").and_then(Value::as_u64).unwrap_or(10);
    if limit > PAGE {
        return Err(bad("Page limit must be at most 200"));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let after = match asked.get("after") {
        None => 0,
        Some(after) => after
            .as_str()
            .and_then(|after| after.parse::<usize>().ok())
            .ok_or_else(|| bad("`after` is no place in the results"))?,
    };
    if after.saturating_add(limit) > MOST {
        return Err(bad("Total results exceed 10,000; narrow the search"));
    }
    let none = Vec::new();
    let groups = asked.get("filterGroups").and_then(Value::as_array).unwrap_or(&none);
    if groups.len() > 5 {
        return Err(bad("At most 5 filter groups"));
    }
    let mut found: Vec<&Object> = Vec::new();
    for object in portal.of(kind).filter(|object| now.since(object.modified) >= lag) {
        let mut fits = groups.is_empty();
        for group in groups {
            fits |= all(kind, object, group)?;
        }
        if fits {
            found.push(object);
        }
    }
    let sorts = asked.get("sorts").and_then(Value::as_array).unwrap_or(&none);
    match sorts.as_slice() {
        [] => {}
        [Value::String(sort)] => {
            let (property, backwards) =
                sort.strip_prefix('-').map_or((sort.as_str(), false), |name| (name, true));
            found.sort_by(|left, right| {
                let order = compare(&value(kind, left, property), &value(kind, right, property));
                if backwards { order.reverse() } else { order }
            });
        }
        _ => return Err(bad("One sort, by the name of a property")),
    }
    let asked: Vec<String> = asked
        .get("properties")
        .and_then(|names| serde_json::from_value(names.clone()).ok())
        .unwrap_or_default();
    let results: Vec<_> =
        found.iter().skip(after).take(limit).map(|object| object.json(kind, &asked)).collect();
    let end = after + results.len();
    let mut page = json!({ "total": found.len(), "results": results });
    if end < found.len()
        && let Some(members) = page.as_object_mut()
    {
        members.insert("paging".to_owned(), json!({ "next": { "after": end.to_string() } }));
    }
    Ok(page)
}

fn all(kind: &str, object: &Object, group: &Value) -> Result<bool, Refusal> {
    let filters = group.get("filters").and_then(Value::as_array);
    let filters = filters.ok_or_else(|| refusal(400, "VALIDATION_ERROR", "A filter group has filters"))?;
    let mut fits = true;
    for filter in filters {
        let text = |name: &str| filter.get(name).and_then(Value::as_str).unwrap_or_default();
        let own = value(kind, object, text("propertyName"));
        let order = compare(&own, text("value"));
        fits &= match text("operator") {
            "EQ" => order == Ordering::Equal,
            "NEQ" => order != Ordering::Equal,
            "LT" => order == Ordering::Less,
            "LTE" => order != Ordering::Greater,
            "GT" => order == Ordering::Greater,
            "GTE" => order != Ordering::Less,
            "HAS_PROPERTY" => !own.is_empty(),
            "NOT_HAS_PROPERTY" => own.is_empty(),
            "CONTAINS_TOKEN" => own.contains(text("value")),
            other => {
                return Err(refusal(400, "VALIDATION_ERROR", format!("the fake knows no operator {other}")));
            }
        };
    }
    Ok(fits)
}

/// Times as milliseconds, as filters have them.
fn value(kind: &str, object: &Object, property: &str) -> String {
    match property {
        "hs_object_id" => object.id.to_string(),
        "createdate" => object.created.as_millis().to_string(),
        name if name == modified_property(kind) => object.modified.as_millis().to_string(),
        name => object.properties.get(name).cloned().unwrap_or_default(),
    }
}

fn compare(left: &str, right: &str) -> Ordering {
    match (left.parse::<u64>(), right.parse::<u64>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        _ => left.to_ascii_lowercase().cmp(&right.to_ascii_lowercase()),
    }
}
