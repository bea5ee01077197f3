//! The definition's members, as `shape` checks them; the types in `definition.rs` say what each means.

use crate::shape::{Shape, nullable, optional, required};

pub(super) const DEFINITION: Shape = Shape::Object(&[
    required("name", Shape::Text),
    required("trigger", TRIGGER),
    optional("fields", Shape::List(&FIELD)),
    optional("maps", Shape::Named(&Shape::Object(&[required("entries", Shape::Named(&Shape::Any))]))),
    required("steps", Shape::List(&STEP)),
]);

const TRIGGER: Shape = Shape::Tagged {
    tag: "type",
    common: &[],
    cases: &[
        ("app", &[required("app", Shape::Text), required("trigger", Shape::Text)]),
        ("event", &[required("event", Shape::Text)]),
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

const STEP: Shape = Shape::Tagged {
    tag: "type",
    common: &[required("id", Shape::Text)],
    cases: &[
        (
            "action",
            &[required("app", Shape::Text), required("action", Shape::Text), required("input", Shape::Any)],
        ),
        ("stream", &[required("destination", Shape::Text), required("body", Shape::Any)]),
        ("filter", &[required("condition", Shape::Text)]),
    ],
};
