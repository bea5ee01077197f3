//! The JSON of what people are shown. Of a credential there is what names it, and nothing that proves it.

use serde_json::{Map, Value, json};
use trunnion_core::{
    choices::{Beside, Choice},
    definition::{ConfigField, FieldKind},
    manifest::{AuthKind, SecretField},
    records::Connection,
};

use crate::workflows::offer::{AppView, Offer, OfferedApp, OfferedField, OfferedWorkflow, SchemeView};

pub(super) fn offer(offer: &Offer) -> Value {
    let main = offer.apps.iter().find(|it| it.app.manifest.id == offer.integration.app);
    let title = main.map_or(offer.integration.app.as_str(), |it| it.app.manifest.title.as_str());
    json!({
        "integration": {
            "id": offer.integration.id,
            "app": offer.integration.app,
            "title": title,
            "icon": main.map(|it| it.app.manifest.icon.as_str()),
        },
        "apps": offer.apps.iter().map(offered_app).collect::<Vec<_>>(),
        "workflows": offer.workflows.iter().map(workflow).collect::<Vec<_>>(),
    })
}

fn offered_app(offered: &OfferedApp) -> Value {
    let mut shape = app(&offered.app);
    if let Some(members) = shape.as_object_mut() {
        members.insert("connections".to_owned(), offered.connections.iter().map(connection).collect());
        members.insert("connection".to_owned(), json!(offered.used));
    }
    shape
}

pub(super) fn app(AppView { manifest, schemes }: &AppView) -> Value {
    let parameter = |parameter: &trunnion_core::manifest::Parameter| {
        json!({
            "name": parameter.name,
            "title": parameter.title,
            "help": parameter.help,
            "pattern": parameter.pattern,
        })
    };
    let parameters = &manifest.connection.parameters;
    let typed = |scheme: &SchemeView| -> Vec<&str> {
        let asked = parameters.iter().filter(|parameter| !scheme.scheme.captures(&parameter.name));
        asked.map(|parameter| parameter.name.as_str()).collect()
    };
    let scheme = |view: &SchemeView| {
        json!({
            "id": view.scheme.id,
            "title": view.scheme.title,
            "type": match view.scheme.kind {
                AuthKind::Fields { .. } => "fields",
                AuthKind::Oauth2(_) => "oauth2",
                AuthKind::ClientCredentials(_) => "client_credentials",
                AuthKind::JwtBearer(_) => "jwt_bearer",
            },
            "ready": view.ready,
            "scopes": view.scopes,
            "parameters": typed(view),
            "fields": view.scheme.asks().iter().map(secret).collect::<Vec<_>>(),
        })
    };
    json!({
        "app": manifest.id,
        "title": manifest.title,
        "help": manifest.help,
        "icon": manifest.icon,
        "hosts": manifest.hosts,
        "parameters": parameters.iter().map(parameter).collect::<Vec<_>>(),
        "schemes": schemes.iter().map(scheme).collect::<Vec<_>>(),
    })
}

fn secret(field: &SecretField) -> Value {
    json!({ "name": field.name, "title": field.title, "help": field.help })
}

pub(super) fn connection(connection: &Connection) -> Value {
    json!({
        "id": connection.id,
        "app": connection.app,
        "scheme": connection.scheme,
        "account": connection.account,
        "title": connection.title,
        "needs_attention": connection.needs_attention,
        "created_at": connection.created_at.to_string(),
        "updated_at": connection.updated_at.to_string(),
    })
}

fn workflow(OfferedWorkflow { release, copy, fields }: &OfferedWorkflow) -> Value {
    let titled = |name: &str| {
        let known = release.definition.fields.iter().find(|field| field.name == name);
        known.map_or_else(|| name.to_owned(), |field| field.title.clone())
    };
    json!({
        "workflow_id": release.workflow,
        "name": release.definition.name,
        "release": release.number,
        "installed_release": copy.as_ref().map(|copy| copy.release),
        "active": copy.as_ref().is_some_and(|copy| copy.active),
        "update": copy.as_ref().is_some_and(|copy| copy.release < release.number),
        "fields": fields.iter().map(|it| field(it, titled)).collect::<Vec<_>>(),
    })
}

fn field(offered: &OfferedField, titled: impl Fn(&str) -> String) -> Value {
    let OfferedField { field: ConfigField { name, title, help, kind, required, default }, .. } = offered;
    let (kind, options) = match kind {
        FieldKind::Text => ("text", None),
        FieldKind::Number => ("number", None),
        FieldKind::Boolean => ("boolean", None),
        FieldKind::Choice { options } => ("choice", Some(options)),
    };
    json!({
        "name": name,
        "title": title,
        "help": help,
        "type": kind,
        "options": options,
        "required": required,
        "default": default,
        "value": offered.value,
        "new": offered.is_new,
        "lookup": offered.choice.as_ref().map(|choice| lookup(choice, titled)),
    })
}

fn lookup(Choice { app, lookup, beside }: &Choice, titled: impl Fn(&str) -> String) -> Value {
    let value = |beside: &Beside| match beside {
        Beside::Field(name) => json!({ "field": name, "title": titled(name) }),
        Beside::Fixed(value) => json!({ "value": value }),
    };
    let values: Map<_, _> = beside.iter().map(|(name, beside)| (name.clone(), value(beside))).collect();
    json!({ "app": app, "name": lookup, "values": values })
}
