//! The scenario `webhook`, the main job: a verified webhook is parsed in the sandbox and streamed on, beside a bare
//! proxy that does the same two hops with the same bytes. With `--alloy`, the stream carries `X-Alloy-Signature` in every
//! other turn of the host.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use trunnion_core::records::Signature;

use super::{
    component::SHOPIFY,
    host::{Host, Start},
    load::{Done, Load, Sender},
    options::{Common, Pace},
    orders::{self, Deliveries},
    progress,
    reference::{Does, Reference, Referred},
    report::{Form, Report},
    settle,
    turns::{Another, Figures, Told, Turns},
    vendor::Vendor,
};

/// Events per second that the budget asks for with `X-Alloy-Signature`.
const ALLOY: f64 = 1_500.0;

/// The main job: verified webhook, parsed in the sandbox, streamed out; beside a bare proxy.
#[derive(Debug, Args)]
pub(crate) struct Webhook {
    /// The Shopify connector's component; where absent, it is built from connectors/shopify, here or in a
    /// folder above.
    #[arg(long, value_name = "PATH")]
    shopify: Option<PathBuf>,
    /// Measures streams with `X-Alloy-Signature` as well, for which each event is signed by RSA.
    #[arg(long)]
    alloy: bool,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    common: Common,
}

impl Webhook {
    /// In which form the report is printed.
    pub(super) const fn form(&self) -> Form {
        self.common.form()
    }

    /// Measures.
    pub(super) async fn run(self) -> Result<Report> {
        let component = SHOPIFY.component(self.shopify.as_deref()).await?;
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
            scenario: "webhook",
            reference: "a bare proxy of two hops",
            least: 0.4,
            bounded: false,
            account,
        })
    }

    async fn measure(
        &self,
        host: &Host,
        vendor: &Vendor,
        reference: &Reference,
    ) -> Result<(Figures, settle::Account)> {
        let deliveries = Deliveries::open(host, vendor).await?;
        let client = host.vendor_client()?;
        let destination = format!("{}/stream", vendor.url());
        let sign = async |alloy: bool| {
            let signature = if alloy { Signature::Alloy } else { Signature::Standard };
            orders::stream_to(&client, &destination, signature).await
        };
        let theirs = Sender::new(Referred::new(reference, deliveries.clone()))?;
        let ours = Load::new(Sender::new(deliveries)?, vendor.arrivals(), Done::Arrived, 1);
        let theirs = ours.another(theirs);
        let turns = Turns { host, reference, ours, theirs };
        let mut figures = turns.measure(self.pace.length()).await?;
        if self.alloy {
            let what = Another { what: "with X-Alloy-Signature", least: ALLOY, turn_on: sign };
            turns.compare(self.pace.length(), what, &mut figures).await?;
        }
        progress("waiting until nothing is left");
        Ok((figures, settle::account(&client).await?))
    }
}
