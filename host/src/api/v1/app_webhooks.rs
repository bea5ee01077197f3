//! `/v1/apps/{app}/webhook`: the one URL that a vendor calls for all accounts of the ISV's app, and the keys that verify
//! what it sends. Keys are taken and never shown.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    api::{Services, body, caller::Tenant, error::Failure},
    triggers::app_hooks::Shown,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Setting {
    /// None where the secret of the registered client is the key.
    #[serde(default)]
    secrets: BTreeMap<String, Keys>,
}

/// A key, or several while it is rotated.
#[derive(Deserialize)]
#[serde(untagged)]
enum Keys {
    One(String),
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

pub(super) async fn one(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(app): Path<String>,
) -> Result<Json<Value>, Failure> {
    Ok(Json(shape(&services.app_hooks.get(&scope, &app).await?)))
}

pub(super) async fn set(
    State(services): State<Services>,
    Tenant(scope): Tenant,
    Path(app): Path<String>,
    body: body::Json<Setting>,
) -> Result<Json<Value>, Failure> {
    let secrets = body.value.secrets.into_iter().map(|(name, keys)| (name, keys.into())).collect();
    Ok(Json(shape(&services.app_hooks.set(&scope, &app, secrets).await?)))
}

fn shape(shown: &Shown) -> Value {
    let Shown { hook, url, triggers, tally } = shown;
    let keys: Map<String, Value> =
        hook.secrets.iter().map(|(name, keys)| (name.clone(), json!({ "keys": keys.len() }))).collect();
    let accounts: Vec<_> = tally
        .unheard_accounts
        .iter()
        .map(|(account, at)| json!({ "account": account, "last_at": at.to_string() }))
        .collect();
    json!({
        "app": hook.app,
        "url": url,
        "secrets": keys,
        "triggers": triggers,
        "created_at": hook.created_at.to_string(),
        "updated_at": hook.updated_at.to_string(),
        "since_start": {
            "occurrences": tally.occurrences,
            "repeated": tally.repeated,
            "unheard": tally.unheard,
            "unheard_accounts": accounts,
        },
    })
}
