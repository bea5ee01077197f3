//! The scenario `run`: a whole run, from a custom event over mapping and a sandboxed action to the vendor, with its
//! durable log, beside a bare proxy that does the same two hops.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::{
    component::BIGCOMMERCE,
    host::{Host, Start},
    load::{Done, Load, Sender},
    options::{Common, Pace},
    progress,
    reference::{Does, Reference, Referred},
    report::{Form, Report},
    settle,
    shop::{Shipped, Shop},
    turns::{Figures, Told, Turns},
    vendor::Vendor,
};

/// Whole runs: custom event, mapping, sandboxed action, HTTP out, durable log; beside a bare proxy.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The BigCommerce connector's component; where absent, it is built from connectors/bigcommerce, here or
    /// in a folder above.
    #[arg(long, value_name = "PATH")]
    component: Option<PathBuf>,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    common: Common,
}

impl Run {
    /// In which form the report is printed.
    pub(super) const fn form(&self) -> Form {
        self.common.form()
    }

    /// Measures.
    pub(super) async fn run(self) -> Result<Report> {
        let component = BIGCOMMERCE.component(self.component.as_deref()).await?;
        let vendor = Vendor::start().await?;
        let reference = Reference::start(Does::PassOn(vendor.url())).await?;
        let components = &[&component];
        let start =
            Start { components, vendor: vendor.url(), within: self.common.dir.as_deref(), config: "" };
        let mut host = Host::start(start).await?;
        let measured = self.measure(&host, &vendor, &reference).await;
        let (figures, account) = measured.map_err(|error| host.explain(&error))?;
        host.stop().await?;
        figures.report(Told {
            scenario: "run",
            reference: "a bare proxy of two hops",
            least: 0.5,
            bounded: true,
            account,
        })
    }

    async fn measure(
        &self,
        host: &Host,
        vendor: &Vendor,
        reference: &Reference,
    ) -> Result<(Figures, settle::Account)> {
        let shop = Shop::open(host).await?;
        let shipped = Shipped::new(host, &shop.busy)?;
        let theirs = Sender::new(Referred::new(reference, shipped.clone()))?;
        let ours = Load::new(Sender::new(shipped)?, vendor.arrivals(), Done::Arrived, 1);
        let theirs = ours.another(theirs);
        let figures = Turns { host, reference, ours, theirs }.measure(self.pace.length()).await?;
        progress("waiting until nothing is left");
        Ok((figures, settle::account(&host.vendor_client()?).await?))
    }
}
