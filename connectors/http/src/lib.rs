//! HTTP: any API that has no connector of its own, at the hosts that its connection names.
//!
//! Owns what such a call looks like: `request` (what is sent, what an answer means), `list` (where the next page is),
//! `webhook` (what is posted to it) and `account`. The README says what it can do and its limits.

mod account;
mod list;
mod request;
mod webhook;

use trunnion_sdk::{
    prelude::*,
    trigger::{Dedup, Verification},
};

use webhook::{Options, Webhook};

trunnion_sdk::connector! {
    id: "http",
    title: "HTTP",
    help: "Calls any HTTP API at hosts that you name.",
    hosts: ["{hosts}"],
    connection: account::connection(),
    check: account::check,
    triggers: [
        Trigger::manual_webhook::<Webhook>("webhook", "Webhook", Verification::Configured, Dedup::Configured)
            .help("Something is posted to an address of the workflow's own, and verified as the workflow says.")
            .options::<Options>(include_str!("../samples/webhook_options.json"))
            .sample(include_str!("../samples/posted.json")),
    ],
    actions: [
        Action::new("get", "Get", request::get)
            .help("Reads from a URL.")
            .safe_to_repeat()
            .sample(r#"{"url":"https://api.example.com/orders/7"}"#, include_str!("../samples/answer.json")),
        Action::new("request", "Send a request", request::send)
            .help("Sends a request of any method. Where it is not known whether it was carried out, it is not repeated.")
            .sample(include_str!("../samples/request.json"), include_str!("../samples/answer.json")),
        Action::new("request_once", "Send a request with a key", request::send_once)
            .help("Sends a request with a key by which the API recognises a repetition, so that it can be repeated.")
            .recognises_key()
            .sample(include_str!("../samples/request.json"), include_str!("../samples/answer.json")),
        Action::listing("list", "List", list::list)
            .help("Reads a list page by page: by links, page numbers, offsets, or cursors in the answer.")
            .sample(include_str!("../samples/list.json"), r#"{"items":[{"id":7}],"next":null}"#),
    ],
}

#[cfg(test)]
mod tests {
    use trunnion_core::manifest::{Manifest, Repeat};

    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        trunnion_sdk::test::assert_sound(&connector());
    }

    #[test]
    fn the_host_reads_the_manifest() {
        let manifest = Manifest::parse(&connector().manifest()).unwrap();
        assert_eq!(manifest.hosts, ["{hosts}"]);
        let repeats = ["get", "request", "request_once"].map(|id| manifest.action(id).unwrap().repeat);
        assert_eq!(repeats, [Repeat::Safe, Repeat::Never, Repeat::Key]);
        assert!(manifest.action("list").unwrap().pages);
    }
}
