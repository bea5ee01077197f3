//! The HTTP edge: routes, who is calling, what bodies look like. It knows no rules; services do.
//!
//! `alloy` is the Alloy-compatible surface, under each date prefix and without one; `v1` the native one;
//! `hooks` takes vendors' deliveries; `oauth` takes people back whom vendors send;
//! `requests` lets callers wait for workflows' answers; `health` answers probes. `error` alone turns a service's error into a
//! status and a body, in the form of its surface.

pub mod alloy;
pub mod body;
pub mod caller;
pub mod cors;
pub mod error;
mod etag;
pub mod health;
pub mod hooks;
pub mod oauth;
mod once;
mod openapi;
pub mod path;
mod public_keys;
mod rates;
pub mod requests;
mod schema;
pub mod v1;

use std::{ops::Deref, sync::Arc};

use axum::{Router, middleware};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    access::Access,
    backup::Backups,
    context::Context,
    erasure::Erasure,
    forward::Forwards,
    import::Importer,
    lookups::Lookups,
    outbox::Outlets,
    registry::Swaps,
    repetition::Repetitions,
    runs::{DeadLetters, Queue, RunLog, Trials},
    settings::Settings,
    streams::{Destinations, listeners::Listeners},
    throttle::Throttle,
    triggers::{
        accept::Acceptor, app_hooks::AppHooks, poll::Pollers, request::Requests, schedule::Schedules,
        webhook::Ingress,
    },
    ui::{self, Assets},
    user_tokens::UserTokens,
    users::Users,
    vault::Vault,
    workflows::{Installer, Library, Offers, Releases},
};

/// The versions of Alloy's API that clients name in the path.
pub const ALLOY_VERSIONS: [&str; 5] = ["2023-01", "2023-03", "2023-06", "2023-12", "2024-03"];

/// What handlers may use: one allocation, which every request is handed.
#[derive(Clone, Debug)]
pub struct Services(Arc<AllServices>);

/// What [`Services`] are.
#[derive(Debug)]
pub struct AllServices {
    /// Shared capabilities.
    pub context: Context,
    /// API keys.
    pub access: Access,
    /// Copies of everything.
    pub backups: Backups,
    /// Users.
    pub users: Users,
    /// Users who leave with everything of theirs.
    pub erasure: Erasure,
    /// What their browsers carry.
    pub user_tokens: UserTokens,
    /// Credentials.
    pub vault: Vault,
    /// Choices that only users' own accounts know.
    pub lookups: Lookups,
    /// The ISV's own requests through connections.
    pub forwards: Forwards,
    /// What a switcher brings along.
    pub importer: Importer,
    /// What the ISV defines.
    pub library: Library,
    /// Where streams go.
    pub destinations: Destinations,
    /// Where operational events and errors go.
    pub outlets: Outlets,
    /// Who takes them instead.
    pub listeners: Listeners,
    /// Compiled releases.
    pub releases: Arc<Releases>,
    /// What users install.
    pub installer: Installer,
    /// What they are shown before.
    pub offers: Offers,
    /// The one way in.
    pub acceptor: Acceptor,
    /// Vendors' deliveries.
    pub ingress: Ingress,
    /// What vendors call for all accounts of an app.
    pub app_hooks: AppHooks,
    /// Requests that wait for an answer.
    pub requests: Requests,
    /// Polling triggers.
    pub pollers: Pollers,
    /// Runs.
    pub runs: RunLog,
    /// Drafts that are tried.
    pub trials: Trials,
    /// Work that exhausted its retries.
    pub dead_letters: DeadLetters,
    /// Work that waits.
    pub queue: Arc<Queue>,
    /// What the clock starts.
    pub schedules: Schedules,
    /// What environments set for themselves.
    pub settings: Settings,
    /// Which connector is active.
    pub swaps: Swaps,
    /// Calls that come again.
    pub repetitions: Repetitions,
    /// How many calls of one API key are taken.
    pub throttle: Throttle,
    /// Bytes of a request body.
    pub max_body_bytes: usize,
}

impl From<AllServices> for Services {
    fn from(services: AllServices) -> Self {
        Self(Arc::new(services))
    }
}

impl Deref for Services {
    type Target = AllServices;

    fn deref(&self) -> &AllServices {
        &self.0
    }
}

/// Every route.
pub fn router(services: Services) -> Router {
    let assets = Arc::new(Assets::new());
    let (described, document) = described(Some(&services));
    let mut router = described
        .merge(openapi::routes(document))
        .merge(hooks::routes().layer(middleware::map_response(error::as_message)))
        .merge(requests::routes().layer(middleware::map_response(error::as_message)))
        .merge(public_keys::routes().layer(middleware::map_response(error::as_message)))
        .merge(oauth::routes(&assets))
        .merge(ui::routes(&assets));
    let alloy = || Router::from(alloy_routes(Some(&services)));
    for version in ALLOY_VERSIONS.into_iter().filter(|version| *version != openapi::ALLOY_DESCRIBED) {
        router = router.nest(&format!("/{version}"), alloy());
    }
    router
        .merge(alloy())
        .fallback(error::no_route)
        .layer(middleware::map_response(error::as_message))
        .with_state(services)
}

/// The OpenAPI document of what programs call.
#[must_use]
pub fn document() -> OpenApi {
    described(None).1
}

/// What the document describes, and the document. Without services nothing can be called.
fn described(services: Option<&Services>) -> (Router<Services>, OpenApi) {
    let mut v1 = v1::routes();
    if let Some(services) = services {
        let tagged = v1.layer(middleware::from_fn(etag::unless_seen));
        v1 = rates::limited(once::kept(tagged, services), services)
            .layer(middleware::map_response(error::as_problem));
    }
    let (router, document) = OpenApiRouter::with_openapi(openapi::blank())
        .nest("/v1", v1)
        .nest(&format!("/{}", openapi::ALLOY_DESCRIBED), alloy_routes(services))
        .merge(health::routes())
        .split_for_parts();
    (router, openapi::finished(document))
}

fn alloy_routes(services: Option<&Services>) -> OpenApiRouter<Services> {
    let routes = alloy::routes();
    match services {
        None => routes,
        Some(services) => rates::limited(routes, services).layer(middleware::map_response(error::as_message)),
    }
}
