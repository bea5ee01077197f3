//! Lists and objects: what Jinja's `map`, `select`, `unique`, `sort` and their kin do not do.

use minijinja::{
    Environment, Error, Value,
    value::{Rest, ValueKind},
};

use super::{at_path, items, members, named, refuse, shortened, size, text, written};
use crate::mapping::engine::RESULT_VALUES;

pub(super) fn install(engine: &mut Environment<'static>) {
    engine.add_filter("chunk", chunk);
    engine.add_filter("coalesce", coalesce);
    engine.add_filter("flatten", flatten);
    engine.add_filter("get", get);
    engine.add_filter("group_by", group_by);
    engine.add_filter("index_by", index_by);
    engine.add_filter("omit", |value: &Value, names: Rest<Value>| chosen("omit", value, &names));
    engine.add_filter("pick", |value: &Value, names: Rest<Value>| chosen("pick", value, &names));
    engine.add_filter("without_nulls", without_nulls);
}

fn chunk(list: &Value, of: &Value) -> Result<Value, Error> {
    let of = size("chunk", "size", of, RESULT_VALUES)?;
    let items = items("chunk", list)?;
    Ok(items.chunks(of).map(|chunk| chunk.iter().cloned().collect::<Value>()).collect())
}

/// The first that is neither missing nor null.
fn coalesce(value: &Value, others: Rest<Value>) -> Value {
    let there = |value: &&Value| !value.is_undefined() && !value.is_none();
    std::iter::once(value).chain(others.iter()).find(there).cloned().unwrap_or_else(|| Value::from(()))
}

fn flatten(list: &Value) -> Result<Value, Error> {
    let mut flat = Vec::new();
    for item in items("flatten", list)? {
        if matches!(item.kind(), ValueKind::Seq | ValueKind::Iterable) {
            flat.extend(items("flatten", &item)?);
        } else {
            flat.push(item);
        }
        if flat.len() > RESULT_VALUES {
            return Err(refuse("flatten", format!("would give more than {RESULT_VALUES} items; take fewer")));
        }
    }
    Ok(flat.into())
}

/// What stands at a path, or a default where it ends before, also along nulls.
fn get(value: &Value, path: &Value, default: Option<&Value>) -> Result<Value, Error> {
    let path = text("get", path)?;
    Ok(at_path(value, path).or_else(|| default.cloned()).unwrap_or_else(|| Value::from(())))
}

/// An item's key as a member's name.
fn key(filter: &str, item: &Value, path: &str, index: usize) -> Result<String, Error> {
    let key = at_path(item, path).ok_or_else(|| {
        refuse(filter, format!("finds no `{path}` in item {index}, {}; correct the path", named(item)))
    })?;
    match key.kind() {
        ValueKind::String | ValueKind::Number | ValueKind::Bool => written(filter, &key),
        _ => Err(refuse(
            filter,
            format!(
                "finds {} at `{path}` in item {index}; a key is a text, number or boolean: choose another path",
                named(&key)
            ),
        )),
    }
}

/// Groups in the order of their first items.
fn group_by(list: &Value, path: &Value) -> Result<Value, Error> {
    let path = text("group_by", path)?;
    let mut places = std::collections::HashMap::new();
    let mut groups: Vec<(String, Vec<Value>)> = Vec::new();
    for (index, item) in items("group_by", list)?.into_iter().enumerate() {
        let key = key("group_by", &item, path, index)?;
        let place = *places.entry(key.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, group)) => group.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    Ok(Value::from_pairs(groups.into_iter().map(|(key, group)| (Value::from(key), Value::from(group)))))
}

fn index_by(list: &Value, path: &Value) -> Result<Value, Error> {
    let path = text("index_by", path)?;
    let mut seen = std::collections::HashSet::new();
    let mut indexed = Vec::new();
    for (index, item) in items("index_by", list)?.into_iter().enumerate() {
        let key = key("index_by", &item, path, index)?;
        if !seen.insert(key.clone()) {
            return Err(refuse(
                "index_by",
                format!(
                    "finds `{}` at `{path}` twice, again in item {index}; use `group_by`, or `unique` before",
                    shortened(&key)
                ),
            ));
        }
        indexed.push((Value::from(key), item));
    }
    Ok(Value::from_pairs(indexed))
}

fn chosen(filter: &str, value: &Value, names: &[Value]) -> Result<Value, Error> {
    let names = names.iter().map(|name| text(filter, name)).collect::<Result<Vec<_>, _>>()?;
    let picks = filter == "pick";
    let members = members(filter, value)?;
    Ok(Value::from_pairs(
        members
            .into_iter()
            .filter(|(name, _)| name.as_str().is_some_and(|name| names.contains(&name)) == picks),
    ))
}

fn without_nulls(value: &Value) -> Result<Value, Error> {
    if value.kind() == ValueKind::Map {
        let members = members("without_nulls", value)?;
        return Ok(Value::from_pairs(members.into_iter().filter(|(_, member)| !member.is_none())));
    }
    let items = items("without_nulls", value)?;
    Ok(items.into_iter().filter(|item| !item.is_none()).collect())
}
