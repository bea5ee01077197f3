//! `/v1/apps/{app}/webhook`: the one URL that a vendor calls for all accounts of the ISV's app, and the keys that verify
//! what it sends. Keys are taken and never shown.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::{Services, body, caller::Tenant, error::Failure, schema::Moment},
    triggers::app_hooks::Shown,
};

/// What verifies an app's own webhook.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AppWebhookSetting)]
pub(super) struct Setting {
    /// By the names that the connector's manifest has for them. None where the secret of the registered client is the
    /// key.
    #[serde(default)]
    secrets: BTreeMap<String, Keys>,
}

/// A key, or several while it is rotated.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = OneKeyOrSeveral)]
enum Keys {
    /// One.
    One(String),
    /// Several, of which any verifies.
    Several(Vec<String>),
}

impl From<Keys> for Vec<String> {
    fn from(keys: Keys) -> Self {
        match keys {
            Keys::One(key) => vec![key],
            Keys::Several(keys) => keys,
        }
    }
}

/// An app's own webhook.
#[derive(Serialize, ToSchema)]
pub(super) struct AppWebhook {
    /// The app.
    app: String,
    /// What the vendor is to call.
    url: String,
    /// How many keys there are of each name.
    secrets: BTreeMap<String, KeyCount>,
    /// The triggers that are delivered there.
    triggers: Vec<String>,
    created_at: Moment,
    updated_at: Moment,
    since_start: SinceStart,
}

/// How many keys verify.
#[derive(Serialize, ToSchema)]
struct KeyCount {
    keys: usize,
}

/// What came since the host started.
#[derive(Serialize, ToSchema)]
struct SinceStart {
    /// Occurrences that deliveries held.
    occurrences: u64,
    /// Those of them that had come before.
    repeated: u64,
    /// Those of them that no active installation hears of.
    unheard: u64,
    /// The accounts of those, the latest first.
    unheard_accounts: Vec<UnheardAccount>,
}

/// An account that no active installation hears of.
#[derive(Serialize, ToSchema)]
struct UnheardAccount {
    /// The account's id at the vendor.
    account: String,
    /// When something of it last came.
    last_at: Moment,
}

/// Shows an app's own webhook
///
/// What the vendor is to call, and what came there.
#[utoipa::path(get, path = "/apps/{app}/webhook", operation_id = "getAppWebhook",
    security(("environment_key" = [])),
    responses((status = OK, description = "The webhook.", body = AppWebhook)))]
pub(super) async fn one(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(app): Path<String>,
) -> Result<Json<AppWebhook>, Failure> {
    Ok(Json(shape(&services.app_hooks.get(&scope, &app).await?)))
}

/// Sets the keys of an app's own webhook
///
/// Makes the webhook where there is none. Keys are taken and never shown.
#[utoipa::path(put, path = "/apps/{app}/webhook", operation_id = "putAppWebhook",
    security(("environment_key" = [])), request_body = Setting,
    responses((status = OK, description = "The webhook.", body = AppWebhook),
        (status = CONFLICT, description = "Somebody else changed it in the same moment.")))]
pub(super) async fn set(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(app): Path<String>,
    body: body::Json<Setting>,
) -> Result<Json<AppWebhook>, Failure> {
    let secrets = body.value.secrets.into_iter().map(|(name, keys)| (name, keys.into())).collect();
    Ok(Json(shape(&services.app_hooks.set(&scope, &app, secrets).await?)))
}

fn shape(shown: &Shown) -> AppWebhook {
    let Shown { hook, url, triggers, tally } = shown;
    let keys = hook.secrets.iter().map(|(name, keys)| (name.clone(), KeyCount { keys: keys.len() }));
    let accounts = tally
        .unheard_accounts
        .iter()
        .map(|(account, at)| UnheardAccount { account: account.clone(), last_at: Moment::of(at) });
    AppWebhook {
        app: hook.app.clone(),
        url: url.clone(),
        secrets: keys.collect(),
        triggers: triggers.clone(),
        created_at: Moment::of(hook.created_at),
        updated_at: Moment::of(hook.updated_at),
        since_start: SinceStart {
            occurrences: tally.occurrences,
            repeated: tally.repeated,
            unheard: tally.unheard,
            unheard_accounts: accounts.collect(),
        },
    }
}
