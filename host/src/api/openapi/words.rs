//! What the document says in words.

pub(super) const INTRODUCTION: &str = "\
Trunnion runs integrations between a software vendor's product and the products its customers use.

**Two surfaces.** `/v1` is the native API: refusals are problems as RFC 9457 has them, with a stable `code`. The \
other paths are those of Alloy Embedded, for clients that were written for it: refusals are `{\"message\"}`, and every \
success is exactly 200. They are described under `/2024-03`; `/2023-01`, `/2023-03`, `/2023-06`, `/2023-12` and no \
prefix at all do the same.

**Keys.** A workspace has a key for each environment, `development` and `production`: users and everything that is \
theirs belong to the environment whose key made them, and no other key sees them. Operators' keys run the host and \
read no workspace's data.

**Ids** are 24 lower-case hex digits. A user is named by id or username everywhere. Moments are RFC 3339 in UTC.";

pub(super) const ENVIRONMENT_KEY: &str = "A workspace's key for one environment, as `Authorization: Bearer KEY`. For the ISV's server: never in a page.";

pub(super) const OPERATOR_KEY: &str = "An operator's key, as `Authorization: Bearer KEY`. It runs the host.";

pub(super) const USER_TOKEN: &str = "\
A user's token, which `GET /users/{user}/token` issues, good for an hour. For the user's own browser: the user comes from \
the token, and need not be named.";

pub(super) const INSTALL_LINK: &str = "\
The token of an install link, which `GET /users/{user}/integrations/{integration}/install-url` makes: for one \
integration, once, for seven days.";

pub(super) const IDEMPOTENCY_KEY: &str = "\
The caller's own key of this call, such as a UUID. Sent again with the same body within 24 hours, the call is not carried \
out again, and the first answer is repeated.";

pub(super) const NAMED_USER: &str =
    "The user of a call with a key, by id or username, where nothing else names them. A token has its own.";

/// What a path's parameter is; none where it has no words yet, which a test finds.
pub(super) fn parameter(name: &str) -> Option<&'static str> {
    Some(match name {
        "action" => "The action, as the app's connector calls it.",
        "api_key" => "The API key's id; not the key itself.",
        "app" => "The app, such as `bigcommerce`.",
        "connection" => "The connection's id.",
        "credential" => "The credential's id, or the app whose address of consent is wanted.",
        "event" | "name" => "The name.",
        "execution" => "The execution's id.",
        "installation" => "The installation's id.",
        "integration" => "The integration's id, or its app.",
        "key" => "The key, as a listing of held keys shows it: 32 hex digits.",
        "letter" => "The dead letter's id: that of its run or delivery.",
        "lookup" => "The lookup, as the app's connector calls it.",
        "run" => "The run's id.",
        "user" => "The user, by id or username.",
        "workflow" => "The workflow's id.",
        _ => return None,
    })
}
