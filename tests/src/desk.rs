//! What issues tokens in the fakes of real vendors: clients, codes that serve once, access tokens and, where the vendor has
//! them, refresh tokens. The vendors differ in the words of requests and answers, which are theirs; `issuer` is a vendor
//! that has every oddity.
//!
//! Invariants: a code is bound to its client and redirect URL; an access token works until a test ends it.

use std::collections::BTreeMap;

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use url::form_urlencoded;

/// A token request's members, or a query's.
pub(crate) type Members = BTreeMap<String, String>;

/// What a request with a refresh token does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// It stays.
    Kept,
    /// Another one takes its place.
    Replaced,
}

/// What issues tokens.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    clients: BTreeMap<String, String>,
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, String>,
    refresh: BTreeMap<String, String>,
    issued: u64,
    asked: Vec<String>,
}

#[derive(Debug)]
struct Code {
    client: String,
    redirect_uri: String,
    account: String,
}

/// Whose tokens are to be issued, and the refresh token that goes with them.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) account: String,
    pub(crate) refresh: Option<String>,
}

/// A member; empty where absent.
pub(crate) fn member<'a>(members: &'a Members, name: &str) -> &'a str {
    members.get(name).map(String::as_str).unwrap_or_default()
}

/// The members of a form or a query.
pub(crate) fn form(bytes: &[u8]) -> Members {
    form_urlencoded::parse(bytes).into_owned().collect()
}

/// Sends a person back with these.
pub(crate) fn send_back(to: &str, query: &[(&str, &str)]) -> Response {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    (StatusCode::FOUND, [(header::LOCATION, format!("{to}?{query}"))]).into_response()
}

impl Desk {
    pub(crate) fn add_client(&mut self, id: &str, secret: &str) {
        self.clients.insert(id.to_owned(), secret.to_owned());
    }

    pub(crate) fn secret(&self, client: &str) -> Option<&str> {
        self.clients.get(client).map(String::as_str)
    }

    /// The kinds of grants that were asked for, in order.
    pub(crate) fn asked(&self) -> &[String] {
        &self.asked
    }

    /// A person of `account` has consented to what `query` asks.
    pub(crate) fn consent(&mut self, query: &Members, account: &str) -> Result<String, Value> {
        if self.secret(member(query, "client_id")).is_none() {
            return Err(json!({ "error": "invalid_client" }));
        }
        let code = self.fresh("code");
        let kept = Code {
            client: member(query, "client_id").to_owned(),
            redirect_uri: member(query, "redirect_uri").to_owned(),
            account: account.to_owned(),
        };
        self.codes.insert(code.clone(), kept);
        Ok(code)
    }

    /// Whether a token request is granted; the kind of grant may be left out where there is a code.
    pub(crate) fn grant(&mut self, asked: &Members, renewal: Renewal) -> Result<Granted, Value> {
        let kind = asked.get("grant_type").map_or("authorization_code", String::as_str);
        self.asked.push(kind.to_owned());
        let refused = |error: &str, why: &str| Err(json!({ "error": error, "error_description": why }));
        if self.secret(member(asked, "client_id")) != Some(member(asked, "client_secret")) {
            return refused("invalid_client", "the client is not known");
        }
        match kind {
            "authorization_code" => {
                let code = self.codes.remove(member(asked, "code")).filter(|code| {
                    code.client == member(asked, "client_id")
                        && code.redirect_uri == member(asked, "redirect_uri")
                });
                match code {
                    Some(Code { account, .. }) => Ok(Granted { account, refresh: None }),
                    None => refused("invalid_grant", "the code is not for this, or was used"),
                }
            }
            "refresh_token" => {
                let token = member(asked, "refresh_token");
                let account = match renewal {
                    Renewal::Kept => self.refresh.get(token).cloned(),
                    Renewal::Replaced => self.refresh.remove(token),
                };
                let refresh = (renewal == Renewal::Kept).then(|| token.to_owned());
                match account {
                    Some(account) => Ok(Granted { account, refresh }),
                    None => refused("invalid_grant", "the refresh token is not known, or was used"),
                }
            }
            _ => refused("unsupported_grant_type", "this grant is not known"),
        }
    }

    /// A new access token.
    pub(crate) fn access_for(&mut self, account: &str) -> String {
        let token = self.fresh("access");
        self.access.insert(token.clone(), account.to_owned());
        token
    }

    /// The refresh token that was granted, or a new one.
    pub(crate) fn refresh_for(&mut self, granted: Granted) -> String {
        let Granted { account, refresh } = granted;
        let token = refresh.unwrap_or_else(|| self.fresh("refresh"));
        self.refresh.insert(token.clone(), account);
        token
    }

    /// Whose an access token is.
    pub(crate) fn account(&self, token: &str) -> Option<&str> {
        self.access.get(token).map(String::as_str)
    }

    /// Ends an account's access tokens.
    pub(crate) fn end_access(&mut self, account: &str) {
        self.access.retain(|_, of| of != account);
    }

    fn fresh(&mut self, kind: &str) -> String {
        self.issued += 1;
        format!("cnry-{kind}-{:04}-9b36d7a4c2f0e815", self.issued)
    }
}
