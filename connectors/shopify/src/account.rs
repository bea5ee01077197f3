//! The shop a connection belongs to, and how a person connects it.

use std::time::Duration;

use trunnion_sdk::{
    auth::{Account, CallbackSignature, Capture, Oauth2, Parameter, TokenEndpoint},
    prelude::*,
};

use crate::graphql::{self, Query};

/// The secret that Shopify signs webhooks with. Only the host uses it; no request carries it.
pub(crate) const CLIENT_SECRET: &str = "client_secret";

const SHOP_QUERY: Query = Query::new(include_str!("documents/shop.graphql"));

const TOKEN_HEADER: &str = "X-Shopify-Access-Token";

/// What the triggers and actions need, and nothing else.
const SCOPES: [&str; 11] = [
    "read_orders",
    "write_orders",
    "read_customers",
    "write_customers",
    "read_products",
    "write_products",
    "read_inventory",
    "write_inventory",
    "read_locations",
    "read_merchant_managed_fulfillment_orders",
    "write_merchant_managed_fulfillment_orders",
];

/// How far the clock that signs a callback may be from ours; Shopify's own library takes as much.
const CLOCKS_DIFFER: Duration = Duration::from_secs(90);

/// The ISV's app, which the shop installs: its token is the app's in this shop, whoever is logged in there (offline).
fn installed(token: TokenEndpoint) -> Oauth2 {
    Oauth2::new("https://{shop}.myshopify.com/admin/oauth/authorize", token.json())
        .scopes(&SCOPES)
        .scope_separator(",")
        .capture(Capture::callback(graphql::SHOP, "shop").suffix(".myshopify.com"))
        .signed_callback(
            CallbackSignature::new("hmac").unsigned("signature").time("timestamp", CLOCKS_DIFFER),
        )
}

/// The ISV's app by consent, with a token that is renewed every hour or with one that lasts; or a custom app of the shop's
/// own: a token that does not expire, and the app's secret key.
pub(crate) fn connection() -> Connection {
    let token = || TokenEndpoint::new("https://{shop}.myshopify.com/admin/oauth/access_token");
    let credentials =
        "In the shop's admin: Settings › Apps and sales channels › Develop apps › the app › API credentials";
    Connection::new()
        .parameter(Parameter::host_label(graphql::SHOP, "Shop name").help(
            "NAME in NAME.myshopify.com, for example `ada-engines`: the shop's first address, not its own domain.",
        ))
        .scheme(
            Scheme::oauth2("oauth", "Shopify", installed(token().parameter("expiring", "1")).rotating())
                .header(TOKEN_HEADER, secret("access_token")),
        )
        .scheme(
            Scheme::oauth2("oauth_lasting", "Shopify (token that lasts)", installed(token()))
                .header(TOKEN_HEADER, secret("access_token")),
        )
        .scheme(
            Scheme::fields("custom_app", "Custom app")
                .field("access_token", "Admin API access token", credentials)
                .field(CLIENT_SECRET, "API secret key", credentials)
                .header(TOKEN_HEADER, secret("access_token")),
        )
}

/// Whether the token works, and for which shop. The account is the shop's domain, which deliveries carry too.
pub(crate) fn check(ctx: &Context) -> Result<Account> {
    let data = SHOP_QUERY.send(ctx, &json!({}))?;
    let text = |name| data.pointer(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let domain = text("/shop/myshopifyDomain").ok_or_else(|| {
        Error::other(
            "answer-not-understood",
            "Shopify's answer names no shop: `shop.myshopifyDomain` is missing",
        )
    })?;
    Ok(Account::new(domain.to_ascii_lowercase(), text("/shop/name").unwrap_or(domain)))
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::Answer;

    use super::*;
    use crate::graphql::testing::{URL, answer, host};

    #[test]
    fn a_working_token_answers_the_shop() {
        let host = host();
        let shop = json!({"shop": {"name": "Ada's Engines", "myshopifyDomain": "ada-engines.myshopify.com"}});
        host.http().once("POST", URL, answer(&shop));
        let account = check(&host.context()).unwrap();
        let found = (account.id.as_str(), account.title.as_str());
        assert_eq!(found, ("ada-engines.myshopify.com", "Ada's Engines"));
    }

    #[test]
    fn a_revoked_token_asks_for_a_new_connection() {
        let host = host();
        let refusal =
            json!({"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"});
        host.http().once("POST", URL, Answer::json(401, &refusal));
        let Err(Error::AuthExpired(message)) = check(&host.context()) else {
            panic!("401 is an expired token")
        };
        assert!(message.contains("Invalid API key"), "{message}");
    }

    #[test]
    fn an_answer_without_a_domain_is_an_error_that_says_so() {
        let host = host();
        host.http().once("POST", URL, answer(&json!({"shop": {"name": "Ada's Engines"}})));
        let error = check(&host.context()).unwrap_err();
        assert!(error.to_string().contains("myshopifyDomain"), "{error}");
    }
}
