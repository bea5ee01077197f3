//! `trunnion connector from-openapi`: what it makes of a description compiles and passes `check`, and it does what the
//! description says.

use std::fs;

use serde_json::{Value, json};
use trunnion_tests::host::workspace;

use super::author::{does, is_refused};

/// A small API with a bit of everything.
fn description() -> Value {
    json!({
        "openapi": "3.0.3", "info": {"title": "Harbour \"API\"", "version": "1"},
        "servers": [{"url": "https://{region}.harbour.example/v2/", "variables": {"region": {"default": "eu"}}}],
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Harbour-Key"}},
            "schemas": {"Ship": {"type": "object", "required": ["id", "type"], "properties": {
                "id": {"type": "integer", "readOnly": true}, "type": {"type": "string", "description": "What kind."},
                "draughtM": {"type": "number", "nullable": true}, "sister": {"$ref": "#/components/schemas/Ship"},
            }}},
        },
        "paths": {
            "/account": {"get": {"operationId": "getAccount", "summary": "The account", "responses": {"200": {
                "description": "ok", "content": {"application/json": {"schema": {"type": "object", "properties": {
                    "id": {"type": "string", "format": "uuid"}}}}}}}}},
            "/ships/{shipId}": {
                "parameters": [{"name": "shipId", "in": "path", "required": true, "schema": {"type": "integer"}}],
                "get": {"parameters": [
                    {"name": "with", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                ], "responses": {"200": {"description": "ok", "content": {"application/json": {
                    "schema": {"$ref": "#/components/schemas/Ship"}}}}}},
                "delete": {"operationId": "scrap", "responses": {"204": {"description": "gone"}}},
            },
            "/ships": {"post": {"operationId": "create-ship", "description": "Launches a ship.\nWith champagne.",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Ship"}}}},
                "responses": {"201": {"description": "made", "content": {"application/json": {
                    "schema": {"$ref": "#/components/schemas/Ship"}}}}}}},
            "/photos": {"post": {"requestBody": {"content": {"image/png": {}}}, "responses": {}}},
        },
    })
}

#[tokio::test]
async fn a_description_becomes_a_connector_that_passes_every_judgement() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("harbour.json"), description().to_string()).unwrap();
    let said = does(folder.path(), &["from-openapi", "harbour.json", "harbour"]).await;
    assert!(said.contains("4 actions (1 left out)"), "{said}");

    let checked: Value =
        serde_json::from_str(&does(folder.path(), &["check", "harbour", "--json"]).await).unwrap();
    let findings = checked["findings"].as_array().unwrap();
    assert!(findings.iter().all(|finding| finding["weight"] == "warning"), "{checked:#}");

    let manifest: Value =
        serde_json::from_str(&does(folder.path(), &["describe", "harbour", "--json"]).await).unwrap();
    assert_eq!(manifest["hosts"], json!(["eu.harbour.example"]));
    let scheme = &manifest["connection"]["schemes"][0];
    assert_eq!(
        scheme["place"],
        json!([{"in": "header", "name": "X-Harbour-Key", "value": "{{secret:api_key}}"}])
    );
    let action = |id: &str| {
        let actions = manifest["actions"].as_array().unwrap();
        actions
            .iter()
            .find(|action| action["id"] == id)
            .unwrap_or_else(|| panic!("{id}: {manifest:#}"))
            .clone()
    };
    let create = action("create_ship");
    assert_eq!(create["repeat"], "never");
    assert_eq!(create["help"], "Launches a ship. With champagne.");
    assert!(create["sample_input"]["body"].get("id").is_none(), "what the vendor makes is not asked for");
    assert_eq!(create["sample_output"]["id"], 1);
    let get = action("get_ships_ship_id");
    assert_eq!((&get["repeat"], &get["sample_input"]["with"]), (&json!("safe"), &json!("text")));
    assert_eq!(get["output"]["$defs"]["Ship"]["properties"]["draughtM"]["type"], json!(["number", "null"]));

    let tested = does(folder.path(), &["test", "harbour"]).await;
    assert!(tested.contains("0 are broken"), "{tested}");
}

#[tokio::test]
async fn hubspots_own_description_becomes_a_connector() {
    let path = workspace().join("../shared/specs/hubspot/contacts.derived.openapi.json");
    if !path.is_file() {
        println!("SKIPPED hubspots_own_description_becomes_a_connector: no description in ../shared");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = path.to_str().unwrap();
    does(folder.path(), &["from-openapi", path, "hubspot-contacts"]).await;
    let said = does(folder.path(), &["check", "hubspot-contacts"]).await;
    println!("{said}");
    assert!(said.contains("0 faults"), "{said}");
}

#[tokio::test]
async fn what_is_no_description_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    for (text, expected) in [
        ("openapi: 3.0.0".to_owned(), "convert YAML first"),
        (json!({"swagger": "2.0"}).to_string(), "no OpenAPI 3 description"),
        (json!({"openapi": "3.1.0", "servers": [{"url": "/v1"}]}).to_string(), "no server with an https URL"),
        (
            json!({"openapi": "3.1.0", "servers": [{"url": "https://a.example"}], "paths": {}}).to_string(),
            "there is none",
        ),
    ] {
        fs::write(folder.path().join("x.json"), text).unwrap();
        let said = is_refused(folder.path(), &["from-openapi", "x.json", "acme"]).await;
        assert!(said.contains(expected) && said.contains("x.json"), "{expected}: {said}");
    }
}
