//! Every operation of the document, called by everybody who must not: nobody sees or changes what is a victim's, and
//! each refusal is one that the document names.
//!
//! A new operation is in it by being in the document. `sample` makes a body that fits from the schema; where words are
//! needed that no schema has, `body` has them.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Client as Http, Method};
use serde_json::{Value, json};
use trunnion_tests::{
    bigcommerce::BigCommerce,
    host::Client,
    isv::Isv,
    scenario::{self, FULFILMENT_EVENT, STREAM},
    wait,
};

use super::{Operation, document, operations};
use crate::inside::Inside;

const PUBLIC_URL: &str = "https://trunnion.example";
/// Words of the victim's that no call of another's names.
const CANARIES: [&str; 4] =
    ["cnry-username-9d21", "cnry-full-name-0b7e", "canary-token-cnry-username-9d21", "cnry-own-4f6a"];

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// Proves nothing, and so is 401 everywhere.
    Nothing,
    /// An operator's key: reads no workspace's data.
    Operator,
    /// A key of another workspace.
    OtherWorkspace,
    /// A key of the same workspace's other environment: what the workspace defines is the same under both.
    OtherEnvironment,
    /// A token of another user of the same environment.
    OtherUser,
    /// An install link of another user of the same environment.
    OtherLink,
}

struct Caller {
    name: &'static str,
    claim: Claim,
    headers: Vec<(&'static str, String)>,
}

/// What the victim has, by what paths, queries and bodies call it.
struct Stage {
    inside: Inside,
    http: Http,
    base: String,
    names: BTreeMap<&'static str, String>,
    document: Value,
    _bigcommerce: BigCommerce,
    _isv: Isv,
}

impl Stage {
    async fn set() -> Self {
        let bigcommerce = BigCommerce::start().await.unwrap();
        let isv = Isv::start().await.unwrap();
        let rewrite = format!("*.bigcommerce.com={}", bigcommerce.base_url());
        let inside = Inside::start_with("2026-11-24T12:00:00Z", |config| {
            config.public_url = Some(PUBLIC_URL.to_owned());
            config.egress.rewrites.push(rewrite.parse().unwrap());
        })
        .await;
        let base = inside.base_url();
        bigcommerce.route(PUBLIC_URL, &base);
        let client = &inside.client;
        let catalogue = scenario::set_up(client, &isv).await.unwrap();
        let victim = scenario::welcome(client, &bigcommerce, &catalogue, CANARIES[0]).await.unwrap();
        let named = json!({ "fullName": CANARIES[1] });
        client.put(&format!("/users/{}", victim.user), &named).await.unwrap().ok().unwrap();
        let registration = json!({ "client_id": "acmeco-app", "client_secret": "cnry-client-secret" });
        client.put("/v1/apps/bigcommerce/oauth-client", &registration).await.unwrap().ok().unwrap();
        bigcommerce.add_store("storeown", CANARIES[3]);
        let own = json!({ "app": "bigcommerce", "data": { "store_hash": "storeown", "access_token": CANARIES[3] } });
        client.put("/v1/connections/own", &own).await.unwrap().ok().unwrap();
        let order = bigcommerce.create_order(&victim.store, 11).unwrap();
        let data = json!({ "orderId": order.to_string(), "status": "FULFILLED" });
        client.run_event(FULFILMENT_EVENT, &victim.user, &data).await.unwrap().ok().unwrap();
        let runs = wait::until("the victim's run", || async {
            let runs = client.get("/v1/runs").await.unwrap().ok().unwrap();
            runs["data"].as_array()?.iter().any(|run| run["status"] == "succeeded").then_some(runs)
        })
        .await
        .unwrap();
        let installed = format!("/v1/installations?user_id={}", victim.user);
        let installed = client.get(&installed).await.unwrap().ok().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let spare = client.post("/v1/keys", &json!({ "name": "spare" })).await.unwrap().ok().unwrap();
        let run = text(&runs["data"][0]["id"]);
        let names = BTreeMap::from([
            ("user", victim.user),
            ("connection", victim.credential.clone()),
            ("credential", victim.credential),
            ("integration", catalogue.integration),
            ("workflow", catalogue.fulfilment),
            ("installation", text(&installed["data"][0]["id"])),
            ("execution", run.clone()),
            ("letter", run.clone()),
            ("run", run),
            ("app", "bigcommerce".to_owned()),
            ("action", "update_order_status".to_owned()),
            ("lookup", "order_statuses".to_owned()),
            ("key", "0".repeat(32)),
            ("api_key", text(&spare["id"])),
        ]);
        Self {
            inside,
            http: Http::new(),
            base,
            names,
            document: document(),
            _bigcommerce: bigcommerce,
            _isv: isv,
        }
    }

    fn client(&self) -> &Client {
        &self.inside.client
    }

    /// What stands in a path.
    fn name(&self, operation: &Operation, parameter: &str) -> String {
        if parameter != "name" {
            let known = self.names.get(parameter);
            let missing =
                || panic!("`{}`: say in matrix.rs what `{parameter}` of the victim's is", operation.id());
            return known.unwrap_or_else(missing).clone();
        }
        let named = [("/events/", FULFILMENT_EVENT), ("/streams/", STREAM), ("/connections/", "own")];
        let named = named.iter().find(|(part, _)| operation.path.contains(part));
        let (_, name) =
            named.unwrap_or_else(|| panic!("`{}`: say in matrix.rs which `name`", operation.id()));
        (*name).to_owned()
    }

    /// What a member or parameter of this name should hold to be about the victim.
    fn about(&self, name: &str) -> Option<Value> {
        let plain = name.to_ascii_lowercase().replace('_', "");
        let (singular, several) = plain.strip_suffix("ids").map_or((plain.as_str(), false), |it| (it, true));
        let singular = singular.strip_suffix("id").unwrap_or(singular);
        let known = match singular {
            "associateduser" => self.names.get("user"),
            "parentworkflow" => self.names.get("workflow"),
            "user" | "credential" | "integration" | "workflow" | "installation" | "app" => {
                self.names.get(singular)
            }
            _ => None,
        }?;
        Some(if several { json!([known]) } else { json!(known) })
    }

    /// A value that fits a schema, about the victim where names say so.
    fn sample(&self, schema: &Value, name: &str) -> Value {
        if let Some(known) = self.about(name) {
            return known;
        }
        if let Some(reference) = schema["$ref"].as_str() {
            return self.sample(self.document.pointer(reference.trim_start_matches('#')).unwrap(), name);
        }
        for word in ["oneOf", "anyOf", "allOf"] {
            if let Some(part) = schema[word].as_array().and_then(|parts| parts.last()) {
                return self.sample(part, name);
            }
        }
        if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
            return first.clone();
        }
        let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
        match kind {
            Some("object") => {
                let required = schema["required"].as_array().cloned().unwrap_or_default();
                let wanted = |(name, _): &(&String, &Value)| {
                    required.iter().any(|needed| needed == *name) || self.about(name).is_some()
                };
                let members = schema["properties"].as_object().into_iter().flatten().filter(wanted);
                members.map(|(name, schema)| (name.clone(), self.sample(schema, name))).collect()
            }
            Some("array") => json!([self.sample(&schema["items"], name)]),
            Some("integer" | "number") => json!(1),
            Some("boolean") => json!(true),
            _ => json!("sample"),
        }
    }

    /// What is sent: JSON where the operation takes it, else what nobody can read.
    fn body(&self, operation: &Operation) -> Option<Vec<u8>> {
        let content = operation.said["requestBody"]["content"].as_object()?;
        let Some(schema) = content.get("application/json").map(|content| &content["schema"]) else {
            return Some(b"neither JSON nor a component".to_vec());
        };
        let store = json!({ "store_hash": "storeown", "access_token": CANARIES[3] });
        let own = &self.names;
        let body = match operation.id() {
            "createCredential" | "createUserCredential" => {
                json!({ "userId": own["user"], "credential": { "type": "bigcommerce", "data": store } })
            }
            "putOwnConnection" | "connectEmbedded" => json!({ "app": "bigcommerce", "data": store }),
            "updateUserConnection" | "updateEmbedConnection" => json!({ "data": store }),
            "askOauthUrl" => json!({ "userId": own["user"], "app": "bigcommerce", "store_hash": "storeown" }),
            "createWorkflow" | "putWorkflow" => {
                let mut body = json!({ "definition": scenario::fulfilment() });
                if operation.id() == "createWorkflow" {
                    body["integration_id"] = json!(own["integration"]);
                }
                body
            }
            "runEvent" => {
                let data = json!({ "orderId": "1", "status": "FULFILLED" });
                json!({ "event": FULFILMENT_EVENT, "userId": own["user"], "data": data })
            }
            "putEventsOutlet" | "putErrorsOutlet" => json!({ "stream": STREAM }),
            // Ids of their own, which nobody has: what is imported is the caller's.
            "importUsers" => json!({ "users": [{ "userId": "6".repeat(24), "username": "imported" }] }),
            "importWorkflows" => {
                json!({ "integrations": [{ "integrationId": "7".repeat(24), "app": "bigcommerce" }] })
            }
            "requestVendor" => json!({ "method": "GET", "path": "/stores/storeown/v2/orders" }),
            "putStream" => json!({ "url": "https://elsewhere.example/streams" }),
            "putEvent" => json!({ "sample": { "orderId": "123", "status": "FULFILLED" } }),
            _ => self.sample(schema, ""),
        };
        Some(body.to_string().into_bytes())
    }

    /// Calls an operation, about the victim as far as it can be: the status and the body.
    async fn call(&self, operation: &Operation, caller: &Caller) -> (u16, String) {
        let mut path = String::new();
        for part in operation.path.split('/').skip(1) {
            let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            let part = name.map_or_else(|| part.to_owned(), |name| self.name(operation, name));
            write!(path, "/{}", part.replace(' ', "%20")).unwrap();
        }
        let method: Method = operation.method.to_ascii_uppercase().parse().unwrap();
        let mut query = Vec::new();
        for parameter in operation.parameters().filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            if let Some(Value::String(value)) = self.about(name) {
                query.push(format!("{name}={value}"));
            }
        }
        let url = format!("{}{path}?{}", self.base, query.join("&"));
        let mut request = self.http.request(method, url);
        for (name, value) in &caller.headers {
            request = request.header(*name, value);
        }
        if let Some(body) = self.body(operation) {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Everything of the victim's, and what the workspace defines.
    async fn snapshot(&self) -> (Vec<String>, Vec<String>) {
        let user = &self.names["user"];
        let of_user = [
            "/2024-03/users".to_owned(),
            format!("/2024-03/users/{user}/credentials"),
            format!("/v1/users/{user}/connections"),
            format!("/v1/installations?user_id={user}"),
            "/v1/runs".to_owned(),
            "/v1/dead-letters".to_owned(),
            "/v1/streams".to_owned(),
            "/v1/connections".to_owned(),
            "/v1/token-keys".to_owned(),
            "/v1/outlets".to_owned(),
            "/v1/settings".to_owned(),
            "/v1/apps/bigcommerce/oauth-client".to_owned(),
        ];
        let of_workspace = ["/v1/integrations", "/v1/workflows", "/v1/events"].map(str::to_owned);
        (self.read(&of_user).await, self.read(&of_workspace).await)
    }

    async fn read(&self, paths: &[String]) -> Vec<String> {
        let mut all = Vec::new();
        for path in paths {
            let answer = self.client().get(path).await.unwrap();
            assert_eq!(answer.status, 200, "{}: {}", answer.call, answer.text);
            all.push(format!("{path} {}", answer.text));
        }
        all
    }
}

/// Whether a call is about something that is the victim's alone: the user's, or their environment's.
fn about_the_victim(operation: &Operation, body: Option<&[u8]>, victim: &str) -> bool {
    let own = [
        "{user}",
        "{connection}",
        "{credential}",
        "{installation}",
        "{run}",
        "{execution}",
        "{letter}",
        "{api_key}",
    ];
    let by_query = operation.parameters().any(|it| {
        it["in"] == "query"
            && ["userId", "user_id", "associatedUserId"].iter().any(|name| it["name"] == *name)
    });
    let by_body = body.is_some_and(|body| String::from_utf8_lossy(body).contains(victim));
    by_query || by_body || own.iter().any(|part| operation.path.contains(part))
}

/// A token with another header, payload or signature.
fn forged(token: &str, header: &Value, payload: Option<&str>, signature: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let payload = payload.unwrap_or_else(|| token.split('.').nth(1).unwrap());
    format!("{header}.{payload}.{signature}")
}

fn header_of(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

/// A token of the victim's by which a public key is passed off as an HMAC's secret.
async fn signed_with_what_verifies(client: &Client, victim: &str) -> String {
    let algorithm = async |algorithm: &str| {
        let wanted = json!({ "former": "keep", "algorithm": algorithm });
        client.post("/v1/token-keys", &wanted).await.unwrap().ok().unwrap()
    };
    algorithm("EdDSA").await;
    let genuine = client.user_token(victim).await.unwrap();
    let set = client.get("/v1/token-keys/jwks").await.unwrap().ok().unwrap();
    algorithm("HS256").await;
    let kid = header_of(&genuine)["kid"].as_str().unwrap().to_owned();
    let key = set["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap();
    let public = URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(genuine.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let header = jsonwebtoken::Header { kid: Some(kid), ..jsonwebtoken::Header::default() };
    jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_secret(&public)).unwrap()
}

/// Everybody who must not.
async fn others(stage: &Stage) -> Vec<Caller> {
    let client = stage.client();
    let victim = &stage.names["user"];
    let expired = client.user_token(victim).await.unwrap();
    stage.inside.pass(Duration::from_secs(2 * 3600));
    let genuine = client.user_token(victim).await.unwrap();
    let mallory = client.create_user("mallory", "Mallory").await.unwrap();
    let token = client.user_token(&mallory).await.unwrap();
    let link = format!("/2024-03/users/{mallory}/integrations/{}/install-url", stage.names["integration"]);
    let link = client.get(&link).await.unwrap().ok().unwrap()["url"].as_str().unwrap().to_owned();
    let link = url::Url::parse(&link)
        .unwrap()
        .query_pairs()
        .find(|(name, _)| name == "token")
        .unwrap()
        .1
        .into_owned();
    let operator = Client::new(&stage.base, &stage.inside.keys.operator).unwrap();
    let made = operator.post("/v1/workspaces", &json!({ "name": "othercorp" })).await.unwrap().ok().unwrap();
    let foreign = made["keys"]["development"].as_str().unwrap().to_owned();
    let revoked = client.post("/v1/keys", &json!({ "name": "revoked" })).await.unwrap().ok().unwrap();
    let of_revoked = format!("/v1/keys/{}", revoked["id"].as_str().unwrap());
    client.delete(&of_revoked).await.unwrap().ok().unwrap();
    let revoked = revoked["key"].as_str().unwrap();
    let with = |alg: &str| {
        let mut header = header_of(&genuine);
        header["alg"] = json!(alg);
        header
    };
    let signature = genuine.split('.').nth(2).unwrap();
    let by_public_key = signed_with_what_verifies(client, victim).await;
    let claims = genuine.split('.').nth(1);
    let bearer = |key: &str| vec![("authorization", format!("Bearer {key}"))];
    let user = |token: &str| vec![("x-alloy-user-token", token.to_owned())];
    let caller = |name, claim, headers| Caller { name, claim, headers };
    let known = header_of(&token);
    let mallorys = token.split('.').nth(2).unwrap();
    let keys = &stage.inside.keys;
    vec![
        caller("no key", Claim::Nothing, Vec::new()),
        caller("an unknown key", Claim::Nothing, bearer("tk_development_000000000000000000000000")),
        caller("a revoked key", Claim::Nothing, bearer(revoked)),
        caller("a key as a token", Claim::Nothing, user(&keys.development)),
        caller("a token as a key", Claim::Nothing, bearer(&genuine)),
        caller("an expired token", Claim::Nothing, user(&expired)),
        caller(
            "a token without a signature",
            Claim::Nothing,
            user(&forged(&genuine, &with("none"), None, "")),
        ),
        caller(
            "a token of another algorithm",
            Claim::Nothing,
            user(&forged(&genuine, &with("HS512"), None, signature)),
        ),
        caller(
            "a token of an asymmetric one",
            Claim::Nothing,
            user(&forged(&genuine, &with("RS256"), None, signature)),
        ),
        caller("a token signed with what verifies it", Claim::Nothing, user(&by_public_key)),
        caller(
            "a token with another's claims",
            Claim::Nothing,
            user(&forged(&token, &known, claims, mallorys)),
        ),
        caller("an operator's key", Claim::Operator, bearer(&keys.operator)),
        caller("another user's token", Claim::OtherUser, user(&token)),
        caller("another user's install link", Claim::OtherLink, user(&link)),
        caller("another workspace's key", Claim::OtherWorkspace, bearer(&foreign)),
        caller("the other environment's key", Claim::OtherEnvironment, bearer(&keys.production)),
    ]
}

/// What is wrong with an answer, if anything is.
fn fault(stage: &Stage, operation: &Operation, claim: Claim, status: u16, text: &str) -> Option<String> {
    let schemes = operation.schemes();
    let takes = |scheme: &str| schemes.contains(&scheme);
    if schemes.is_empty() {
        return (status == 401).then(|| "anybody may call it, and was refused".to_owned());
    }
    if let Some(canary) = CANARIES.iter().find(|canary| text.contains(*canary)) {
        return Some(format!("shows the victim's `{canary}`"));
    }
    if !operation.statuses().contains(&status.to_string().as_str()) {
        return Some("is not in the document".to_owned());
    }
    let exactly = match claim {
        Claim::Nothing => Some(401),
        Claim::Operator if takes("operator_key") => return None,
        Claim::Operator => Some(403),
        Claim::OtherWorkspace | Claim::OtherEnvironment if !takes("environment_key") => Some(403),
        Claim::OtherUser if !takes("user_token") => Some(401),
        Claim::OtherLink if !takes("user_token") => Some(401),
        Claim::OtherLink if !takes("install_link") => Some(403),
        _ => None,
    };
    if let Some(expected) = exactly {
        return (status != expected).then(|| format!("should be {expected}"));
    }
    let victims = about_the_victim(operation, stage.body(operation).as_deref(), &stage.names["user"]);
    let defined = ["{workflow}", "{integration}"].iter().any(|part| operation.path.contains(part));
    let refused = victims || (defined && claim == Claim::OtherWorkspace);
    // What the modal asks is always about the caller's own.
    let own = operation.path.starts_with("/v1/embed/") && !operation.path.contains("{connection}");
    let shows_nothing = text.starts_with("{\"data\":[]");
    (refused && !own && !shows_nothing && status < 400)
        .then(|| "is about the victim and was not refused".to_owned())
}

#[tokio::test]
async fn nobody_sees_or_changes_what_is_anothers() {
    let stage = Stage::set().await;
    let document = document();
    let operations = operations(&document);
    let others = others(&stage).await;
    let before = stage.snapshot().await;
    let mut faults = Vec::new();
    for caller in &others {
        // What a link is for uses it up.
        let (first, last): (Vec<_>, Vec<_>) =
            operations.iter().partition(|operation| !operation.schemes().contains(&"install_link"));
        for operation in first.into_iter().chain(last) {
            let (status, text) = stage.call(operation, caller).await;
            if let Some(fault) = fault(&stage, operation, caller.claim, status, &text) {
                faults.push(format!("`{}` by {}: {status} {fault}: {text}", operation.id(), caller.name));
            }
        }
        let after = stage.snapshot().await;
        assert_eq!(after.0, before.0, "{} changed something of the victim's", caller.name);
        if caller.claim != Claim::OtherEnvironment {
            assert_eq!(after.1, before.1, "{} changed what the workspace defines", caller.name);
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    let callers = others.len();
    println!("{} operations by {callers} callers: {} refusals", operations.len(), operations.len() * callers);
}

/// The same calls with the victim's own key, and their own token: otherwise the refusals above could mean anything.
#[tokio::test]
async fn whoever_may_call_is_let_in() {
    let stage = Stage::set().await;
    let document = document();
    let mut operations = operations(&document);
    // What is deleted is called last, the user after everything of theirs.
    operations.sort_by_key(|operation| match (operation.method.as_str(), operation.id()) {
        ("get", _) => 0,
        ("put" | "post", "rotateTokenKey") => 2,
        ("put" | "post", _) => 1,
        (_, "deleteUser") => 4,
        _ => 3,
    });
    let token = stage.client().user_token(&stage.names["user"]).await.unwrap();
    let keys = &stage.inside.keys;
    let bearer = |key: &str| vec![("authorization", format!("Bearer {key}"))];
    let caller = |name, claim, headers| Caller { name, claim, headers };
    let callers = [
        ("user_token", caller("a token", Claim::OtherUser, vec![("x-alloy-user-token", token)])),
        ("environment_key", caller("a key", Claim::OtherEnvironment, bearer(&keys.development))),
        ("operator_key", caller("an operator", Claim::Operator, bearer(&keys.operator))),
    ];
    let mut faults = Vec::new();
    let mut succeeded = 0;
    for operation in &operations {
        for (scheme, caller) in &callers {
            if !operation.schemes().contains(scheme) {
                continue;
            }
            let (status, text) = stage.call(operation, caller).await;
            let known = operation.statuses().contains(&status.to_string().as_str());
            succeeded += usize::from(status < 300);
            // By then a token that was signed before the key was replaced, or of a user who is gone, says nothing.
            let late = *scheme == "user_token" && operation.method == "delete";
            if !known || (matches!(status, 401 | 403) && !late) || status >= 500 {
                faults.push(format!("`{}` by {}: {status} {text}", operation.id(), caller.name));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(succeeded > 90, "only {succeeded} calls succeeded: they are not what would harm the victim");
}
