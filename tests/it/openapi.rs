//! The OpenAPI document: that it is whole, that it is kept, and that the host does what it says.

mod calls;
mod clients;
mod matrix;

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;
use trunnion_tests::{host::workspace, scan};

/// Routes that are not in the document, and why.
const OTHERS: [(&str, &str); 14] = [
    ("/hooks/{token}", "vendors call it, each in its own form"),
    ("/requests/{token}", "each workflow answers as it says itself"),
    ("/requests/{token}/runs/{run}", "each workflow answers as it says itself"),
    ("/oauth/callback", "a page, where vendors send people back to"),
    ("/embed.js", "a script for pages"),
    ("/scripts/embedded.js", "a script for pages"),
    ("/forge-install", "a page"),
    ("/authenticate-app", "a page"),
    ("/embedded-install", "a page"),
    ("/ui/modal/{hash}/{file}", "what pages load"),
    ("/openapi.json", "the document itself"),
    ("/docs", "a page that shows the document"),
    ("/docs/{file}", "what that page loads"),
    ("/security/{workspace}/{environment}/alloy_public_key.pem", "a PEM, where Alloy's clients look for it"),
];

/// Other names of what the document has already, on the Alloy surface, as its clients and documents write them.
const ALIASES: [(&str, &str); 5] = [
    ("/user/{user}/token", "/users/{user}/token"),
    ("/apps", "/metadata/apps"),
    ("/credentials", "/metadata/credentials"),
    ("/credentials/{app}", "/metadata/credentials/{app}"),
    ("/workflow/{workflow}/logs", "/workflows/{workflow}/logs"),
];

/// An operation of the document.
struct Operation {
    path: String,
    method: String,
    said: Value,
}

impl Operation {
    fn id(&self) -> &str {
        self.said["operationId"].as_str().unwrap_or_else(|| panic!("{} {} has no id", self.method, self.path))
    }

    /// The schemes of `security`; none where anybody may call.
    fn schemes(&self) -> Vec<&str> {
        let declared = self.said["security"].as_array();
        let declared = declared.unwrap_or_else(|| panic!("`{}` does not say who may call it", self.id()));
        declared.iter().flat_map(|one| one.as_object().unwrap().keys().map(String::as_str)).collect()
    }

    fn statuses(&self) -> Vec<&str> {
        self.said["responses"].as_object().unwrap().keys().map(String::as_str).collect()
    }

    fn parameters(&self) -> impl Iterator<Item = &Value> {
        self.said["parameters"].as_array().into_iter().flatten()
    }
}

fn document() -> Value {
    serde_json::to_value(trunnion::api::document()).unwrap()
}

fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let item = item.as_object().unwrap().clone();
        let path = path.clone();
        item.into_iter().map(move |(method, said)| Operation { path: path.clone(), method, said })
    };
    paths.iter().flat_map(of).collect()
}

#[test]
fn the_document_is_kept_as_it_is() {
    let kept = fs::read_to_string(workspace().join("sdk/openapi.json")).unwrap_or_default();
    let made = format!("{}\n", trunnion::api::document().to_pretty_json().unwrap());
    assert!(
        kept == made,
        "sdk/openapi.json is not what the routes say; run `cargo xtask openapi` and commit it"
    );
}

#[test]
fn every_route_is_in_the_document_or_listed_with_a_reason() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    for (alias, of) in ALIASES {
        assert!(paths.contains_key(&format!("/2024-03{of}")), "`{alias}` is another name of nothing");
    }
    let root = workspace().join("host/src");
    let mut seen = Vec::new();
    for path in scan::files(&root).unwrap() {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        if !(name.starts_with("api") || name.starts_with("ui")) {
            continue;
        }
        // Routes that describe themselves go by `.routes(routes!(…))`.
        let text = fs::read_to_string(&path).unwrap();
        for call in text.split(".route(").skip(1) {
            let route = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
            let route = route.unwrap_or_else(|| panic!("{name}: write a route's path where it is added"));
            let known = OTHERS.iter().chain(&ALIASES).any(|(known, _)| *known == route);
            assert!(
                known,
                "{name}: `{route}` is not described; add it by `routes!`, or list it here with a reason"
            );
            seen.push(route.to_owned());
        }
    }
    for (route, _) in OTHERS.iter().chain(&ALIASES) {
        assert!(seen.iter().any(|seen| seen == route), "`{route}` is listed here and nowhere else");
    }
}

#[test]
fn every_operation_says_what_callers_need_to_know() {
    let document = document();
    let operations = operations(&document);
    assert!(operations.len() > 90, "only {} operations", operations.len());
    let mut ids: Vec<_> = operations.iter().map(Operation::id).collect();
    ids.sort_unstable();
    ids.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "two operations have this id"));
    let known = document["components"]["securitySchemes"].as_object().unwrap();
    for operation in &operations {
        let id = operation.id();
        assert!(operation.said["summary"].is_string(), "`{id}` has no summary");
        for scheme in operation.schemes() {
            assert!(known.contains_key(scheme), "`{id}`: `{scheme}` is no security scheme");
        }
        for parameter in operation.parameters() {
            assert!(parameter["description"].is_string(), "`{id}`: `{}` has no words", parameter["name"]);
        }
        assert!(operation.statuses().iter().any(|status| status.starts_with('2')), "`{id}` never succeeds");
    }
}

/// The types whose schemas the document has: the name there, where it is, and what is written of it.
fn described_types(root: &Path) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for path in scan::files(root).unwrap() {
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split("ToSchema)").skip(1) {
            // An item of one line, or one that ends where a brace closes in the first column.
            let item = rest.split("\n}").next().unwrap().split(";\n").next().unwrap();
            let words: Vec<&str> = item.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
            let own = words.windows(2).find(|pair| ["struct", "enum"].contains(&pair[0]));
            let own = own.unwrap_or_else(|| panic!("{}: what is `{item}`?", path.display()));
            let given = item.split("schema(as = ").nth(1).and_then(|rest| rest.split([')', ',']).next());
            found.push((given.unwrap_or(own[1]).to_owned(), path.display().to_string(), item.to_owned()));
        }
    }
    found
}

#[test]
fn no_two_types_go_by_one_name() {
    // The document keeps the last of them, and says nothing.
    let mut known = BTreeMap::new();
    let mut all = described_types(&workspace().join("host/src"));
    all.extend(described_types(&workspace().join("host/core/src")));
    assert!(all.len() > 150, "only {} types", all.len());
    for (name, path, item) in all {
        if let Some((other, of_other)) = known.insert(name.clone(), (path.clone(), item.clone())) {
            assert_eq!(
                item, of_other,
                "`{name}` is a schema of {path} and another of {other}; rename one by `schema(as = …)`"
            );
        }
    }
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    // What is generic goes by its own name and its parameter's, the cases of a choice by its name and theirs.
    let of_a_type = |name: &str| {
        let rest = known.keys().filter_map(|of| name.strip_prefix(of.as_str()));
        rest.into_iter()
            .any(|rest| rest.is_empty() || rest.starts_with(|c: char| c == '_' || c.is_uppercase()))
    };
    let unknown: Vec<_> = schemas
        .keys()
        .filter(|name| !of_a_type(name) && !["Id", "Moment"].contains(&name.as_str()))
        .collect();
    assert_eq!(unknown, [""; 0], "schemas whose types this does not find");
}

#[test]
fn every_reference_leads_somewhere_and_nothing_is_composed() {
    let document = document();
    let text = document.to_string();
    assert!(!text.contains("\"allOf\""), "an `allOf` is left, which some generators of clients refuse");
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "there is no `{pointer}`");
    }
}
