//! What a switcher brings along: users, integrations and workflows, under the ids they had elsewhere.
//!
//! Each row is taken whole or not at all, and says what became of it; those that are good do not wait for those that are
//! not. What is here already is left as it is, so that importing again, after the bad rows were mended, changes only
//! what was missing. Credentials cannot be brought: `workflows` says whose accounts have to be connected again.

mod users;
mod workflows;

pub use self::{
    users::UserRow,
    workflows::{BlockRow, Imported, IntegrationRow, Reconnect, Subject, WorkflowRow},
};
use crate::{
    context::Context,
    error::{Error, Result},
    users::Users,
    vault::Vault,
};

/// Rows that are taken at once.
const MAX_AT_ONCE: usize = 1_000;

/// How often rows are looked at again after somebody else made the same.
const MAX_CONFLICTS: u32 = 8;

/// Takes over what others had.
#[derive(Clone, Debug)]
pub struct Importer {
    context: Context,
    users: Users,
    vault: Vault,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is here now.
    Created,
    /// It was here already, and is left as it is.
    Unchanged,
    /// It was not taken, and why.
    Refused(String),
}

impl Importer {
    /// Over `context`; who has connected what is `vault`'s to say.
    #[must_use]
    pub fn new(context: Context, vault: Vault) -> Self {
        Self { users: Users::new(context.clone()), context, vault }
    }
}

fn at_most(rows: usize) -> Result<()> {
    if rows > MAX_AT_ONCE {
        let message = format!("{rows} rows at once are too many; send at most {MAX_AT_ONCE}");
        return Err(Error::invalid("import-too-large", message));
    }
    Ok(())
}

fn busy() -> Error {
    Error::conflict("import-busy", "others make the same things just now; import again")
}
