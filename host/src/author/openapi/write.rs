//! Writing a connector's crate for what was read of a description.

use std::{fmt::Write as _, path::PathBuf};

use serde_json::{Map, Value};

use super::{Api, Auth, Error, Field, Operation, Parameter, Payload, Place, names};
use crate::author::template::{Crate, check_name};

const LIB: &str = include_str!("../template/openapi.rs.txt");

/// The crate of a connector `name` for this API.
pub fn connector(name: &str, api: &Api) -> Result<Crate, Error> {
    check_name(name)?;
    let mut files = Vec::new();
    let (mut operations, mut declarations) = (String::new(), String::new());
    for operation in &api.operations {
        operations.push_str(&function(operation, authenticated(&api.auth)));
        declarations.push_str(&declaration(operation));
        if let Some((schema, _)) = &operation.answer {
            files.push((schema_path(operation), pretty(schema)));
        }
        files.push((sample_path(operation, "input"), pretty(&input_sample(operation))));
        files.push((sample_path(operation, "output"), pretty(&output_sample(operation))));
    }
    let lib = LIB
        .replace("__NAME__", name)
        .replace("__TITLE__", &api.title.escape_default().to_string())
        .replace("__BASE__", &api.base.escape_default().to_string())
        .replace("__HOST__", &api.host)
        .replace("__CONNECTION__", &connection(&api.auth))
        .replace("__CHECK__", &check(api))
        .replace("__ACTIONS__", &declarations);
    files.push((PathBuf::from("src/operations.rs"), operations_file(&operations)));
    Ok(Crate { name: name.to_owned(), lib, files })
}

/// What has the host add the credential; where there is none, asking for it would be refused.
const fn authenticated(auth: &Auth) -> &'static str {
    match auth {
        Auth::None => "",
        Auth::Bearer | Auth::Header(_) | Auth::Query(_) => ".auth_connection()",
    }
}

fn operations_file(functions: &str) -> String {
    format!(
        "//! The API's operations, each a function from its input to its answer.\n\n\
         use trunnion_sdk::prelude::*;\n\nuse crate::{{Described, answered, header, path, query}};\n{functions}"
    )
}

fn connection(auth: &Auth) -> String {
    let scheme = |title: &str, place: &str| {
        format!(
            "Connection::new().scheme(\n        Scheme::fields(\"api_key\", \"{title}\")\n            .field(\"api_key\", \
             \"{title}\", \"Where the vendor shows it\")\n            {place},\n    )"
        )
    };
    match auth {
        Auth::None => "Connection::new()".to_owned(),
        Auth::Bearer => {
            scheme("Access token", ".header(\"Authorization\", format!(\"Bearer {}\", secret(\"api_key\")))")
        }
        Auth::Header(name) => {
            scheme("API key", &format!(".header({}, secret(\"api_key\"))", names::literal(name)))
        }
        Auth::Query(name) => {
            scheme("API key", &format!(".query({}, secret(\"api_key\"))", names::literal(name)))
        }
    }
}

/// The first operation that only reads and needs nothing, to see whether a credential works.
fn check(api: &Api) -> String {
    let bare = |operation: &&Operation| {
        operation.method == "get" && operation.parameters.iter().all(|parameter| parameter.field.optional)
    };
    match api.operations.iter().find(bare) {
        Some(operation) => format!(
            "    let answer = ctx.http().get(format!(\"{{API}}{}\")){}.send()?;\n    \
             // Its `id`, where it has one, tells accounts apart; otherwise all are one.\n    \
             let me: Value = answer.json()?;\n    \
             let id = me[\"id\"].as_str().map(str::to_owned).or_else(|| me[\"id\"].as_u64().map(|id| id.to_string()));\n    \
             Ok(Account::new(id.unwrap_or_else(|| APP.to_owned()), TITLE))",
            operation.path,
            authenticated(&api.auth)
        ),
        None => "    // No operation reads without an input: nothing is asked, so any credential passes until it is used.\n    \
                 ctx.log(trunnion_sdk::host::Level::Warn, \"the credential was not tried\");\n    \
                 Ok(Account::new(APP, TITLE))"
            .to_owned(),
    }
}

fn function(operation: &Operation, authenticated: &str) -> String {
    let Operation { id, method, path, parameters, body, .. } = operation;
    let (kind, answer) = (names::camel(id), answer_type(operation));
    let mut text = String::new();
    if let Some(Payload::Object(fields)) = body {
        text.push_str(&structure(&format!("{kind}Body"), &format!("What `{id}` sends."), fields.iter()));
    }
    let mut extra = String::new();
    if let Some(body) = body {
        let of = if matches!(body, Payload::Any(_)) { "Value".to_owned() } else { format!("{kind}Body") };
        extra = format!("    /// What is sent.\n    body: {of},\n");
    }
    let fields = parameters.iter().map(|parameter| &parameter.field);
    text.push_str(&structure_with(&kind, &format!("What `{id}` takes."), fields, &extra, "Deserialize"));
    if operation.answer.is_some() {
        // Writing to a string cannot fail.
        let _written = write!(
            text,
            "\n/// What `{id}` answers: whatever the vendor says, described by its schema.\n\
             #[derive(Serialize)]\npub(crate) struct {answer}(Value);\n\n\
             impl Described for {answer} {{\n    const NAME: &'static str = {};\n    \
             const SCHEMA: &'static str = include_str!(\"../{}\");\n}}\n\ncrate::described!({answer});\n",
            names::literal(&answer),
            schema_path(operation).display(),
        );
    }
    let input = if parameters.is_empty() && body.is_none() { "_" } else { "input" };
    let _written = write!(
        text,
        "\npub(crate) fn {id}(ctx: &Context, {input}: {kind}) -> Result<{answer}> {{\n    \
         let url = path({}, &[{}]);\n    let request = ctx.http().{method}(url){authenticated};\n{}{}    \
         answered(&request.send()?){}\n}}\n",
        names::literal(path),
        parameters
            .iter()
            .filter(|one| one.place == Place::Path)
            .map(path_pair)
            .collect::<Vec<_>>()
            .join(", "),
        parameters.iter().filter(|one| one.place != Place::Path).map(placed).collect::<String>(),
        if body.is_some() { "    let request = request.json(&input.body)?;\n" } else { "" },
        if operation.answer.is_some() { format!(".map({answer})") } else { String::new() },
    );
    text
}

fn path_pair(parameter: &Parameter) -> String {
    let Field { name, .. } = &parameter.field;
    format!("({}, input.{}.to_string())", names::literal(name), names::field(name))
}

fn placed(parameter: &Parameter) -> String {
    let Field { name, optional, .. } = &parameter.field;
    let function = if parameter.place == Place::Query { "query" } else { "header" };
    let field = names::field(name);
    let value = if *optional { format!("input.{field}.as_ref()") } else { format!("Some(&input.{field})") };
    format!("    let request = {function}(request, {}, {value});\n", names::literal(name))
}

fn structure<'a>(name: &str, about: &str, fields: impl Iterator<Item = &'a Field>) -> String {
    structure_with(name, about, fields, "", "Serialize, Deserialize")
}

fn structure_with<'a>(
    name: &str,
    about: &str,
    fields: impl Iterator<Item = &'a Field>,
    extra: &str,
    derives: &str,
) -> String {
    let mut text = format!("\n/// {about}\n#[derive({derives}, JsonSchema)]\npub(crate) struct {name} {{\n");
    for Field { name, help, optional, kind, .. } in fields {
        let help = if help.is_empty() { names::sentence(&names::snake(name)) } else { help.clone() };
        let rust = names::field(name);
        let _written = writeln!(text, "    /// {help}");
        if rust.trim_start_matches("r#") != name.as_str() {
            let _written = writeln!(text, "    #[serde(rename = {})]", names::literal(name));
        }
        let _written = if *optional {
            writeln!(
                text,
                "    #[serde(default, skip_serializing_if = \"Option::is_none\")]\n    {rust}: Option<{kind}>,"
            )
        } else {
            writeln!(text, "    {rust}: {kind},")
        };
    }
    text + extra + "}\n"
}

fn declaration(operation: &Operation) -> String {
    let Operation { id, title, help, method, .. } = operation;
    let help =
        if help.is_empty() { format!("{} {}", method.to_uppercase(), operation.path) } else { help.clone() };
    let repeat = match method.as_str() {
        "get" | "put" | "delete" => "\n            .safe_to_repeat()",
        _ => "",
    };
    format!(
        "        Action::new({}, {}, operations::{id})\n            .help({}){repeat}\n            \
         .sample(include_str!(\"../{}\"), include_str!(\"../{}\")),\n",
        names::literal(id),
        names::literal(title),
        names::literal(&help),
        sample_path(operation, "input").display(),
        sample_path(operation, "output").display(),
    )
}

fn answer_type(operation: &Operation) -> String {
    match operation.answer {
        Some(_) => format!("{}Answer", names::camel(&operation.id)),
        None => "Value".to_owned(),
    }
}

fn schema_path(operation: &Operation) -> PathBuf {
    PathBuf::from(format!("schemas/{}.json", operation.id))
}

fn sample_path(operation: &Operation, which: &str) -> PathBuf {
    PathBuf::from(format!("samples/{}.{which}.json", operation.id))
}

fn input_sample(operation: &Operation) -> Value {
    let mut members: Map<String, Value> = operation
        .parameters
        .iter()
        .map(|parameter| (parameter.field.name.clone(), parameter.field.sample.clone()))
        .collect();
    match &operation.body {
        Some(Payload::Object(fields)) => {
            let body: Map<String, Value> =
                fields.iter().map(|field| (field.name.clone(), field.sample.clone())).collect();
            members.insert("body".to_owned(), Value::Object(body));
        }
        Some(Payload::Any(sample)) => {
            members.insert("body".to_owned(), sample.clone());
        }
        None => {}
    }
    Value::Object(members)
}

/// What an operation without an answer gives: an empty object, so that later steps find something.
fn output_sample(operation: &Operation) -> Value {
    operation.answer.as_ref().map_or_else(|| Value::Object(Map::new()), |(_, sample)| sample.clone())
}

fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}
