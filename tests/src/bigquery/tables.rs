//! A table: columns, rows, and the insert ids it has seen.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// A table of the fake.
pub(super) struct Table {
    pub(super) columns: Vec<Value>,
    pub(super) rows: Vec<Value>,
    seen: BTreeSet<String>,
    /// Counts changes of the columns.
    pub(super) version: u32,
}

impl Table {
    pub(super) fn new(columns: Value) -> Self {
        let columns = columns.as_array().cloned().unwrap_or_default();
        Self { columns, rows: Vec::new(), seen: BTreeSet::new(), version: 1 }
    }

    /// As `tables.get` shows it.
    pub(super) fn shown(&self) -> Value {
        json!({
            "kind": "bigquery#table", "etag": format!("v{}", self.version), "schema": { "fields": self.columns },
            "numRows": self.rows.len().to_string(),
        })
    }

    /// `insertAll`: all rows, or none and what keeps each from being inserted.
    pub(super) fn insert(&mut self, rows: &[Value], ignore_unknown: bool) -> Vec<Value> {
        let faults: Vec<Option<(String, String)>> =
            rows.iter().map(|row| self.fault(&row["json"], ignore_unknown)).collect();
        if faults.iter().any(Option::is_some) {
            let error = |(index, fault): (usize, Option<(String, String)>)| {
                let (location, message) = fault.unwrap_or_default();
                let reason = if message.is_empty() { "stopped" } else { "invalid" };
                let error =
                    json!({ "reason": reason, "location": location, "debugInfo": "", "message": message });
                json!({ "index": index, "errors": [error] })
            };
            return faults.into_iter().enumerate().map(error).collect();
        }
        for row in rows {
            let fresh = row["insertId"].as_str().is_none_or(|id| self.seen.insert(id.to_owned()));
            if fresh {
                self.rows.push(row["json"].clone());
            }
        }
        Vec::new()
    }

    /// What keeps a row out: where, and why.
    pub(super) fn fault(&self, row: &Value, ignore_unknown: bool) -> Option<(String, String)> {
        let none = Map::new();
        let members = row.as_object().unwrap_or(&none);
        for (name, value) in members {
            let Some(column) = self.columns.iter().find(|column| column["name"] == name.as_str()) else {
                if ignore_unknown {
                    continue;
                }
                return Some((name.clone(), format!("no such field: {name}.")));
            };
            let fits = match column["type"].as_str() {
                Some("INTEGER" | "INT64") => {
                    value.is_i64() || value.as_str().is_some_and(|text| text.parse::<i64>().is_ok())
                }
                Some("STRING") => value.is_string() || value.is_number(),
                Some("BOOLEAN" | "BOOL") => value.is_boolean(),
                _ => true,
            };
            if !fits && !value.is_null() {
                let kind = column["type"].as_str().unwrap_or_default().to_lowercase();
                return Some((name.clone(), format!("Cannot convert value to {kind} (bad value): {value}")));
            }
        }
        let required = |column: &&Value| column["mode"] == "REQUIRED";
        let lacking = |column: &&Value| {
            let given = column["name"].as_str().and_then(|name| members.get(name));
            given.is_none_or(Value::is_null)
        };
        let missing = self.columns.iter().filter(required).find(lacking)?;
        let name = missing["name"].as_str().unwrap_or_default();
        Some((name.to_owned(), format!("Missing required field: {name}.")))
    }

    /// A row as a query gives it.
    pub(super) fn written(&self, row: &Value) -> Value {
        let field = |column: &Value| {
            let name = column["name"].as_str().unwrap_or_default();
            let value = match &row[name] {
                Value::Null => Value::Null,
                Value::String(text) => json!(text),
                other => json!(other.to_string()),
            };
            json!({ "v": value })
        };
        json!({ "f": self.columns.iter().map(field).collect::<Vec<_>>() })
    }
}
