//! The options that scenarios have in common.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::report::Form;

/// How the result is told, and where the host's data is.
#[derive(Clone, Debug, Args)]
pub(super) struct Common {
    /// Where the host's data directory is made; the system's temporary directory where absent.
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// Prints the table on standard error, and one JSON object as the last line of standard output.
    #[arg(long)]
    json: bool,
}

impl Common {
    /// In which form the report is printed.
    pub(super) const fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Table }
    }
}

/// How long host and reference are measured.
#[derive(Clone, Debug, Args)]
pub(super) struct Pace {
    /// Turns of host and reference each, at the maximum and at half load.
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long a turn takes, in seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

/// The same, to measure by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    /// Turns of each.
    pub(super) rounds: u32,
    /// How long one takes.
    pub(super) turn: Duration,
}

impl Pace {
    /// To measure by.
    pub(super) fn length(&self) -> Length {
        Length { rounds: self.rounds, turn: Duration::from_secs(self.seconds.into()) }
    }
}
