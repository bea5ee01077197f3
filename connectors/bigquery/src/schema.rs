//! A table's columns: as declared, and as a sample row tells them.

use serde_json::Map;
use trunnion_sdk::prelude::*;

/// A column, as BigQuery writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Column {
    /// Its name: letters, digits and `_`.
    pub(crate) name: String,
    /// `STRING`, `INTEGER`, `FLOAT`, `NUMERIC`, `BOOLEAN`, `TIMESTAMP`, `DATE`, `JSON`, `RECORD` …
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// `NULLABLE` (the default), `REQUIRED` or `REPEATED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<String>,
    /// What it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// The columns of a `RECORD`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Value>")]
    pub(crate) fields: Vec<Self>,
}

/// The columns that hold a row like this one.
pub(crate) fn of_sample(sample: &Map<String, Value>) -> Result<Vec<Column>> {
    sample.iter().map(|(name, value)| column(name, value)).collect()
}

fn column(name: &str, value: &Value) -> Result<Column> {
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let fits = name.bytes().next().is_some_and(first)
        && name.len() <= 300
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !fits {
        let message = format!(
            "`{name}` cannot be a column's name; use letters, digits and `_`, beginning with a letter or `_`"
        );
        return Err(Error::invalid_input("/sample", message));
    }
    let mut column = Column {
        name: name.to_owned(),
        kind: String::new(),
        mode: None,
        description: None,
        fields: Vec::new(),
    };
    let value = match value {
        // What a list holds is what its first item is; lists of lists are JSON.
        Value::Array(items) => match items.first() {
            Some(Value::Array(_)) | None => {
                column.kind = "JSON".to_owned();
                return Ok(column);
            }
            Some(first) => {
                column.mode = Some("REPEATED".to_owned());
                first
            }
        },
        other => other,
    };
    column.kind = match value {
        Value::Bool(_) => "BOOLEAN",
        Value::Number(number) if number.is_i64() => "INTEGER",
        Value::Number(_) => "FLOAT",
        Value::String(text) => of_text(text),
        Value::Object(members) if members.is_empty() => "JSON",
        Value::Object(members) => {
            column.fields = of_sample(members)?;
            "RECORD"
        }
        // Nothing is known of it.
        Value::Null | Value::Array(_) => "JSON",
    }
    .to_owned();
    Ok(column)
}

fn of_text(text: &str) -> &'static str {
    let is_date = text.len() == 10
        && text.bytes().enumerate().all(|(place, byte)| match place {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if trunnion_sdk::time::parse_rfc3339(text).is_some() {
        "TIMESTAMP"
    } else if is_date {
        "DATE"
    } else {
        "STRING"
    }
}

/// The columns of `wanted` that `present` lacks, at any depth, added to it; the paths of what was added. Where a column is
/// there already, it stays as it is.
pub(crate) fn add_missing(present: &mut Vec<Column>, wanted: Vec<Column>, at: &str) -> Vec<String> {
    let mut added = Vec::new();
    for mut column in wanted {
        let path = format!("{at}{}", column.name);
        match present.iter_mut().find(|known| known.name.eq_ignore_ascii_case(&column.name)) {
            Some(known) => {
                added.extend(add_missing(&mut known.fields, column.fields, &format!("{path}.")));
            }
            None => {
                // Rows that are there lack it, so it can only be optional.
                if column.mode.as_deref() == Some("REQUIRED") {
                    column.mode = None;
                }
                present.push(column);
                added.push(path);
            }
        }
    }
    added
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sample: Value) -> Value {
        json!(of_sample(sample.as_object().unwrap()).unwrap())
    }

    #[test]
    fn a_sample_tells_its_columns() {
        let columns = of(json!({
            "id": 7, "total": 1.5, "paid": true, "at": "2026-10-01T10:00:00Z", "day": "2026-10-01", "name": "Ada",
            "tags": ["a"], "lines": [{ "sku": "A", "qty": 1 }], "extra": {}, "none": null, "empty": [],
        }));
        let kind = |name: &str| {
            let column = columns.as_array().unwrap().iter().find(|column| column["name"] == name).unwrap();
            (column["type"].as_str().unwrap().to_owned(), column["mode"].as_str().map(str::to_owned))
        };
        for (name, expected, mode) in [
            ("id", "INTEGER", None),
            ("total", "FLOAT", None),
            ("paid", "BOOLEAN", None),
            ("at", "TIMESTAMP", None),
            ("day", "DATE", None),
            ("name", "STRING", None),
            ("tags", "STRING", Some("REPEATED")),
            ("lines", "RECORD", Some("REPEATED")),
            ("extra", "JSON", None),
            ("none", "JSON", None),
            ("empty", "JSON", None),
        ] {
            assert_eq!(kind(name), (expected.to_owned(), mode.map(str::to_owned)), "{name}");
        }
        assert_eq!(columns[7]["fields"][1], json!({ "name": "qty", "type": "INTEGER" }));
        let error = of_sample(json!({ "a-b": 1 }).as_object().unwrap()).unwrap_err().to_string();
        assert!(error.contains("`a-b` cannot be a column's name"), "{error}");
    }

    #[test]
    fn only_what_is_missing_is_added_and_is_optional() {
        let mut present = of_sample(json!({ "id": 1, "who": { "name": "a" } }).as_object().unwrap()).unwrap();
        let mut wanted = of_sample(
            json!({ "ID": "text", "who": { "name": "a", "mail": "b" }, "new": 1 }).as_object().unwrap(),
        )
        .unwrap();
        wanted[2].mode = Some("REQUIRED".to_owned());
        assert_eq!(add_missing(&mut present, wanted, ""), ["who.mail", "new"]);
        assert_eq!(present[0].kind, "INTEGER");
        assert_eq!(present[2].mode, None);
    }
}
