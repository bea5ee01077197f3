//! What a portal is set up with: properties, owners, pipelines. The same in every portal.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, RawQuery},
    routing::get,
};
use serde_json::{Value, json};

use super::{
    Shared,
    portals::{Refusal, known, refusal},
};
use crate::desk::{form, member};

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/crm/v3/properties/{kind}", get(properties))
        .route("/crm/v3/owners", get(owners))
        .route("/crm/v3/pipelines/{kind}", get(pipelines))
}

async fn properties(Path(kind): Path<String>) -> Result<Json<Value>, Refusal> {
    let names = known(&kind).ok_or_else(|| refusal(400, "VALIDATION_ERROR", "No such kind of object"))?;
    let property = |name: &&str| {
        json!({ "name": name, "label": format!("The {name}"), "type": "string", "fieldType": "text",
                "groupName": "information", "hidden": name.starts_with("hs_") })
    };
    Ok(Json(json!({ "results": names.iter().map(property).collect::<Vec<_>>() })))
}

/// Two pages of one owner.
async fn owners(RawQuery(query): RawQuery) -> Json<Value> {
    let query = form(query.unwrap_or_default().as_bytes());
    let owner = |id: &str, name: &str| json!({ "id": id, "email": format!("{name}@acme.example"), "firstName": name, "lastName": "Q", "archived": false });
    Json(match member(&query, "after") {
        "" => json!({ "results": [owner("7", "ada")], "paging": { "next": { "after": "two" } } }),
        _ => json!({ "results": [owner("8", "eve")] }),
    })
}

async fn pipelines(Path(kind): Path<String>) -> Result<Json<Value>, Refusal> {
    let stages = match kind.as_str() {
        "deals" => {
            json!([{ "id": "appointmentscheduled", "label": "Appointment" }, { "id": "closedwon", "label": "Won" }])
        }
        "tickets" => json!([{ "id": "1", "label": "New" }, { "id": "4", "label": "Closed" }]),
        _ => return Err(refusal(400, "VALIDATION_ERROR", "This kind of object has no pipelines")),
    };
    Ok(Json(
        json!({ "results": [{ "id": "default", "label": "Usual", "displayOrder": 0, "stages": stages }] }),
    ))
}
