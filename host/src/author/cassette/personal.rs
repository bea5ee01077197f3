//! What names a person, out of a recording: values of members that usually do, and headers that may.
//!
//! Letters become `x`, digits `0`, everything else stays: an address still looks like one, so the connector does the same
//! with it. It goes by the members' names, so a recording wants a look before it is shared; CONNECTORS.md says so.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Body, Cassette, Ending};

/// Members whose values name a person, in lower case without `_` and `-`.
const PERSONAL: [&str; 37] = [
    "address",
    "address1",
    "address2",
    "birthday",
    "birthdate",
    "city",
    "company",
    "companyname",
    "contactemail",
    "customername",
    "dateofbirth",
    "displayname",
    "email",
    "emailaddress",
    "familyname",
    "fax",
    "firstname",
    "fullname",
    "givenname",
    "ip",
    "ipaddress",
    "lastname",
    "latitude",
    "longitude",
    "middlename",
    "mobile",
    "mobilephone",
    "phone",
    "phonenumber",
    "postalcode",
    "postcode",
    "street",
    "street1",
    "street2",
    "surname",
    "taxid",
    "zip",
];
/// Shorter ones are looked for as whole values only: they would be found inside words.
const MIN_CHARS_INSIDE: usize = 6;
/// Parts of headers' names that an answer keeps: what connectors read.
const KEPT_HEADERS: [&str; 8] =
    ["content-type", "retry-after", "link", "location", "etag", "limit", "quota", "request-cost"];

/// Whether an answer's header is kept.
pub(super) fn is_kept(header: &str) -> bool {
    KEPT_HEADERS.iter().any(|kept| header.contains(kept))
}

/// Removes what names a person from the whole of a recording, wherever the same text stands.
pub(super) fn remove(cassette: &mut Cassette) {
    let mut found = BTreeSet::new();
    collect(&cassette.input, false, &mut found);
    for exchanged in &cassette.exchanges {
        for body in [&exchanged.request.body, &exchanged.answer.body] {
            if let Some(Body::Json(document)) = body {
                collect(document, false, &mut found);
            }
        }
    }
    let blanks: BTreeMap<String, String> =
        found.into_iter().map(|text| (text.clone(), blank(&text))).collect();
    let inside: Vec<_> =
        blanks.iter().rev().filter(|(personal, _)| personal.chars().count() >= MIN_CHARS_INSIDE).collect();
    let hide = |text: &str| match blanks.get(text) {
        Some(blank) => blank.clone(),
        None => inside.iter().fold(text.to_owned(), |text, (personal, blank)| text.replace(*personal, blank)),
    };
    let encoded = |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    cassette.input = mapped(&cassette.input, &hide);
    for exchanged in &mut cassette.exchanges {
        let url = hide(&exchanged.request.url);
        exchanged.request.url = inside
            .iter()
            .fold(url, |url, (personal, blank)| url.replace(&encoded(personal), &encoded(blank)));
        for body in [&mut exchanged.request.body, &mut exchanged.answer.body].into_iter().flatten() {
            *body = match &*body {
                Body::Json(document) => Body::Json(mapped(document, &hide)),
                Body::Text(text) => Body::Text(hide(text)),
            };
        }
    }
    if let Ending::Output(output) = &mut cassette.ends {
        *output = mapped(output, &hide);
    }
}

/// The texts below members that name a person.
fn collect(document: &Value, personal: bool, found: &mut BTreeSet<String>) {
    match document {
        Value::String(text) if personal && !text.is_empty() => {
            found.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, personal, found)),
        Value::Object(members) => {
            for (name, member) in members {
                // An address that is an object has members of its own, which are judged by their own names.
                collect(member, names_a_person(name) && !member.is_object(), found);
            }
        }
        _ => {}
    }
}

fn names_a_person(member: &str) -> bool {
    let name = member.replace(['_', '-'], "").to_ascii_lowercase();
    PERSONAL.contains(&name.as_str())
}

fn mapped(document: &Value, hide: &impl Fn(&str) -> String) -> Value {
    match document {
        Value::String(text) => Value::String(hide(text)),
        Value::Array(items) => items.iter().map(|item| mapped(item, hide)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), mapped(member, hide))).collect()
        }
        other => other.clone(),
    }
}

fn blank(text: &str) -> String {
    let blank = |letter: char| match letter {
        letter if letter.is_alphabetic() => 'x',
        letter if letter.is_numeric() => '0',
        other => other,
    };
    text.chars().map(blank).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::author::cassette::{Answered, Asked, Called, Exchanged};

    #[test]
    fn a_person_is_removed_wherever_she_stands() {
        let mut cassette = Cassette {
            call: Called::Action("find".into()),
            input: json!({"email": "ada@acme.com", "title": "A task"}),
            parameters: BTreeMap::new(),
            account: String::new(),
            now_ms: 1,
            seed: 1,
            exchanges: vec![Exchanged {
                request: Asked {
                    method: "GET".into(),
                    url: "https://api.acme.com/find?email=ada%40acme.com".into(),
                    headers: BTreeMap::new(),
                    body: None,
                },
                answer: Answered {
                    status: 200,
                    headers: BTreeMap::new(),
                    body: Some(Body::Json(json!({
                        "first_name": "Ada", "title": "A task", "note": "call ada@acme.com",
                        "address": {"address1": "Main St. 12", "country": "DE"},
                    }))),
                },
            }],
            ends: Ending::Output(json!({"found": "ada@acme.com"})),
        };
        remove(&mut cassette);
        let text = serde_json::to_string(&cassette).unwrap();
        for gone in ["ada@", "ada%40", "Ada\"", "Main"] {
            assert!(!text.contains(gone), "{gone}: {text}");
        }
        for kept in ["xxx@xxxx.xxx", "xxx%40xxxx.xxx", "xxxx xx. 00", "A task", "\"DE\""] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }

    #[test]
    fn only_headers_that_connectors_read_are_kept() {
        for kept in ["content-type", "x-ratelimit-remaining", "x-shopify-shop-api-call-limit", "retry-after"]
        {
            assert!(is_kept(kept), "{kept}");
        }
        for dropped in ["set-cookie", "x-request-id", "x-customer-email", "date", "server"] {
            assert!(!is_kept(dropped), "{dropped}");
        }
    }
}
