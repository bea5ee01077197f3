//! Around every call with an API key: whose it is, found out once, and whether one more of the key is taken.
//!
//! What is told is that of the IETF's draft on rate limits (`RateLimit`, `RateLimit-Policy`), on every answer.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

use utoipa_axum::router::OpenApiRouter;

use super::{
    Services,
    caller::{Anyone, USER_TOKEN},
    error::Failure,
};
use crate::throttle::{Kind, Standing, TooMany, WINDOW};

const STANDING: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Paths that start runs, behind their surface's prefix.
const EVENTS: [&str; 2] = ["/run/event", "/run/workflow"];

/// What every answer is told of its policy, written once.
#[derive(Clone, Debug)]
struct Limited {
    services: Services,
    policies: Arc<Policies>,
}

#[derive(Debug)]
struct Policies {
    requests: Option<HeaderValue>,
    events: Option<HeaderValue>,
}

/// The same routes, which take no more calls of a key than may come.
pub(super) fn limited(routes: OpenApiRouter<Services>, services: &Services) -> OpenApiRouter<Services> {
    let policy = |kind| {
        let quota = services.throttle.quota(kind)?;
        HeaderValue::try_from(format!("\"{}\";q={quota};w={}", name(kind), WINDOW.as_secs())).ok()
    };
    let policies = Arc::new(Policies { requests: policy(Kind::Requests), events: policy(Kind::Events) });
    let limited = Limited { services: services.clone(), policies };
    routes.layer(middleware::from_fn_with_state(limited, limit))
}

async fn limit(State(limited): State<Limited>, request: Request, next: Next) -> Response {
    let Limited { services, policies } = limited;
    let (mut parts, body) = request.into_parts();
    // A user's token goes before a key; whoever has neither is told so by the route.
    let holder = match parts.headers.contains_key(USER_TOKEN) {
        true => None,
        false => Anyone::from_request_parts(&mut parts, &services).await.ok(),
    };
    let Some(Anyone(holder)) = holder else { return next.run(Request::from_parts(parts, body)).await };
    let kind = kind(&parts);
    let taken = services.throttle.take(holder.key.id, kind);
    parts.extensions.insert(holder);
    let (mut response, standing) = match taken {
        None => return next.run(Request::from_parts(parts, body)).await,
        Some(Ok(standing)) => (next.run(Request::from_parts(parts, body)).await, standing),
        Some(Err(too_many)) => {
            let standing = Standing { quota: too_many.quota, left: 0, full_in: WINDOW };
            (refused(kind, too_many).into_response(), standing)
        }
    };
    let Standing { left, full_in, .. } = standing;
    let told = HeaderValue::try_from(format!("\"{}\";r={left};t={}", name(kind), whole_secs(full_in)));
    let policy = match kind {
        Kind::Events => &policies.events,
        Kind::Requests => &policies.requests,
    };
    if let (Ok(told), Some(policy)) = (told, policy) {
        response.headers_mut().insert(STANDING, told);
        response.headers_mut().insert(POLICY, policy.clone());
    }
    response
}

fn kind(parts: &Parts) -> Kind {
    let starts = parts.method == Method::POST && EVENTS.iter().any(|path| parts.uri.path().ends_with(path));
    if starts { Kind::Events } else { Kind::Requests }
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Events => "events",
        Kind::Requests => "requests",
    }
}

fn refused(kind: Kind, TooMany { quota, again_in }: TooMany) -> Failure {
    let (what, again_in) = (name(kind), whole_secs(again_in));
    let message = format!(
        "this API key may send {quota} {what} a minute; try again in {again_in} s, slower, or have the operator raise \
         `rate_limit.{what}_per_minute`"
    );
    Failure::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", message)
        .again_in(Duration::from_secs(again_in))
}

fn whole_secs(time: Duration) -> u64 {
    time.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}
