//! The Alloy-compatible surface: what official Alloy clients call.
//!
//! Shapes and tolerances follow Alloy's published clients and documents: every success is exactly 200 with
//! JSON, every error `{"message"}`, and a user is named by id or username.

mod credentials;
mod events;
mod headless;
mod integrations;
mod logs;
mod tokens;
mod users;
mod workflows;

use axum::{
    Router, middleware,
    routing::{get, post, put},
};

use super::{Services, cors, error};

/// The routes, without a version prefix.
pub fn routes() -> Router<Services> {
    let browsers = browsers().layer(middleware::map_response(error::as_message)).layer(cors::layer());
    servers().layer(middleware::map_response(error::as_message)).merge(browsers)
}

/// What a user's browser calls as well as the ISV's server.
fn browsers() -> Router<Services> {
    Router::new()
        .route("/integrations", get(integrations::list))
        .route("/integrations/{integration}", get(integrations::one))
        .route("/workflows/activate", put(workflows::activate))
        .route("/workflows/deactivate", put(workflows::deactivate))
        .route("/workflows/{workflow}", axum::routing::delete(headless::remove))
        .route("/users/{user}/credentials", get(credentials::list))
        .route("/users/{user}/credentials/{app}", get(credentials::consent_of))
        .route("/headless/credentials", post(credentials::create))
        .route("/headless/oauthUrl", get(credentials::consent).post(credentials::ask_consent))
        .route("/headless/oauthurl", get(credentials::consent).post(credentials::ask_consent))
        .route("/headless/startInstallation", post(headless::start))
        .route("/headless/completeInstallation", post(headless::complete))
}

/// What only the ISV's server calls.
fn servers() -> Router<Services> {
    Router::new()
        .route("/users", post(users::create).get(users::list))
        .route("/users/{user}", get(users::one))
        .route("/users/{user}/token", get(tokens::issue))
        .route("/user/{user}/token", get(tokens::issue))
        .route("/users/{user}/deactivate-workflows", put(workflows::deactivate_all))
        .route("/events", get(events::list))
        .route("/run/event", post(events::run))
        .route("/workflows/{workflow}/logs", get(logs::logs))
        .route("/workflows/{workflow}/errors", get(logs::errors))
        .route("/workflows/{workflow}/rerun/{execution}", post(logs::rerun))
}
