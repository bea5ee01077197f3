//! The rules of auth schemes: what is asked, where tokens come from, and where secrets are put.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{ParameterPattern, SUBSCRIPTION},
    Check,
};
use crate::{
    hosts::HostPattern,
    manifest::auth::{
        ACCESS_TOKEN, AuthKind, AuthScheme, CLIENT_ID, CLIENT_SECRET, ClientCredentials, Oauth2, Placement,
        TokenEndpoint,
    },
};

/// What the host itself writes into requests to authorize and token endpoints.
const OWN_PARAMETERS: [&str; 14] = [
    "assertion",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "redirect_uri",
    "refresh_token",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

impl Check<'_> {
    pub(super) fn scheme(&mut self, at: &str, scheme: &AuthScheme) {
        self.title(at, &scheme.title);
        match &scheme.kind {
            AuthKind::Fields { fields } => {
                if fields.is_empty() {
                    self.problem(
                        format!("{at}/fields"),
                        "asks for nothing; add the secret a person gives, or remove the scheme",
                    );
                }
                self.asked(&format!("{at}/fields"), scheme);
            }
            AuthKind::Oauth2(oauth) => self.oauth2(at, oauth),
            AuthKind::ClientCredentials(client) => {
                self.asked(&format!("{at}/fields"), scheme);
                self.client_credentials(at, client);
            }
            AuthKind::JwtBearer(bearer) => {
                self.id(&format!("{at}/key/name"), &bearer.key.name);
                self.title(&format!("{at}/key"), &bearer.key.title);
                self.scopes(at, &bearer.scopes);
            }
        }
        for (index, placement) in scheme.place.iter().enumerate() {
            let at = format!("{at}/place/{index}");
            match placement {
                Placement::Header { name, .. } => self.header(&format!("{at}/name"), name),
                Placement::Query { name, .. } if name.is_empty() => {
                    self.problem(format!("{at}/name"), "is empty; write the name the vendor reads");
                }
                Placement::Query { .. } | Placement::Basic { .. } => {}
                Placement::AwsSigv4(signed) => {
                    for (member, text) in [("service", &signed.service), ("region", &signed.region)] {
                        if text.is_empty() {
                            self.problem(format!("{at}/{member}"), "is empty; write what signatures name");
                        }
                    }
                    self.template(&format!("{at}/region"), &signed.region);
                }
            }
            for (member, text) in placement.texts() {
                self.placed(&format!("{at}/{member}"), text, scheme);
            }
        }
    }

    /// What a person is asked for.
    fn asked(&mut self, at: &str, scheme: &AuthScheme) {
        self.ids(at, "name", scheme.asks().iter().map(|field| field.name.as_str()));
        for (index, field) in scheme.asks().iter().enumerate() {
            self.title(&format!("{at}/{index}"), &field.title);
            if field.name == SUBSCRIPTION {
                self.problem(
                    format!("{at}/{index}/name"),
                    format!("`{SUBSCRIPTION}` is the host's own secret of a webhook; use another name"),
                );
            }
        }
    }

    fn oauth2(&mut self, at: &str, oauth: &Oauth2) {
        let authorize = &oauth.authorize;
        self.endpoint(&format!("{at}/authorize/url"), &authorize.url);
        self.further(&format!("{at}/authorize/parameters"), authorize.parameters.iter());
        if authorize.scope_separator.is_empty() {
            self.problem(format!("{at}/authorize/scope_separator"), "is empty; write for example a comma");
        }
        self.token(at, &oauth.token);
        self.scopes(at, &oauth.scopes);
        for (index, name) in oauth.repeat.iter().enumerate() {
            let own = OWN_PARAMETERS.contains(&name.as_str()) && name != "scope";
            if name.is_empty() || own {
                self.problem(
                    format!("{at}/repeat/{index}"),
                    format!("`{name}` is not the vendor's own; leave it out"),
                );
            }
        }
        let mut captured = BTreeSet::new();
        for (index, capture) in oauth.captures.iter().enumerate() {
            let at = format!("{at}/captures/{index}");
            self.parameter(&format!("{at}/parameter"), &capture.parameter);
            if !captured.insert(&capture.parameter) {
                self.problem(
                    format!("{at}/parameter"),
                    format!("`{}` is captured twice; leave one out", capture.parameter),
                );
            }
            if capture.name.is_empty() {
                self.problem(format!("{at}/name"), "is empty; write the name the vendor gives it");
            }
        }
        if let Some(callback) = &oauth.callback {
            if callback.parameter.is_empty() {
                self.problem(
                    format!("{at}/callback/parameter"),
                    "is empty; write the query parameter that carries the signature, such as `hmac`",
                );
            }
            if callback.timestamp.as_ref().is_some_and(|time| time.tolerance_ms == 0) {
                self.problem(
                    format!("{at}/callback/timestamp/tolerance_ms"),
                    "is 0, so that no callback could be in time; write for example 90000",
                );
            }
        }
    }

    fn client_credentials(&mut self, at: &str, client: &ClientCredentials) {
        self.token(at, &client.token);
        self.scopes(at, &client.scopes);
        let given: BTreeSet<&str> = client.fields.iter().map(|field| field.name.as_str()).collect();
        if !given.is_empty() && given != BTreeSet::from([CLIENT_ID, CLIENT_SECRET]) {
            self.problem(
                format!("{at}/fields"),
                format!(
                    "must ask for `{CLIENT_ID}` and `{CLIENT_SECRET}` and nothing else; leave it out where the app \
                     registration is the client"
                ),
            );
        }
    }

    fn token(&mut self, at: &str, token: &TokenEndpoint) {
        let at = format!("{at}/token");
        let host = self.endpoint(&format!("{at}/url"), &token.url);
        self.further(&format!("{at}/parameters"), token.parameters.iter());
        let hosts = &self.manifest.hosts;
        let patterns: Vec<_> = hosts.iter().filter_map(|known| HostPattern::parse(known).ok()).collect();
        // Where `hosts` is at fault, that is what is said.
        let Some(host) = host.filter(|_| !hosts.is_empty() && patterns.len() == hosts.len()) else { return };
        // A wildcard of `hosts` covers a host without parameters; one with parameters must be there as it is.
        let none = BTreeMap::new();
        let plain = host.split_once(':').map_or(host.as_str(), |(name, _)| name);
        let port = host.split_once(':').and_then(|(_, port)| port.parse().ok());
        let named = hosts.iter().any(|known| known.eq_ignore_ascii_case(&host))
            || patterns.iter().any(|pattern| pattern.matches(plain, port, &none));
        if !named {
            self.problem(
                format!("{at}/url"),
                format!("tokens come from `{host}`, which is not in `hosts`; add it there"),
            );
        }
    }

    /// Checks an endpoint's template; its host where that can be read.
    fn endpoint(&mut self, at: &str, url: &str) -> Option<String> {
        let Some(rest) = url.strip_prefix("https://") else {
            self.problem(at, format!("`{url}` is not an https URL; write it as `https://host/path`"));
            return None;
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (host, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if path.contains('#') || url.chars().any(|letter| letter.is_control() || letter == ' ') {
            self.problem(at, "has a fragment, a space or a control character; remove it");
        }
        self.template(at, url);
        match HostPattern::parse(host) {
            Err(message) => {
                self.problem(at, message);
                None
            }
            Ok(_) if host.starts_with('*') => {
                self.problem(at, format!("`{host}` leaves the host open; name it, or use `{{parameter}}`"));
                None
            }
            Ok(_) => Some(host.to_owned()),
        }
    }

    /// Further members of requests: not the host's own, their values templates.
    fn further<'s>(&mut self, at: &str, parameters: impl Iterator<Item = (&'s String, &'s String)>) {
        for (name, value) in parameters {
            let at = format!("{at}/{}", crate::mapping::escape(name));
            if OWN_PARAMETERS.contains(&name.as_str()) {
                self.problem(
                    at.as_str(),
                    format!("`{name}` is written by the host itself; leave it out (scopes go into `scopes`)"),
                );
            }
            self.template(&at, value);
        }
    }

    /// Every `{name}` is a connection parameter.
    fn template(&mut self, at: &str, template: &str) {
        let mut pieces = template.split('{');
        let before = pieces.next().unwrap_or_default();
        let mut stray = before.contains('}');
        for piece in pieces {
            match piece.split_once('}') {
                Some((name, rest)) => {
                    self.parameter(at, name);
                    stray |= rest.contains('}');
                }
                None => stray = true,
            }
        }
        if stray {
            self.problem(at, format!("`{template}` has `{{` or `}}` alone; write a parameter as `{{shop}}`"));
        }
    }

    fn parameter(&mut self, at: &str, name: &str) {
        if let Some(known) = self.manifest.connection.parameters.iter().find(|known| known.name == name)
            && known.pattern == ParameterPattern::HostNames
        {
            self.problem(
                at,
                format!("`{{{name}}}` holds several whole hosts, which would change what a URL means; use it in `hosts` only"),
            );
        }
        if !self.manifest.connection.parameters.iter().any(|known| known.name == name) {
            self.problem(
                at,
                format!("`{{{name}}}` is not a connection parameter; declare it in `connection.parameters`"),
            );
        }
    }

    fn scopes(&mut self, at: &str, scopes: &[String]) {
        for (index, scope) in scopes.iter().enumerate() {
            if scope.is_empty() || scope.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
                self.problem(
                    format!("{at}/scopes/{index}"),
                    format!("`{scope}` is not one scope; write each as a text of its own"),
                );
            }
        }
    }

    fn placed(&mut self, at: &str, value: &str, scheme: &AuthScheme) {
        let known = scheme.placeable();
        if value.chars().any(char::is_control) {
            self.problem(at, "has a control character, which no request may carry; remove it");
        }
        let mut rest = value;
        while let Some((_, reference)) = rest.split_once("{{") {
            let Some((inside, after)) = reference.split_once("}}") else {
                self.problem(
                    at,
                    format!("`{value}` opens `{{{{` without `}}}}`; write `{{{{secret:NAME}}}}`"),
                );
                return;
            };
            rest = after;
            match inside.strip_prefix("secret:") {
                Some(name) if known.contains(&name) => {}
                Some(name) => {
                    let declare = if known.contains(&ACCESS_TOKEN) && scheme.is_issued() {
                        String::new()
                    } else {
                        "declare it in `fields`, or ".to_owned()
                    };
                    let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
                    self.problem(
                        at,
                        format!(
                            "the scheme `{}` has no secret `{name}` to put there; {declare}use {}",
                            scheme.id,
                            if known.is_empty() { "one of them".to_owned() } else { known.join(" or ") }
                        ),
                    );
                }
                None => self.problem(
                    at,
                    format!("`{{{{{inside}}}}}` is not a reference; write `{{{{secret:NAME}}}}`"),
                ),
            }
        }
    }
}
