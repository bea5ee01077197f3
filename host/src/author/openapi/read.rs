//! Reading a description: which operations it has, and what each takes and answers.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use url::Url;

use super::{
    Api, Auth, Error, Field, Operation, Parameter, Payload, Place, names,
    sample::{example, kind, resolved, schema_and_sample},
};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// Headers that the host or the SDK sets.
const OWN_HEADERS: [&str; 4] = ["authorization", "content-type", "accept", "user-agent"];

/// Reads a description; with `only`, those of its operations whose path or id contains it.
pub fn read(text: &str, only: Option<&str>) -> Result<Api, Error> {
    let document: Value =
        serde_json::from_str(text).map_err(|error| Error::NotJson { reason: error.to_string() })?;
    match document.get("openapi").and_then(Value::as_str) {
        Some(version) if version.starts_with("3.") => {}
        other => return Err(Error::NotOpenApi { found: other.unwrap_or("absent").to_owned() }),
    }
    let server = server(&document).ok_or(Error::NoServer)?;
    let mut left_out = Vec::new();
    let auth = auth(&document, &mut left_out);
    let operations = operations(&document, only, &auth, &mut left_out);
    if operations.is_empty() {
        let filter = only.map(|only| format!("with `{only}` in its path or id ")).unwrap_or_default();
        let left_out = if left_out.is_empty() { "there is none".to_owned() } else { left_out.join("; ") };
        return Err(Error::NoOperation { filter, left_out });
    }
    let title = document.pointer("/info/title").and_then(Value::as_str).unwrap_or("Connector");
    Ok(Api {
        title: names::line(title),
        host: server.host_str().unwrap_or_default().to_owned(),
        base: server.as_str().trim_end_matches('/').to_owned(),
        auth,
        operations,
        left_out,
    })
}

/// The first server with an https URL, its variables at their defaults.
fn server(document: &Value) -> Option<Url> {
    let servers = document.get("servers").and_then(Value::as_array)?;
    servers.iter().find_map(|server| {
        let mut url = server.get("url")?.as_str()?.to_owned();
        let variables = server.get("variables").and_then(Value::as_object).into_iter().flatten();
        for (name, variable) in variables {
            let value = variable.get("default").and_then(Value::as_str).unwrap_or_default();
            url = url.replace(&format!("{{{name}}}"), value);
        }
        let url = Url::parse(&url).ok()?;
        (url.scheme() == "https" && url.domain().is_some()).then_some(url)
    })
}

/// The first way to authenticate that a person's key or token serves.
fn auth(document: &Value, left_out: &mut Vec<String>) -> Auth {
    let schemes = document.pointer("/components/securitySchemes").and_then(Value::as_object);
    for (name, scheme) in schemes.into_iter().flatten() {
        let scheme = resolved(document, scheme);
        let text = |member: &str| scheme.get(member).and_then(Value::as_str).unwrap_or_default();
        let place = || text("name").to_owned();
        match (text("type"), text("scheme"), text("in")) {
            ("http", "bearer", _) | ("oauth2" | "openIdConnect", _, _) => return Auth::Bearer,
            ("apiKey", _, "header") if text("name").eq_ignore_ascii_case("authorization") => {
                return Auth::Bearer;
            }
            ("apiKey", _, "header") => return Auth::Header(place()),
            ("apiKey", _, "query") => return Auth::Query(place()),
            (kind, how, _) => left_out.push(format!(
                "the auth scheme `{name}` ({kind} {how}); declare it in `connection:` if you need it"
            )),
        }
    }
    Auth::None
}

fn operations(
    document: &Value,
    only: Option<&str>,
    auth: &Auth,
    left_out: &mut Vec<String>,
) -> Vec<Operation> {
    let mut operations = Vec::new();
    let mut ids = BTreeSet::new();
    let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
    for (path, item) in paths {
        let item = resolved(document, item);
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let id = operation
                .get("operationId")
                .and_then(Value::as_str)
                .map_or_else(|| names::snake(&format!("{method}{path}")), names::snake);
            if only.is_some_and(|only| !path.contains(only) && !id.contains(only)) {
                continue;
            }
            match one(document, item, operation, (method, path), auth) {
                Ok(read) => {
                    let mut unique = id.clone();
                    let mut number = 2;
                    while !ids.insert(unique.clone()) {
                        unique = format!("{id}_{number}");
                        number += 1;
                    }
                    operations.push(Operation { title: titled(operation, &unique), id: unique, ..read });
                }
                Err(why) => left_out.push(format!("`{} {path}`: {why}", method.to_uppercase())),
            }
        }
    }
    operations
}

fn titled(operation: &Value, id: &str) -> String {
    let summary = operation.get("summary").and_then(Value::as_str).map(names::line);
    summary.filter(|summary| !summary.is_empty()).unwrap_or_else(|| names::sentence(id))
}

/// One operation, still without its name.
fn one(
    document: &Value,
    item: &Value,
    operation: &Value,
    (method, path): (&str, &str),
    auth: &Auth,
) -> Result<Operation, String> {
    let mut parameters: Vec<Parameter> = Vec::new();
    // An operation's own parameters replace those of its path.
    for list in [operation, item] {
        let listed = list.get("parameters").and_then(Value::as_array).into_iter().flatten();
        for listed in listed {
            let Some(parameter) = parameter(document, resolved(document, listed), auth)? else { continue };
            let known =
                |one: &Parameter| one.field.name == parameter.field.name && one.place == parameter.place;
            if !parameters.iter().any(known) {
                parameters.push(parameter);
            }
        }
    }
    for name in path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name) {
        if !parameters.iter().any(|one| one.place == Place::Path && one.field.name == name) {
            return Err(format!("its path parameter `{name}` is not described"));
        }
    }
    let help = operation.get("description").and_then(Value::as_str).map(names::line).unwrap_or_default();
    Ok(Operation {
        id: String::new(),
        title: String::new(),
        help,
        method: method.to_owned(),
        path: path.to_owned(),
        parameters,
        body: body(document, operation)?,
        answer: answer(document, operation),
    })
}

fn parameter(document: &Value, parameter: &Value, auth: &Auth) -> Result<Option<Parameter>, String> {
    let text = |member: &str| parameter.get(member).and_then(Value::as_str).unwrap_or_default();
    let (name, required) = (text("name"), parameter.get("required") == Some(&Value::Bool(true)));
    let is_the_hosts = |name: &str| {
        OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str())
            || matches!(auth, Auth::Header(own) if own.eq_ignore_ascii_case(name))
    };
    let place = match text("in") {
        "path" => Place::Path,
        "query" if matches!(auth, Auth::Query(own) if own == name) => return Ok(None),
        "query" => Place::Query,
        "header" if is_the_hosts(name) => return Ok(None),
        "header" => Place::Header,
        "cookie" if !required => return Ok(None),
        other => return Err(format!("its parameter `{name}` stands in `{other}`")),
    };
    let schema = parameter.get("schema").unwrap_or(&Value::Null);
    let mut field = field(document, name, schema, !required && place != Place::Path);
    if !text("description").is_empty() {
        field.help = names::line(text("description"));
    }
    if let Some(given) = parameter.get("example") {
        field.sample = given.clone();
    }
    // Lists and objects have several spellings in a URL; the author knows which one the vendor reads.
    if !matches!(field.kind, "String" | "i64" | "f64" | "bool") {
        field.kind = "String";
        field.sample = Value::from(match &field.sample {
            Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
            other => plain(other),
        });
    }
    Ok(Some(Parameter { place, field: fitting(field) }))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn field(document: &Value, name: &str, schema: &Value, optional: bool) -> Field {
    let sample = example(document, schema, 1);
    let schema = resolved(document, schema);
    let kind = match kind(schema) {
        "string" => "String",
        "integer" => "i64",
        "number" => "f64",
        "boolean" => "bool",
        "array" => "Vec<Value>",
        _ => "Value",
    };
    let help = schema.get("description").and_then(Value::as_str).map(names::line).unwrap_or_default();
    let nullable = schema.get("nullable") == Some(&Value::Bool(true));
    fitting(Field { name: name.to_owned(), help, optional: optional || nullable, kind, sample })
}

/// A description's own example may be of another type than it describes.
fn fitting(mut field: Field) -> Field {
    let fits = match field.kind {
        "String" => field.sample.is_string(),
        "i64" => field.sample.is_i64(),
        "f64" => field.sample.is_number(),
        "bool" => field.sample.is_boolean(),
        "Vec<Value>" => field.sample.is_array(),
        _ => true,
    };
    if !fits {
        field.sample = match field.kind {
            "String" => Value::from(plain(&field.sample)),
            "i64" | "f64" => json!(1),
            "bool" => json!(true),
            _ => json!([]),
        };
    }
    field
}

fn body(document: &Value, operation: &Value) -> Result<Option<Payload>, String> {
    let Some(body) = operation.get("requestBody") else { return Ok(None) };
    let content = resolved(document, body).get("content").and_then(Value::as_object);
    let json = content.into_iter().flatten().find(|(kind, _)| is_json(kind));
    let Some((_, media)) = json else {
        let kinds: Vec<_> = content.into_iter().flatten().map(|(kind, _)| kind.as_str()).collect();
        return Err(format!("its body is {}, not JSON", kinds.join(" or ")));
    };
    let schema = resolved(document, media.get("schema").unwrap_or(&Value::Null));
    let required: BTreeSet<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let members = schema.get("properties").and_then(Value::as_object);
    let read_only = |member: &Value| resolved(document, member).get("readOnly") == Some(&Value::Bool(true));
    match members {
        Some(members) if kind(schema) == "object" => Ok(Some(Payload::Object(
            members
                .iter()
                .filter(|(_, member)| !read_only(member))
                .map(|(name, member)| field(document, name, member, !required.contains(name.as_str())))
                .collect(),
        ))),
        _ => Ok(Some(Payload::Any(example(document, schema, 0)))),
    }
}

/// The first answer that says it went well and is JSON.
fn answer(document: &Value, operation: &Value) -> Option<(Value, Value)> {
    let answers = operation.get("responses").and_then(Value::as_object)?;
    let well = answers.iter().find(|(status, _)| status.starts_with('2') && *status != "204")?;
    let content = resolved(document, well.1).get("content").and_then(Value::as_object)?;
    let (_, media) = content.iter().find(|(kind, _)| is_json(kind))?;
    let (schema, sample) = schema_and_sample(document, media.get("schema")?);
    Some((
        schema,
        media.get("example").cloned().filter(|_| schema_is_open(document, media)).unwrap_or(sample),
    ))
}

/// Whether an example given beside a schema need not fit it.
fn schema_is_open(document: &Value, media: &Value) -> bool {
    let schema = media.get("schema").unwrap_or(&Value::Null);
    schema_and_sample(document, schema).0 == json!({})
}

fn is_json(media_type: &str) -> bool {
    let kind = media_type.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json") || kind == "*/*"
}
