//! Scope: whose data a call may touch. Every store call carries one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::id::WorkspaceId;

/// Development and production are apart: users made in one are invisible to the other.
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// For building and trying.
    Development,
    /// For the ISV's customers.
    Production,
}

impl Environment {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::Development, Self::Production];

    /// `development` or `production`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Environment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "development" => Ok(Self::Development),
            "production" => Ok(Self::Production),
            other => Err(format!("`{other}` is not an environment; use `development` or `production`")),
        }
    }
}

/// One environment of one workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The ISV.
    pub workspace: WorkspaceId,
    /// Which of its two environments.
    pub environment: Environment,
}

impl Scope {
    /// The environment `environment` of `workspace`.
    #[must_use]
    pub const fn new(workspace: WorkspaceId, environment: Environment) -> Self {
        Self { workspace, environment }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workspace, self.environment)
    }
}
