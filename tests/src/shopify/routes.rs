//! The vendor's HTTP surface: hosts, versions, tokens, the points bucket, faults and echo around the
//! operations.
//!
//! Every request is recorded, refused ones too, with the shop's host in `x-forwarded-host` where the host
//! rewrote it.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State as Shelf,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::any,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use trunnion_core::clock::Timestamp;

use super::{
    Fault, Shared, State, VERSION,
    graphql::{Operation, error, prepare},
    oauth,
    operations::{Moment, execute},
};
use crate::record::Recorded;

const TOKEN: &str = "x-shopify-access-token";

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().merge(oauth::router()).fallback(any(receive)).with_state(shared)
}

/// The NAME of the `NAME.myshopify.com` that a request was meant for.
pub(super) fn shop_of(headers: &HeaderMap) -> Option<String> {
    let host = ["x-forwarded-host", "host"].iter().find_map(|name| headers.get(*name)?.to_str().ok())?;
    Some(host.split(':').next()?.strip_suffix(".myshopify.com")?.to_owned())
}

async fn receive(
    Shelf(shared): Shelf<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let shop = shop_of(&headers).unwrap_or_default();
    let operation = prepare(&body);
    let roots = operation.as_ref().map(Operation::names).unwrap_or_default();
    let (fault, gate, answer) = {
        let mut state = shared.state();
        let fault = state.faults.take(&shop, &roots);
        let gate = state.faults.gate(&shop, &roots);
        let mut answer = match fault.as_ref().and_then(refuse) {
            Some(answer) => answer,
            None => {
                let call = Call { method: &method, uri: &uri, headers: &headers, shop: &shop, operation };
                call.carry_out(&mut state, shared.now())
            }
        };
        if state.echo {
            answer.echo(&headers);
        }
        let status = answer.status;
        state.requests.push(Recorded { method, uri, headers, body, status });
        (fault, gate, answer)
    };
    shared.due.notify_one();
    if let Some(gate) = gate {
        gate.pass().await;
    }
    match fault {
        Some(Fault::NoAnswer) => std::future::pending().await,
        Some(Fault::Garbage) => (StatusCode::OK, "<html>502 Bad Gateway").into_response(),
        Some(Fault::HangUp) => {
            let broken = futures_util::stream::iter([
                Ok(Bytes::from_static(b"{\"data\":{")),
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            ]);
            Body::from_stream(broken).into_response()
        }
        _ => answer.into_response(),
    }
}

/// An answer before it is sent.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn new(status: StatusCode, body: Value) -> Self {
        Self { status, headers: HeaderMap::new(), body }
    }

    /// Adds the request's token in headers and body: raw, percent-encoded and as base64.
    fn echo(&mut self, headers: &HeaderMap) {
        let Some(token) = headers.get(TOKEN).and_then(|token| token.to_str().ok()) else { return };
        let percent: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
        let forms = [("raw", token.to_owned()), ("percent", percent), ("base64", STANDARD.encode(token))];
        let mut echoes = Vec::new();
        for (form, text) in forms {
            let echoed = format!("seen {text}");
            if let (Ok(name), Ok(value)) =
                (header::HeaderName::try_from(format!("x-echo-{form}")), HeaderValue::try_from(&echoed))
            {
                self.headers.insert(name, value);
            }
            echoes.push(echoed);
        }
        if let Some(members) = self.body.as_object_mut() {
            members.insert("echo".to_owned(), json!(echoes));
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, self.headers, axum::Json(self.body)).into_response()
    }
}

/// The answer of a fault that keeps the call from being carried out.
fn refuse(fault: &Fault) -> Option<Answer> {
    match fault {
        Fault::Status(status) => {
            let words = status.canonical_reason().unwrap_or_default();
            Some(Answer::new(*status, json!({ "errors": words })))
        }
        Fault::RateLimited { retry_after } => {
            let words = "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service.";
            let mut answer = Answer::new(StatusCode::TOO_MANY_REQUESTS, json!({ "errors": words }));
            answer.headers.insert(header::RETRY_AFTER, seconds(*retry_after));
            Some(answer)
        }
        Fault::Error { code, message } => {
            let errors = json!([{ "message": message, "extensions": { "code": code } }]);
            Some(Answer::new(StatusCode::OK, json!({ "data": null, "errors": errors })))
        }
        Fault::NoAnswer | Fault::Garbage | Fault::HangUp => None,
    }
}

fn seconds(duration: Duration) -> HeaderValue {
    HeaderValue::try_from(format!("{:.1}", duration.as_secs_f64())).unwrap_or(HeaderValue::from_static("1.0"))
}

/// A request before it is answered.
struct Call<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    shop: &'a str,
    operation: Result<Operation, Value>,
}

impl Call<'_> {
    fn carry_out(self, state: &mut State, now: Timestamp) -> Answer {
        let Self { method, uri, headers, shop, operation } = self;
        let search_lag = state.search_lag;
        let token = headers.get(TOKEN).and_then(|token| token.to_str().ok()).unwrap_or_default();
        let installed = state.desk.account(token) == Some(shop);
        let here = *method == Method::POST && uri.path() == format!("/admin/api/{VERSION}/graphql.json");
        let Some(shop) = state.shops.get_mut(shop).filter(|_| here) else {
            return Answer::new(StatusCode::NOT_FOUND, json!({ "errors": "Not Found" }));
        };
        if !installed && token != shop.token {
            let words = "[API] Invalid API key or access token (unrecognized login or wrong password)";
            return Answer::new(StatusCode::UNAUTHORIZED, json!({ "errors": words }));
        }
        let operation = match operation {
            Ok(operation) => operation,
            Err(refused) => return Answer::new(StatusCode::OK, json!({ "errors": [refused] })),
        };
        let requested = operation.requested_cost();
        if !shop.bucket.allows(requested, now) {
            let extensions =
                json!({ "code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits" });
            let start = async_graphql_parser::Pos { line: 1, column: 1 };
            let body = json!({
                "errors": [error("Throttled", start, &[], &extensions)],
                "extensions": { "cost": shop.bucket.cost(requested, None) },
            });
            return Answer::new(StatusCode::OK, body);
        }
        let executed = execute(shop, &operation, Moment { now, search_lag });
        shop.bucket.book(executed.cost);
        let extensions = json!({ "cost": shop.bucket.cost(requested, Some(executed.cost)) });
        let name = shop.name.clone();
        for order in &executed.orders {
            state.fire(&name, order, now);
        }
        Answer::new(StatusCode::OK, json!({ "data": executed.data, "extensions": extensions }))
    }
}
