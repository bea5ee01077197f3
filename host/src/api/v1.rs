//! The native surface: what builders, the CLI and operators call. Errors are RFC 9457 problems.

mod api_keys;
mod app_webhooks;
mod apps;
mod backup;
mod connections;
mod connectors;
mod dead_letters;
mod definitions;
mod embed;
mod forward;
mod import;
mod installations;
mod keys;
mod listeners;
mod lookups;
mod outlets;
mod own_connections;
mod pollers;
mod runs;
mod settings;
mod streams;
mod token_keys;
mod workspaces;

use axum::{
    Router, middleware,
    routing::{delete, get, post, put},
};

use super::{Services, cors, error};

/// The routes, without `/v1`.
pub fn routes() -> Router<Services> {
    let as_json = |routes: Router<Services>| {
        let told = middleware::map_response(error::from_framework);
        routes.layer(told).layer(middleware::map_response(error::as_problem))
    };
    as_json(servers()).merge(as_json(browsers()).layer(cors::layer()))
}

/// What a user's browser calls as well as the ISV's server.
fn browsers() -> Router<Services> {
    Router::new()
        .route("/users/{user}/connections", get(connections::list))
        .route("/users/{user}/connections/{connection}", put(connections::update))
        .route("/users/{user}/connections/{connection}/check", post(connections::check))
        .route("/users/{user}/connections/{connection}/lookups/{lookup}", post(lookups::options))
        .route("/users/{user}/connections/{connection}/actions/{action}/schema", post(lookups::schema))
}

/// What only servers and operators call.
fn servers() -> Router<Services> {
    Router::new()
        .route("/workspaces", post(workspaces::create).get(workspaces::list))
        .route("/keys", post(api_keys::create).get(api_keys::list))
        .route("/keys/{key}", delete(api_keys::revoke))
        .route("/apps/{app}/oauth-client", put(apps::put).get(apps::get).delete(apps::delete))
        .route("/backup", get(backup::take))
        .route("/connectors", get(connectors::list))
        .route("/connectors/{app}/versions", put(connectors::push).get(connectors::versions))
        .route("/connectors/{app}/activate", post(connectors::activate))
        .route("/connectors/{app}/rollback", post(connectors::roll_back))
        .route("/connectors/{app}/history", get(connectors::history))
        .route("/events", get(definitions::events))
        .route("/events/{name}", put(definitions::put_event).get(definitions::event))
        // The host's own pages call these, so that no other origin need be let in.
        .nest("/embed", embed::routes())
        .route("/listeners", post(listeners::ask))
        .route("/streams", get(streams::list))
        .route("/streams/{name}", put(streams::put).get(streams::one))
        .route("/streams/{name}/rotate-secret", post(streams::rotate))
        .route("/streams/{name}/enable", post(streams::enable))
        .route("/outlets", get(outlets::all))
        .route("/outlets/events", put(outlets::events).delete(outlets::close_events))
        .route("/outlets/errors", put(outlets::errors).delete(outlets::close_errors))
        .route("/outlets/event-bridge", put(outlets::event_bridge).delete(outlets::close_event_bridge))
        .route("/token-keys", get(token_keys::list).post(token_keys::rotate))
        .route("/integrations", post(definitions::create_integration).get(definitions::integrations))
        .route("/workflows", post(definitions::create_workflow).get(definitions::workflows))
        .route("/workflows/{workflow}", get(definitions::workflow).put(definitions::put_workflow))
        .route("/workflows/{workflow}/problems", get(definitions::problems))
        .route("/workflows/{workflow}/releases", post(definitions::release).get(definitions::releases))
        .route("/installations", get(installations::list))
        .route("/installations/{installation}/keys", get(keys::list))
        .route("/installations/{installation}/keys/{key}/skip", post(keys::skip))
        .route("/import/users", post(import::users))
        .route("/import/workflows", post(import::workflows))
        .route("/pollers", get(pollers::list))
        .route("/polling", get(pollers::overview))
        .route("/installations/{installation}/poller", get(pollers::one))
        .route("/installations/{installation}/poll", post(pollers::poll_now))
        .route("/connections", get(own_connections::list))
        .route("/connections/{name}", put(own_connections::put).delete(own_connections::delete))
        .route("/connections/{name}/check", post(own_connections::check))
        .route("/connections/{name}/consent", post(own_connections::consent))
        .route("/connections/{name}/request", post(forward::send))
        .route("/settings", get(settings::get).put(settings::put))
        .route("/runs", get(runs::list))
        .route("/runs/{run}", get(runs::one))
        .route("/runs/{run}/cancel", post(runs::cancel))
        .route("/runs/{run}/replay", post(runs::replay))
        .route("/dead-letters", get(dead_letters::list))
        .route("/dead-letters/redrive", post(dead_letters::redrive_all))
        .route("/dead-letters/{letter}", get(dead_letters::one).delete(dead_letters::delete))
        .route("/dead-letters/{letter}/redrive", post(dead_letters::redrive))
        .route("/apps/{app}/webhook", put(app_webhooks::set).get(app_webhooks::one))
        .fallback(error::no_route)
}
