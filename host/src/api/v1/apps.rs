//! `/v1/apps/{app}/oauth-client`: the ISV's own client at a vendor, one for each environment. Shows no secret.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use trunnion_core::records::AppRegistration;
use utoipa::ToSchema;

use crate::{
    api::{
        Services, body,
        caller::Tenant,
        error::Failure,
        schema::{Deleted, Moment},
    },
    vault::Registering,
};

/// A client that the vendor registered for the ISV.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OauthClientGiven)]
pub(super) struct Client {
    client_id: String,
    /// Kept as it is where it is left out.
    client_secret: Option<String>,
    /// What is asked for instead of what the connector asks for.
    scopes: Option<Vec<String>>,
    /// Where the vendor sends people back to; to the host's own address where nothing is said.
    redirect_uri: Option<String>,
}

impl std::fmt::Debug for Client {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// The ISV's own client at a vendor.
#[derive(Serialize, ToSchema)]
pub(super) struct OauthClient {
    app: String,
    client_id: String,
    /// What is asked for instead of what the connector asks for; null where nothing is.
    #[schema(required)]
    scopes: Option<Vec<String>>,
    /// Where the vendor sends people back to; null for `callback_url`.
    #[schema(required)]
    redirect_uri: Option<String>,
    /// What the ISV enters at the vendor, unless it has an address of its own.
    callback_url: String,
    created_at: Moment,
    updated_at: Moment,
}

/// Registers the ISV's own client at a vendor
///
/// One for each environment and app. Users consent to it from then on.
#[utoipa::path(put, path = "/apps/{app}/oauth-client", operation_id = "putOauthClient",
    security(("environment_key" = [])), request_body = Client,
    responses((status = OK, description = "The client, without its secret.", body = OauthClient),
        (status = CONFLICT, description = "Somebody else changed it in the same moment.")))]
pub(super) async fn put(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(app): Path<String>,
    body: body::Json<Client>,
) -> Result<Json<OauthClient>, Failure> {
    let Client { client_id, client_secret, scopes, redirect_uri } = body.value;
    let given = Registering { client_id, client_secret, scopes, redirect_uri };
    Ok(Json(shape(&services, &services.vault.register(&scope, &app, given).await?)))
}

/// Shows the ISV's own client at a vendor
#[utoipa::path(get, path = "/apps/{app}/oauth-client", operation_id = "getOauthClient",
    security(("environment_key" = [])),
    responses((status = OK, description = "The client, without its secret.", body = OauthClient)))]
pub(super) async fn get(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(app): Path<String>,
) -> Result<Json<OauthClient>, Failure> {
    Ok(Json(shape(&services, services.vault.registration(&scope, &app).await?.as_ref())))
}

/// Forgets the ISV's own client at a vendor
///
/// Connections that were made with it can no longer be renewed.
#[utoipa::path(delete, path = "/apps/{app}/oauth-client", operation_id = "deleteOauthClient",
    security(("environment_key" = [])),
    responses((status = OK, description = "It is gone.", body = Deleted)))]
pub(super) async fn delete(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(app): Path<String>,
) -> Result<Json<Deleted>, Failure> {
    services.vault.unregister(&scope, &app).await?;
    Ok(Json(Deleted { deleted: true }))
}

fn shape(services: &Services, registration: &AppRegistration) -> OauthClient {
    OauthClient {
        app: registration.app.clone(),
        client_id: registration.client_id.clone(),
        scopes: registration.scopes.clone(),
        redirect_uri: registration.redirect_uri.clone(),
        callback_url: services.vault.callback_url(),
        created_at: Moment::of(registration.created_at),
        updated_at: Moment::of(registration.updated_at),
    }
}
