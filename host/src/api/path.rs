//! Path parameters, and the tolerances of paths that Alloy's clients need.

use std::{fmt::Display, str::FromStr};

use axum::http::{StatusCode, Uri, uri::PathAndQuery};

use super::error::Failure;

/// Reads an id; one that is not an id cannot name anything.
pub fn id<T: FromStr<Err: Display>>(text: &str, what: &str) -> Result<T, Failure> {
    text.parse().map_err(|error| {
        Failure::new(StatusCode::NOT_FOUND, "id-malformed", format!("there is no such {what}: {error}"))
    })
}

/// Names that clients and documents write in several ways.
const CAMEL_CASE: [&str; 3] = ["oauthUrl", "startInstallation", "completeInstallation"];

/// The same address as routes have it: without doubled and trailing slashes, which some official clients send, and with
/// names in the case that routes know.
#[must_use]
pub fn tidy(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let headless = path.contains("/headless/");
    if !path.contains("//") && (path == "/" || !path.ends_with('/')) && !headless {
        return None;
    }
    let known = |part| match CAMEL_CASE.iter().find(|known| known.eq_ignore_ascii_case(part)) {
        Some(known) if headless => *known,
        _ => part,
    };
    let parts = path.split('/').filter(|part| !part.is_empty());
    let tidy: String = parts.flat_map(|part| ["/", known(part)]).collect();
    let tidy = if tidy.is_empty() { "/".to_owned() } else { tidy };
    if tidy == path {
        return None;
    }
    let tidy = uri.query().map_or(tidy.clone(), |query| format!("{tidy}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_str(&tidy).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_too_many_are_one() {
        for (given, expected) in [
            ("/2023-12/users/", Some("/2023-12/users")),
            ("/2024-03//users/?a=b//c/", Some("/2024-03/users?a=b//c/")),
            ("/", None),
            ("/users?a=b/", None),
            ("//", Some("/")),
            ("/2024-03/headless/startinstallation", Some("/2024-03/headless/startInstallation")),
            ("/headless/CompleteInstallation/", Some("/headless/completeInstallation")),
            ("/2024-03/headless/oauthurl?app=x", Some("/2024-03/headless/oauthUrl?app=x")),
            ("/2024-03/headless/oauthUrl", None),
            ("/2024-03/users/oauthurl", None),
            (
                "http://embedded.runalloy.com/2023-01/users/",
                Some("http://embedded.runalloy.com/2023-01/users"),
            ),
        ] {
            let uri: Uri = given.parse().unwrap();
            assert_eq!(tidy(&uri).map(|uri| uri.to_string()), expected.map(str::to_owned), "{given}");
        }
    }
}
