//! The HubSpot account (portal) a connection belongs to, and how a person connects it.

use trunnion_sdk::{
    auth::{Account, Oauth2, TokenEndpoint},
    prelude::*,
};

use crate::api;

/// What the triggers and actions need, and nothing else; a ticket's is older than the others.
const SCOPES: [&str; 9] = [
    "oauth",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.objects.companies.read",
    "crm.objects.companies.write",
    "crm.objects.deals.read",
    "crm.objects.deals.write",
    "crm.objects.owners.read",
    "tickets",
];

/// The ISV's app by consent: tokens end after half an hour, and the one that renews them stays. Or a private app's access
/// token, which does not expire. Which portal it is, the token itself is asked for.
pub(crate) fn connection() -> Connection {
    let token = TokenEndpoint::new("https://api.hubapi.com/oauth/v3/token");
    let installed = Oauth2::new("https://app.hubspot.com/oauth/authorize", token).scopes(&SCOPES).reusable();
    let path = "In HubSpot: Settings › Integrations › Private Apps › your app › Auth › Access token";
    Connection::new().scheme(Scheme::oauth2("oauth", "HubSpot", installed).bearer()).scheme(
        Scheme::fields("private_app", "Private app").field("access_token", "Access token", path).bearer(),
    )
}

/// Whether the token works, and for which portal: app-level webhooks name it.
pub(crate) fn check(ctx: &Context) -> Result<Account> {
    let details: Value = api::get(ctx, "/account-info/v3/details").send()?.json()?;
    let Some(portal) = details.get("portalId").and_then(Value::as_u64) else {
        return Err(Error::other(
            "answer-not-understood",
            "HubSpot's account details have no whole number in `portalId`",
        ));
    };
    let kind = details.get("accountType").and_then(Value::as_str).unwrap_or("STANDARD");
    let title = match kind {
        "STANDARD" => format!("HubSpot {portal}"),
        other => format!("HubSpot {portal} ({})", other.to_ascii_lowercase().replace('_', " ")),
    };
    Ok(Account::new(portal.to_string(), title))
}

#[cfg(test)]
mod tests {
    use trunnion_sdk::test::{Answer, FakeHost};

    use super::*;

    fn checked(answer: Answer) -> Result<Account> {
        let host = FakeHost::new();
        host.http().once("GET", "https://api.hubapi.com/account-info/v3/details", answer);
        check(&host.context())
    }

    #[test]
    fn the_portal_is_the_account() {
        let account = checked(Answer::json(200, &json!({"portalId": 62515, "accountType": "STANDARD"})));
        assert_eq!(account.unwrap(), Account::new("62515", "HubSpot 62515"));
        let test = checked(Answer::json(200, &json!({"portalId": 7, "accountType": "DEVELOPER_TEST"})));
        assert_eq!(test.unwrap().title, "HubSpot 7 (developer test)");
    }

    #[test]
    fn a_revoked_token_and_an_answer_without_portal_are_told_apart() {
        let revoked = json!({"status": "error", "message": "The token is expired", "category": "EXPIRED_AUTHENTICATION"});
        assert!(matches!(checked(Answer::json(401, &revoked)), Err(Error::AuthExpired(_))));
        assert!(matches!(checked(Answer::json(200, &json!({}))), Err(Error::Other { .. })));
    }
}
