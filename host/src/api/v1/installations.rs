//! `/v1/installations`: what a user has installed, with the addresses of workflows that requests start, and of webhooks
//! that a person has to register at the vendor.

use axum::{
    Json,
    extract::{Query, State},
};
use serde::Deserialize;
use serde_json::{Value, json};
use trunnion_core::records::Installation;

use crate::{
    api::{Services, caller::Tenant, error::Failure},
    triggers::{request::request_url, subscriptions::ByHand},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    user_id: String,
}

pub(super) async fn list(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Failure> {
    let user = services.users.find(&scope, &filter.user_id).await?;
    let installations = services.installer.of_user(&scope, user.id).await?;
    let mut shapes = Vec::with_capacity(installations.len());
    for installation in &installations {
        let by_hand = match installation.subscription {
            Some(id) => services.installer.by_hand(&scope, id).await?,
            None => None,
        };
        shapes.push(shape(&services, installation, by_hand));
    }
    Ok(Json(json!({ "data": shapes })))
}

fn shape(services: &Services, installation: &Installation, by_hand: Option<ByHand>) -> Value {
    // Whoever holds the environment's key may know both: the address to call, the key to verify callbacks with.
    let request = installation.entrance.as_ref().map(|entrance| {
        let url = request_url(&services.context.public_url, entrance);
        json!({ "url": url, "secret": entrance.secret })
    });
    json!({
        "id": installation.id,
        "user_id": installation.user,
        "workflow_id": installation.workflow,
        "release": installation.release,
        "active": installation.active,
        "request": request,
        "webhook": by_hand.map(|ByHand { url, secret_name, secret }| {
            json!({ "url": url, "secret_name": secret_name, "secret": secret })
        }),
        "created_at": installation.created_at.to_string(),
        "updated_at": installation.updated_at.to_string(),
    })
}
