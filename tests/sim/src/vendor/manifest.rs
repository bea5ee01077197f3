//! The vendor's connector as it describes itself.

use serde_json::{Value, json};
use trunnion_core::manifest::Repeat;

use super::{ACTIONS, APP, DELIVERY_ID, LISTED, OVERLAP, PROOF, TRIGGER};

/// What an occurrence or an event carries, as an example.
#[must_use]
pub fn sample() -> Value {
    json!({ "marker": "m0", "odd": true, "keep": true, "list": [{ "n": 0 }], "key": "a" })
}

pub(super) fn manifest() -> Value {
    let data = json!({
        "type": "object",
        "properties": {
            "marker": { "type": "string" },
            "odd": { "type": "boolean" },
            "keep": { "type": "boolean" },
            "list": { "type": "array", "items": {
                "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"],
            } },
            "key": { "type": "string" },
        },
        "required": ["marker", "odd", "keep", "list", "key"],
    });
    let action = |(id, repeat): (&str, Repeat)| {
        json!({
            "id": id, "title": id, "repeat": repeat,
            "input": {
                "type": "object",
                "properties": {
                    "flow": { "type": "integer" }, "step": { "type": "string" },
                    "marker": { "type": "string" }, "item": { "type": "integer" },
                },
                "required": ["flow", "step", "marker"],
            },
            "output": {
                "type": "object", "properties": { "unit": { "type": "string" } }, "required": ["unit"],
            },
            "sample_input": { "flow": 0, "step": "s0", "marker": "m0" },
            "sample_output": { "unit": "m0/f0.s0" },
        })
    };
    json!({
        "manifest_version": 1, "id": APP, "version": "1.0.0", "title": "Shop",
        "hosts": ["api.shop.example"],
        "connection": {
            "parameters": [],
            "schemes": [{
                "id": "token", "title": "Token", "type": "fields",
                "fields": [{ "name": "token", "title": "Token" }, { "name": "proof", "title": "Proof" }],
                "place": [{ "in": "header", "name": "x-token", "value": "{{secret:token}}" }],
            }],
        },
        "triggers": [{
            "id": TRIGGER, "title": "Changed", "source": "webhook", "registration": "per_connection",
            "verify": { "method": "secret_header", "header": PROOF.0, "secret": "proof" },
            "dedup": { "from": "header", "name": DELIVERY_ID },
            "schema": data, "sample": sample(),
        }, {
            "id": LISTED, "title": "Listed", "source": "poll", "interval_ms": 10_000, "min_interval_ms": 1_000,
            "overlap_ms": OVERLAP.as_millis(), "cursor_format": { "writes": 1, "reads": [1] },
            "dedup": { "from": "occurrence" }, "schema": data, "sample": sample(),
        }],
        "actions": ACTIONS.map(action),
    })
}
