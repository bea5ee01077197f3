//! Webhooks that the connector does not register: for the whole app of the ISV, or by hand.
//!
//! **For the app.** Some vendors call one URL for every account that installed an app, often with events of many accounts
//! and kinds in one delivery. The ISV gives that URL to the vendor once, and the host the key that verifies deliveries.
//! A delivery is parsed by every such trigger, without a connection: no account is known yet, so no vendor can be asked.
//! Each occurrence says its `account`, and the host finds the users who connected it:
//!
//! ```
//! use trunnion_sdk::{prelude::*, test::FakeHost, trigger::{Dedup, Delivered, Verification}};
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Deal { portal: u64, deal: u64, kind: String }
//!
//! #[derive(Debug)]
//! struct DealWon;
//!
//! impl Delivered for DealWon {
//!     type Data = Deal;
//!
//!     fn parse(_: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Deal>>> {
//!         let deals: Vec<Deal> = delivery.json()?;
//!         let won = deals.into_iter().filter(|deal| deal.kind == "won");
//!         Ok(won.map(|deal| Occurrence::new(deal.portal.to_string(), format!("deal/{}/won", deal.deal), deal)).collect())
//!     }
//! }
//!
//! fn check(_: &Context) -> Result<trunnion_sdk::auth::Account> {
//!     Ok(trunnion_sdk::auth::Account::new("1", "Acme"))
//! }
//!
//! trunnion_sdk::connector! {
//!     id: "acme", title: "Acme", hosts: ["api.acme.com"], connection: Connection::new(), check: check,
//!     triggers: [Trigger::app_webhook::<DealWon>(
//!         "deal_won", "Deal won", Verification::secret_header("x-acme-secret", "app_secret"), Dedup::BodyHash,
//!     ).sample(r#"{"portal":7,"deal":1,"kind":"won"}"#)],
//! }
//!
//! # fn main() {
//! let body = br#"[{"portal":7,"deal":1,"kind":"won"},{"portal":8,"deal":2,"kind":"lost"}]"#.to_vec();
//! let delivery = Delivery { method: "POST".into(), url: String::new(), headers: vec![], body };
//! let parsed = connector().parse_for_app(&FakeHost::new().context(), &delivery).unwrap();
//! assert_eq!((parsed[0].0, parsed[0].1.account.as_str(), parsed.len()), ("deal_won", "7", 1));
//! # }
//! ```
//!
//! **By hand.** Where a vendor has no way to register webhooks, [`Trigger::manual_webhook`] has the host show the URL and
//! its secret to whoever sets up the vendor. There is a connection then, and `parse` may ask the vendor for more.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use super::{Dedup, Delivery, Hook, Occurrence, Registration, Reply, Source, Trigger, Verification, written};
use crate::{context::Context, error::Result, json};

/// A webhook that the connector does not register.
pub trait Delivered: 'static {
    /// What workflows see as `trigger`.
    type Data: Serialize + DeserializeOwned + JsonSchema;

    /// Turns a verified delivery into occurrences of this trigger, none where it concerns others.
    ///
    /// # Errors
    /// Where the delivery is not understood.
    fn parse(ctx: &Context, delivery: &Delivery) -> Result<Vec<Occurrence<Self::Data>>>;

    /// Answers a delivery that the vendor wants answered at once; none for everything else.
    ///
    /// # Errors
    /// Where the delivery is a handshake that cannot be answered.
    fn handshake(ctx: &Context, delivery: &Delivery) -> Result<Option<Reply>> {
        let (_, _) = (ctx, delivery);
        Ok(None)
    }
}

impl Trigger {
    /// The trigger `id`, which people see as `title`, fed by the webhook of the ISV's app. `verify` names a secret that
    /// the ISV gives the host for the app, and is the same for all such triggers, as `dedup` is.
    #[must_use]
    pub fn app_webhook<W: Delivered>(
        id: &'static str,
        title: &'static str,
        verify: Verification,
        dedup: Dedup,
    ) -> Self {
        delivered::<W>(id, title, hook::<W>(Registration::PerApp, verify, dedup))
    }

    /// The trigger `id`, which people see as `title`, fed by a webhook that a person registers at the vendor.
    #[must_use]
    pub fn manual_webhook<W: Delivered>(
        id: &'static str,
        title: &'static str,
        verify: Verification,
        dedup: Dedup,
    ) -> Self {
        delivered::<W>(id, title, hook::<W>(Registration::Manual, verify, dedup))
    }
}

fn hook<W: Delivered>(registration: Registration, verify: Verification, dedup: Dedup) -> Hook {
    Hook {
        verify,
        dedup,
        registration,
        parse: |ctx, delivery| written(W::parse(ctx, delivery)?),
        handshake: W::handshake,
    }
}

fn delivered<W: Delivered>(id: &'static str, title: &'static str, hook: Hook) -> Trigger {
    Trigger {
        id,
        title: json::said(title),
        help: "",
        schema: json::output_schema::<W::Data>(),
        sample: "",
        options: None,
        offers: &[],
        #[cfg(not(target_arch = "wasm32"))]
        accepts: |text| json::input::<W::Data>(text).map(drop),
        source: Source::Webhook(hook),
    }
}
