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
mod trials;
mod workspaces;

use axum::middleware;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Services, cors, error};

/// The routes, without `/v1`.
pub(super) fn routes() -> OpenApiRouter<Services> {
    let as_json = |routes: OpenApiRouter<Services>| {
        let told = middleware::map_response(error::from_framework);
        routes.layer(told).layer(middleware::map_response(error::as_problem))
    };
    as_json(servers()).merge(as_json(browsers()).layer(cors::layer()))
}

/// What a user's browser calls as well as the ISV's server.
fn browsers() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(connections::list))
        .routes(routes!(connections::update))
        .routes(routes!(connections::check))
        .routes(routes!(lookups::options))
        .routes(routes!(lookups::schema))
}

/// What only servers and operators call.
fn servers() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(workspaces::create, workspaces::list))
        .routes(routes!(api_keys::create, api_keys::list))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(apps::put, apps::get, apps::delete))
        .routes(routes!(backup::take))
        .routes(routes!(connectors::list))
        .routes(routes!(connectors::push, connectors::versions))
        .routes(routes!(connectors::activate))
        .routes(routes!(connectors::roll_back))
        .routes(routes!(connectors::history))
        .routes(routes!(definitions::events))
        .routes(routes!(definitions::put_event, definitions::event))
        // The host's own pages call these, so that no other origin need be let in.
        .nest("/embed", embed::routes())
        .routes(routes!(listeners::ask))
        .routes(routes!(streams::list))
        .routes(routes!(streams::put, streams::one))
        .routes(routes!(streams::rotate))
        .routes(routes!(streams::enable))
        .routes(routes!(outlets::all))
        .routes(routes!(outlets::events, outlets::close_events))
        .routes(routes!(outlets::errors, outlets::close_errors))
        .routes(routes!(outlets::event_bridge, outlets::close_event_bridge))
        .routes(routes!(token_keys::list, token_keys::rotate))
        .routes(routes!(token_keys::jwks))
        .routes(routes!(definitions::create_integration, definitions::integrations))
        .routes(routes!(definitions::create_workflow, definitions::workflows))
        .routes(routes!(definitions::workflow, definitions::put_workflow))
        .routes(routes!(definitions::problems))
        .routes(routes!(trials::test))
        .routes(routes!(definitions::release, definitions::releases))
        .routes(routes!(installations::list))
        .routes(routes!(keys::list))
        .routes(routes!(keys::skip))
        .routes(routes!(import::users))
        .routes(routes!(import::workflows))
        .routes(routes!(pollers::list))
        .routes(routes!(pollers::overview))
        .routes(routes!(pollers::one))
        .routes(routes!(pollers::poll_now))
        .routes(routes!(own_connections::list))
        .routes(routes!(own_connections::put, own_connections::one, own_connections::delete))
        .routes(routes!(own_connections::check))
        .routes(routes!(own_connections::consent))
        .routes(routes!(forward::send))
        .routes(routes!(settings::get, settings::put))
        .routes(routes!(runs::list))
        .routes(routes!(runs::one))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::replay))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::redrive_all))
        .routes(routes!(dead_letters::one, dead_letters::delete))
        .routes(routes!(dead_letters::redrive))
        .routes(routes!(app_webhooks::set, app_webhooks::one))
        .fallback(error::no_route)
}
