//! How a user connects: the project, and whose word counts there.

use trunnion_sdk::{
    auth::{Account, JwtBearer, Oauth2, Parameter, TokenEndpoint},
    prelude::*,
};

use crate::api;

/// Rows, tables and jobs; nothing else of the project.
const SCOPES: &[&str] = &["https://www.googleapis.com/auth/bigquery"];

const TOKENS: &str = "https://oauth2.googleapis.com/token";

pub(crate) fn connection() -> Connection {
    let key = JwtBearer::new(
        "service_account_key",
        "Service account key",
        "Google Cloud console › IAM › Service accounts › Keys › Add key › JSON: the whole file",
    );
    // Google gives a refresh token only where it is asked for one, and only at the first consent unless asked again.
    let consent = Oauth2::new("https://accounts.google.com/o/oauth2/v2/auth", TokenEndpoint::new(TOKENS))
        .scopes(SCOPES)
        .pkce()
        .reusable()
        .authorize_parameter("access_type", "offline")
        .authorize_parameter("prompt", "consent");
    Connection::new()
        .parameter(
            Parameter::identifier(api::PROJECT, "Project ID")
                .help("Google Cloud console › project picker › ID, as in `acme-warehouse-1234`"),
        )
        .scheme(
            Scheme::jwt_bearer("service_account", "Service account", key.scopes(SCOPES).audience(TOKENS))
                .bearer(),
        )
        .scheme(Scheme::oauth2("oauth", "Google account", consent).bearer())
        .scheme(
            Scheme::fields("access_token", "Access token")
                .field(
                    "access_token",
                    "Access token",
                    "One that is made elsewhere, such as by an emulator; Google's end after an hour",
                )
                .bearer(),
        )
}

/// Whether the credential may see the project.
pub(crate) fn check(ctx: &Context) -> Result<Account> {
    let project = ctx.parameter(api::PROJECT)?;
    api::get(ctx, "/datasets")?.query("maxResults", "1").send()?;
    Ok(Account::new(project, project))
}
