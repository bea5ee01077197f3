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

/// The same address without doubled and trailing slashes, which some official clients send.
#[must_use]
pub fn tidy(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !path.contains("//") && (path == "/" || !path.ends_with('/')) {
        return None;
    }
    let tidy: String = path.split('/').filter(|part| !part.is_empty()).flat_map(|part| ["/", part]).collect();
    let tidy = if tidy.is_empty() { "/".to_owned() } else { tidy };
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
        ] {
            let uri: Uri = given.parse().unwrap();
            assert_eq!(tidy(&uri).map(|uri| uri.to_string()), expected.map(str::to_owned), "{given}");
        }
    }
}
