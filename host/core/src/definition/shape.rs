//! The definition's members, as `shape` checks them; the types in `definition.rs` say what each means.

use crate::shape::{Shape, nullable, optional, required};

pub(super) const DEFINITION: Shape = Shape::Object(&[
    required("name", Shape::Text),
    required("trigger", TRIGGER),
    optional("fields", Shape::List(&FIELD)),
    optional("maps", Shape::Named(&Shape::Object(&[required("entries", Shape::Named(&Shape::Any))]))),
    optional("concurrency", CONCURRENCY),
    required("steps", STEPS),
]);

const CONCURRENCY: Shape = Shape::Tagged {
    tag: "type",
    common: &[],
    cases: &[
        ("parallel", &[]),
        ("throttled", &[required("limit", Shape::Whole(u32::MAX as u64))]),
        ("ordered", &[required("by", Shape::Text)]),
    ],
};

const TRIGGER: Shape = Shape::Tagged {
    tag: "type",
    common: &[],
    cases: &[
        (
            "app",
            &[
                required("app", Shape::Text),
                required("trigger", Shape::Text),
                nullable("every", Shape::Text),
                optional("options", Shape::Any),
                optional("only", Shape::Named(&Shape::List(&Shape::Any))),
            ],
        ),
        ("event", &[required("event", Shape::Text)]),
        ("schedule", crate::schedule::MEMBERS),
        ("installed", &[]),
        ("removed", &[]),
        ("request", &[optional("sample", Shape::Any)]),
        ("call", &[optional("sample", Shape::Any)]),
        ("preprocess", &[optional("sample", Shape::Any)]),
    ],
};

const FIELD: Shape = Shape::Object(&[
    required("name", Shape::Text),
    required("title", Shape::Text),
    optional("help", Shape::Text),
    required("kind", KIND),
    optional("required", Shape::Flag),
    nullable("default", Shape::Any),
]);

const KIND: Shape = Shape::Tagged {
    tag: "type",
    common: &[],
    cases: &[
        ("text", &[]),
        ("number", &[]),
        ("boolean", &[]),
        (
            "choice",
            &[required(
                "options",
                Shape::List(&Shape::Object(&[required("value", Shape::Any), required("title", Shape::Text)])),
            )],
        ),
    ],
};

const STEPS: Shape = Shape::Inside(|| &Shape::List(&STEP));

const STEP: Shape = Shape::Tagged {
    tag: "type",
    common: &[
        required("id", Shape::Text),
        optional("on_error", Shape::Word(&["fail", "continue"])),
        nullable("retry", RETRY),
    ],
    cases: &[
        (
            "action",
            &[
                required("app", Shape::Text),
                required("action", Shape::Text),
                nullable("connection", Shape::Text),
                required("input", Shape::Any),
            ],
        ),
        ("stream", &[required("destination", Shape::Text), required("body", Shape::Any)]),
        ("filter", &[required("condition", Shape::Text)]),
        (
            "branch",
            &[
                optional("pick", Shape::Word(&["first", "all"])),
                required(
                    "branches",
                    Shape::List(&Shape::Object(&[required("when", Shape::Text), required("steps", STEPS)])),
                ),
                optional("otherwise", STEPS),
            ],
        ),
        (
            "for_each",
            &[
                optional("items", Shape::Any),
                nullable("from", LISTING),
                optional("concurrency", Shape::Whole(u32::MAX as u64)),
                required("steps", STEPS),
            ],
        ),
        (
            "batch",
            &[
                required("app", Shape::Text),
                required("action", Shape::Text),
                nullable("connection", Shape::Text),
                optional("items", Shape::Any),
                nullable("from", LISTING),
                required("input", Shape::Any),
                optional("concurrency", Shape::Whole(u32::MAX as u64)),
            ],
        ),
        ("set", &[required("value", Shape::Any)]),
        ("delay", &[required("seconds", Shape::Any)]),
        ("call", &[required("workflow", Shape::Text), optional("input", Shape::Any)]),
        (
            "respond",
            &[optional("status", Shape::Any), optional("headers", Shape::Any), optional("body", Shape::Any)],
        ),
    ],
};

const LISTING: Shape = Shape::Object(&[
    required("app", Shape::Text),
    required("action", Shape::Text),
    nullable("connection", Shape::Text),
    optional("input", Shape::Any),
]);

const RETRY: Shape = Shape::Object(&[
    required("attempts", Shape::Whole(u32::MAX as u64)),
    required("delay_ms", Shape::Whole(u64::MAX)),
    required("backoff", Shape::Whole(u32::MAX as u64)),
    required("max_delay_ms", Shape::Whole(u64::MAX)),
]);
