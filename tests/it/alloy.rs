//! Alloy's endpoints as its documents have them, over a real host: each answer by value.

mod credentials;
mod erasing;
mod links;
mod logs;
mod users;
mod workflows;

use serde_json::{Value, json};

/// A workflow that requests start, which keeps what it was sent.
fn asked() -> Value {
    json!({
        "name": "Asked",
        "trigger": { "type": "request" },
        "steps": [{ "id": "keep", "type": "set", "value": "{{ trigger.body }}" }],
    })
}
