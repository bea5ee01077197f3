//! How the vendor of the suite answers, and which errors a connector may make of it. A table; the kinds are those of
//! `CallError::kind`, and `ok` where the call may end well.

/// Seconds that the vendor asks to wait.
pub(super) const RETRY_AFTER_SECS: u64 = 7;

/// One way to answer everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// A status with a body.
    Status { status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str },
    /// Nothing.
    Silence,
    /// A refusal that repeats the whole request, secrets and all.
    Echo,
}

/// A scene, and what may come of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expectation {
    pub(super) name: &'static str,
    pub(super) scene: Scene,
    pub(super) allowed: &'static [&'static str],
    pub(super) remedy: &'static str,
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const HTML: &[(&str, &str)] = &[("content-type", "text/html")];
const WAIT: &[(&str, &str)] = &[("content-type", "application/json"), ("retry-after", "7")];

const fn status(status: u16, body: &'static str) -> Scene {
    Scene::Status { status, headers: JSON, body }
}

/// A vendor that has nothing to say.
pub(super) const EMPTY_OBJECT: Scene = status(200, "{}");

/// Refusals and failures that every vendor has.
pub(super) const FAILURES: &[Expectation] = &[
    Expectation {
        name: "401",
        scene: status(401, r#"{"message":"no"}"#),
        allowed: &["auth_expired"],
        remedy: "answer `auth-expired`, so that the user is asked to reconnect",
    },
    Expectation {
        name: "403",
        scene: status(403, r#"{"message":"no"}"#),
        allowed: &["rejected", "auth_expired"],
        remedy: "answer `rejected` (a scope is missing) or `auth-expired`; trying again cannot help",
    },
    Expectation {
        name: "404",
        scene: status(404, r#"{"message":"no"}"#),
        allowed: &["not_found", "rejected", "ok"],
        remedy: "answer `not-found`; trying again cannot help",
    },
    Expectation {
        name: "409",
        scene: status(409, r#"{"message":"no"}"#),
        allowed: &["conflict", "rejected"],
        remedy: "answer `conflict`; trying again cannot help",
    },
    Expectation {
        name: "422",
        scene: status(422, r#"{"message":"no"}"#),
        allowed: &["rejected", "invalid_input", "conflict"],
        remedy: "answer `rejected` or `invalid-input`; trying again cannot help",
    },
    Expectation {
        name: "429 with Retry-After",
        scene: Scene::Status { status: 429, headers: WAIT, body: r#"{"message":"no"}"# },
        allowed: &["rate_limited"],
        remedy: "answer `rate-limited` with the time that the vendor asked for",
    },
    Expectation {
        name: "429",
        scene: status(429, r#"{"message":"no"}"#),
        allowed: &["rate_limited", "unavailable"],
        remedy: "answer `rate-limited`, so that the connection waits",
    },
    Expectation {
        name: "500",
        scene: status(500, r#"{"message":"no"}"#),
        allowed: &["unavailable", "uncertain"],
        remedy: "answer `unavailable`, or `uncertain` where the request may have been carried out",
    },
    Expectation {
        name: "502 as a web page",
        scene: Scene::Status { status: 502, headers: HTML, body: "<html>bad gateway</html>" },
        allowed: &["unavailable", "uncertain"],
        remedy: "judge by the status before the body is read",
    },
    Expectation {
        name: "503",
        scene: status(503, r#"{"message":"no"}"#),
        allowed: &["unavailable", "rate_limited", "uncertain"],
        remedy: "answer `unavailable`, so that it is tried again",
    },
    Expectation {
        name: "no answer",
        scene: Scene::Silence,
        allowed: &["unavailable", "uncertain"],
        remedy: "answer `uncertain` where the request may have been carried out, else `unavailable`",
    },
    Expectation {
        name: "200 as a web page",
        scene: Scene::Status { status: 200, headers: HTML, body: "<html>login</html>" },
        allowed: &["ok", "other", "rejected", "unavailable", "uncertain"],
        remedy: "answer an error that says the answer was not understood",
    },
];

/// Answers that fit no vendor: they may be refused or ignored, and must not break the connector.
pub(super) const NONSENSE: &[(&str, Scene)] = &[
    ("an empty object", EMPTY_OBJECT),
    ("an empty list", status(200, "[]")),
    ("null", status(200, "null")),
    ("a number", status(200, "7")),
    ("lists where objects are", status(200, r#"{"data":[],"items":[[]],"errors":[]}"#)),
    ("objects where lists are", status(200, r#"{"data":{},"items":{},"errors":{}}"#)),
    ("an empty 200", status(200, "")),
    ("204", Scene::Status { status: 204, headers: &[], body: "" }),
    ("an endless number", status(200, r#"{"id":1e400}"#)),
    ("half a character", status(200, "{\"id\":\"\\ud800\"}")),
];
