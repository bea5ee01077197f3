//! Workflows: what an ISV defines (event schemas, integrations, workflows, releases) and what its users
//! install.
//!
//! `catalog` answers what definitions may refer to, `releases` keeps compiled releases at hand, `library` is
//! the ISV's side, `install` the user's, and `offer` what the user is shown before.

pub mod catalog;
pub mod install;
pub mod library;
pub mod offer;
pub mod releases;

pub use self::{install::Installer, library::Library, offer::Offers, releases::Releases};
