//! Credentials: `POST /headless/credentials`, a user's list, and the address where a user consents.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trunnion_core::records;
use utoipa::{IntoParams, ToSchema};

use super::lenient;
use crate::{
    api::{
        Services, body,
        caller::{Installing, Party},
        error::Failure,
        path,
        schema::{Id, Listed, Moment, Success},
    },
    vault::Wish,
};

/// A credential to be kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewCredential {
    /// The user, by id or username; not needed with a user token, or where the path names them.
    user_id: Option<String>,
    /// Also as a text that holds it.
    #[schema(value_type = GivenCredential)]
    credential: Value,
}

/// What connects an app.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = GivenCredential)]
struct GivenCredential {
    /// The app.
    #[serde(rename = "type")]
    app: String,
    /// Texts or numbers, by the names that `GET /metadata/credentials/{app}` lists.
    data: BTreeMap<String, Value>,
}

/// A credential that is kept.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MadeCredential {
    /// Always true.
    success: bool,
    credential_id: Id,
}

/// A credential, without what proves it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Credential {
    credential_id: Id,
    /// The app.
    #[serde(rename = "type")]
    app: String,
    created_at: Moment,
    updated_at: Moment,
}

/// Where a user consents.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OauthUrl {
    oauth_url: String,
    data: InnerOauthUrl,
}

/// The same, as some clients read it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct InnerOauthUrl {
    oauth_url: String,
}

/// Where a user consents, under every name that clients read.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RedirectUrl {
    oauth_url: String,
    redirect_url: String,
    url: String,
}

/// Keeps a credential
///
/// The vendor is asked first.
#[utoipa::path(post, path = "/headless/credentials", operation_id = "createCredential",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])), request_body = NewCredential,
    responses((status = OK, description = "It is kept.", body = MadeCredential),
        (status = CONFLICT, description = "It changes too quickly."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn create(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    body: body::Json<NewCredential>,
) -> Result<Json<MadeCredential>, Failure> {
    let NewCredential { user_id, credential } = body.value;
    connect(&services, &party, user_id.as_deref(), credential).await
}

/// Keeps a credential of a user
///
/// The older form, by path. The vendor is asked first.
#[utoipa::path(post, path = "/users/{user}/credentials", operation_id = "createUserCredential",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])), request_body = NewCredential,
    responses((status = OK, description = "It is kept.", body = MadeCredential),
        (status = CONFLICT, description = "It changes too quickly."),
        (status = TOO_MANY_REQUESTS, description = "The vendor asks to come back later."),
        (status = BAD_GATEWAY, description = "The vendor could not be asked.")))]
pub(super) async fn create_of(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    Path(user): Path<String>,
    body: body::Json<NewCredential>,
) -> Result<Json<MadeCredential>, Failure> {
    connect(&services, &party, Some(&user), body.value.credential).await
}

async fn connect(
    services: &Services,
    party: &Party,
    user: Option<&str>,
    credential: Value,
) -> Result<Json<MadeCredential>, Failure> {
    // One official client sends the credential as a JSON text.
    let credential: GivenCredential =
        serde_json::from_value(lenient::object(credential)).map_err(|error| {
            let message = format!("`credential` must be {{\"type\": APP, \"data\": {{…}}}}: {error}");
            Failure::new(StatusCode::BAD_REQUEST, "credential-invalid", message)
        })?;
    let mut given = BTreeMap::new();
    for (name, value) in credential.data {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => {
                let message = format!("`credential.data.{name}` must be text");
                return Err(Failure::new(StatusCode::BAD_REQUEST, "credential-invalid", message));
            }
        };
        given.insert(name, text);
    }
    let (scope, user) = party.of(services, user).await?;
    let connection = services.vault.connect(&scope, user.id, &credential.app, given).await?;
    Ok(Json(MadeCredential { success: true, credential_id: Id::of(connection.id) }))
}

/// Lists a user's credentials
#[utoipa::path(get, path = "/users/{user}/credentials", operation_id = "listUserCredentials",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "Every one.", body = Listed<Credential>)))]
pub(super) async fn list(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    Path(user): Path<String>,
) -> Result<Json<Listed<Credential>>, Failure> {
    let (scope, user) = party.of(&services, Some(&user)).await?;
    let connections = services.vault.connections(&scope, user.id).await?;
    let shape = |connection: records::Connection| Credential {
        credential_id: Id::of(connection.id),
        app: connection.app,
        created_at: Moment::of(connection.created_at),
        updated_at: Moment::of(connection.updated_at),
    };
    Ok(Json(connections.into_iter().map(shape).collect()))
}

/// Deletes a credential
#[utoipa::path(delete, path = "/users/{user}/credentials/{credential}", operation_id = "deleteUserCredential",
    security(("environment_key" = []), ("user_token" = [])),
    responses((status = OK, description = "It is gone.", body = Success),
        (status = CONFLICT, description = "Something that uses it changes too quickly.")))]
pub(super) async fn delete(
    State(services): State<Services>,
    party: Party,
    Path((user, credential)): Path<(String, String)>,
) -> Result<Json<Success>, Failure> {
    let (scope, user) = party.of(&services, Some(&user)).await?;
    services.installer.disconnect(&scope, user.id, path::id(&credential, "credential")?).await?;
    Ok(Json(Success { success: true }))
}

/// `userId`, `app` and what else the app's address needs, such as `shop`. `redirectUrl` is where the user goes in the
/// end; Alloy's `credentialName` means nothing here.
type Asked = BTreeMap<String, String>;

/// What of it every app knows.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `Asked` holds")]
struct ConsentParameters {
    /// The user, by id or username; not needed with a user token.
    #[param(rename = "userId")]
    user_id: Option<String>,
    /// The app.
    app: String,
    /// The way to connect, where the app has several.
    scheme: Option<String>,
    /// Where the user goes in the end.
    #[param(rename = "redirectUrl")]
    redirect_url: Option<String>,
    /// What the app's address needs, such as `shop`, each as a parameter of its own.
    #[param(style = Form, explode)]
    parameters: Option<BTreeMap<String, String>>,
}

/// Begins to connect an account by consent
#[utoipa::path(get, path = "/headless/oauthUrl", operation_id = "getOauthUrl",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])), params(ConsentParameters),
    responses((status = OK, description = "Where the user consents, at the vendor.", body = OauthUrl)))]
pub(super) async fn consent(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    Query(mut asked): Query<Asked>,
) -> Result<Json<OauthUrl>, Failure> {
    let user = asked.remove("userId");
    let url = consent_url(&services, &party, user.as_deref(), asked).await?;
    Ok(Json(OauthUrl { data: InnerOauthUrl { oauth_url: url.clone() }, oauth_url: url }))
}

/// Begins to connect an account by consent, with a body
#[utoipa::path(post, path = "/headless/oauthUrl", operation_id = "askOauthUrl",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])), request_body = BTreeMap<String, String>,
    responses((status = OK, description = "Where the user consents, at the vendor.", body = OauthUrl)))]
pub(super) async fn ask_consent(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    body: body::Json<Asked>,
) -> Result<Json<OauthUrl>, Failure> {
    let mut asked = body.value;
    let user = asked.remove("userId");
    let url = consent_url(&services, &party, user.as_deref(), asked).await?;
    Ok(Json(OauthUrl { data: InnerOauthUrl { oauth_url: url.clone() }, oauth_url: url }))
}

/// Begins to connect an account of a user by consent
///
/// The older form, by path, which names the app.
#[utoipa::path(get, path = "/users/{user}/credentials/{credential}", operation_id = "getUserOauthUrl",
    security(("environment_key" = []), ("user_token" = []), ("install_link" = [])),
    responses((status = OK, description = "Where the user consents, at the vendor.", body = RedirectUrl)))]
pub(super) async fn consent_of(
    State(services): State<Services>,
    Installing { party, .. }: Installing,
    Path((user, app)): Path<(String, String)>,
    Query(mut asked): Query<Asked>,
) -> Result<Json<RedirectUrl>, Failure> {
    asked.insert("app".to_owned(), app);
    let url = consent_url(&services, &party, Some(&user), asked).await?;
    Ok(Json(RedirectUrl { oauth_url: url.clone(), redirect_url: url.clone(), url }))
}

async fn consent_url(
    services: &Services,
    party: &Party,
    user: Option<&str>,
    mut asked: Asked,
) -> Result<String, Failure> {
    let Some(app) = asked.remove("app") else {
        let message = "`app` is missing; name the app that the user connects";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "credential-incomplete", message));
    };
    let (scope, user) = party.of(services, user).await?;
    let (scheme, redirect) = (asked.remove("scheme"), asked.remove("redirectUrl"));
    let wish = Wish { user: user.id, name: None, app, scheme, given: asked, redirect };
    Ok(services.vault.ask_consent(&scope, wish).await?)
}
