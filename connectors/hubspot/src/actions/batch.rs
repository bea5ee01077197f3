//! Many records at once. HubSpot answers 207 where it keeps some and refuses others: each input then has its own outcome.

use std::collections::BTreeMap;

use trunnion_sdk::prelude::*;

use crate::{
    api,
    object::{Properties, Record},
};

/// Records that one request takes.
pub(crate) const MOST: u32 = 100;

/// Records of one kind.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Batch {
    /// The kind: `contacts`, `companies`, `deals`, or any other that HubSpot has.
    object: String,
    /// A unique property: a contact's `email`, or one of the account's own with unique values.
    id_property: String,
    /// The records, at most 100.
    #[schemars(length(min = 1, max = 100))]
    records: Vec<Item>,
}

/// A record.
#[derive(Debug, Deserialize, JsonSchema)]
struct Item {
    /// Its value of the unique property.
    id: String,
    /// What it has, or what is set.
    properties: Properties,
}

/// What became of them.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outcome {
    /// Those that were kept.
    results: Vec<Kept>,
    /// Those that were refused.
    errors: Vec<Refused>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Kept {
    /// Its place among the records, from 0.
    index: usize,
    /// The record's id.
    id: String,
    /// Whether it was made.
    new: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Refused {
    /// Its place among the records, from 0.
    index: usize,
    /// What HubSpot said.
    message: String,
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Record>,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    message: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    context: BTreeMap<String, Vec<String>>,
}

impl Fault {
    /// The input it is about: HubSpot repeats its trace id.
    fn index(&self) -> Option<usize> {
        self.context.get("objectWriteTraceId")?.first()?.parse().ok()
    }

    fn said(&self) -> String {
        match (self.message.as_str(), self.category.as_str()) {
            ("", category) => category.to_owned(),
            (message, "") => message.to_owned(),
            (message, category) => format!("{message} ({category})"),
        }
    }
}

/// A record to be written.
#[derive(Debug)]
pub(crate) struct Input {
    /// The unique property.
    pub(crate) id_property: String,
    /// The record's value of it.
    pub(crate) id: String,
    /// What it has, or what is set.
    pub(crate) properties: BTreeMap<String, String>,
}

/// Makes or changes records; what became of each, in their order. Where HubSpot does not say which one it refused, none of
/// those that it did not keep is known to be kept.
pub(crate) fn write(ctx: &Context, object: &str, inputs: Vec<Input>) -> Result<Vec<Result<Record>>> {
    let count = inputs.len();
    let traced = |(index, input): (usize, Input)| {
        json!({
            "idProperty": input.id_property, "id": input.id, "properties": input.properties,
            "objectWriteTraceId": index.to_string(),
        })
    };
    let inputs: Vec<Value> = inputs.into_iter().enumerate().map(traced).collect();
    let path = api::objects(&format!("{object}/batch/upsert"));
    let request = api::post(ctx, &path).repeatable().json(&json!({ "inputs": inputs }))?;
    let Answer { results, errors } = request.send()?.json()?;
    let anybodys = errors.iter().find(|fault| fault.index().is_none()).or(errors.first());
    let unsaid = anybodys.map_or_else(|| "HubSpot kept no record and gave no reason".to_owned(), Fault::said);
    let mut outcomes: Vec<_> = (0..count).map(|_| Err(Error::rejected(207, unsaid.clone()))).collect();
    for fault in &errors {
        if let Some(outcome) = fault.index().and_then(|index| outcomes.get_mut(index)) {
            *outcome = Err(Error::rejected(207, fault.said()));
        }
    }
    let whole = results.len() == count;
    for (place, mut record) in results.into_iter().enumerate() {
        let told = record.take("objectWriteTraceId");
        let told = told.as_ref().and_then(Value::as_str).and_then(|index| index.parse().ok());
        // Without trace ids, the order tells whose it is only where all were kept.
        let index = told.or(whole.then_some(place));
        if let Some(outcome) = index.and_then(|index| outcomes.get_mut(index)) {
            *outcome = Ok(record);
        }
    }
    Ok(outcomes)
}

pub(crate) fn upsert(ctx: &Context, batch: Batch) -> Result<Outcome> {
    let Batch { object, id_property, records } = batch;
    let most = usize::try_from(MOST).unwrap_or(usize::MAX);
    if records.is_empty() || records.len() > most {
        let message = format!("has {} records; give 1 to {MOST}", records.len());
        return Err(Error::invalid_input("/records", message));
    }
    if object.is_empty() || !object.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    {
        return Err(Error::invalid_input("/object", "is no kind of object; write for example `contacts`"));
    }
    let read = |Item { id, properties }: Item| Input {
        id_property: id_property.clone(),
        id,
        properties: properties.0,
    };
    let inputs = records.into_iter().map(read).collect();
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for (index, written) in write(ctx, &object, inputs)?.into_iter().enumerate() {
        match written {
            Ok(record) => results.push(Kept { index, id: record.id().to_owned(), new: record.is_new() }),
            Err(Error::Rejected { message, .. }) => errors.push(Refused { index, message }),
            Err(error) => return Err(error),
        }
    }
    if let (true, Some(first)) = (results.is_empty(), errors.first()) {
        let (count, said) = (errors.len(), &first.message);
        return Err(Error::rejected(207, format!("HubSpot kept none of the {count} records: {said}")));
    }
    Ok(Outcome { results, errors })
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer as Said, FakeHost};

    use super::*;
    use crate::connector;

    const UPSERT: &str = "https://api.hubapi.com/crm/v3/objects/contacts/batch/upsert";

    fn run(answer: Said, records: &Value) -> (FakeHost, Result<Value>) {
        let host = FakeHost::new();
        host.http().once("POST", UPSERT, answer);
        let input = json!({"object": "contacts", "id_property": "email", "records": records}).to_string();
        let output = connector().run(&host.calling("batch_upsert"), &input);
        (host, output.map(|output| serde_json::from_str(&output).unwrap()))
    }

    #[test]
    fn each_record_has_its_own_outcome() {
        let answer = json!({
            "status": "COMPLETE", "numErrors": 1,
            "results": [{"id": "7", "new": true, "objectWriteTraceId": "1", "properties": {}}],
            "errors": [{"status": "error", "category": "VALIDATION_ERROR", "message": "bad address",
                "context": {"objectWriteTraceId": ["0"]}}],
        });
        let records = json!([
            {"id": "a", "properties": {"score": 1}}, {"id": "b@example.com", "properties": {"vip": true}},
        ]);
        let (host, output) = run(Said::json(207, &answer), &records);
        let expected = json!({
            "results": [{"index": 1, "id": "7", "new": true}],
            "errors": [{"index": 0, "message": "bad address (VALIDATION_ERROR)"}],
        });
        assert_eq!(output.unwrap(), expected);
        let sent = host.http().requests()[0].json();
        let second = json!({"idProperty": "email", "id": "b@example.com", "properties": {"vip": "true"},
            "objectWriteTraceId": "1"});
        assert_eq!(sent["inputs"][1], second);
    }

    #[test]
    fn none_kept_is_a_refusal_and_too_many_are_never_sent() {
        let none = json!({"results": [], "errors": [{"message": "no such property", "category": "X"}]});
        let one = json!([{"id": "a", "properties": {}}]);
        let Err(Error::Rejected { status: 207, message }) = run(Said::json(207, &none), &one).1 else {
            panic!("a refusal")
        };
        assert!(message.ends_with("no such property (X)"), "{message}");
        let many: Vec<_> = (0..101).map(|id| json!({"id": id.to_string(), "properties": {}})).collect();
        for (records, field) in [
            (json!(many), "/records"),
            (json!([]), "/records"),
            (json!([{"id": "a", "properties": {"x": {}}}]), "/records/0/properties"),
        ] {
            let (host, output) = run(Said::empty(500), &records);
            assert!(matches!(output, Err(Error::InvalidInput { field: at, .. }) if at == field));
            assert!(host.http().requests().is_empty());
        }
    }
}
