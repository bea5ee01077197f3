//! Values as BigQuery writes them in rows (`{"f": [{"v": "7"}]}`), as JSON that a workflow can use. A row is written out as it
//! is read: a page has many.

use std::{borrow::Cow, rc::Rc};

use serde_json::value::RawValue;
use trunnion_sdk::{
    json,
    prelude::*,
    schemars::{Schema, SchemaGenerator},
    serde::ser::{Error as _, SerializeMap as _, SerializeSeq as _, Serializer},
};

use crate::schema::Column;

/// A row as BigQuery writes it.
#[derive(Debug, Deserialize)]
pub(crate) struct Fields {
    f: Vec<Field>,
}

#[derive(Debug, Deserialize)]
struct Field {
    #[serde(default)]
    v: Value,
}

impl Fields {
    /// The first two values as texts, which are then no part of the row any more.
    pub(crate) fn take_two(&mut self) -> [String; 2] {
        let mut taken = self.f.drain(..self.f.len().min(2)).map(|field| match field.v {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        });
        [taken.next().unwrap_or_default(), taken.next().unwrap_or_default()]
    }
}

/// A row, which is an object of its columns.
#[derive(Debug)]
pub(crate) struct Item {
    columns: Rc<[Column]>,
    fields: Fields,
}

impl Item {
    /// A row of these columns.
    pub(crate) fn new(columns: &Rc<[Column]>, fields: Fields) -> Self {
        Self { columns: Rc::clone(columns), fields }
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_map(Some(self.columns.len()))?;
        for (column, field) in self.columns.iter().zip(&self.fields.f) {
            row.serialize_entry(&column.name, &Cell { column, given: &field.v, alone: false })?;
        }
        row.end()
    }
}

impl JsonSchema for Item {
    fn schema_name() -> Cow<'static, str> {
        "Row".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        trunnion_sdk::schemars::json_schema!({ "type": "object" })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// What stands in one column.
struct Cell<'a> {
    column: &'a Column,
    given: &'a Value,
    /// One of those of a repeated column.
    alone: bool,
}

impl Serialize for Cell<'_> {
    /// Whole numbers that JSON's readers would round, and decimals, stay texts.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const EXACT: i64 = 1 << 53;
        let Self { column, given, alone } = self;
        if column.mode.as_deref() == Some("REPEATED") && !alone {
            let items = given.as_array().map(Vec::as_slice).unwrap_or_default();
            let mut list = serializer.serialize_seq(Some(items.len()))?;
            for item in items {
                let given = item.get("v").unwrap_or(&Value::Null);
                list.serialize_element(&Cell { column, given, alone: true })?;
            }
            return list.end();
        }
        let text = match given {
            Value::Object(members) => {
                let fields =
                    members.get("f").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                let mut row = serializer.serialize_map(Some(fields.len()))?;
                for (column, field) in column.fields.iter().zip(fields) {
                    let given = field.get("v").unwrap_or(&Value::Null);
                    row.serialize_entry(&column.name, &Cell { column, given, alone: false })?;
                }
                return row.end();
            }
            Value::String(text) => text.as_str(),
            other => return other.serialize(serializer),
        };
        let number = || {
            text.parse::<i64>()
                .map_err(|_| S::Error::custom(format!("BigQuery gave `{text}` as {}", column.kind)))
        };
        match column.kind.as_str() {
            "INTEGER" | "INT64" => match number()? {
                number if number.abs() <= EXACT => serializer.serialize_i64(number),
                _ => serializer.serialize_str(text),
            },
            "BOOLEAN" | "BOOL" => serializer.serialize_bool(text == "true"),
            "TIMESTAMP" => serializer.serialize_str(&rfc3339(number()?)),
            // To the last digit. `NaN` and infinities are no JSON.
            "JSON" | "FLOAT" | "FLOAT64" => match json::read::<Box<RawValue>>(text.as_bytes()) {
                Ok(json) => json.serialize(serializer),
                Err(_) => serializer.serialize_str(text),
            },
            _ => serializer.serialize_str(text),
        }
    }
}

/// Microseconds since 1970 as `2026-10-01T10:00:00.000001Z`.
pub(crate) fn rfc3339(micros: i64) -> String {
    let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (days, seconds) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant's days_from_civil, backwards: years begin in March, so that a leap day comes last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_790_848_800_000_001, "2026-10-01T10:00:00.000001Z"),
        ] {
            assert_eq!(rfc3339(micros), text);
            let millis = trunnion_sdk::time::parse_rfc3339(text);
            assert_eq!(millis, u64::try_from(micros.div_euclid(1_000)).ok(), "{text}");
        }
    }

    #[test]
    fn every_type_has_its_json() {
        let columns: Vec<Column> = serde_json::from_value(json!([
            { "name": "id", "type": "INTEGER" }, { "name": "big", "type": "INTEGER" }, { "name": "ratio", "type": "FLOAT" },
            { "name": "odd", "type": "FLOAT" }, { "name": "yes", "type": "BOOLEAN" }, { "name": "at", "type": "TIMESTAMP" },
            { "name": "money", "type": "NUMERIC" }, { "name": "any", "type": "JSON" }, { "name": "none", "type": "STRING" },
            { "name": "tags", "type": "STRING", "mode": "REPEATED" },
            { "name": "who", "type": "RECORD", "fields": [{ "name": "name", "type": "STRING" }] },
        ]))
        .unwrap();
        let given: Fields = serde_json::from_value(json!({ "f": [
            { "v": "7" }, { "v": "9223372036854775807" }, { "v": "1.5" }, { "v": "NaN" }, { "v": "true" }, { "v": "0" },
            { "v": "10.10" }, { "v": "{\"a\":1}" }, { "v": null }, { "v": [{ "v": "a" }, { "v": "b" }] },
            { "v": { "f": [{ "v": "Ada" }] } },
        ] }))
        .unwrap();
        let expected = json!({
            "id": 7, "big": "9223372036854775807", "ratio": 1.5, "odd": "NaN", "yes": true,
            "at": "1970-01-01T00:00:00.000000Z", "money": "10.10", "any": { "a": 1 }, "none": null, "tags": ["a", "b"],
            "who": { "name": "Ada" },
        });
        assert_eq!(json!(Item::new(&columns.into(), given)), expected);
        let columns: Vec<Column> =
            serde_json::from_value(json!([{ "name": "id", "type": "INTEGER" }])).unwrap();
        let wrong: Fields = serde_json::from_value(json!({ "f": [{ "v": "seven" }] })).unwrap();
        let error = serde_json::to_string(&Item::new(&columns.into(), wrong)).unwrap_err().to_string();
        assert!(error.contains("`seven` as INTEGER"), "{error}");
    }
}
