//! Any request to HubSpot's API. Nobody knows what repeating one does, so it never is after an uncertain attempt.

use std::collections::BTreeMap;

use trunnion_sdk::prelude::*;

use crate::api;

/// A request.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Raw {
    /// The method.
    method: Method,
    /// The path, as in `/crm/v3/objects/tickets/81`.
    path: String,
    /// The query: a text, a number, a boolean, or a list of these for each name.
    #[serde(default)]
    query: BTreeMap<String, Value>,
    /// The body, as JSON.
    #[serde(default)]
    body: Option<Value>,
}

/// A method.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// What HubSpot answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Answered {
    /// The status, a successful one: others are errors.
    status: u16,
    /// The body; null where there was none.
    body: Value,
}

pub(crate) fn request(ctx: &Context, input: Raw) -> Result<Answered> {
    let Raw { method, path, query, body } = input;
    // Anything else could name another host, or a query and fragment of its own.
    if !path.starts_with('/') || path.starts_with("//") || path.contains(['?', '#', '\\']) {
        let message =
            "is no path below https://api.hubapi.com; begin with one `/`, and give the query in `query`";
        return Err(Error::invalid_input("/path", message));
    }
    let mut request = match method {
        Method::Get => api::get(ctx, &path),
        Method::Post => api::post(ctx, &path),
        Method::Put => api::put(ctx, &path),
        Method::Patch => api::patch(ctx, &path),
        Method::Delete => api::delete(ctx, &path),
    };
    for (name, value) in &query {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    let message = "is no text, number or boolean; a query has only these, and lists of them";
                    return Err(Error::invalid_input(format!("/query/{name}"), message));
                }
            };
            request = request.query(name, &text);
        }
    }
    if let Some(body) = &body {
        request = request.json(body)?;
    }
    let answer = request.send()?;
    let body = if answer.body.is_empty() { Value::Null } else { answer.json()? };
    Ok(Answered { status: answer.status, body })
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost};

    use super::*;
    use crate::connector;

    #[test]
    fn a_request_is_sent_as_it_is_given_and_its_answer_comes_back() {
        let host = FakeHost::new();
        host.http().once("DELETE", "https://api.hubapi.com/crm/v3/objects/tickets/81", Answer::empty(204));
        host.http().once("POST", "https://api.hubapi.com/x", Answer::json(200, &json!([1])));
        let run = |input: Value| connector().run(&host.calling("raw_request"), &input.to_string());
        let gone = run(json!({"method": "DELETE", "path": "/crm/v3/objects/tickets/81"})).unwrap();
        assert_eq!(gone, r#"{"status":204,"body":null}"#);
        let query = json!({"properties": ["a", "b c"], "limit": 5});
        let posted = run(json!({"method": "POST", "path": "/x", "query": query, "body": {"y": 1}})).unwrap();
        assert_eq!(posted, r#"{"status":200,"body":[1]}"#);
        let seen = &host.http().requests()[1];
        assert_eq!((seen.query(), seen.json()), ("limit=5&properties=a&properties=b%20c", json!({"y": 1})));
    }

    #[test]
    fn nothing_but_a_path_names_the_place() {
        let host = FakeHost::new();
        for path in
            ["crm/v3", "//evil.example/x", "https://evil.example", "/x?y=1", "/x#y", "/\\evil.example"]
        {
            let input = json!({"method": "GET", "path": path}).to_string();
            let result = connector().run(&host.calling("raw_request"), &input);
            assert!(matches!(result, Err(Error::InvalidInput { field, .. }) if field == "/path"), "{path}");
        }
        let nested = json!({"method": "GET", "path": "/x", "query": {"a": [[1]]}}).to_string();
        let result = connector().run(&host.calling("raw_request"), &nested);
        assert!(matches!(result, Err(Error::InvalidInput { field, .. }) if field == "/query/a"));
        assert!(host.http().requests().is_empty());
    }
}
