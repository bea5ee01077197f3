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

use axum::{http::StatusCode, middleware, routing::get};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Services, cors, error, error::Failure};

/// The routes, without a version prefix.
pub(super) fn routes() -> OpenApiRouter<Services> {
    let as_json = |routes: OpenApiRouter<Services>| {
        let told = middleware::map_response(error::from_framework);
        routes.layer(told).layer(middleware::map_response(error::as_message))
    };
    as_json(servers()).merge(as_json(browsers()).layer(cors::layer()))
}

/// What a user's browser calls as well as the ISV's server.
fn browsers() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(integrations::list))
        .routes(routes!(integrations::one))
        .routes(routes!(workflows::list))
        .routes(routes!(activity::activate))
        .routes(routes!(activity::deactivate))
        .routes(routes!(workflows::one, installed::remove))
        .routes(routes!(workflows::versions))
        .routes(routes!(installed::upgrade))
        .routes(routes!(metadata::credentials))
        .routes(routes!(metadata::credential_of))
        .routes(routes!(credentials::list, credentials::create_of))
        .routes(routes!(credentials::consent_of, credentials::delete))
        .routes(routes!(credentials::create))
        .routes(routes!(credentials::consent, credentials::ask_consent))
        .routes(routes!(headless::start))
        .routes(routes!(headless::complete))
}

/// What only the ISV's server calls.
fn servers() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(users::create, users::list))
        .routes(routes!(users::create_batch))
        .routes(routes!(users::one, users::update, users::delete))
        .routes(routes!(tokens::issue))
        .routes(routes!(users::delete_logs))
        .routes(routes!(activity::deactivate_all))
        .routes(routes!(installed::link))
        .routes(routes!(metadata::apps))
        .routes(routes!(events::list))
        .routes(routes!(events::run))
        .routes(routes!(events::run_workflow))
        .routes(routes!(workflows::users))
        .routes(routes!(logs::logs))
        .routes(routes!(logs::errors))
        .routes(routes!(logs::analytics))
        .routes(routes!(logs::rerun))
        .routes(routes!(notifications::list))
        // Other names of what the document describes already.
        .route("/user/{user}/token", get(tokens::issue))
        .route("/apps", get(metadata::apps))
        .route("/credentials", get(metadata::credentials))
        .route("/credentials/{app}", get(metadata::credential_of))
        .route("/workflow/{workflow}/logs", get(logs::logs))
}

/// What the `userId` of a call with an API key must be.
fn required(user_id: Option<&str>) -> Result<&str, Failure> {
    user_id.ok_or_else(|| {
        let message = "name the user that this is about as `userId`: an id or a username";
        Failure::new(StatusCode::BAD_REQUEST, "user-missing", message)
    })
}
