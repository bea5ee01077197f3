//! Apps, and what connecting each asks for.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use trunnion_core::manifest::{AuthKind, AuthScheme, Manifest};
use utoipa::ToSchema;

use crate::api::{
    Services,
    caller::{Installing, Tenant},
    error::Failure,
    schema::{Listed, One},
};

/// An app that this host can speak to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct App {
    name: String,
    display_name: String,
    icon: String,
    /// `action`, `trigger` or both.
    #[serde(rename = "type")]
    kinds: Vec<&'static str>,
    /// Whether users can connect it by consent.
    oauth: bool,
}

/// What connecting an app asks for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CredentialMetadata {
    name: String,
    display_name: String,
    icon: String,
    is_oauth: bool,
    /// Everything that any way to connect asks for.
    properties: Vec<Property>,
    /// The ways, one by one.
    schemes: Vec<CredentialScheme>,
}

/// A way to connect an app.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CredentialScheme {
    id: String,
    is_oauth: bool,
    properties: Vec<Property>,
}

/// Something that is asked for.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CredentialProperty)]
struct Property {
    name: String,
    display_name: String,
    description: String,
}

/// Lists the apps that this host can speak to
#[utoipa::path(get, path = "/metadata/apps", operation_id = "listApps",
    security(("environment_key" = [])),
    responses((status = OK, description = "Every app.", body = Listed<App>)))]
pub(super) async fn apps(State(services): State<Services>, Tenant(_): Tenant) -> Json<Listed<App>> {
    let standing = services.context.registry.standing();
    let shape = |manifest: &Manifest| {
        let kinds = [("action", manifest.actions.is_empty()), ("trigger", manifest.triggers.is_empty())];
        let kinds = kinds.into_iter().filter(|(_, none)| !none).map(|(kind, _)| kind).collect();
        App {
            name: manifest.id.clone(),
            display_name: manifest.title.clone(),
            icon: manifest.icon.clone(),
            kinds,
            oauth: manifest.connection.schemes.iter().any(is_oauth),
        }
    };
    Json(standing.all().map(|active| shape(active.connector.manifest())).collect())
}

/// Lists what connecting each app asks for
#[utoipa::path(get, path = "/metadata/credentials", operation_id = "listCredentialMetadata",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "Every app that asks for a credential.", body = Listed<CredentialMetadata>)))]
pub(super) async fn credentials(
    State(services): State<Services>,
    Installing { .. }: Installing,
) -> Json<Listed<CredentialMetadata>> {
    let standing = services.context.registry.standing();
    let asking = standing.all().map(|active| active.connector.manifest());
    let asking = asking.filter(|manifest| !manifest.connection.schemes.is_empty());
    Json(asking.map(|manifest| credential(manifest)).collect())
}

/// Shows what connecting an app asks for
#[utoipa::path(get, path = "/metadata/credentials/{app}", operation_id = "getCredentialMetadata",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "What it asks for.", body = One<CredentialMetadata>)))]
pub(super) async fn credential_of(
    State(services): State<Services>,
    Installing { .. }: Installing,
    Path(app): Path<String>,
) -> Result<Json<One<CredentialMetadata>>, Failure> {
    let registry = &services.context.registry;
    let found = registry.manifest(&app).filter(|manifest| !manifest.connection.schemes.is_empty());
    match found {
        Some(manifest) => Ok(Json(One { data: credential(&manifest) })),
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
fn credential(manifest: &Manifest) -> CredentialMetadata {
    let connection = &manifest.connection;
    let parameters =
        || connection.parameters.iter().map(|it| property(&it.name, &it.title, &it.help)).collect::<Vec<_>>();
    let mut properties = parameters();
    let mut schemes = Vec::new();
    for scheme in &connection.schemes {
        let asked: Vec<_> =
            scheme.asks().iter().map(|field| property(&field.name, &field.title, &field.help)).collect();
        let new =
            asked.iter().filter(|one| !properties.iter().any(|known: &Property| known.name == one.name));
        let new: Vec<_> = new.cloned().collect();
        properties.extend(new);
        let own = parameters().into_iter().chain(asked).collect();
        schemes.push(CredentialScheme { id: scheme.id.clone(), is_oauth: is_oauth(scheme), properties: own });
    }
    CredentialMetadata {
        name: manifest.id.clone(),
        display_name: manifest.title.clone(),
        icon: manifest.icon.clone(),
        is_oauth: connection.schemes.iter().any(is_oauth),
        properties,
        schemes,
    }
}

fn property(name: &str, title: &str, help: &str) -> Property {
    Property { name: name.to_owned(), display_name: title.to_owned(), description: help.to_owned() }
}

const fn is_oauth(scheme: &AuthScheme) -> bool {
    matches!(scheme.kind, AuthKind::Oauth2(_))
}
