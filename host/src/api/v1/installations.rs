//! `/v1/installations`: what a user has installed, with the addresses of workflows that requests start, and of webhooks
//! that a person has to register at the vendor.

use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use trunnion_core::records;
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::{
        Services,
        caller::Tenant,
        error::Failure,
        schema::{Id, Listed, Moment},
    },
    triggers::{request::request_url, subscriptions::ByHand},
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// The user, by id or username.
    user_id: String,
}

/// One user's copy of a workflow.
#[derive(Serialize, ToSchema)]
pub(super) struct Installation {
    id: Id,
    user_id: Id,
    workflow_id: Id,
    /// The release it runs.
    release: u32,
    /// Whether events start runs.
    active: bool,
    /// How requests start it; null where they do not.
    #[schema(required)]
    request: Option<Entrance>,
    /// What a person has to register at the vendor; null where nothing.
    #[schema(required)]
    webhook: Option<Webhook>,
    created_at: Moment,
    updated_at: Moment,
}

/// How requests start a workflow.
#[derive(Serialize, ToSchema)]
struct Entrance {
    /// The address to call.
    url: String,
    /// The key to verify callbacks with.
    secret: String,
}

/// A webhook that a person registers.
#[derive(Serialize, ToSchema)]
struct Webhook {
    url: String,
    /// What the vendor calls the secret.
    secret_name: String,
    /// Null where the connection already has it.
    #[schema(required)]
    secret: Option<String>,
}

/// Lists what a user has installed
#[utoipa::path(get, path = "/installations", operation_id = "listInstallations",
    security(("environment_key" = [])), params(Filter),
    responses((status = OK, description = "Every installation of the user.", body = Listed<Installation>)))]
pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Query(filter): Query<Filter>,
) -> Result<Json<Listed<Installation>>, Failure> {
    let user = services.users.find(&scope, &filter.user_id).await?;
    let installations = services.installer.of_user(&scope, user.id).await?;
    let mut data = Vec::with_capacity(installations.len());
    for installation in &installations {
        let by_hand = match installation.subscription {
            Some(id) => services.installer.by_hand(&scope, id).await?,
            None => None,
        };
        data.push(shape(&services, installation, by_hand));
    }
    Ok(Json(Listed { data }))
}

fn shape(services: &Services, installation: &records::Installation, by_hand: Option<ByHand>) -> Installation {
    // Whoever holds the environment's key may know both: the address to call, the key to verify callbacks with.
    let request = installation.entrance.as_ref().map(|entrance| Entrance {
        url: request_url(&services.context.public_url, entrance),
        secret: entrance.secret.clone(),
    });
    Installation {
        id: Id::of(installation.id),
        user_id: Id::of(installation.user),
        workflow_id: Id::of(installation.workflow),
        release: installation.release,
        active: installation.active,
        request,
        webhook: by_hand.map(|ByHand { url, secret_name, secret }| Webhook { url, secret_name, secret }),
        created_at: Moment::of(installation.created_at),
        updated_at: Moment::of(installation.updated_at),
    }
}
