//! The store a connection belongs to, and how a person connects it.

use trunnion_sdk::{
    auth::{Account, Capture, Oauth2, Parameter, TokenEndpoint},
    prelude::*,
};

use crate::api;

const TOKEN_HEADER: &str = "X-Auth-Token";

/// What the triggers and actions need, and nothing else; webhooks need none of their own.
const SCOPES: [&str; 8] = [
    "store_v2_default",
    "store_v2_information_read_only",
    "store_v2_orders",
    "store_v2_transactions",
    "store_v2_customers",
    "store_v2_products",
    "store_inventory",
    "store_locations_read_only",
];

/// The ISV's app, which the store installs. The callback says for which store, BigCommerce takes it back in the exchange,
/// and its answer says it again: only that counts.
fn installed() -> Oauth2 {
    let token = TokenEndpoint::new("https://login.bigcommerce.com/oauth2/token").json();
    Oauth2::new("https://login.bigcommerce.com/oauth2/authorize", token)
        .scopes(&SCOPES)
        .repeat("scope")
        .repeat("context")
        .capture(Capture::token(api::STORE_HASH, "context").prefix("stores/"))
}

/// The ISV's app by consent, or a store-level API account. Neither's token expires.
pub(crate) fn connection() -> Connection {
    let path = "In the control panel: Settings › API › Store-level API accounts › Create API account";
    Connection::new()
        .parameter(
            Parameter::identifier(api::STORE_HASH, "Store hash")
                .help("The part after `stores/` in the account's API path, for example `abc123`."),
        )
        .scheme(
            Scheme::oauth2("oauth", "BigCommerce", installed()).header(TOKEN_HEADER, secret("access_token")),
        )
        .scheme(
            Scheme::fields("api_account", "API account")
                .field("access_token", "Access token", path)
                .header(TOKEN_HEADER, secret("access_token")),
        )
}

/// Whether the token works, and for which store.
pub(crate) fn check(ctx: &Context) -> Result<Account> {
    let store: Value = api::get(ctx, "/v2/store")?.send()?.json()?;
    let text = |name| store.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let hash = api::store_hash(ctx)?;
    Ok(Account::new(hash, text("name").or_else(|| text("domain")).unwrap_or(hash)))
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::Answer;

    use super::*;
    use crate::api::testing::{STORE, host};

    #[test]
    fn a_working_token_answers_the_store() {
        let host = host();
        let store = json!({"id": "abc123", "name": "Ada's Engines", "domain": "engines.example"});
        host.http().on("GET", &format!("{STORE}/v2/store"), move |_| Answer::json(200, &store));
        let account = check(&host.context()).unwrap();
        assert_eq!((account.id.as_str(), account.title.as_str()), ("abc123", "Ada's Engines"));
    }

    #[test]
    fn a_revoked_token_asks_for_a_new_connection() {
        let host = host();
        host.http().on("GET", &format!("{STORE}/v2/store"), |_| Answer::empty(401));
        assert!(matches!(check(&host.context()), Err(Error::AuthExpired(_))));
    }

    #[test]
    fn a_store_without_a_name_is_known_by_its_domain() {
        let host = host();
        host.http().on("GET", &format!("{STORE}/v2/store"), |_| {
            Answer::json(200, &json!({"domain": "engines.example"}))
        });
        assert_eq!(check(&host.context()).unwrap().title, "engines.example");
    }
}
