//! What a call may be refused with: the same for every operation of the same kind.

use axum::http::StatusCode;
use serde::Serialize;
use trunnion_core::problem::Problem;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Components, Content, Ref, RefOr, Response, Responses},
};

use super::Surface;

/// A refusal on `/v1`: a problem as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refusal)]
struct Native {
    /// `urn:trunnion:error:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// What the status says.
    title: String,
    /// The status.
    status: u16,
    /// What happened, to which thing, and what to do.
    detail: String,
    /// Stable: programs go by it. `host/docs/errors` has a page for each.
    code: String,
    /// Everything that is wrong with what was sent, each in its place.
    errors: Vec<Problem>,
    /// Of a connector that is refused: what it was refused at.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
}

/// A refusal elsewhere.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
struct Other {
    /// What happened, to which thing, and what to do.
    message: String,
}

/// What an operation takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Takes {
    pub(super) key: bool,
    pub(super) body: bool,
    pub(super) parameters: bool,
    /// Whether an `Idempotency-Key` makes it safe to send again.
    pub(super) repeatable: bool,
}

/// A status, which operations may answer it, and when.
type Usual = (StatusCode, fn(Takes) -> bool, &'static str);

/// What operations may be refused with by what they are.
const USUAL: [Usual; 10] = [
    (
        StatusCode::BAD_REQUEST,
        |takes| takes.body || takes.parameters,
        "What was sent does not fit; the message says what and why.",
    ),
    (
        StatusCode::UNAUTHORIZED,
        |takes| takes.key,
        "The key or token is missing, unknown, expired or revoked.",
    ),
    (StatusCode::FORBIDDEN, |takes| takes.key, "The key or token is not for this call."),
    (
        StatusCode::NOT_FOUND,
        |takes| takes.body || takes.parameters,
        "There is no such thing, or it is somebody else's.",
    ),
    (
        StatusCode::CONFLICT,
        |takes| takes.repeatable,
        "A call with this Idempotency-Key is under way, or nobody knows whether it was carried out.",
    ),
    (
        StatusCode::UNPROCESSABLE_ENTITY,
        |takes| takes.repeatable,
        "This Idempotency-Key was sent with another body.",
    ),
    (
        StatusCode::TOO_MANY_REQUESTS,
        |takes| takes.key,
        "The key made too many calls, or too much work is waiting.",
    ),
    (StatusCode::PAYLOAD_TOO_LARGE, |takes| takes.body, "The body is larger than the host takes."),
    (StatusCode::INTERNAL_SERVER_ERROR, |_| true, "The host failed; its log says why."),
    (StatusCode::INSUFFICIENT_STORAGE, |takes| takes.key, "The host's disk is full."),
];

/// What refusals look like, and those that many operations share.
pub(super) fn add_shared(components: &mut Components) {
    let own = [("Refusal", Native::schema()), ("Message", Other::schema()), ("Problem", Problem::schema())];
    components.schemas.extend(own.map(|(name, schema)| (name.to_owned(), schema)));
    for surface in [Surface::Native, Surface::Other] {
        for (status, _, description) in USUAL {
            let mut response = Response::new(description);
            fill(&mut response, surface);
            components.responses.insert(name(surface, status), RefOr::T(response));
        }
    }
}

/// Adds what an operation can be refused with, and says what refusals look like.
pub(super) fn add(responses: &mut Responses, surface: Surface, takes: Takes) {
    for (status, response) in &mut responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
            && response.content.is_empty()
        {
            fill(response, surface);
        }
    }
    for (status, applies, _) in USUAL {
        if applies(takes) {
            let known = responses.responses.entry(status.as_str().to_owned());
            known.or_insert_with(|| RefOr::Ref(Ref::from_response_name(name(surface, status))));
        }
    }
}

fn name(surface: Surface, status: StatusCode) -> String {
    match surface {
        Surface::Native => format!("Refusal{}", status.as_str()),
        Surface::Other => format!("Message{}", status.as_str()),
    }
}

fn fill(response: &mut Response, surface: Surface) {
    let (kind, schema) = match surface {
        Surface::Native => ("application/problem+json", "Refusal"),
        Surface::Other => ("application/json", "Message"),
    };
    let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name(schema))));
    response.content.insert(kind.to_owned(), content);
}
