//! The integration tests: a real host process, real components, vendor fakes on real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests are tests"
)]

mod alloy;
mod app_webhooks;
mod apply;
mod attention;
mod author;
mod author_dev;
mod backup;
mod batches;
mod bench;
mod bigquery;
mod boundaries;
mod calls;
mod canary;
mod candidates;
mod care;
mod cassettes;
mod complaints;
mod compliance;
mod connector_cli;
mod connectors_doc;
mod contract;
mod crash;
mod dead_letters;
mod deploy;
mod disabled;
mod disk_full;
mod egress;
mod embed_package;
mod erased;
mod event_bridge;
mod events;
mod fairness;
mod first_import;
mod flows;
mod foreign;
mod from_openapi;
mod hostile;
mod http;
mod hubspot;
mod inside;
mod installing;
mod javascript;
mod judge;
mod judged;
mod limits;
mod listen;
mod lookups;
mod modal;
mod native;
mod oauth;
mod openapi;
mod ordered;
mod outbox;
mod patterns;
mod pause;
mod poll;
mod preprocess;
mod quick_start;
mod refusals;
mod registry;
mod requests;
mod retries;
mod rotation;
mod schedule;
mod shop_actions;
mod shopify;
mod shopify_api;
mod steps;
mod stop;
mod streams;
mod swap;
mod trials;
