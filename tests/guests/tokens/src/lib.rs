//! A guest with every auth scheme: tokens by consent, client credentials, a service account, Basic, a
//! signature of AWS's kind, a key in the query.
//!
//! Its one action answers what the vendor heard, so that tests see which credential a request carried, and that none
//! comes back.

use std::time::Duration;

use trunnion_sdk::{
    auth::{
        Account, CallbackSignature, Capture, ClientCredentials, JwtBearer, Oauth2, Parameter, TokenEndpoint,
    },
    prelude::*,
};

const API: &str = "https://api.tokens.example";
const TOKEN: &str = "https://api.tokens.example/token";

/// What the vendor is to hear.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Said {
    text: String,
}

/// What the vendor heard.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Heard {
    /// Whose credential it was.
    account: String,
    text: String,
    /// The request's head, as the vendor saw it.
    echo: String,
}

fn say(ctx: &Context, said: Said) -> Result<Heard> {
    ctx.http().post(format!("{API}/say")).auth_connection().json(&said)?.repeatable().send()?.json()
}

fn check(ctx: &Context) -> Result<Account> {
    #[derive(Deserialize)]
    struct Me {
        account: String,
    }
    let me: Me = ctx.http().get(format!("{API}/me")).auth_connection().send()?.json()?;
    Ok(Account::new(me.account, "Tokens"))
}

fn oauth() -> Oauth2 {
    Oauth2::new(
        "https://{shop}.tokens.example/authorize",
        TokenEndpoint::new("https://{shop}.tokens.example/token").basic().parameter("expiring", "1"),
    )
    .scopes(&["read", "write"])
    .authorize_parameter("access", "offline")
    .pkce()
    .rotating()
    .repeat("context")
    .capture(Capture::callback("shop", "shop").suffix(".tokens.example"))
    .capture(Capture::token("portal", "portal_id"))
    .signed_callback(
        CallbackSignature::new("hmac").unsigned("signature").time("timestamp", Duration::from_secs(90)),
    )
}

trunnion_sdk::connector! {
    id: "tokens",
    title: "Tokens",
    hosts: ["api.tokens.example", "{shop}.tokens.example"],
    connection: Connection::new()
        .parameter(Parameter::host_label("shop", "Shop"))
        .parameter(Parameter::digits("portal", "Portal"))
        .scheme(Scheme::oauth2("oauth", "Tokens", oauth()).bearer())
        .scheme(Scheme::client_credentials("app", "The app itself",
            ClientCredentials::new(TokenEndpoint::new(TOKEN).json()).scopes(&["read"])).bearer())
        .scheme(Scheme::client_credentials("own", "Own client",
            ClientCredentials::new(TokenEndpoint::new(TOKEN))).own_client("Settings").bearer())
        .scheme(Scheme::jwt_bearer("account", "Service account",
            JwtBearer::new("service_account", "Key", "Console").scopes(&["rows"])).bearer())
        .scheme(Scheme::basic("user", "User"))
        .scheme(Scheme::aws_sigv4("aws", "Access key", "say", "us-east-1"))
        .scheme(Scheme::fields("key", "Key").field("api_key", "Key", "Settings").query("key", secret("api_key"))),
    check: check,
    actions: [Action::new("say", "Say", say).safe_to_repeat()
        .sample(r#"{"text":"hello"}"#, r#"{"account":"1","text":"hello","echo":"POST /say"}"#)],
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::assert_sound;

    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        assert_sound(&connector());
    }
}
