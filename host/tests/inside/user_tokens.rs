//! What a user's token proves at the HTTP edge, for whom, where and for how long.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::edge::Edge;

/// Everything that a browser may call; `USER` stands for its user.
const BROWSER: [(&str, &str); 23] = [
    ("GET", "/2024-03/integrations"),
    ("GET", "/2024-03/integrations/bigcommerce"),
    ("GET", "/2024-03/workflows"),
    ("GET", "/2024-03/workflows/000000000000000000000000"),
    ("DELETE", "/2024-03/workflows/000000000000000000000000"),
    ("GET", "/2024-03/workflows/000000000000000000000000/versions"),
    ("PUT", "/2024-03/workflows/000000000000000000000000/upgrade"),
    ("PUT", "/2024-03/workflows/activate"),
    ("PUT", "/2024-03/workflows/deactivate"),
    ("GET", "/2024-03/users/USER/credentials"),
    ("POST", "/2024-03/users/USER/credentials"),
    ("GET", "/2024-03/users/USER/credentials/bigcommerce"),
    ("DELETE", "/2024-03/users/USER/credentials/000000000000000000000000"),
    ("POST", "/2024-03/headless/credentials"),
    ("GET", "/2024-03/headless/oauthUrl?app=bigcommerce"),
    ("POST", "/2024-03/headless/oauthUrl"),
    ("POST", "/2024-03/headless/startInstallation"),
    ("POST", "/2024-03/headless/completeInstallation"),
    ("GET", "/v1/users/USER/connections"),
    ("PUT", "/v1/users/USER/connections/000000000000000000000000"),
    ("POST", "/v1/users/USER/connections/000000000000000000000000/check"),
    ("POST", "/v1/users/USER/connections/000000000000000000000000/lookups/any"),
    ("POST", "/v1/users/USER/connections/000000000000000000000000/actions/any/schema"),
];

/// Everything that only the ISV's server may call.
const SERVER: [(&str, &str); 27] = [
    ("GET", "/2024-03/users"),
    ("POST", "/2024-03/users"),
    ("POST", "/2024-03/users/batch"),
    ("GET", "/2024-03/users/ada"),
    ("PUT", "/2024-03/users/ada"),
    ("DELETE", "/2024-03/users/ada"),
    ("GET", "/2024-03/users/ada/token"),
    ("GET", "/2024-03/user/ada/token"),
    ("DELETE", "/2024-03/users/ada/logs"),
    ("PUT", "/2024-03/users/ada/deactivate-workflows"),
    ("GET", "/2024-03/users/ada/integrations/000000000000000000000000/install-url"),
    ("GET", "/2024-03/apps"),
    ("GET", "/2024-03/metadata/apps"),
    ("GET", "/2024-03/events"),
    ("POST", "/2024-03/run/event"),
    ("POST", "/2024-03/run/workflow"),
    ("GET", "/2024-03/workflows/000000000000000000000000/users"),
    ("GET", "/2024-03/workflows/000000000000000000000000/logs"),
    ("GET", "/2024-03/workflow/000000000000000000000000/logs"),
    ("GET", "/2024-03/workflows/000000000000000000000000/errors"),
    ("GET", "/2024-03/workflows/000000000000000000000000/analytics"),
    ("POST", "/2024-03/workflows/000000000000000000000000/rerun/000000000000000000000000"),
    ("GET", "/2024-03/logs"),
    ("GET", "/v1/runs"),
    ("GET", "/v1/token-keys"),
    ("POST", "/v1/token-keys"),
    ("GET", "/v1/token-keys/jwks"),
];

/// A body that every one of those calls understands.
fn body() -> Value {
    let mut body = json!({ "workflowId": "000000000000000000000000", "integrationId": "000000000000000000000000",
        "credential": { "type": "bigcommerce", "data": {} }, "app": "bigcommerce",
        "installationId": "000000000000000000000000" });
    body["data"] = json!([]);
    body
}

/// The body for `path`: the native API takes no member that it does not know.
fn body_for(path: &str) -> Value {
    match path {
        _ if path.ends_with("oauthUrl") => json!({ "app": "bigcommerce" }),
        _ if path.starts_with("/v1") && path.ends_with("000000") => json!({ "data": {} }),
        _ if path.starts_with("/v1") => json!({}),
        _ => body(),
    }
}

async fn token_of(edge: &Edge, user: &str, query: &str) -> String {
    let answer = edge.call("GET", &format!("/2024-03/users/{user}/token{query}"), Value::Null).await.ok();
    answer["token"].as_str().unwrap().to_owned()
}

/// The token's words with another header, signed by somebody else.
fn forged(token: &str, header: &Header, key: &EncodingKey) -> String {
    let claims: Value = jsonwebtoken::dangerous::insecure_decode(token).unwrap().claims;
    encode(header, &claims, key).unwrap()
}

#[tokio::test]
async fn a_token_stands_for_its_user_in_every_call_that_a_browser_makes() {
    let edge = Edge::start().await;
    let ada = edge.user("ada").await;
    edge.user("bob").await;
    let token = token_of(&edge, "ada", "?userId").await;
    for (method, path) in BROWSER {
        let own = path.replace("USER", &ada);
        let answer = edge.with_token(&token, method, &own, body_for(path)).await;
        assert!(![401, 403, 405].contains(&answer.status), "{method} {own}: {answer:?}");
        assert!(!answer.message().contains("userId"), "{method} {own} asks for a user: {answer:?}");
        // Another user cannot be named, in whichever way a call names one.
        let mut named = body_for(path);
        let elsewhere = if path.contains("USER") {
            path.replace("USER", "bob")
        } else {
            named["userId"] = json!("bob");
            format!("{path}{}userId=bob", if path.contains('?') { "&" } else { "?" })
        };
        if !path.ends_with("completeInstallation") {
            let refused = edge.with_token(&token, method, &elsewhere, named).await;
            assert_eq!(refused.status, 401, "{method} {elsewhere}: {refused:?}");
        }
    }
    let own = edge.with_token(&token, "GET", "/2024-03/integrations?userId=ada", Value::Null).await;
    assert_eq!(own.ok(), json!({ "data": [] }), "its own user may be named");
}

#[tokio::test]
async fn a_server_names_the_user_in_body_query_or_header() {
    let edge = Edge::start().await;
    edge.user("ada").await;
    let unnamed = edge.call("GET", "/2024-03/integrations", Value::Null).await;
    assert_eq!(unnamed.status, 400, "{unnamed:?}");
    assert!(unnamed.message().contains("userId"), "{unnamed:?}");
    edge.call("GET", "/2024-03/integrations?userId=ada", Value::Null).await.ok();
    let key = format!("bearer {}", edge.development);
    let headers = [("authorization", key.as_str()), ("x-alloy-userid", "ada")];
    edge.send("GET", "/2024-03/integrations", &headers, "").await.ok();
}

#[tokio::test]
async fn what_is_no_token_of_this_environment_proves_nothing() {
    let edge = Edge::start().await;
    let ada = edge.user("ada").await;
    let token = token_of(&edge, &ada, "").await;
    let header = jsonwebtoken::decode_header(&token).unwrap();
    let kid = header.kid.clone().unwrap();
    let somebody = EncodingKey::from_secret(b"somebody else's");
    let mut parts = token.split('.');
    let (_, claims, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let unsigned = |alg: &str| {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
        BASE64_URL_SAFE_NO_PAD.encode(json!({ "typ": "JWT", "alg": alg, "kid": kid }).to_string())
    };
    let hs512 = Header { alg: Algorithm::HS512, ..header.clone() };
    let production = Header { kid: Some(kid.replace("development", "production")), ..header.clone() };
    let (of, _) = kid.rsplit_once('.').unwrap();
    let unknown = Header { kid: Some(format!("{of}.{}", "0".repeat(24))), ..header.clone() };
    let mut cut_off = token.clone();
    cut_off.truncate(token.len() - 2);
    let wrong = [
        ("nothing", String::new()),
        ("no token", "ada".to_owned()),
        ("an API key", edge.development.clone()),
        ("another key", forged(&token, &header, &somebody)),
        ("the key's own name as key", forged(&token, &header, &EncodingKey::from_secret(kid.as_bytes()))),
        ("another algorithm", forged(&token, &hs512, &somebody)),
        ("another environment's key", forged(&token, &production, &somebody)),
        ("an unknown key", forged(&token, &unknown, &somebody)),
        ("no key", forged(&token, &Header::new(Algorithm::HS256), &somebody)),
        ("none", format!("{}.{claims}.", unsigned("none"))),
        ("none with the signature", format!("{}.{claims}.{signature}", unsigned("none"))),
        ("a public key's algorithm", format!("{}.{claims}.{signature}", unsigned("EdDSA"))),
        ("other words", format!("{}.{}.{signature}", unsigned("HS256"), claims.to_lowercase())),
        ("cut off", cut_off),
    ];
    for (method, path) in BROWSER {
        let path = path.replace("USER", &ada);
        for (what, token) in &wrong {
            let answer = edge.with_token(token, method, &path, body_for(&path)).await;
            assert_eq!(answer.status, 401, "{what}, {method} {path}: {answer:?}");
            assert!(!answer.message().is_empty(), "{what}, {method} {path}: {answer:?}");
        }
        // A key beside it does not make up for a wrong token: the narrower authority counts.
        let key = format!("Bearer {}", edge.development);
        let both = [("x-alloy-user-token", "ada"), ("authorization", key.as_str())];
        let answer = edge.send(method, &path, &both, body_for(&path).to_string()).await;
        assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_token_is_no_key() {
    let edge = Edge::start().await;
    edge.user("ada").await;
    let token = token_of(&edge, "ada", "").await;
    for (method, path) in SERVER {
        let answer =
            edge.with_token(&token, method, path, json!({ "username": "eve", "former": "end" })).await;
        assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
        let bearer = format!("Bearer {token}");
        let answer = edge.send(method, path, &[("authorization", &bearer)], "{}").await;
        assert_eq!(answer.status, 401, "{method} {path} as a bearer: {answer:?}");
    }
}

#[tokio::test]
async fn a_token_ends_after_an_hour() {
    let edge = Edge::start().await;
    edge.user("ada").await;
    let token = token_of(&edge, "ada", "").await;
    let holds = async || edge.with_token(&token, "GET", "/2024-03/integrations", Value::Null).await;
    edge.clock.advance(Duration::from_secs(3_599));
    assert_eq!(holds().await.status, 200);
    edge.clock.advance(Duration::from_secs(1));
    let refused = holds().await;
    assert_eq!((refused.status, refused.message().contains("expired")), (401, true), "{refused:?}");
}

#[tokio::test]
async fn a_new_key_signs_and_the_former_one_is_known_or_ended() {
    let edge = Edge::start().await;
    edge.user("ada").await;
    let token = token_of(&edge, "ada", "").await;
    let status =
        async |token: &str| edge.with_token(token, "GET", "/2024-03/integrations", Value::Null).await.status;
    edge.clock.advance(Duration::from_secs(1));
    let kept = edge.call("POST", "/v1/token-keys", json!({ "former": "keep" })).await.ok();
    let newer = token_of(&edge, "ada", "").await;
    let kid = jsonwebtoken::decode_header(&newer).unwrap().kid.unwrap();
    assert!(kid.ends_with(kept["id"].as_str().unwrap()), "the new key signs");
    assert_eq!((status(&token).await, status(&newer).await), (200, 200), "both are known");
    let listed = edge.call("GET", "/v1/token-keys", Value::Null).await.ok();
    assert_eq!(listed["data"].as_array().unwrap().len(), 2, "{listed}");
    assert_eq!(
        (&listed["data"][0]["retired_at"], listed.to_string().contains("secret")),
        (&Value::Null, false)
    );

    edge.clock.advance(Duration::from_secs(1));
    edge.call("POST", "/v1/token-keys", json!({ "former": "end" })).await.ok();
    assert_eq!((status(&token).await, status(&newer).await), (401, 401));
    assert_eq!(status(&token_of(&edge, "ada", "").await).await, 200);
    // Those whose tokens have all ended are forgotten.
    edge.call("POST", "/v1/token-keys", json!({ "former": "keep" })).await.ok();
    edge.clock.advance(Duration::from_secs(7 * 24 * 3_600));
    edge.call("POST", "/v1/token-keys", json!({ "former": "keep" })).await.ok();
    let listed = edge.call("GET", "/v1/token-keys", Value::Null).await.ok();
    assert_eq!(listed["data"].as_array().unwrap().len(), 2, "{listed}");
}

/// An environment whose keys sign by EdDSA from now on; the tokens of its former one still hold.
async fn asymmetric(edge: &Edge) -> Value {
    let wanted = json!({ "former": "keep", "algorithm": "EdDSA" });
    edge.call("POST", "/v1/token-keys", wanted).await.ok()
}

async fn public_keys(edge: &Edge) -> jsonwebtoken::jwk::JwkSet {
    serde_json::from_value(edge.call("GET", "/v1/token-keys/jwks", Value::Null).await.ok()).unwrap()
}

#[tokio::test]
async fn services_of_the_isv_verify_tokens_where_its_keys_sign_by_eddsa() {
    let edge = Edge::start().await;
    let ada = edge.user("ada").await;
    let status =
        async |token: &str| edge.with_token(token, "GET", "/2024-03/integrations", Value::Null).await.status;
    let symmetric = token_of(&edge, "ada", "").await;
    assert_eq!(jsonwebtoken::decode_header(&symmetric).unwrap().alg, Algorithm::HS256, "unless asked for");
    assert!(public_keys(&edge).await.keys.is_empty(), "HS256 has nothing to show");
    edge.clock.advance(Duration::from_secs(1));
    let made = asymmetric(&edge).await;
    assert_eq!(made["algorithm"], "EdDSA", "{made}");
    let token = token_of(&edge, "ada", "").await;
    assert_eq!((status(&symmetric).await, status(&token).await), (200, 200), "both hold");

    // As any service of the ISV would do it.
    let header = jsonwebtoken::decode_header(&token).unwrap();
    let set = public_keys(&edge).await;
    let verified = |set: &jsonwebtoken::jwk::JwkSet, token: &str| {
        let key = set.find(&jsonwebtoken::decode_header(token).unwrap().kid?)?;
        let mut validation = jsonwebtoken::Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        let key = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
        Some(jsonwebtoken::decode::<Value>(token, &key, &validation).ok()?.claims)
    };
    assert_eq!(header.alg, Algorithm::EdDSA);
    assert_eq!(verified(&set, &token).unwrap()["sub"], json!(ada));
    assert!(verified(&set, &symmetric).is_none());

    // A rotation keeps the algorithm, and the former key is shown for as long as what it signed may hold.
    edge.clock.advance(Duration::from_secs(1));
    edge.call("POST", "/v1/token-keys", json!({ "former": "keep" })).await.ok();
    let newer = token_of(&edge, "ada", "").await;
    let set = public_keys(&edge).await;
    assert_eq!(set.keys.len(), 2);
    assert!(verified(&set, &token).is_some() && verified(&set, &newer).is_some());
    assert_eq!((status(&token).await, status(&newer).await), (200, 200));
    let wanted = json!({ "former": "end", "algorithm": "HS256" });
    edge.call("POST", "/v1/token-keys", wanted).await.ok();
    assert!(public_keys(&edge).await.keys.is_empty());
    assert_eq!((status(&token).await, status(&newer).await), (401, 401));
    assert_eq!(status(&token_of(&edge, "ada", "").await).await, 200);
    let wrong = json!({ "former": "keep", "algorithm": "RS256" });
    assert_eq!(edge.call("POST", "/v1/token-keys", wrong).await.status, 400);
}

#[tokio::test]
async fn a_keys_algorithm_is_its_own_whatever_a_token_says() {
    let edge = Edge::start().await;
    edge.user("ada").await;
    let symmetric = token_of(&edge, "ada", "").await;
    asymmetric(&edge).await;
    let token = token_of(&edge, "ada", "").await;
    let set = edge.call("GET", "/v1/token-keys/jwks", Value::Null).await.ok();
    let public = set["keys"][0]["x"].as_str().unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    let raw = {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
        BASE64_URL_SAFE_NO_PAD.decode(public).unwrap()
    };
    let own =
        aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap().to_pkcs8().unwrap();
    let own = EncodingKey::from_ed_der(own.as_ref());
    let hmac = |alg| Header { alg, ..header.clone() };
    let of_hmac = jsonwebtoken::decode_header(&symmetric).unwrap();
    for (what, token) in [
        // What verifies is public: were it taken for an HMAC's secret, anybody could sign.
        ("HS256 by the public key", forged(&token, &hmac(Algorithm::HS256), &EncodingKey::from_secret(&raw))),
        (
            "HS256 by its text",
            forged(&token, &hmac(Algorithm::HS256), &EncodingKey::from_secret(public.as_bytes())),
        ),
        ("HS512 by the public key", forged(&token, &hmac(Algorithm::HS512), &EncodingKey::from_secret(&raw))),
        ("EdDSA by another key", forged(&token, &header, &own)),
        ("EdDSA for a key of HS256", forged(&symmetric, &Header { alg: Algorithm::EdDSA, ..of_hmac }, &own)),
    ] {
        let answer = edge.with_token(&token, "GET", "/2024-03/integrations", Value::Null).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn a_token_may_be_bound_to_the_pages_of_some_origins() {
    let edge = Edge::start().await;
    edge.user("ada").await;
    let query = "?origins=https://app.acme.com,https://Admin.acme.com:443/&origins=http://localhost:3000";
    let token = token_of(&edge, "ada", query).await;
    for (origin, status) in [
        (None, 200),
        (Some("https://app.acme.com"), 200),
        (Some("https://admin.acme.com"), 200),
        (Some("http://localhost:3000"), 200),
        // The host's own pages, such as the modal.
        (Some("https://trunnion.example"), 200),
        (Some("https://evil.example"), 401),
        (Some("http://app.acme.com"), 401),
        (Some("null"), 401),
    ] {
        let mut headers = vec![("x-alloy-user-token", token.as_str())];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let answer = edge.send("GET", "/2024-03/integrations", &headers, "").await;
        assert_eq!(answer.status, status, "{origin:?}: {answer:?}");
        let readable = answer.headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap());
        assert_eq!(readable, Some("*"), "a page can read what it was told: {answer:?}");
    }
    let wrong = edge.call("GET", "/2024-03/users/ada/token?origins=app.acme.com", Value::Null).await;
    assert_eq!((wrong.status, wrong.message().contains("app.acme.com")), (400, true), "{wrong:?}");
}

#[tokio::test]
async fn browsers_are_told_what_pages_may_call_and_only_of_that() {
    let edge = Edge::start().await;
    let preflight = |method| {
        [
            ("origin", "https://app.acme.com"),
            ("access-control-request-method", method),
            ("access-control-request-headers", "content-type,x-alloy-user-token,idempotency-key"),
        ]
    };
    for (method, path) in BROWSER {
        let answer = edge.send("OPTIONS", &path.replace("USER", "ada"), &preflight(method), "").await;
        let header = |name: &str| answer.headers.get(name).map_or("", |value| value.to_str().unwrap());
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
        assert_eq!(header("access-control-allow-origin"), "*", "{method} {path}");
        assert!(header("access-control-allow-methods").contains(method), "{method} {path}: {answer:?}");
        let headers = header("access-control-allow-headers");
        assert_eq!(headers, "content-type,x-alloy-user-token,idempotency-key", "{method} {path}");
    }
    for (_, path) in SERVER {
        let answer = edge.send("OPTIONS", path, &preflight("GET"), "").await;
        assert!(answer.headers.get("access-control-allow-origin").is_none(), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_token_of_an_unknown_user_is_not_issued() {
    let edge = Edge::start().await;
    edge.user("ada").await;
    let unknown = edge.call("GET", "/2024-03/users/eve/token", Value::Null).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    let production = format!("Bearer {}", edge.production);
    let elsewhere = edge.send("GET", "/user/ada/token", &[("authorization", &production)], "").await;
    assert_eq!(elsewhere.status, 404, "a user of the other environment: {elsewhere:?}");
}
