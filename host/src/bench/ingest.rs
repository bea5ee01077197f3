//! The scenario `ingest`: events that are durable before they are answered, beside a bare handler that stores
//! nothing. The host's workers are switched off, so that taking in is all that is measured: every event's run waits.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::{
    component::BIGCOMMERCE,
    host::{Host, Start},
    load::{Done, Load, Sender},
    options::{Common, Pace},
    reference::{Does, Reference, Referred},
    report::{Form, Report},
    settle::Account,
    shop::{Shipped, Shop},
    turns::{Figures, Told, Turns},
    vendor::Vendor,
};

/// No run begins, and as many may wait as come.
const CONFIG: &str = "workers = 0\nmax_waiting = 1000000000\nmax_waiting_per_user = 1000000000\n\
                      max_waiting_bytes = 1000000000000\nmax_waiting_bytes_per_user = 1000000000000\n";

/// Durable ingest: events on disk before they are answered; beside a bare handler that stores nothing.
#[derive(Debug, Args)]
pub(crate) struct Ingest {
    /// The BigCommerce connector's component; where absent, it is built from connectors/bigcommerce, here or
    /// in a folder above.
    #[arg(long, value_name = "PATH")]
    component: Option<PathBuf>,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    common: Common,
}

impl Ingest {
    /// In which form the report is printed.
    pub(super) const fn form(&self) -> Form {
        self.common.form()
    }

    /// Measures.
    pub(super) async fn run(self) -> Result<Report> {
        let component = BIGCOMMERCE.component(self.component.as_deref()).await?;
        let vendor = Vendor::start().await?;
        let reference = Reference::start(Does::Answer).await?;
        let (components, within) = (&[&component], self.common.dir.as_deref());
        let start = Start { components, vendor: vendor.url(), within, config: CONFIG };
        let mut host = Host::start(start).await?;
        let measured = self.measure(&host, &vendor, &reference).await;
        let figures = measured.map_err(|error| host.explain(&error))?;
        host.stop().await?;
        figures.report(Told {
            scenario: "ingest",
            reference: "a bare handler that stores nothing",
            least: 0.6,
            bounded: false,
            account: Account::default(),
        })
    }

    async fn measure(&self, host: &Host, vendor: &Vendor, reference: &Reference) -> Result<Figures> {
        let shop = Shop::open(host).await?;
        let shipped = Shipped::new(host, &shop.busy)?;
        let theirs = Sender::new(Referred::new(reference, shipped.clone()))?;
        let ours = Load::new(Sender::new(shipped)?, vendor.arrivals(), Done::Answered, 1);
        let theirs = ours.another(theirs);
        Turns { host, reference, ours, theirs }.measure(self.pace.length()).await
    }
}
