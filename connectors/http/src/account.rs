//! How a user connects: the hosts that may be called, and the credential that goes there.

use trunnion_sdk::{
    auth::{Account, Parameter},
    prelude::*,
};

const HOSTS: &str = "hosts";

/// The secret that a request names where it says for itself how the API takes it.
pub(crate) const KEY: &str = "key";

pub(crate) fn connection() -> Connection {
    Connection::new()
        .parameter(
            Parameter::host_names(HOSTS, "Allowed hosts")
                .help("Host names that may be called, with commas between them, as in `api.example.com,files.example.com`"),
        )
        .scheme(
            Scheme::fields("bearer", "Bearer token")
                .field("token", "Token", "Sent as `Authorization: Bearer …`")
                .header("Authorization", format!("Bearer {}", secret("token"))),
        )
        .scheme(Scheme::basic("basic", "User name and password"))
        .scheme(Scheme::fields(KEY, "Key").field(
            KEY,
            "Key",
            "Sent in the header or query parameter that a request names in `auth`",
        ))
        .scheme(Scheme::fields("webhook", "Webhooks only").field(
            "signing_secret",
            "Signing secret",
            "With which the other end signs what it posts; sent nowhere",
        ))
}

/// Nothing is known that could be asked: whether the credential works, the first request says.
pub(crate) fn check(ctx: &Context) -> Result<Account> {
    let hosts = ctx.parameter(HOSTS)?;
    Ok(Account::new(hosts, hosts))
}
