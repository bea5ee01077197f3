//! Secrets and the idempotency key out of requests and answers: references in their place.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{Asked, Body};
use crate::author::credential::Credential;

/// What stands in the place of a call's idempotency key.
const KEY: &str = "{{idempotency-key}}";
const BASIC: &str = "Basic ";

/// What is hidden in one call, longest value first, so that a value inside another does not spoil it.
pub(super) struct Mask {
    hidden: Vec<(String, String)>,
}

impl Mask {
    pub(super) fn new(credential: &Credential, key: &str) -> Self {
        let secrets = credential.values().iter();
        let mut hidden: Vec<(String, String)> = secrets
            .map(|(name, value)| (value.as_str(), format!("{{{{secret:{name}}}}}")))
            .chain([(key, KEY.to_owned())])
            // Nothing would be found between any two letters.
            .filter(|(value, _)| !value.is_empty())
            .flat_map(|(value, reference)| {
                forms(value).into_iter().map(move |form| (form, reference.clone()))
            })
            .collect();
        hidden.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
        hidden.dedup();
        Self { hidden }
    }

    /// With references in the place of what is hidden.
    pub(super) fn text(&self, text: &str) -> String {
        if let Some(plain) = text.strip_prefix(BASIC).and_then(decoded) {
            return format!("{BASIC}{}", self.plainly(&plain));
        }
        self.plainly(text)
    }

    fn plainly(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, (form, reference)| {
            if text.contains(form.as_str()) { text.replace(form.as_str(), reference) } else { text }
        })
    }

    pub(super) fn body(&self, body: &Body) -> Body {
        match body {
            Body::Json(document) => Body::Json(self.document(document)),
            Body::Text(text) => Body::Text(self.plainly(text)),
        }
    }

    /// Texts only: a reference cannot stand in a number's place.
    pub(super) fn document(&self, document: &Value) -> Value {
        match document {
            Value::String(text) => Value::String(self.plainly(text)),
            Value::Array(items) => items.iter().map(|item| self.document(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, member)| (name.clone(), self.document(member))).collect()
            }
            other => other.clone(),
        }
    }

    pub(super) fn asked(&self, asked: &Asked) -> Asked {
        Asked {
            method: asked.method.clone(),
            url: self.plainly(&asked.url),
            headers: asked.headers.iter().map(|(name, value)| (name.clone(), self.text(value))).collect(),
            body: asked.body.as_ref().map(|body| self.body(body)),
        }
    }
}

/// How a value may be written in a request.
fn forms(value: &str) -> Vec<String> {
    let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let mut forms = vec![value.to_owned(), form.replace('+', "%20"), form, STANDARD.encode(value)];
    forms.dedup();
    forms
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use trunnion_core::manifest::Manifest;

    use super::*;

    fn mask() -> Mask {
        let manifest = json!({
            "manifest_version": 1, "id": "acme", "version": "1.0.0", "title": "Acme", "hosts": ["api.acme.com"],
            "connection": {"schemes": [{"id": "basic", "title": "User", "type": "fields", "place": [], "fields": [
                {"name": "user", "title": "User"}, {"name": "password", "title": "Password"}]}]},
        });
        let manifest = Manifest::parse(&manifest.to_string()).unwrap();
        let connection = json!({"secrets": {"user": "ada", "password": "p&ss word"}});
        Mask::new(&Credential::of_json(&manifest, &connection.to_string()).unwrap(), "0b8a-key")
    }

    #[test]
    fn secrets_and_key_become_references_in_every_place() {
        let mask = mask();
        assert_eq!(mask.text("Bearer p&ss word"), "Bearer {{secret:password}}");
        assert_eq!(
            mask.text("/x?p=p%26ss%20word&q=p%26ss+word"),
            "/x?p={{secret:password}}&q={{secret:password}}"
        );
        let basic = format!("Basic {}", STANDARD.encode("ada:p&ss word"));
        assert_eq!(mask.text(&basic), "Basic {{secret:user}}:{{secret:password}}");
        let document = mask.document(&json!({"a": ["key 0b8a-key"], "n": 1}));
        assert_eq!(document, json!({"a": ["key {{idempotency-key}}"], "n": 1}));
    }

    #[test]
    fn a_call_without_a_key_hides_none() {
        let manifest = json!({
            "manifest_version": 1, "id": "acme", "version": "1.0.0", "title": "Acme",
            "hosts": ["api.acme.com"], "connection": {},
        });
        let manifest = Manifest::parse(&manifest.to_string()).unwrap();
        assert_eq!(Mask::new(&Credential::stand_in(&manifest, None), "").text("Ada"), "Ada");
    }
}
