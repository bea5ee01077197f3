//! Looks for secrets where none may be: in texts and in every file of a directory, in the encodings that the
//! host promises to know.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use memchr::memmem;

/// A secret in every form it might be found in.
#[derive(Clone, Debug)]
pub struct Canary {
    /// The secret itself.
    pub secret: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
    /// A secret to look for.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let bytes = secret.as_bytes();
        let json = serde_json::Value::from(secret).to_string();
        let mut forms = vec![
            ("raw", bytes.to_vec()),
            ("JSON-escaped", json.trim_matches('"').as_bytes().to_vec()),
            ("percent-encoded", url::form_urlencoded::byte_serialize(bytes).collect::<String>().into_bytes()),
            ("hex", hex::encode(bytes).into_bytes()),
        ];
        // Inside a longer base64 text the secret may begin at any of three alignments; what is left after
        // cutting the characters it shares with its neighbours is the same each time.
        for skip in 0..3 {
            let Some(aligned) = bytes.get(skip..) else { continue };
            let whole = aligned.len() / 3 * 3;
            let Some(aligned) = aligned.get(..whole).filter(|rest| rest.len() >= 12) else { continue };
            forms.push(("base64", STANDARD_NO_PAD.encode(aligned).into_bytes()));
            forms.push(("base64url", URL_SAFE_NO_PAD.encode(aligned).into_bytes()));
        }
        Self { secret: secret.to_owned(), forms }
    }

    /// The forms found in `haystack`.
    #[must_use]
    pub fn found_in(&self, haystack: &[u8]) -> Vec<&'static str> {
        self.forms
            .iter()
            .filter(|(_, needle)| memmem::find(haystack, needle).is_some())
            .map(|(form, _)| *form)
            .collect()
    }

    /// The secret's bytes, masked as the hostile guest wants them.
    #[must_use]
    pub fn masked(text: &str) -> String {
        text.bytes().map(|byte| format!("{:02x}", byte ^ 0x5a)).collect()
    }

    /// The forms as text, masked, for a look through a guest's memory.
    #[must_use]
    pub fn masked_forms(&self) -> Vec<String> {
        self.forms
            .iter()
            .map(|(_, form)| form.iter().map(|byte| format!("{:02x}", byte ^ 0x5a)).collect())
            .collect()
    }

    /// Every file under `directory` that holds the secret, with the form it holds.
    pub fn in_files(&self, directory: &Path) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for path in files(directory)? {
            // A file may go between listing and reading: the store drops whole journal segments.
            let Ok(content) = fs::read(&path) else { continue };
            found.extend(self.found_in(&content).iter().map(|form| format!("{} ({form})", path.display())));
        }
        Ok(found)
    }
}

/// Every file under a directory.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_form_is_found_at_every_alignment() {
        let canary = Canary::new("cnry-\"x/+&%=-7f3a9c51e2d84b06");
        assert!(canary.found_in(b"nothing here").is_empty());
        assert_eq!(canary.found_in(format!("a{}b", canary.secret).as_bytes()), ["raw"]);
        for before in ["", "a", "ab", "abc"] {
            let text = STANDARD_NO_PAD.encode(format!("{before}{}tail", canary.secret));
            assert!(canary.found_in(text.as_bytes()).contains(&"base64"), "{before}");
        }
    }
}
