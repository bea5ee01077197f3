//! `/v1/connections/{id}/request`: a request at a vendor with a connection's credential, which nobody sees.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::IntoResponse,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunnion_core::{id::ConnectionId, records::Authority, scope::Scope};
use trunnion_sandbox::Forwarded;
use trunnion_store::Versioned;
use url::form_urlencoded::Serializer as Query;
use utoipa::ToSchema;

use crate::{
    api::{Services, body, caller::Anyone, error::Failure, once::About},
    error::Error,
    forward::{Place, Wanted},
    vault::Stored,
};

/// Headers of a vendor's answer that are nobody's business: its sessions.
const WITHHELD: [&str; 2] = ["set-cookie", "set-cookie2"];

const JSON: &str = "application/json";

/// A request to a vendor. `{{secret:NAME}}` in its path, URL, headers and body is replaced by the connection's secret.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VendorRequest)]
pub(super) struct Request {
    /// Whose connection it is, by id or username; left out for a connection of the environment's own.
    user_id: Option<String>,
    /// The method, such as `GET`.
    method: String,
    /// The path at the vendor's host; or give `url`.
    path: Option<String>,
    /// A whole https URL on a host of the connector's manifest; or give `path`.
    url: Option<String>,
    /// Query parameters: texts, numbers, booleans, or lists of these.
    #[serde(default)]
    query: BTreeMap<String, Value>,
    /// Headers, without the credential, which is added.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The body: JSON, or with another `content-type` a text that is sent as it is.
    body: Option<Value>,
    /// The body, where it is not text, in base64.
    body_base64: Option<String>,
}

/// What the vendor answered, whatever that is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VendorAnswer)]
pub(super) struct Answer {
    /// The vendor's status.
    status: u16,
    /// The vendor's headers, names in lower case, without cookies.
    headers: BTreeMap<String, String>,
    /// The body: a value where it is JSON, a text where it is text, null where it is empty or neither.
    body: Value,
    /// The body in base64, where it is not text.
    #[schema(required)]
    body_base64: Option<String>,
}

/// Sends a request to a vendor
///
/// With the credential of a connection, which nobody sees: a user's by its id, with `user_id`, or one of the environment's
/// own by its name. Only hosts that the connector names are reached.
#[utoipa::path(post, path = "/connections/{name}/request", operation_id = "requestVendor",
    security(("environment_key" = [])), request_body = Request,
    responses((status = OK, description = "What the vendor answered, whatever that is.", body = Answer),
        (status = CONFLICT, description = "The connection has to be connected again."),
        (status = TOO_MANY_REQUESTS, description = "The connection waits for its vendor's limit."),
        (status = BAD_GATEWAY, description = "The vendor was not reached."),
        (status = GATEWAY_TIMEOUT, description = "The vendor did not answer in time.")))]
pub(super) async fn send(
    State(services): State<Services>,
    Anyone(holder): Anyone,
    Path(connection): Path<String>,
    body: body::Json<Request>,
) -> Result<impl IntoResponse, Failure> {
    let Authority::Environment { scope } = holder.authority else {
        let message = "an operator's key uses no connection; use the environment's key";
        return Err(Failure::new(StatusCode::FORBIDDEN, "wrong-authority", message));
    };
    let connection = stored(&services, &scope, &connection, body.value.user_id.as_deref()).await?;
    // Where it is the environment's own, what the vendor says is the ISV's.
    let about = (!connection.record.is_own()).then_some(Extension(About(connection.record.user)));
    let wanted = wanted(body.value)?;
    let answer = services.forwards.send(&scope, &holder.key, connection, wanted).await?;
    Ok((about, Json(shape(answer))))
}

/// A user's connection by its id, or one of the environment's own by its name.
async fn stored(
    services: &Services,
    scope: &Scope,
    connection: &str,
    user: Option<&str>,
) -> Result<Stored, Failure> {
    match (user, connection.parse::<ConnectionId>()) {
        (Some(user), id) => {
            let user = services.users.find(scope, user).await?;
            let id = id.map_err(|error| {
                let message = format!("there is no such connection: {error}");
                Failure::new(StatusCode::NOT_FOUND, "id-malformed", message)
            })?;
            let Versioned { version, record } = services.vault.connection(scope, user.id, id).await?;
            Ok(Versioned { version, record: Arc::new(record) })
        }
        (None, Ok(_)) => {
            let message = "name whose connection it is as `user_id`: an id or a username";
            Err(Failure::new(StatusCode::BAD_REQUEST, "user-missing", message))
        }
        (None, Err(_)) => match services.vault.own(scope, connection).await? {
            Some(own) => Ok(own),
            None => {
                services.vault.own_id(scope, connection).await?;
                let message = format!("the connection `{connection}` was removed just now; make it anew");
                Err(Failure::new(StatusCode::NOT_FOUND, "connection-unknown", message))
            }
        },
    }
}

fn wanted(request: Request) -> Result<Wanted, Error> {
    let Request { method, path, url, query, headers, body, body_base64, .. } = request;
    let place = match (path, url) {
        (Some(path), None) => Place::Path(path),
        (None, Some(url)) => Place::Url(url),
        _ => {
            let message = "give either `path`, at the vendor's host, or the whole `url`";
            return Err(Error::invalid("request-place-invalid", message));
        }
    };
    let named = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let kind = named(header::CONTENT_TYPE.as_str()).map(|(_, kind)| kind.to_ascii_lowercase());
    let mut more = None;
    let body = match (body, body_base64) {
        (None, None) => Bytes::new(),
        (None, Some(text)) => BASE64_STANDARD.decode(text).map(Bytes::from).map_err(|error| {
            Error::invalid("request-body-invalid", format!("`body_base64` is not base64: {error}"))
        })?,
        (Some(Value::String(text)), None) if kind.as_ref().is_some_and(|kind| !kind.contains("json")) => {
            Bytes::from(text)
        }
        (Some(value), None) => {
            more = kind.is_none().then(|| (header::CONTENT_TYPE.to_string(), JSON.to_owned()));
            Bytes::from(value.to_string())
        }
        (Some(_), Some(_)) => {
            return Err(Error::invalid("request-body-invalid", "give either `body` or `body_base64`"));
        }
    };
    let headers = headers.into_iter().chain(more).collect();
    Ok(Wanted { method, place, query: encoded(&query), headers, body })
}

fn encoded(query: &BTreeMap<String, Value>) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut encoded = Query::new(String::new());
    for (name, value) in query {
        match value {
            Value::Null => {}
            Value::Array(values) => {
                encoded.extend_pairs(values.iter().map(|value| (name, text(value))));
            }
            value => {
                encoded.append_pair(name, &text(value));
            }
        }
    }
    encoded.finish()
}

fn shape(Forwarded { status, headers, body }: Forwarded) -> Answer {
    let json = headers.iter().any(|(name, value)| name == "content-type" && value.contains("json"));
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        if WITHHELD.contains(&name.as_str()) {
            continue;
        }
        // What comes several times is one list.
        kept.entry(name).and_modify(|known| *known = format!("{known}, {value}")).or_insert(value);
    }
    let (body, body_base64) = match String::from_utf8(body) {
        Ok(text) if text.is_empty() => (Value::Null, None),
        Ok(text) => match serde_json::from_str(&text) {
            Ok(value) if json => (value, None),
            _ => (Value::String(text), None),
        },
        Err(bytes) => (Value::Null, Some(BASE64_STANDARD.encode(bytes.as_bytes()))),
    };
    Answer { status, headers: kept, body, body_base64 }
}
