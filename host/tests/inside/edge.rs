//! The HTTP edge of a host without connectors, in this process and in manual time.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, Uri},
};
use serde_json::Value;
use tower::ServiceExt;
use trunnion::{
    access::Access,
    api::{self, Services},
    config::Config,
    server::wire,
};
use trunnion_core::{
    clock::{Clock, ManualClock, Timestamp},
    records::{Authority, Workspace},
    scope::{Environment, Scope},
};
use trunnion_store::{KeyRing, Store, memory::Memory};

use crate::bare::{Nowhere, context, scope, swaps};

/// A host's routes, with keys of both environments of a workspace.
pub(crate) struct Edge {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) development: String,
    pub(crate) production: String,
    pub(crate) operator: String,
    pub(crate) store: Store,
    router: Router,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().or(self.body["detail"].as_str()).unwrap_or_default()
    }

    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.body
    }
}

impl Edge {
    pub(crate) async fn start() -> Self {
        Self::start_with(&Config::default()).await
    }

    pub(crate) async fn start_with(config: &Config) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_900_000_000_000)));
        let store = Store::new(Arc::new(Memory::new()), Arc::new(KeyRing::in_memory().unwrap()));
        let context = context(store.clone(), Arc::<ManualClock>::clone(&clock), Arc::new(Nowhere));
        let access = Access::new(context.clone());
        let mut keys = Vec::new();
        for environment in Environment::ALL {
            let authority = Authority::Environment { scope: Scope::new(scope().workspace, environment) };
            let key = access.fresh(authority);
            access.grant(&key, authority, "test").await.unwrap();
            keys.push(key);
        }
        let operator = access.fresh(Authority::Operator);
        access.grant(&operator, Authority::Operator, "operator").await.unwrap();
        let workspace = Workspace { id: scope().workspace, name: "isv".to_owned(), created_at: clock.now() };
        access.ensure_workspace(&workspace).await.unwrap();
        let (services, _worker) = wire(config, context.clone(), swaps(&context));
        let router = api::router(Services::from(services));
        let [development, production] = <[String; 2]>::try_from(keys).unwrap();
        Self { clock, development, production, operator, store, router }
    }

    /// A request with these headers.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.into()).unwrap();
        let tidied: Option<Uri> = api::path::tidy(request.uri());
        if let Some(uri) = tidied {
            *request.uri_mut() = uri;
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { status, headers, body }
    }

    /// A call with the development key, and a JSON body where there is one.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let key = format!("Bearer {}", self.development);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &[("authorization", &key)], body).await
    }

    /// A call with this key and these further headers.
    pub(crate) async fn as_key(
        &self,
        key: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let key = format!("Bearer {key}");
        let headers = [&[("authorization", key.as_str())], headers].concat();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &headers, body).await
    }

    /// A call with a user's token.
    pub(crate) async fn with_token(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, path, &[("x-alloy-user-token", token)], body).await
    }

    /// A user of this name, by id.
    pub(crate) async fn user(&self, name: &str) -> String {
        let made = self.call("POST", "/2024-03/users", serde_json::json!({ "username": name })).await.ok();
        made["userId"].as_str().unwrap().to_owned()
    }
}
