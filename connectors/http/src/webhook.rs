//! `webhook`: whatever is posted to an address of the workflow's own, verified as the workflow says.
//!
//! The host verifies before this sees anything; the address and, where it is the host's, the secret are shown to whoever
//! installs the workflow, and registered at the other end by hand.

use std::collections::BTreeMap;

use trunnion_sdk::{
    json,
    prelude::*,
    trigger::{Delivered, Delivery, Occurrence, fingerprint},
};

/// How deliveries are verified and recognised.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Options {
    /// What proves a delivery: `{"method": "secret_header", "header", "secret"}`, or `{"method": "hmac", "algorithm", "header",
    /// "encoding", "prefix", "parts", "secret", "timestamp"}`, as manifests have it. The `secret` is `subscription`, which
    /// the host makes and shows, or `signing_secret` of the connection.
    #[serde(rename = "verify")]
    #[schemars(with = "BTreeMap<String, Value>")]
    _verify: Value,
    /// What recognises a repetition: `{"from": "header", "name"}`, `{"from": "body", "pointer"}` or `{"from": "body_hash"}`,
    /// which is what holds where nothing is said.
    #[serde(rename = "dedup", default)]
    #[schemars(with = "BTreeMap<String, Value>")]
    _dedup: Value,
}

/// What was posted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Posted {
    /// The method.
    method: String,
    /// What stands behind the `?` of the address.
    query: String,
    /// Headers by their names in lower case; of one that came twice the last.
    headers: BTreeMap<String, String>,
    /// JSON where it is some, else text.
    body: Value,
}

#[derive(Debug)]
pub(crate) struct Webhook;

impl Delivered for Webhook {
    type Data = Posted;

    fn parse(ctx: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Posted>>> {
        let Delivery { method, url, headers, body } = delivery;
        let text = String::from_utf8_lossy(body);
        let read = json::read(body).unwrap_or_else(|_| Value::String(text.clone().into_owned()));
        // One delivery is one occurrence: what recognises a repetition has been asked before.
        let id = fingerprint(&format!("{method} {url} {headers:?} {text}"));
        let posted = Posted {
            method: method.clone(),
            query: url.split_once('?').map_or(String::new(), |(_, query)| query.to_owned()),
            headers: headers.iter().cloned().collect(),
            body: read,
        };
        Ok(vec![Occurrence::new(&ctx.call().account, id, posted)])
    }
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::FakeHost;

    use super::*;
    use crate::connector;

    #[test]
    fn what_was_posted_is_given_as_it_is() {
        let delivery = |body: &[u8]| Delivery {
            method: "POST".to_owned(),
            url: "https://host/hooks/x?source=shop".to_owned(),
            headers: vec![("x-event".to_owned(), "paid".to_owned())],
            body: body.to_vec(),
        };
        let ctx = FakeHost::new().calling("webhook");
        let parsed = |body: &[u8]| connector().parse(&ctx, &delivery(body)).unwrap().remove(0);
        let data: Value = serde_json::from_str(&parsed(br#"{"id": 7}"#).data).unwrap();
        let expected = json!({ "method": "POST", "query": "source=shop", "headers": { "x-event": "paid" }, "body": { "id": 7 } });
        assert_eq!(data, expected);
        let text: Value = serde_json::from_str(&parsed(b"a=1&b").data).unwrap();
        assert_eq!(text["body"], "a=1&b");
        assert_ne!(parsed(b"1").id, parsed(b"2").id);
    }
}
