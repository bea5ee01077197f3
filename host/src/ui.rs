//! The pages that people see: `/embed.js`, the modal that it shows in the ISV's page, and hosted install links.
//!
//! All of it is embedded in the binary, as it stands in `host/ui` and `sdk/embed`: plain ES modules, which no build step
//! has touched. What they know they ask `/v1/embed` for.
//!
//! Invariants: a page runs the host's own scripts and nothing else, and reaches nobody but the host. An address with a token
//! in it is kept by no cache and sent to nobody. What is cached for good is named by its content.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use url::form_urlencoded;

use crate::api::{Services, error};

/// What the pages load, by name.
const FILES: &[(&str, &str)] = &[
    ("api.js", include_str!("../ui/modal/api.js")),
    ("callback.js", include_str!("../ui/modal/callback.js")),
    ("connect.js", include_str!("../ui/modal/connect.js")),
    ("connections.js", include_str!("../ui/modal/connections.js")),
    ("consent.js", include_str!("../ui/modal/consent.js")),
    ("dom.js", include_str!("../ui/modal/dom.js")),
    ("forms.js", include_str!("../ui/modal/forms.js")),
    ("install.js", include_str!("../ui/modal/install.js")),
    ("messages.js", include_str!("../ui/modal/messages.js")),
    ("modal.css", include_str!("../ui/modal/modal.css")),
    ("modal.js", include_str!("../ui/modal/modal.js")),
    ("options.js", include_str!("../ui/modal/options.js")),
    ("picker.js", include_str!("../ui/modal/picker.js")),
    ("protocol.js", include_str!("../ui/modal/protocol.js")),
    ("shell.js", include_str!("../ui/modal/shell.js")),
    ("theme.js", include_str!("../ui/modal/theme.js")),
];

const PAGE: &str = include_str!("../ui/modal/page.html");
/// The npm package, whose source is also `/embed.js`.
const EMBED: &str = include_str!("../../sdk/embed/index.js");
const EMBED_GLOBAL: &str = include_str!("../ui/embed/global.js");

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// What a page may load: the host's own, and icons that manifests carry.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'";

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Files and pages, ready to be served.
#[derive(Debug)]
pub struct Assets {
    base: String,
    page: String,
    embed: String,
    embed_tag: HeaderValue,
}

impl Default for Assets {
    fn default() -> Self {
        Self::new()
    }
}

impl Assets {
    /// Names everything by what is in it.
    #[must_use]
    pub fn new() -> Self {
        let all: Vec<u8> =
            FILES.iter().flat_map(|(name, text)| [name.as_bytes(), text.as_bytes()].concat()).collect();
        let base = format!("/ui/modal/{}", short_hash(&all));
        let page = PAGE.replace("{assets}", &base);
        let embed = classic(EMBED);
        let embed_tag = HeaderValue::from_str(&format!("\"{}\"", short_hash(embed.as_bytes())))
            .unwrap_or_else(|_| HeaderValue::from_static("\"\""));
        Self { base, page, embed, embed_tag }
    }

    /// The address of a file.
    #[must_use]
    pub fn address(&self, file: &str) -> String {
        format!("{}/{file}", self.base)
    }
}

/// The routes.
pub fn routes(assets: &Arc<Assets>) -> Router<Services> {
    let page = |framing: Framing| {
        let assets = Arc::clone(assets);
        get(move |State(services): State<Services>, RawQuery(query): RawQuery| async move {
            page(&services, &assets, framing, query.unwrap_or_default()).await
        })
    };
    let embed = || {
        let assets = Arc::clone(assets);
        get(move |headers: HeaderMap| async move { embed(&assets, &headers) })
    };
    let files = Arc::clone(assets);
    Router::new()
        .route("/embed.js", embed())
        .route("/scripts/embedded.js", embed())
        .route("/forge-install", page(Framing::AsTheTokenSays))
        .route("/authenticate-app", page(Framing::AsTheTokenSays))
        .route("/embedded-install", page(Framing::Never))
        .route(
            "/ui/modal/{hash}/{file}",
            get(move |Path((hash, file)): Path<(String, String)>| async move { one(&files, &hash, &file) }),
        )
}

/// Where a page may be shown.
#[derive(Clone, Copy, Debug)]
enum Framing {
    /// In pages of the origins that its token names, or of any where it names none.
    AsTheTokenSays,
    /// In no other page.
    Never,
}

async fn page(services: &Services, assets: &Assets, framing: Framing, query: String) -> Response {
    let ancestors = match framing {
        Framing::Never => "'none'".to_owned(),
        Framing::AsTheTokenSays => {
            let token = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token");
            let proven = match &token {
                Some((_, token)) => services.user_tokens.prove(token, None).await.ok(),
                None => None,
            };
            // A page whose token proves nothing says so, wherever it is; it shows nothing else.
            let origins = proven.map(|proven| proven.origins).unwrap_or_default();
            if origins.is_empty() { "*".to_owned() } else { origins.join(" ") }
        }
    };
    let mut response = (StatusCode::OK, assets.page.clone()).into_response();
    dress(&mut response, HTML, "no-store");
    if let Ok(policy) = HeaderValue::from_str(&format!("{POLICY}; frame-ancestors {ancestors}")) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A file by its content's name; another content's name is nobody's.
fn one(assets: &Assets, hash: &str, file: &str) -> Response {
    let known = assets.base.rsplit('/').next() == Some(hash);
    let Some((_, text)) = FILES.iter().find(|(name, _)| known && *name == file) else {
        let message = "there is no such file; load the page again";
        return error::Failure::new(StatusCode::NOT_FOUND, "route-unknown", message).into_response();
    };
    let kind = if file.ends_with(".css") { STYLE } else { SCRIPT };
    let mut response = (StatusCode::OK, *text).into_response();
    dress(&mut response, kind, "public, max-age=31536000, immutable");
    response
}

fn embed(assets: &Assets, asked: &HeaderMap) -> Response {
    let known = asked.get(header::IF_NONE_MATCH) == Some(&assets.embed_tag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (StatusCode::OK, assets.embed.clone()).into_response()
    };
    dress(&mut response, SCRIPT, "public, max-age=300");
    let headers = response.headers_mut();
    headers.insert(header::ETAG, assets.embed_tag.clone());
    // Every page may load it, isolated ones and those that check its digest as well.
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

fn dress(response: &mut Response, kind: &'static str, caching: &'static str) {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, caching),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The package's source as a script for pages without modules, which leaves `window.Alloy` and nothing else.
fn classic(module: &str) -> String {
    let plain = module.replacen("export default function", "function", 1);
    format!("(() => {{\n\"use strict\";\n{plain}\n{EMBED_GLOBAL}}})();\n")
}

/// A name by content.
fn short_hash(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes)).chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn everything_in_the_folder_is_served_and_everything_loaded_is_there() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/modal");
        let mut there: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "page.html")
            .collect();
        there.sort();
        assert_eq!(there, FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for (name, text) in FILES.iter().filter(|(name, _)| name.ends_with(".js")) {
            for (_, rest) in
                text.match_indices("from \"./").map(|(at, found)| text.split_at(at + found.len()))
            {
                let loaded = rest.split('"').next().unwrap();
                assert!(FILES.iter().any(|(known, _)| *known == loaded), "{name} loads {loaded}");
            }
        }
    }

    #[test]
    fn the_script_is_the_package_and_exports_nothing() {
        let script = classic(EMBED);
        let body = EMBED.split_once("export default function").unwrap();
        assert!(script.contains(body.0) && script.contains(&format!("function{}", body.1)));
        assert!(!script.contains("export default"), "a classic script cannot export");
        assert!(!script.contains("\nimport "), "nor import");
    }

    #[test]
    fn every_language_has_every_text() {
        let text = FILES.iter().find(|(name, _)| *name == "messages.js").unwrap().1;
        let table = text.split("export const TABLES = {").nth(1).unwrap().split("\n};").next().unwrap();
        let languages: Vec<(&str, Vec<&str>)> = table
            .split("\n  },")
            .filter_map(|block| block.trim_start().split_once(": {"))
            .map(|(language, block)| {
                let names = block.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(':'));
                (language, names.map(|(name, _)| name).collect())
            })
            .collect();
        assert_eq!(languages.iter().map(|(language, _)| *language).collect::<Vec<_>>(), ["en", "de"]);
        assert!(languages[0].1.len() > 80, "the table is read: {languages:?}");
        assert_eq!(languages[0].1, languages[1].1);
        // What the scripts say is in the table.
        for (name, text) in FILES {
            for said in text.split(" t(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(languages[0].1.contains(&said), "{name} says `{said}`");
            }
        }
    }
}
