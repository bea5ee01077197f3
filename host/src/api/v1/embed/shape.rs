//! What people are shown, as JSON. Of a credential there is what names it, and nothing that proves it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use trunnion_core::{
    choices::{self, Beside},
    definition::{ConfigField, FieldKind, FieldOption},
    manifest::{AuthKind, Parameter, ParameterPattern, SecretField},
    records,
};
use utoipa::ToSchema;

use crate::{
    api::schema::{Id, Moment},
    workflows::offer::{AppView, Offer, OfferedApp, OfferedField, OfferedWorkflow, SchemeView},
};

/// What there is to install.
#[derive(Serialize, ToSchema)]
pub(super) struct EmbedOffer {
    integration: EmbedIntegration,
    /// The apps that have to be connected.
    apps: Vec<ConnectableApp>,
    workflows: Vec<EmbedWorkflow>,
}

/// The integration that is installed.
#[derive(Serialize, ToSchema)]
struct EmbedIntegration {
    id: Id,
    app: String,
    title: String,
    /// A URL, often `data:`; null where the app has none.
    #[schema(required)]
    icon: Option<String>,
}

/// An app and the ways to connect it.
#[derive(Serialize, ToSchema)]
pub(super) struct EmbedApp {
    app: String,
    title: String,
    help: String,
    icon: String,
    /// The hosts that its connector may reach.
    hosts: Vec<String>,
    /// What the app's address needs.
    parameters: Vec<EmbedParameter>,
    schemes: Vec<EmbedScheme>,
}

/// An app that has to be connected, and the user's accounts.
#[derive(Serialize, ToSchema)]
struct ConnectableApp {
    #[serde(flatten)]
    app: EmbedApp,
    connections: Vec<EmbedConnection>,
    /// The one that installed workflows use.
    #[schema(required)]
    connection: Option<Id>,
}

/// What an app's address needs, such as the name of a shop.
#[derive(Serialize, ToSchema)]
struct EmbedParameter {
    name: String,
    title: String,
    help: String,
    #[schema(value_type = String)]
    pattern: ParameterPattern,
}

/// A way to connect.
#[derive(Serialize, ToSchema)]
struct EmbedScheme {
    id: String,
    title: String,
    /// `fields`, `oauth2`, `client_credentials` or `jwt_bearer`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Whether the environment has what it needs: the ISV's own client.
    ready: bool,
    /// What the vendor will be asked to allow.
    scopes: Vec<String>,
    /// The parameters that a person types.
    parameters: Vec<String>,
    /// The secrets that a person types.
    fields: Vec<EmbedSecretField>,
}

/// A secret that a person types.
#[derive(Serialize, ToSchema)]
struct EmbedSecretField {
    name: String,
    title: String,
    help: String,
}

/// A user's connection.
#[derive(Serialize, ToSchema)]
pub(super) struct EmbedConnection {
    id: Id,
    app: String,
    /// The way it was connected.
    scheme: String,
    /// The account's id at the vendor.
    account: String,
    /// What a person calls the account.
    title: String,
    /// Why the vendor refuses it; null while it works.
    #[schema(required)]
    needs_attention: Option<String>,
    created_at: Moment,
    updated_at: Moment,
}

/// A workflow that can be installed.
#[derive(Serialize, ToSchema)]
struct EmbedWorkflow {
    workflow_id: Id,
    name: String,
    release: u32,
    /// The release of the user's copy; null without one.
    #[schema(required)]
    installed_release: Option<u32>,
    active: bool,
    /// Whether the user's copy is of an older release.
    update: bool,
    fields: Vec<EmbedField>,
}

/// A field to fill in.
#[derive(Serialize, ToSchema)]
struct EmbedField {
    name: String,
    title: String,
    help: String,
    /// `text`, `number`, `boolean` or `choice`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Of a choice: what there is to choose.
    #[schema(required)]
    options: Option<Vec<FieldOption>>,
    required: bool,
    default: Option<Value>,
    /// The value in force.
    value: Option<Value>,
    /// Whether the user's copy did not have it yet.
    new: bool,
    /// Where its values come from, where the user's account knows them.
    #[schema(required)]
    lookup: Option<EmbedLookup>,
}

/// Where a field's values come from.
#[derive(Serialize, ToSchema)]
struct EmbedLookup {
    /// The app whose account is asked.
    app: String,
    name: String,
    /// What the lookup is told, by the names it knows.
    values: BTreeMap<String, EmbedBeside>,
}

/// A value beside the one that is chosen.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum EmbedBeside {
    /// That of another field.
    Field { field: String, title: String },
    /// The workflow's own.
    Fixed { value: Value },
}

pub(super) fn offer(offer: &Offer) -> EmbedOffer {
    let main = offer.apps.iter().find(|it| it.app.manifest.id == offer.integration.app);
    let title = main.map_or(&offer.integration.app, |it| &it.app.manifest.title);
    EmbedOffer {
        integration: EmbedIntegration {
            id: Id::of(offer.integration.id),
            app: offer.integration.app.clone(),
            title: title.clone(),
            icon: main.map(|it| it.app.manifest.icon.clone()),
        },
        apps: offer.apps.iter().map(offered_app).collect(),
        workflows: offer.workflows.iter().map(workflow).collect(),
    }
}

fn offered_app(offered: &OfferedApp) -> ConnectableApp {
    ConnectableApp {
        app: app(&offered.app),
        connections: offered.connections.iter().map(connection).collect(),
        connection: offered.used.map(Id::of),
    }
}

pub(super) fn app(AppView { manifest, schemes }: &AppView) -> EmbedApp {
    let parameters = &manifest.connection.parameters;
    let typed = |scheme: &SchemeView| -> Vec<String> {
        let asked = parameters.iter().filter(|parameter| !scheme.scheme.captures(&parameter.name));
        asked.map(|parameter| parameter.name.clone()).collect()
    };
    let scheme = |view: &SchemeView| EmbedScheme {
        id: view.scheme.id.clone(),
        title: view.scheme.title.clone(),
        kind: match view.scheme.kind {
            AuthKind::Fields { .. } => "fields",
            AuthKind::Oauth2(_) => "oauth2",
            AuthKind::ClientCredentials(_) => "client_credentials",
            AuthKind::JwtBearer(_) => "jwt_bearer",
        },
        ready: view.ready,
        scopes: view.scopes.clone(),
        parameters: typed(view),
        fields: view.scheme.asks().iter().map(secret).collect(),
    };
    EmbedApp {
        app: manifest.id.clone(),
        title: manifest.title.clone(),
        help: manifest.help.clone(),
        icon: manifest.icon.clone(),
        hosts: manifest.hosts.clone(),
        parameters: parameters.iter().map(parameter).collect(),
        schemes: schemes.iter().map(scheme).collect(),
    }
}

fn parameter(parameter: &Parameter) -> EmbedParameter {
    EmbedParameter {
        name: parameter.name.clone(),
        title: parameter.title.clone(),
        help: parameter.help.clone(),
        pattern: parameter.pattern,
    }
}

fn secret(field: &SecretField) -> EmbedSecretField {
    EmbedSecretField { name: field.name.clone(), title: field.title.clone(), help: field.help.clone() }
}

pub(super) fn connection(connection: &records::Connection) -> EmbedConnection {
    EmbedConnection {
        id: Id::of(connection.id),
        app: connection.app.clone(),
        scheme: connection.scheme.clone(),
        account: connection.account.clone(),
        title: connection.title.clone(),
        needs_attention: connection.needs_attention.clone(),
        created_at: Moment::of(connection.created_at),
        updated_at: Moment::of(connection.updated_at),
    }
}

fn workflow(OfferedWorkflow { release, copy, fields }: &OfferedWorkflow) -> EmbedWorkflow {
    let titled = |name: &str| {
        let known = release.definition.fields.iter().find(|field| field.name == name);
        known.map_or_else(|| name.to_owned(), |field| field.title.clone())
    };
    EmbedWorkflow {
        workflow_id: Id::of(release.workflow),
        name: release.definition.name.clone(),
        release: release.number,
        installed_release: copy.as_ref().map(|copy| copy.release),
        active: copy.as_ref().is_some_and(|copy| copy.active),
        update: copy.as_ref().is_some_and(|copy| copy.release < release.number),
        fields: fields.iter().map(|it| field(it, titled)).collect(),
    }
}

fn field(offered: &OfferedField, titled: impl Fn(&str) -> String) -> EmbedField {
    let OfferedField { field: ConfigField { name, title, help, kind, required, default }, .. } = offered;
    let (kind, options) = match kind {
        FieldKind::Text => ("text", None),
        FieldKind::Number => ("number", None),
        FieldKind::Boolean => ("boolean", None),
        FieldKind::Choice { options } => ("choice", Some(options.clone())),
    };
    EmbedField {
        name: name.clone(),
        title: title.clone(),
        help: help.clone(),
        kind,
        options,
        required: *required,
        default: default.clone(),
        value: offered.value.clone(),
        new: offered.is_new,
        lookup: offered.choice.as_ref().map(|choice| lookup(choice, titled)),
    }
}

fn lookup(choice: &choices::Choice, titled: impl Fn(&str) -> String) -> EmbedLookup {
    let value = |beside: &Beside| match beside {
        Beside::Field(name) => EmbedBeside::Field { field: name.clone(), title: titled(name) },
        Beside::Fixed(value) => EmbedBeside::Fixed { value: value.clone() },
    };
    EmbedLookup {
        app: choice.app.clone(),
        name: choice.lookup.clone(),
        values: choice.beside.iter().map(|(name, beside)| (name.clone(), value(beside))).collect(),
    }
}
