//! What the vendor answers.

use std::{collections::BTreeMap, sync::Arc};

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State as Shelf},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{Asked, Code, DOMAIN, OldTokens, Refresh, Shared, State, Worth, public_key, seconds};

type Members = BTreeMap<String, String>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/authorize", get(authorize))
        .route("/token", post(token))
        .route("/me", get(me))
        .route("/say", post(say))
        .with_state(shared)
}

fn host(headers: &HeaderMap) -> &str {
    headers.get("x-forwarded-host").and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// The shop of `shop.tokens.example`.
fn shop(headers: &HeaderMap) -> String {
    host(headers).strip_suffix(&format!(".{DOMAIN}")).unwrap_or_default().to_owned()
}

fn wrong(what: &str) -> Response {
    (StatusCode::BAD_REQUEST, what.to_owned()).into_response()
}

/// A person who consents at once.
async fn authorize(
    Shelf(shared): Shelf<Arc<Shared>>,
    headers: HeaderMap,
    Query(query): Query<Members>,
) -> Response {
    let member = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let mut state = shared.state();
    let Some(secret) = state.clients.get(member("client_id")).cloned() else {
        return wrong("this client is not known");
    };
    for (name, value) in [
        ("response_type", "code"),
        ("scope", "read write"),
        ("access", "offline"),
        ("code_challenge_method", "S256"),
    ] {
        if member(name) != value {
            return wrong(&format!("`{name}` is `{}`, not `{value}`", member(name)));
        }
    }
    let shop = shop(&headers);
    let code = state.fresh("code");
    let kept = Code {
        client: member("client_id").to_owned(),
        redirect_uri: member("redirect_uri").to_owned(),
        challenge: member("code_challenge").to_owned(),
        shop: shop.clone(),
    };
    state.codes.insert(code.clone(), kept);
    let mut signed = [
        ("code", code),
        ("context", "stores/x 1".to_owned()),
        ("shop", format!("{shop}.{DOMAIN}")),
        ("state", member("state").to_owned()),
        ("timestamp", seconds().to_string()),
    ];
    signed.sort();
    let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&signed).finish();
    let signature =
        hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes()));
    let to = format!("{}?hmac={signature}&{text}&signature=old", member("redirect_uri"));
    (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
}

async fn token(Shelf(shared): Shelf<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let mut members: Members = if json {
        serde_json::from_slice(&body).unwrap_or_default()
    } else {
        form_urlencoded::parse(&body).into_owned().collect()
    };
    if let Some((id, secret)) = basic(&headers) {
        members.insert("client_id".to_owned(), id);
        members.insert("client_secret".to_owned(), secret);
    }
    let (answer, gate) = {
        let mut state = shared.state();
        let grant = members.get("grant_type").cloned().unwrap_or_default();
        let answer = if state.unavailable > 0 {
            state.unavailable -= 1;
            Err((StatusCode::SERVICE_UNAVAILABLE, json!("down for a while")))
        } else {
            grant_of(&mut state, &shared, &headers, (&grant, &members))
        };
        let status = answer.as_ref().map_or_else(|(status, _)| status.as_u16(), |_| 200);
        state.asked.push(Asked { grant, status });
        (answer, state.hold.take())
    };
    if let Some(gate) = gate {
        gate.pass().await;
    }
    match answer {
        Ok(value) => Json(value).into_response(),
        Err((status, value)) => (status, Json(value)).into_response(),
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(BASE64_STANDARD.decode(value).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((decoded(id), decoded(secret)))
}

fn decoded(text: &str) -> String {
    form_urlencoded::parse(text.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

fn grant_of(
    state: &mut State,
    shared: &Shared,
    headers: &HeaderMap,
    (grant, members): (&str, &Members),
) -> Result<Value, (StatusCode, Value)> {
    let member = |name: &str| members.get(name).map(String::as_str).unwrap_or_default();
    let refused = |status: StatusCode, error: &str, why: &str| {
        let sent: Vec<_> = members.values().map(String::as_str).collect();
        Err((status, json!({ "error": error, "error_description": format!("{why}: {}", sent.join(" ")) })))
    };
    let invalid = |why: &str| refused(StatusCode::BAD_REQUEST, "invalid_grant", why);
    if grant != "urn:ietf:params:oauth:grant-type:jwt-bearer"
        && state.clients.get(member("client_id")).is_none_or(|secret| secret != member("client_secret"))
    {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client", "this client is not known");
    }
    match grant {
        "authorization_code" => {
            let Some(code) = state.codes.remove(member("code")) else { return invalid("no such code") };
            let challenge =
                BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, member("code_verifier").as_bytes()));
            let fits = code.client == member("client_id")
                && code.redirect_uri == member("redirect_uri")
                && code.challenge == challenge
                && code.shop == shop(headers)
                && member("context") == "stores/x 1"
                && member("expiring") == "1";
            if fits { Ok(issue(state, &code.shop, true)) } else { invalid("the code is not for this") }
        }
        "refresh_token" => {
            let known =
                state.refresh.get(member("refresh_token")).map(|known| (known.account.clone(), known.worth));
            let Some((account, worth)) = known else { return invalid("no such refresh token") };
            match worth {
                Worth::Nothing => return invalid("the refresh token was used before"),
                // The newest proves that it arrived: what it replaced is done with.
                Worth::Newest => {
                    for other in state.refresh.values_mut().filter(|other| other.account == account) {
                        other.worth = Worth::Nothing;
                    }
                }
                // Asked once more: what was issued meanwhile never arrived.
                Worth::Replaced => {
                    let newest = state.refresh.values_mut().filter(|other| other.account == account);
                    newest
                        .filter(|other| other.worth == Worth::Newest)
                        .for_each(|it| it.worth = Worth::Nothing);
                }
            }
            if let Some(used) = state.refresh.get_mut(member("refresh_token")) {
                used.worth = match state.old_tokens {
                    OldTokens::Refused => Worth::Nothing,
                    OldTokens::UntilNewIsUsed => Worth::Replaced,
                };
            }
            Ok(issue(state, &account, true))
        }
        "client_credentials" => Ok(issue(state, member("client_id"), false)),
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => match asserted(shared, member("assertion")) {
            Some(account) if !state.distrust => Ok(issue(state, &account, false)),
            _ => invalid("the assertion is not believed"),
        },
        _ => refused(StatusCode::BAD_REQUEST, "unsupported_grant_type", "this grant is not known"),
    }
}

pub(super) fn issue(state: &mut State, account: &str, renewable: bool) -> Value {
    let lifetime = if state.lifetimes.is_empty() { 3_600 } else { state.lifetimes.remove(0) };
    let access = state.fresh("access");
    state.access.insert(access.clone(), account.to_owned());
    let refresh = renewable.then(|| {
        let refresh = state.fresh("refresh");
        let kept = Refresh { account: account.to_owned(), worth: Worth::Newest };
        state.refresh.insert(refresh.clone(), kept);
        refresh
    });
    json!({
        "access_token": access, "token_type": "bearer", "expires_in": lifetime, "portal_id": 4711,
        "refresh_token": refresh,
    })
}

/// Whose assertion it is, where the service account's key signed it.
fn asserted(shared: &Shared, assertion: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
        scope: String,
    }
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[format!("https://api.{DOMAIN}/token")]);
    let key = DecodingKey::from_rsa_der(public_key(&shared.key));
    let claims = jsonwebtoken::decode::<Claims>(assertion, &key, &validation).ok()?;
    (claims.header.kid.as_deref() == Some("k1") && claims.claims.scope == "rows").then_some(claims.claims.iss)
}

/// Whose credential a request carries.
fn account(state: &mut State, headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let found = match value.and_then(|value| value.split_once(' ')) {
        Some(("Bearer", token)) => state.access.get(token).cloned(),
        Some(("Basic", pair)) => {
            let pair = BASE64_STANDARD.decode(pair).ok().and_then(|pair| String::from_utf8(pair).ok());
            pair.and_then(|pair| state.keys.get(&pair).cloned())
        }
        // Who signs; that the signature is right, AWS's own examples show.
        Some(("AWS4-HMAC-SHA256", signature)) => {
            let id = signature.strip_prefix("Credential=").and_then(|rest| rest.split('/').next());
            id.and_then(|id| state.keys.get(id).cloned())
        }
        _ => {
            let query = uri.query().unwrap_or_default().as_bytes();
            let key = form_urlencoded::parse(query).find(|(name, _)| name == "api_key" || name == "key");
            key.and_then(|(_, key)| state.keys.get(key.as_ref()).cloned())
        }
    };
    if found.is_none() {
        state.unauthorized += 1;
    }
    found
}

fn unauthorized() -> Response {
    (StatusCode::UNAUTHORIZED, Json(json!({ "message": "the token has ended" }))).into_response()
}

async fn me(Shelf(shared): Shelf<Arc<Shared>>, headers: HeaderMap, uri: Uri) -> Response {
    match account(&mut shared.state(), &headers, &uri) {
        Some(account) => Json(json!({ "account": account })).into_response(),
        None => unauthorized(),
    }
}

async fn say(
    Shelf(shared): Shelf<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let mut state = shared.state();
    let Some(account) = account(&mut state, &headers, &uri) else { return unauthorized() };
    let text = body.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
    state.said.push(text.clone());
    let echo = format!("{method} {uri} {headers:?}");
    Json(json!({ "account": account, "text": text, "echo": echo })).into_response()
}
