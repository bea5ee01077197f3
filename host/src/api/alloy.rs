//! The Alloy-compatible surface: what official Alloy clients call.
//!
//! Shapes and tolerances follow Alloy's published clients and documents: every success is exactly 200 with
//! JSON, every error `{"message"}`, and a user is named by id or username.

mod activity;
mod credentials;
mod events;
mod headless;
mod installed;
mod integrations;
mod lenient;
mod logs;
mod metadata;
mod notifications;
mod shapes;
mod tokens;
mod users;
mod workflows;

use axum::{
    Router,
    http::StatusCode,
    middleware,
    routing::{delete, get, post, put},
};

use super::{Services, cors, error, error::Failure};

/// The routes, without a version prefix.
pub fn routes() -> Router<Services> {
    let as_json = |routes: Router<Services>| {
        let told = middleware::map_response(error::from_framework);
        routes.layer(told).layer(middleware::map_response(error::as_message))
    };
    as_json(servers()).merge(as_json(browsers()).layer(cors::layer()))
}

/// What a user's browser calls as well as the ISV's server.
fn browsers() -> Router<Services> {
    Router::new()
        .route("/integrations", get(integrations::list))
        .route("/integrations/{integration}", get(integrations::one))
        .route("/workflows", get(workflows::list))
        .route("/workflows/activate", put(activity::activate))
        .route("/workflows/deactivate", put(activity::deactivate))
        .route("/workflows/{workflow}", get(workflows::one).delete(installed::remove))
        .route("/workflows/{workflow}/versions", get(workflows::versions))
        .route("/workflows/{workflow}/upgrade", put(installed::upgrade))
        .route("/metadata/credentials", get(metadata::credentials))
        .route("/metadata/credentials/{app}", get(metadata::credential_of))
        .route("/users/{user}/credentials", get(credentials::list).post(credentials::create_of))
        .route("/users/{user}/credentials/{name}", get(credentials::consent_of).delete(credentials::delete))
        .route("/headless/credentials", post(credentials::create))
        .route("/headless/oauthUrl", get(credentials::consent).post(credentials::ask_consent))
        .route("/headless/startInstallation", post(headless::start))
        .route("/headless/completeInstallation", post(headless::complete))
}

/// What only the ISV's server calls.
fn servers() -> Router<Services> {
    Router::new()
        .route("/users", post(users::create).get(users::list))
        .route("/users/batch", post(users::create_batch))
        .route("/users/{user}", get(users::one).put(users::update).delete(users::delete))
        .route("/users/{user}/token", get(tokens::issue))
        .route("/user/{user}/token", get(tokens::issue))
        .route("/users/{user}/logs", delete(users::delete_logs))
        .route("/users/{user}/deactivate-workflows", put(activity::deactivate_all))
        .route("/users/{user}/integrations/{integration}/install-url", get(installed::link))
        .route("/apps", get(metadata::apps))
        .route("/metadata/apps", get(metadata::apps))
        .route("/credentials", get(metadata::credentials))
        .route("/credentials/{app}", get(metadata::credential_of))
        .route("/events", get(events::list))
        .route("/run/event", post(events::run))
        .route("/run/workflow", post(events::run_workflow))
        .route("/workflows/{workflow}/users", get(workflows::users))
        .route("/workflows/{workflow}/logs", get(logs::logs))
        .route("/workflow/{workflow}/logs", get(logs::logs))
        .route("/workflows/{workflow}/errors", get(logs::errors))
        .route("/workflows/{workflow}/analytics", get(logs::analytics))
        .route("/workflows/{workflow}/rerun/{execution}", post(logs::rerun))
        .route("/logs", get(notifications::list))
}

/// What the `userId` of a call with an API key must be.
fn required(user_id: Option<&str>) -> Result<&str, Failure> {
    user_id.ok_or_else(|| {
        let message = "name the user that this is about as `userId`: an id or a username";
        Failure::new(StatusCode::BAD_REQUEST, "user-missing", message)
    })
}
