//! `trunnion connector test`.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{Subject, block_on, call::Reach, compiler, component, print, print_json, record};
use crate::{
    author::{
        cassette::{Cassette, Live, Loading, verdicts},
        suite::{self, Outcome, Report, Verdict},
    },
    cli::say,
};

/// Tries a connector.
#[derive(Debug, Args)]
pub(in crate::cli) struct Test {
    #[command(flatten)]
    subject: Subject,
    /// The folder of its cassettes; `cassettes` of the crate where absent.
    #[arg(long, value_name = "DIR")]
    cassettes: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

pub(super) fn run(test: &Test) -> Result<()> {
    let source = component(&test.subject.connector)?;
    let folder =
        test.cassettes.clone().or_else(|| source.crate_dir.map(|folder| folder.join(record::FOLDER)));
    let paths = folder.map(|folder| Cassette::of_folder(&folder)).transpose()?.unwrap_or_default();
    let cache = tempfile::tempdir().context("no temporary directory could be made")?;
    let loading =
        Loading { component: source.component, compiler: compiler()?, cache: cache.path().join("compiled") };
    let report = block_on(async {
        let mut report = suite::run(&loading, &mut |line| say(line)).await?;
        say("trying its cassettes");
        let manifest = loading.manifest().await?;
        let live = if test.reach.is_given() {
            let credential = test.reach.credential(&manifest).await?;
            Some(Live { egress: test.reach.egress(), credential })
        } else {
            None
        };
        report.verdicts.extend(verdicts(&loading, &manifest, &paths, live.as_ref()).await?);
        Ok(report)
    })?;
    if test.subject.json {
        print_json(&report)?
    } else {
        print(&readable(&report))?
    }
    match report.broken().count() {
        0 => Ok(()),
        broken => bail!("{broken} of {} rules are broken; mend what is listed above", report.verdicts.len()),
    }
}

/// What is broken with every way it is, what could not be tried, then the count.
fn readable(report: &Report) -> String {
    let mut text = String::new();
    for Verdict { subject, rule, outcome } in &report.verdicts {
        // Writing to a string cannot fail.
        match outcome {
            Outcome::Passed => {}
            Outcome::Broken(ways) => {
                let _written = writeln!(text, "BROKEN   {subject}: {rule}");
                for way in ways {
                    let _written = writeln!(text, "         - {way}");
                }
            }
            Outcome::Untried(why) => {
                let _written = writeln!(text, "untried  {subject}: {rule} ({why})");
            }
        }
    }
    let (broken, untried) = (report.broken().count(), report.untried().count());
    let passed = report.verdicts.len() - broken - untried;
    text + &format!(
        "{} {}: {passed} rules hold, {broken} are broken, {untried} could not be tried",
        report.app, report.version
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_comes_with_its_ways() {
        let verdict = |outcome| Verdict { subject: "action a".into(), rule: "it holds", outcome };
        let report = Report {
            app: "acme".into(),
            version: "1.0.0".into(),
            verdicts: vec![
                verdict(Outcome::Passed),
                verdict(Outcome::Broken(vec!["404: wrong".into(), "500: wrong".into()])),
                verdict(Outcome::Untried("nothing is sent".into())),
            ],
        };
        assert_eq!(
            readable(&report),
            "BROKEN   action a: it holds\n         - 404: wrong\n         - 500: wrong\n\
             untried  action a: it holds (nothing is sent)\n\
             acme 1.0.0: 1 rules hold, 1 are broken, 1 could not be tried"
        );
    }
}
