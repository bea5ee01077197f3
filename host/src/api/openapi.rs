//! The OpenAPI 3.1 document of everything that programs call: routes describe themselves (`utoipa::path` on each
//! handler), and here is what all of them have in common.
//!
//! Invariants: a route of `OpenApiRouter::routes` is in the document by that alone. What any call may be refused with
//! is added from what the operation is (it takes a key, a body, an id), so that no handler can forget it; a handler
//! names what only it answers. The Alloy surface is described once, under its latest date.

mod page;
mod plain;
mod refusals;
mod words;

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::Method, routing::get};
use utoipa::openapi::{
    Components, Info, License, OpenApi, OpenApiBuilder, Required, Server,
    path::{Operation, ParameterBuilder, ParameterIn, PathItem},
    schema::{Object, ObjectBuilder, Type},
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    tag::TagBuilder,
};

use super::caller::{USER_ID, USER_TOKEN};

/// Of Alloy's versions, the one that the document describes; the others are the same.
pub(super) const ALLOY_DESCRIBED: &str = "2024-03";

/// Carries the caller's key of a call that may come again (`api::once`).
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// A document without routes yet.
pub(super) fn blank() -> OpenApi {
    let mut info = Info::new("Trunnion", env!("CARGO_PKG_VERSION"));
    info.description = Some(words::INTRODUCTION.to_owned());
    let mut license = License::new("MIT OR Apache-2.0");
    license.identifier = Some("MIT OR Apache-2.0".to_owned());
    info.license = Some(license);
    OpenApiBuilder::new().info(info).servers(Some([Server::new("/")])).build()
}

/// The routes' own descriptions with what they have in common.
pub(super) fn finished(mut document: OpenApi) -> OpenApi {
    let mut tags = Vec::new();
    for (path, item) in &mut document.paths.paths {
        let surface = Surface::of(path);
        let tag = tag(path);
        for (method, operation) in operations(item) {
            described(path, surface, method, operation);
            operation.tags = Some(vec![tag.clone()]);
        }
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    document.tags = Some(tags.iter().map(|name| TagBuilder::new().name(name).build()).collect());
    let components = document.components.get_or_insert_with(Components::new);
    refusals::add_shared(components);
    plain::write_out(components);
    for (name, scheme) in security() {
        components.add_security_scheme(name, scheme);
    }
    document
}

/// `GET /openapi.json`, and `/docs`, which shows it to people.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(document: OpenApi) -> Router<S> {
    let document = Arc::new(document);
    let serve = |State(document): State<Arc<OpenApi>>| async move { Json(OpenApi::clone(&document)) };
    Router::new()
        .route("/openapi.json", get(serve))
        .route("/docs", get(page::page))
        .route("/docs/{file}", get(page::file))
        .with_state(document)
}

/// How a path's refusals are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surface {
    /// As problems of RFC 9457.
    Native,
    /// As `{"message"}`.
    Other,
}

impl Surface {
    fn of(path: &str) -> Self {
        if path.starts_with("/v1/") { Self::Native } else { Self::Other }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let methods = [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
    ];
    methods.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// What an operation is about, in a word: where clients put it.
fn tag(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["v1", "embed", ..] => "Modal".to_owned(),
        ["v1", "installations", _, "keys", ..] => "Held keys".to_owned(),
        ["v1", "installations", _, "poll" | "poller", ..] | ["v1", "pollers" | "polling", ..] => {
            "Polling".to_owned()
        }
        ["v1", "users", ..] => "Connections".to_owned(),
        ["v1", what, ..] => title(what),
        [version, ..] if *version == ALLOY_DESCRIBED => "Alloy".to_owned(),
        _ => "Probes".to_owned(),
    }
}

fn title(what: &str) -> String {
    let mut letters = what.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).map(|letter| if letter == '-' { ' ' } else { letter }).collect()
}

fn described(path: &str, surface: Surface, method: Method, operation: &mut Operation) {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters = operation.parameters.get_or_insert_default();
    let given = std::mem::take(parameters);
    for name in names {
        let text = Object::with_type(Type::String);
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).schema(Some(text));
        let parameter = parameter.required(Required::True);
        parameters.push(parameter.description(words::parameter(name)).build());
    }
    let security = operation.security.as_deref().unwrap_or_default();
    let takes = |scheme: &str| security.contains(&SecurityRequirement::new(scheme, [""; 0]));
    if takes("user_token") {
        let header = ParameterBuilder::new().name(USER_ID).parameter_in(ParameterIn::Header);
        let text = Object::with_type(Type::String);
        parameters.push(header.schema(Some(text)).description(Some(words::NAMED_USER)).build());
    }
    let repeatable = surface == Surface::Native && method == Method::POST;
    if repeatable {
        let header = ParameterBuilder::new().name(IDEMPOTENCY_KEY).parameter_in(ParameterIn::Header);
        let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
        parameters.push(header.schema(Some(text)).description(Some(words::IDEMPOTENCY_KEY)).build());
    }
    parameters.extend(given);
    let takes = refusals::Takes {
        key: !security.contains(&SecurityRequirement::default()),
        body: operation.request_body.is_some(),
        parameters: !parameters.is_empty(),
        repeatable,
    };
    refusals::add(&mut operation.responses, surface, takes);
}

/// How callers prove who they are.
fn security() -> [(&'static str, SecurityScheme); 4] {
    let bearer = |words: &str| {
        let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(words));
        SecurityScheme::Http(http.build())
    };
    let token = |words: &str| {
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(USER_TOKEN, words)))
    };
    [
        ("environment_key", bearer(words::ENVIRONMENT_KEY)),
        ("operator_key", bearer(words::OPERATOR_KEY)),
        ("user_token", token(words::USER_TOKEN)),
        ("install_link", token(words::INSTALL_LINK)),
    ]
}
