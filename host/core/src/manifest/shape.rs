//! The manifest's members, as `shape` checks them; the types in `manifest.rs` say what each means.

use crate::shape::{Field, Shape, nullable, optional, required};

const U32: Shape = Shape::Whole(u32::MAX as u64);
const U64: Shape = Shape::Whole(u64::MAX);

pub(super) const MANIFEST: Shape = Shape::Object(&[
    required("manifest_version", U32),
    required("id", Shape::Text),
    required("version", Shape::Version),
    required("title", Shape::Text),
    optional("help", Shape::Text),
    optional("icon", Shape::Text),
    required("hosts", Shape::List(&Shape::Text)),
    required(
        "connection",
        Shape::Object(&[
            optional("parameters", Shape::List(&PARAMETER)),
            optional("schemes", Shape::List(&SCHEME)),
        ]),
    ),
    optional("triggers", Shape::List(&TRIGGER)),
    optional("actions", Shape::List(&ACTION)),
    optional("lookups", Shape::List(&LOOKUP)),
    optional("buckets", Shape::List(&BUCKET)),
]);

const PARAMETER: Shape = Shape::Object(&[
    required("name", Shape::Text),
    required("title", Shape::Text),
    optional("help", Shape::Text),
    required("pattern", Shape::Word(&["host_label", "identifier", "digits", "host_names"])),
]);

const SCHEME: Shape = Shape::Tagged {
    tag: "type",
    common: &[
        required("id", Shape::Text),
        required("title", Shape::Text),
        required("place", Shape::List(&PLACEMENT)),
    ],
    cases: &[
        ("fields", &[required("fields", Shape::List(&SECRET_FIELD))]),
        (
            "oauth2",
            &[
                required("authorize", AUTHORIZE_ENDPOINT),
                required("token", TOKEN_ENDPOINT),
                optional("scopes", TEXTS),
                optional("refresh", Shape::Word(&["none", "rotating", "reusable"])),
                optional("repeat", TEXTS),
                optional("captures", Shape::List(&CAPTURE)),
                nullable("callback", CALLBACK_SIGNATURE),
            ],
        ),
        (
            "client_credentials",
            &[
                required("token", TOKEN_ENDPOINT),
                optional("scopes", TEXTS),
                optional("fields", Shape::List(&SECRET_FIELD)),
            ],
        ),
        (
            "jwt_bearer",
            &[required("key", SECRET_FIELD), optional("scopes", TEXTS), nullable("audience", Shape::Text)],
        ),
    ],
};

const TEXTS: Shape = Shape::List(&Shape::Text);

const SECRET_FIELD: Shape = Shape::Object(&[
    required("name", Shape::Text),
    required("title", Shape::Text),
    optional("help", Shape::Text),
]);

const AUTHORIZE_ENDPOINT: Shape = Shape::Object(&[
    required("url", Shape::Text),
    optional("parameters", Shape::Named(&Shape::Text)),
    optional("scope_separator", Shape::Text),
    optional("pkce", Shape::Word(&["s256", "none"])),
]);

const TOKEN_ENDPOINT: Shape = Shape::Object(&[
    required("url", Shape::Text),
    optional("client", Shape::Word(&["body", "basic"])),
    optional("body", Shape::Word(&["form", "json"])),
    optional("parameters", Shape::Named(&Shape::Text)),
]);

const CAPTURE: Shape = Shape::Object(&[
    required("parameter", Shape::Text),
    required("from", Shape::Word(&["callback", "token"])),
    required("name", Shape::Text),
    optional("prefix", Shape::Text),
    optional("suffix", Shape::Text),
]);

const CALLBACK_SIGNATURE: Shape = Shape::Object(&[
    required("parameter", Shape::Text),
    optional("unsigned", TEXTS),
    nullable(
        "timestamp",
        Shape::Object(&[required("parameter", Shape::Text), required("tolerance_ms", U64)]),
    ),
]);

const NAME_AND_VALUE: &[Field] = &[required("name", Shape::Text), required("value", Shape::Text)];

const PLACEMENT: Shape = Shape::Tagged {
    tag: "in",
    common: &[],
    cases: &[
        ("header", NAME_AND_VALUE),
        ("query", NAME_AND_VALUE),
        ("basic", &[required("username", Shape::Text), required("password", Shape::Text)]),
        (
            "aws_sigv4",
            &[
                required("access_key", Shape::Text),
                required("secret_key", Shape::Text),
                nullable("session_token", Shape::Text),
                required("service", Shape::Text),
                required("region", Shape::Text),
            ],
        ),
    ],
};

const TRIGGER: Shape = Shape::Tagged {
    tag: "source",
    common: &[
        required("id", Shape::Text),
        required("title", Shape::Text),
        optional("help", Shape::Text),
        required("schema", Shape::Any),
        required("sample", Shape::Any),
        optional("options", Shape::Any),
        optional("sample_options", Shape::Any),
    ],
    cases: &[
        (
            "webhook",
            &[
                required("registration", Shape::Word(&["per_connection", "per_app", "manual"])),
                required("verify", VERIFICATION),
                required("dedup", DEDUP),
            ],
        ),
        (
            "poll",
            &[
                required("interval_ms", U64),
                required("min_interval_ms", U64),
                required("overlap_ms", U64),
                nullable(
                    "recheck",
                    Shape::Object(&[required("every_ms", U64), required("look_back_ms", U64)]),
                ),
                required(
                    "cursor_format",
                    Shape::Object(&[required("writes", U32), required("reads", Shape::List(&U32))]),
                ),
                required("dedup", Shape::Tagged { tag: "from", common: &[], cases: &[("occurrence", &[])] }),
            ],
        ),
    ],
};

const VERIFICATION: Shape = Shape::Tagged {
    tag: "method",
    common: &[],
    cases: &[
        ("secret_header", &[required("header", Shape::Text), required("secret", Shape::Text)]),
        (
            "hmac",
            &[
                required("algorithm", Shape::Word(&["sha1", "sha256", "sha512"])),
                required("header", Shape::Text),
                required("encoding", Shape::Word(&["hex", "base64"])),
                optional("prefix", Shape::Text),
                required("parts", Shape::List(&SIGNED_PART)),
                required("secret", Shape::Text),
                nullable("timestamp", SIGNED_TIME),
            ],
        ),
        ("configured", &[]),
    ],
};

const SIGNED_PART: Shape = Shape::WordOrMember(
    &["method", "url", "body"],
    &[
        required("header", Shape::Text),
        required("literal", Shape::Text),
        required("url_decoded", Shape::Text),
    ],
);

const SIGNED_TIME: Shape = Shape::Object(&[
    required("header", Shape::Text),
    required("unit", Shape::Word(&["seconds", "milliseconds"])),
    required("tolerance_ms", U64),
]);

const DEDUP: Shape = Shape::Tagged {
    tag: "from",
    common: &[],
    cases: &[
        ("header", &[required("name", Shape::Text)]),
        ("body", &[required("pointer", Shape::Text)]),
        ("body_hash", &[]),
        ("configured", &[]),
    ],
};

const ACTION: Shape = Shape::Object(&[
    required("id", Shape::Text),
    required("title", Shape::Text),
    optional("help", Shape::Text),
    required("input", Shape::Any),
    required("output", Shape::Any),
    required("sample_input", Shape::Any),
    required("sample_output", Shape::Any),
    required("repeat", Shape::Word(&["safe", "key", "lookup", "never"])),
    nullable("batch", U32),
    optional("pages", Shape::Flag),
    optional("buckets", Shape::List(&Shape::Text)),
    optional("account_schema", Shape::Flag),
    optional("ext", Shape::Named(&Shape::Any)),
]);

const LOOKUP: Shape = Shape::Object(&[required("id", Shape::Text), required("title", Shape::Text)]);

const BUCKET: Shape = Shape::Object(&[
    required("id", Shape::Text),
    required("capacity", U64),
    required("window_ms", U64),
    optional("refill", Shape::Word(&["steady", "at_once"])),
]);
