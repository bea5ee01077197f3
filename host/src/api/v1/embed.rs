//! `/v1/embed`: what the modal's pages know and do, as the user whose token they carry, or by an install link.
//!
//! A link installs its integration and nothing else: what it may see and connect are that integration's apps.

mod connections;
mod install;
mod shape;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post, put},
};
use serde_json::{Value, json};
use trunnion_core::{records::User, scope::Scope};

use crate::{
    api::{
        Services,
        caller::{Installing, Party},
        error::Failure,
    },
    user_tokens::Link,
    workflows::offer::Wanted,
};

/// The routes, below `/embed`.
pub(super) fn routes() -> Router<Services> {
    Router::new()
        .route("/plan", post(install::plan))
        .route("/installations", post(install::install))
        .route("/apps", get(apps))
        .route("/apps/{app}", get(app))
        .route("/consents", post(connections::consent))
        .route("/connections", get(connections::list).post(connections::connect))
        .route("/connections/{connection}", put(connections::update).delete(connections::disconnect))
        .route("/connections/{connection}/check", post(connections::check))
        .route("/connections/{connection}/lookups/{lookup}", post(connections::options))
}

/// Whoever sits before the page.
struct Visitor {
    scope: Scope,
    user: User,
    link: Option<Link>,
}

impl Visitor {
    async fn of(services: &Services, Installing { party, link }: Installing) -> Result<Self, Failure> {
        let (scope, user) = party.of(services, None).await?;
        Ok(Self { scope, user, link })
    }

    /// The apps that a link is about; all where there is none.
    async fn apps(&self, services: &Services) -> Result<Option<Vec<String>>, Failure> {
        let Some(link) = self.link else { return Ok(None) };
        let wanted = Wanted { integration: Some(link.integration), ..Wanted::default() };
        let offer = services.offers.offer(&self.scope, self.user.id, &wanted).await?;
        Ok(Some(offer.apps.into_iter().map(|it| it.app.manifest.id.clone()).collect()))
    }

    /// Refuses what a link is not about.
    async fn may_use(&self, services: &Services, app: &str) -> Result<(), Failure> {
        match self.apps(services).await? {
            Some(apps) if !apps.iter().any(|known| known == app) => {
                let message = format!("this link is not about `{app}`; use a user token for this");
                Err(Failure::new(StatusCode::FORBIDDEN, "wrong-authority", message))
            }
            _ => Ok(()),
        }
    }
}

async fn apps(State(services): State<Services>, party: Party) -> Result<Json<Value>, Failure> {
    let (scope, _) = party.of(&services, None).await?;
    let apps = services.offers.apps(&scope).await?;
    Ok(Json(json!({ "data": apps.iter().map(shape::app).collect::<Vec<_>>() })))
}

async fn app(
    State(services): State<Services>,
    installing: Installing,
    Path(app): Path<String>,
) -> Result<Json<Value>, Failure> {
    let visitor = Visitor::of(&services, installing).await?;
    visitor.may_use(&services, &app).await?;
    Ok(Json(shape::app(&services.offers.app(&visitor.scope, &app).await?)))
}
