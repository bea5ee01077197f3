//! The secrets of one call: held by the host, placed by the broker, never given to a guest.

use std::{collections::BTreeMap, fmt, sync::OnceLock};

use zeroize::Zeroizing;

use crate::broker::redact::Redactor;

/// Secrets by name, and which of the manifest's auth schemes puts them on requests.
///
/// Values are overwritten when dropped and never shown. Keep it in an `Arc` and hand the same one to every
/// call of a connection: what redaction needs is computed once.
#[derive(Default)]
pub struct Secrets {
    values: BTreeMap<String, Zeroizing<String>>,
    connection_scheme: Option<String>,
    app_scheme: Option<String>,
    redactor: OnceLock<Redactor>,
}

impl Secrets {
    /// Nothing: no reference resolves, `auth: connection` is refused.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The secrets that `{{secret:NAME}}` may name.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            values: values.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect(),
            ..Self::default()
        }
    }

    /// The manifest's auth scheme that requests with `auth: connection` get.
    #[must_use]
    pub fn with_connection_scheme(mut self, id: impl Into<String>) -> Self {
        self.connection_scheme = Some(id.into());
        self
    }

    /// The manifest's auth scheme that requests with `auth: app` get.
    #[must_use]
    pub fn with_app_scheme(mut self, id: impl Into<String>) -> Self {
        self.app_scheme = Some(id.into());
        self
    }

    /// The value of this name.
    #[must_use]
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.as_str())
    }

    /// The names, for messages.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    pub(crate) fn connection_scheme(&self) -> Option<&str> {
        self.connection_scheme.as_deref()
    }

    pub(crate) fn app_scheme(&self) -> Option<&str> {
        self.app_scheme.as_deref()
    }

    /// `text` without these secrets, in any of the forms that answers to guests are searched for.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        self.redactor().text(text)
    }

    /// What finds these secrets in text and bytes.
    pub(crate) fn redactor(&self) -> &Redactor {
        self.redactor.get_or_init(|| Redactor::new(self.values.values().map(|value| value.as_str())))
    }
}

impl fmt::Debug for Secrets {
    /// Shows names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("names", &self.values.keys().collect::<Vec<_>>())
            .field("connection_scheme", &self.connection_scheme)
            .field("app_scheme", &self.app_scheme)
            .finish_non_exhaustive()
    }
}
