//! `/v1/embed`: what the modal's pages know and do, as the user whose token they carry, or by an install link.
//!
//! A link installs its integration and nothing else: what it may see and connect are that integration's apps.

mod connections;
mod install;
mod shape;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use trunnion_core::{records::User, scope::Scope};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::{
        Services,
        caller::{Installing, Party},
        error::Failure,
        schema::Listed,
    },
    user_tokens::Link,
    workflows::offer::Wanted,
};

/// The routes, below `/embed`.
pub(super) fn routes() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(install::plan))
        .routes(routes!(install::install))
        .routes(routes!(apps))
        .routes(routes!(app))
        .routes(routes!(connections::consent))
        .routes(routes!(connections::list, connections::connect))
        .routes(routes!(connections::update, connections::disconnect))
        .routes(routes!(connections::check))
        .routes(routes!(connections::options))
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

/// Lists the apps that the modal can connect
#[utoipa::path(get, path = "/apps", operation_id = "listEmbedApps",
    security(("environment_key" = []), ("user_token" = [])),
    responses((status = OK, description = "Every app and the ways to connect it.", body = Listed<shape::EmbedApp>)))]
async fn apps(
    State(services): State<Services>,
    party: Party,
) -> Result<Json<Listed<shape::EmbedApp>>, Failure> {
    let (scope, _) = party.of(&services, None).await?;
    Ok(Json(services.offers.apps(&scope).await?.iter().map(shape::app).collect()))
}

/// Shows an app that the modal can connect
#[utoipa::path(get, path = "/apps/{app}", operation_id = "getEmbedApp",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "The app and the ways to connect it.", body = shape::EmbedApp)))]
async fn app(
    State(services): State<Services>,
    installing: Installing,
    Path(app): Path<String>,
) -> Result<Json<shape::EmbedApp>, Failure> {
    let visitor = Visitor::of(&services, installing).await?;
    visitor.may_use(&services, &app).await?;
    Ok(Json(shape::app(&services.offers.app(&visitor.scope, &app).await?)))
}
