//! Apps, and what connecting each asks for.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::{Value, json};
use trunnion_core::manifest::{AuthKind, AuthScheme, Manifest};

use crate::api::{
    Services,
    caller::{Installing, Tenant},
    error::Failure,
};

pub(super) async fn apps(State(services): State<Services>, Tenant(_): Tenant) -> Json<Value> {
    let standing = services.context.registry.standing();
    let shape = |manifest: &Manifest| {
        let kinds = [("action", manifest.actions.is_empty()), ("trigger", manifest.triggers.is_empty())];
        let kinds: Vec<_> = kinds.into_iter().filter(|(_, none)| !none).map(|(kind, _)| kind).collect();
        json!({
            "name": manifest.id,
            "displayName": manifest.title,
            "icon": manifest.icon,
            "type": kinds,
            "oauth": manifest.connection.schemes.iter().any(is_oauth),
        })
    };
    let apps: Vec<_> = standing.all().map(|active| shape(active.connector.manifest())).collect();
    Json(json!({ "data": apps }))
}

/// What every app asks for; what pages for people show is the same for whoever may install.
pub(super) async fn credentials(
    State(services): State<Services>,
    Installing { .. }: Installing,
) -> Json<Value> {
    let standing = services.context.registry.standing();
    let asking = standing.all().map(|active| active.connector.manifest());
    let asking = asking.filter(|manifest| !manifest.connection.schemes.is_empty());
    Json(json!({ "data": asking.map(|manifest| credential(manifest)).collect::<Vec<_>>() }))
}

pub(super) async fn credential_of(
    State(services): State<Services>,
    Installing { .. }: Installing,
    Path(app): Path<String>,
) -> Result<Json<Value>, Failure> {
    let registry = &services.context.registry;
    let found = registry.manifest(&app).filter(|manifest| !manifest.connection.schemes.is_empty());
    match found {
        Some(manifest) => Ok(Json(json!({ "data": credential(&manifest) }))),
        None => {
            let known = registry.known_apps();
            let message =
                format!("there is no app `{app}` that asks for a credential; this host has {known}");
            Err(Failure::new(StatusCode::NOT_FOUND, "app-unknown", message))
        }
    }
}

/// Alloy knows one way to connect an app: `properties` is everything that any way asks for, `schemes` has them one by
/// one.
fn credential(manifest: &Manifest) -> Value {
    let connection = &manifest.connection;
    let parameters =
        || connection.parameters.iter().map(|it| property(&it.name, &it.title, &it.help)).collect::<Vec<_>>();
    let mut properties = parameters();
    let mut schemes = Vec::new();
    for scheme in &connection.schemes {
        let asked: Vec<_> =
            scheme.asks().iter().map(|field| property(&field.name, &field.title, &field.help)).collect();
        let new =
            asked.iter().filter(|one| !properties.iter().any(|known| known.get("name") == one.get("name")));
        let new: Vec<_> = new.cloned().collect();
        properties.extend(new);
        let own: Vec<_> = parameters().into_iter().chain(asked).collect();
        schemes.push(json!({ "id": scheme.id, "isOauth": is_oauth(scheme), "properties": own }));
    }
    json!({
        "name": manifest.id,
        "displayName": manifest.title,
        "icon": manifest.icon,
        "isOauth": connection.schemes.iter().any(is_oauth),
        "properties": properties,
        "schemes": schemes,
    })
}

fn property(name: &str, title: &str, help: &str) -> Value {
    json!({ "name": name, "displayName": title, "description": help })
}

const fn is_oauth(scheme: &AuthScheme) -> bool {
    matches!(scheme.kind, AuthKind::Oauth2(_))
}
