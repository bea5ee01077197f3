//! Offers: what a person is shown before they install. The apps to connect, whom data is exchanged with, the accounts they
//! have, and each workflow's open fields with the values that are in force.
//!
//! It only reads; `install` decides. What it says of releases is what `install` is then asked for, so that nobody installs
//! another one than they saw.

use std::sync::Arc;

use serde_json::Value;
use trunnion_core::{
    choices::{self, Choice},
    definition::ConfigField,
    id::{ConnectionId, IntegrationId, UserId, WorkflowId},
    manifest::{AuthKind, AuthScheme, Manifest},
    records::{Connection, Installation, Integration},
    release::Release,
    scope::Scope,
};

use super::{
    install::Installer,
    library::Library,
    releases::{Releases, version_id},
};
use crate::{
    context::Context,
    error::{Error, Result},
    vault::{Vault, registration},
};

/// Says what there is to install.
#[derive(Clone, Debug)]
pub struct Offers {
    context: Context,
    library: Library,
    releases: Arc<Releases>,
    installer: Installer,
    vault: Vault,
}

/// What is wanted: an integration, or some workflows of one.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The integration; that of the workflows where none is named.
    pub integration: Option<IntegrationId>,
    /// The workflows; every released one where none is named.
    pub workflows: Vec<WorkflowId>,
    /// Other releases than the newest, by their version ids.
    pub versions: Vec<String>,
}

/// What a person is shown.
#[derive(Debug)]
pub struct Offer {
    /// The integration.
    pub integration: Integration,
    /// The apps that have to be connected.
    pub apps: Vec<OfferedApp>,
    /// What is installed.
    pub workflows: Vec<OfferedWorkflow>,
}

/// An app, and how it may be connected in this environment.
#[derive(Debug)]
pub struct AppView {
    /// What its connector says.
    pub manifest: Arc<Manifest>,
    /// The ways to connect.
    pub schemes: Vec<SchemeView>,
}

/// A way to connect.
#[derive(Debug)]
pub struct SchemeView {
    /// What the manifest says.
    pub scheme: AuthScheme,
    /// What the vendor will be asked to allow.
    pub scopes: Vec<String>,
    /// Whether the environment has what it needs: the ISV's own client.
    pub ready: bool,
}

/// An app of an offer.
#[derive(Debug)]
pub struct OfferedApp {
    /// The app.
    pub app: AppView,
    /// The user's accounts.
    pub connections: Vec<Connection>,
    /// The one that installed workflows use.
    pub used: Option<ConnectionId>,
}

/// A workflow of an offer.
#[derive(Debug)]
pub struct OfferedWorkflow {
    /// The release.
    pub release: Arc<Release>,
    /// The user's copy.
    pub copy: Option<Installation>,
    /// Its fields.
    pub fields: Vec<OfferedField>,
}

/// A field to fill in.
#[derive(Debug)]
pub struct OfferedField {
    /// What it is.
    pub field: ConfigField,
    /// Where its values come from, where the user's account knows them.
    pub choice: Option<Choice>,
    /// The value in force.
    pub value: Option<Value>,
    /// Whether the user's copy did not have it yet.
    pub is_new: bool,
}

impl Offers {
    /// Over `context`.
    #[must_use]
    pub const fn new(
        context: Context,
        library: Library,
        releases: Arc<Releases>,
        installer: Installer,
        vault: Vault,
    ) -> Self {
        Self { context, library, releases, installer, vault }
    }

    /// What a user who wants this is shown.
    pub async fn offer(&self, scope: &Scope, user: UserId, wanted: &Wanted) -> Result<Offer> {
        let integration = self.integration(scope, wanted).await?;
        let copies = self.installer.of_user(scope, user).await?;
        let mut workflows = Vec::new();
        for release in self.wanted_releases(scope, &integration, wanted).await? {
            let copy = copies.iter().find(|copy| copy.workflow == release.workflow).cloned();
            workflows.push(self.workflow(scope, release, copy).await?);
        }
        let mut names: Vec<&str> = Vec::new();
        for app in workflows.iter().flat_map(|it| it.release.definition.connected_apps()) {
            if !names.contains(&app) {
                names.push(app);
            }
        }
        let owned = self.vault.connections(scope, user).await?;
        let mut apps = Vec::new();
        for name in names {
            let used = workflows.iter().find_map(|it| it.copy.as_ref()?.connections.get(name).copied());
            let connections = owned.iter().filter(|connection| connection.app == name).cloned().collect();
            apps.push(OfferedApp { app: self.app(scope, name).await?, connections, used });
        }
        Ok(Offer { integration, apps, workflows })
    }

    /// An app, and how it may be connected here.
    pub async fn app(&self, scope: &Scope, app: &str) -> Result<AppView> {
        let manifest = self.context.registry.manifest(app).ok_or_else(|| {
            let known = self.context.registry.known_apps();
            let message = format!("there is no connector for the app `{app}`; this host has {known}");
            Error::not_found("app-unknown", message)
        })?;
        let client = registration(&self.context.store, scope, app).await?;
        let view = |scheme: &AuthScheme| {
            let own = match &scheme.kind {
                AuthKind::Fields { .. } => &[][..],
                AuthKind::Oauth2(oauth) => &oauth.scopes,
                AuthKind::ClientCredentials(credentials) => &credentials.scopes,
                AuthKind::JwtBearer(bearer) => &bearer.scopes,
            };
            let said = client.as_ref().and_then(|client| client.scopes.clone());
            SchemeView {
                scopes: said.filter(|_| scheme.needs_registration()).unwrap_or_else(|| own.to_vec()),
                ready: !scheme.needs_registration() || client.is_some(),
                scheme: scheme.clone(),
            }
        };
        let schemes = manifest.connection.schemes.iter().map(view).collect();
        Ok(AppView { manifest, schemes })
    }

    /// The apps of the workspace's integrations, as far as there are connectors for them.
    pub async fn apps(&self, scope: &Scope) -> Result<Vec<AppView>> {
        let mut apps = Vec::new();
        let mut names: Vec<_> =
            self.library.integrations(scope).await?.into_iter().map(|integration| integration.app).collect();
        names.sort();
        names.dedup();
        for name in names.iter().filter(|name| self.context.registry.manifest(name).is_some()) {
            apps.push(self.app(scope, name).await?);
        }
        Ok(apps)
    }

    async fn integration(&self, scope: &Scope, wanted: &Wanted) -> Result<Integration> {
        let id = match (wanted.integration, wanted.workflows.first()) {
            (Some(id), _) => id,
            (None, Some(workflow)) => self.library.workflow(scope, *workflow).await?.integration,
            (None, None) => {
                let message = "name an integration or workflows to install";
                return Err(Error::invalid("nothing-to-install", message));
            }
        };
        self.library.integration(scope, id).await
    }

    async fn wanted_releases(
        &self,
        scope: &Scope,
        integration: &Integration,
        wanted: &Wanted,
    ) -> Result<Vec<Arc<Release>>> {
        let mut found: Vec<Arc<Release>> = Vec::new();
        let mut known = Vec::new();
        for workflow in self.library.workflows(scope).await? {
            let named = wanted.workflows.is_empty() || wanted.workflows.contains(&workflow.id);
            if workflow.integration != integration.id || !named {
                continue;
            }
            let versions = (1..=workflow.latest_release).rev();
            let named = versions
                .into_iter()
                .find(|number| wanted.versions.contains(&version_id(workflow.id, *number)));
            let number = named.unwrap_or(workflow.latest_release);
            known.extend(named.map(|number| version_id(workflow.id, number)));
            if number > 0 {
                let compiled = self.releases.get(scope, workflow.id, number).await?;
                found.push(Arc::clone(&compiled.release));
            }
        }
        if let Some(missing) =
            wanted.workflows.iter().find(|id| !found.iter().any(|release| release.workflow == **id))
        {
            let message = format!(
                "integration `{}` has no released workflow `{missing}`; install the workflows of one integration at a time",
                integration.id
            );
            return Err(Error::not_found("workflow-unknown", message));
        }
        // One official client sends the workflows' own ids where it is given a single version.
        let no_version = |id: &&String| {
            !known.contains(id) && !found.iter().any(|release| release.workflow.to_string() == **id)
        };
        if let Some(missing) = wanted.versions.iter().find(no_version) {
            let message = format!("none of these workflows has a version `{missing}`");
            return Err(Error::not_found("release-unknown", message));
        }
        Ok(found)
    }

    async fn workflow(
        &self,
        scope: &Scope,
        release: Arc<Release>,
        copy: Option<Installation>,
    ) -> Result<OfferedWorkflow> {
        let definition = &release.definition;
        let standing = self.context.registry.standing();
        let manifest = |app: &str| standing.connector(app).map(|connector| connector.manifest().as_ref());
        let mut choices = choices::of(definition, manifest);
        // A field is new where the release in force did not have it, not where it has no value.
        let before = match &copy {
            Some(copy) => Some(self.releases.get(scope, copy.workflow, copy.release).await?),
            None => None,
        };
        let fields = definition.fields.iter().map(|field| OfferedField {
            choice: choices.remove(&field.name),
            value: copy
                .as_ref()
                .and_then(|copy| copy.config.get(&field.name))
                .filter(|it| !it.is_null())
                .cloned(),
            is_new: before.as_ref().is_some_and(|before| {
                !before.release.definition.fields.iter().any(|known| known.name == field.name)
            }),
            field: field.clone(),
        });
        let fields = fields.collect();
        Ok(OfferedWorkflow { release, copy, fields })
    }
}
