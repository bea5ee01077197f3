//! `Idempotency-Key` on every POST of `/v1`: read here and nowhere else, so that no handler can forget it.
//!
//! It goes around everything that writes an answer, so what is repeated is what was sent. What a call changed is kept
//! when it succeeded, or when nobody knows whether it did; a refusal changed nothing, and keeps nothing.

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, FromRequestParts, RawPathParams, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use trunnion_core::{
    id::{Id, UserId},
    records::{Authority, KeptAnswer},
    scope::Scope,
};

use utoipa_axum::router::OpenApiRouter;

use super::{
    Services,
    body::Raw,
    caller::{Anyone, Installing, USER_TOKEN},
    error::Failure,
    path,
};
use crate::{
    finish::finish,
    repetition::{Begun, Repeatable},
};

/// Carries the caller's key.
pub(super) const KEY: &str = "idempotency-key";

/// Says that an answer is one that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Longest key.
const LONGEST: usize = 255;

/// What of an answer's headers is repeated: the others tell of the moment.
const REPEATED: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::LOCATION, header::ETAG, header::CACHE_CONTROL];

/// Beside an answer: whose data it shows, where its path does not say so.
#[derive(Clone, Copy, Debug)]
pub(super) struct About(pub(super) UserId);

/// Beside an answer: that it is not kept, since it is about many users. What was asked for changes nothing the second
/// time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unkept;

/// The same routes, whose POSTs are carried out once for each key.
pub(super) fn kept(routes: OpenApiRouter<Services>, services: &Services) -> OpenApiRouter<Services> {
    routes.layer(middleware::from_fn_with_state(services.clone(), once))
}

async fn once(State(services): State<Services>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(KEY) {
        return next.run(request).await;
    }
    // To its end: a caller that goes away and comes again is told what became of it.
    let whole =
        async move { carry_out(&services, request, next).await.unwrap_or_else(Failure::into_response) };
    finish(whole).await
}

async fn carry_out(services: &Services, request: Request, next: Next) -> Result<Response, Failure> {
    let (mut parts, body) = request.into_parts();
    let key = key(&parts)?;
    let Some((authority, caller)) = caller(services, &mut parts).await? else {
        // Whoever has no authority is told so by the route.
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    let named = named(services, &mut parts).await;
    let Raw(bytes) = Raw::from_request(Request::new(body), services).await?;
    let sent = [parts.uri.query().unwrap_or_default().as_bytes(), b"\n", &bytes].concat();
    let path = parts.uri.path().to_owned();
    let call = Repeatable { authority, caller: caller.id, path: &path, key: &key, body: &sent };
    let claim = match services.repetitions.begin(call).await? {
        Begun::First(claim) => claim,
        Begun::Again(answer) => return again(answer),
    };
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    if changed_nothing(response.status()) || response.extensions().get::<Unkept>().is_some() {
        claim.refused().await;
        return Ok(response);
    }
    let about = response.extensions().get::<About>().map(|About(user)| *user);
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|error| {
        let message = format!("the answer could not be written: {error}");
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    })?;
    let user = match (about.or(caller.user), authority) {
        (None, Authority::Environment { scope }) => named.user(services, &scope).await?,
        (about, _) => about,
    };
    let text = |name: &HeaderName| {
        Some((name.as_str().to_owned(), parts.headers.get(name)?.to_str().ok()?.to_owned()))
    };
    let headers = REPEATED.iter().filter_map(text).collect();
    let text = String::from_utf8_lossy(&body).into_owned();
    claim.answered(user, KeptAnswer { status: parts.status.as_u16(), headers, body: text }).await;
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Whether an answer says that nothing was done: a refusal, or a disk that is full. Of any other failure nobody knows.
fn changed_nothing(status: StatusCode) -> bool {
    status.is_client_error()
        || matches!(status, StatusCode::INSUFFICIENT_STORAGE | StatusCode::SERVICE_UNAVAILABLE)
}

fn key(parts: &Parts) -> Result<String, Failure> {
    let text = parts.headers.get(KEY).and_then(|value| value.to_str().ok()).map(str::trim);
    match text.filter(|text| (1..=LONGEST).contains(&text.len())) {
        Some(text) => Ok(text.to_owned()),
        None => {
            let message =
                format!("`Idempotency-Key` has 1 to {LONGEST} visible ASCII characters; a UUID does");
            Err(Failure::new(StatusCode::BAD_REQUEST, "idempotency-key-invalid", message))
        }
    }
}

struct Caller {
    id: Id,
    user: Option<UserId>,
}

async fn caller(services: &Services, parts: &mut Parts) -> Result<Option<(Authority, Caller)>, Failure> {
    if parts.headers.contains_key(USER_TOKEN) {
        let Ok(Installing { party, .. }) = Installing::from_request_parts(parts, services).await else {
            return Ok(None);
        };
        let (scope, user) = party.of(services, None).await?;
        let caller = Caller { id: user.id.0, user: Some(user.id) };
        return Ok(Some((Authority::Environment { scope }, caller)));
    }
    let Ok(Anyone(holder)) = Anyone::from_request_parts(parts, services).await else { return Ok(None) };
    Ok(Some((holder.authority, Caller { id: holder.key.id.0, user: None })))
}

/// What of a user's a path names.
#[derive(Debug, Default)]
struct Named {
    user: Option<String>,
    run: Option<String>,
    installation: Option<String>,
}

async fn named(services: &Services, parts: &mut Parts) -> Named {
    let params = RawPathParams::from_request_parts(parts, services).await;
    let mut named = Named::default();
    for (name, value) in params.iter().flatten() {
        let value = Some(value.to_owned());
        match name {
            "user" => named.user = value,
            "run" => named.run = value,
            "installation" => named.installation = value,
            _ => {}
        }
    }
    named
}

impl Named {
    /// Whose data an answer shows that tells of what the path names.
    async fn user(&self, services: &Services, scope: &Scope) -> Result<Option<UserId>, Failure> {
        if let Some(user) = &self.user {
            return Ok(Some(services.users.find(scope, user).await?.id));
        }
        if let Some(run) = &self.run {
            return Ok(Some(services.runs.run(scope, path::id(run, "run")?).await?.user));
        }
        if let Some(installation) = &self.installation {
            let poller = services.pollers.one(scope, path::id(installation, "installation")?).await;
            // Of any other installation an answer tells no more than numbers.
            return Ok(poller.ok().map(|poller| poller.user));
        }
        Ok(None)
    }
}

fn again(KeptAnswer { status, headers, body }: KeptAnswer) -> Result<Response, Failure> {
    let unusable = |error: &dyn std::error::Error| {
        let message = format!("the kept answer cannot be sent: {error}");
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    };
    let status = StatusCode::from_u16(status).map_err(|error| unusable(&error))?;
    let mut response = (status, body).into_response();
    for (name, value) in headers {
        let name = HeaderName::try_from(name).map_err(|error| unusable(&error))?;
        let value = HeaderValue::try_from(value).map_err(|error| unusable(&error))?;
        response.headers_mut().insert(name, value);
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}
