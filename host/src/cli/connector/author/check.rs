//! `trunnion connector check`.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde_json::json;
use trunnion_sandbox::EgressOptions;

use super::{Subject, block_on, component, open, print, print_json};
use crate::{
    author::{
        lint::{Finding, Weight, lint},
        workshop::Workshop,
    },
    cli::connector::show::table,
};

pub(super) fn run(subject: &Subject) -> Result<()> {
    let source = component(&subject.connector)?;
    let findings = block_on(async {
        // What a host refuses (contract, imports, determinism of `describe`, the manifest's rules) ends here.
        let workshop = open(&source, EgressOptions::default()).await?;
        let findings = lint(workshop.manifest(), workshop.size());
        if subject.json {
            print_json(&json!({
                "app": workshop.manifest().id, "version": workshop.manifest().version,
                "digest": workshop.connector().digest(), "bytes": workshop.size(),
                "imports": workshop.connector().imports(), "findings": findings,
            }))?;
        } else {
            print(&report(&workshop, &findings))?;
        }
        Ok(findings)
    })?;
    match count(&findings, Weight::Fault) {
        0 => Ok(()),
        faults => bail!("the connector has {}; mend what is listed above", counted(faults, "fault")),
    }
}

fn report(workshop: &Workshop, findings: &[Finding]) -> String {
    let manifest = workshop.manifest();
    let imports: Vec<&str> = workshop.connector().imports().iter().map(|name| interface(name)).collect();
    let mut text = format!(
        "{} {}: {}, {}, {} KB, imports {}\n",
        manifest.id,
        manifest.version,
        counted(manifest.triggers.len(), "trigger"),
        counted(manifest.actions.len(), "action"),
        workshop.size().div_ceil(1024),
        if imports.is_empty() { "nothing".to_owned() } else { imports.join(", ") },
    );
    if !findings.is_empty() {
        let row = |finding: &Finding| {
            let at = if finding.at.is_empty() { "-" } else { &finding.at };
            vec![finding.weight.to_string(), at.to_owned(), finding.message.clone()]
        };
        // Writing to a string cannot fail.
        let _written =
            writeln!(text, "{}", table(&["WEIGHT", "AT", "WHAT"], findings.iter().map(row).collect()));
    }
    text + &format!(
        "{}, {}",
        counted(count(findings, Weight::Fault), "fault"),
        counted(count(findings, Weight::Warning), "warning")
    )
}

/// `trunnion:connector/http@1.0.0` as `http`.
fn interface(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.split('@').next().unwrap_or(name)
}

fn count(findings: &[Finding], weight: Weight) -> usize {
    findings.iter().filter(|finding| finding.weight == weight).count()
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_named_by_their_interface() {
        assert_eq!(interface("trunnion:connector/http@1.0.0"), "http");
        assert_eq!(interface("odd"), "odd");
    }

    #[test]
    fn counts_have_their_plural() {
        assert_eq!(counted(0, "fault"), "0 faults");
        assert_eq!(counted(1, "fault"), "1 fault");
    }
}
