//! Sends any request to the store's API, for what no other action does.

use std::collections::BTreeMap;

use serde_json::Map;
use trunnion_sdk::prelude::*;

use crate::api;

/// A request to the store.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawRequest {
    method: Method,
    /// The path behind the store's, as in `/v3/catalog/brands`.
    #[schemars(regex(pattern = "^/v[23]/[A-Za-z0-9/_.-]+$"))]
    path: String,
    /// Query parameters.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    query: Map<String, Value>,
    /// The body; none where none is given.
    body: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// What BigCommerce answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RawAnswer {
    /// The status, a success.
    status: u16,
    /// The body; null where there is none.
    body: Value,
}

pub(crate) fn raw_request(ctx: &Context, input: RawRequest) -> Result<RawAnswer> {
    let RawRequest { method, path, query, body } = input;
    // A path is part of the URL, where what looks like a reference to a secret would be one.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.-".contains(&byte);
    let versioned = path.starts_with("/v2/") || path.starts_with("/v3/");
    if !versioned || !path.bytes().all(plain) || path.split('/').any(|part| part == ".." || part == ".") {
        let message = format!(
            "`{path}` is not a path of the store's API; write it as in `/v3/catalog/brands`, and filters in `query`"
        );
        return Err(Error::invalid_input("/path", message));
    }
    let mut request = match method {
        Method::Get => api::get(ctx, &path),
        Method::Post => api::post(ctx, &path),
        Method::Put => api::put(ctx, &path),
        Method::Delete => api::delete(ctx, &path),
    }?;
    for (name, value) in &query {
        let text = value.as_str();
        let text = text.ok_or_else(|| Error::invalid_input(format!("/query/{name}"), "is no text"))?;
        request = request.query(name, text);
    }
    if let Some(body) = &body {
        request = request.json(body)?;
    }
    let answer = request.send()?;
    let body = if answer.body.is_empty() { Value::Null } else { answer.json()? };
    Ok(RawAnswer { status: answer.status, body })
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::{
        http::SendError,
        test::{Answer, FakeHost},
    };

    use crate::{
        api::testing::{STORE, host},
        connector,
    };

    use super::*;

    fn run(host: &FakeHost, input: &Value) -> Result<String> {
        connector().run(&host.calling("raw_request"), &input.to_string())
    }

    #[test]
    fn any_request_goes_out_with_the_stores_address_and_credential() {
        let host = host();
        host.http()
            .on("POST", &format!("{STORE}/v3/catalog/brands"), |request| Answer::json(200, &request.json()));
        let input = json!({"method": "POST", "path": "/v3/catalog/brands", "query": {"a": "{{secret:x}}"}, "body": {"name": "Ada"}});
        assert_eq!(run(&host, &input).unwrap(), r#"{"status":200,"body":{"name":"Ada"}}"#);
        assert_eq!(host.http().requests()[0].query(), "a=%7B%7Bsecret%3Ax%7D%7D");
        host.http().on("DELETE", &format!("{STORE}/v3/catalog/brands/7"), |_| Answer::empty(204));
        let input = json!({"method": "DELETE", "path": "/v3/catalog/brands/7"});
        assert_eq!(run(&host, &input).unwrap(), r#"{"status":204,"body":null}"#);
        let input = json!({"method": "GET", "path": "/v3/catalog/brands", "query": {"limit": 7}});
        let error = run(&host, &input).unwrap_err();
        assert!(matches!(&error, Error::InvalidInput { field, .. } if field == "/query/limit"), "{error}");
    }

    #[test]
    fn a_path_stays_inside_the_store_and_names_no_secret() {
        let host = host();
        for path in [
            "/v3/../../other/v3/x",
            "v3/x",
            "/v1/x",
            "/v3/{{secret:access_token}}",
            "/v3/x?y=1",
            "/v3/x#y",
            "/v3/%2e%2e/x",
        ] {
            let error = run(&host, &json!({"method": "GET", "path": path})).unwrap_err();
            assert!(
                matches!(&error, Error::InvalidInput { field, .. } if field == "/path"),
                "{path}: {error}"
            );
        }
        assert!(host.http().requests().is_empty());
    }

    #[test]
    fn a_lost_answer_to_a_post_is_uncertain() {
        let host = host();
        host.http()
            .on("POST", &format!("{STORE}/v3/x"), |_| Answer::fail(SendError::TimedOut("30 s".into())));
        let error = run(&host, &json!({"method": "POST", "path": "/v3/x"})).unwrap_err();
        assert!(matches!(error, Error::Uncertain(_)), "{error}");
    }
}
