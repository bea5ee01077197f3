//! A component that imports WASI, in the real sandbox: what it gets, what it is refused, and what its log says.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use serde_json::{Value, json};
use trunnion_core::{
    call::CallError,
    clock::{Clock, SeededRandom, Timestamp},
    id::{ConnectionId, Id, UserId, WorkspaceId},
    records::LogLevel,
    scope::{Environment, Scope},
};
use trunnion_sandbox::{
    Answer, Broker, Call, Connector, EgressOptions, Failed, Freshness, Options, Sandbox, Secrets,
    broker::Rewrite,
};
use trunnion_tests::{
    component,
    mirror::{MARKER, Mirror},
    scan::Canary,
};

/// Characters that JSON, URLs and base64 each write differently.
const KEY: &str = "frgn-\"x/+&%=-2b84d0651e3a9c7f";
/// How far the clock moves each time it is looked at.
const STEP_MS: u64 = 20;

/// A clock that moves by being looked at, so that no sleep depends on the machine.
#[derive(Debug)]
struct Striding(AtomicU64);

impl Clock for Striding {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(STEP_MS, Ordering::SeqCst))
    }
}

/// The foreign guest in a sandbox of its own, its vendor a mirror.
struct Foreign {
    connector: Connector,
    mirror: Mirror,
    sandbox: Sandbox,
}

impl Foreign {
    async fn start(options: Options) -> Self {
        let mirror = Mirror::start().await.unwrap();
        let sandbox = sandbox(options, "api.foreign.example", mirror.base_url());
        let path = component::guest("foreign").await.unwrap();
        let connector = sandbox.load(std::fs::read(path).unwrap().into()).await.unwrap();
        Self { connector, mirror, sandbox }
    }

    async fn call(&self, action: &str, input: Value) -> Result<Answer<String>, Failed> {
        self.connector.run_action(call(action, KEY), &input.to_string()).await
    }

    async fn answer(&self, action: &str, input: Value) -> (Value, Vec<String>) {
        let answer = self.call(action, input).await.unwrap();
        let log = answer.log.iter().map(|line| line.message.clone()).collect();
        (serde_json::from_str(&answer.value).unwrap(), log)
    }
}

/// A sandbox that finds `host` at `url`.
pub(crate) fn sandbox(options: Options, host: &str, url: &str) -> Sandbox {
    let rewrites = vec![Rewrite { host: host.to_owned(), url: url.to_owned() }];
    let broker = Broker::new(EgressOptions { rewrites, ..EgressOptions::default() }).unwrap();
    let clock = Arc::new(Striding(AtomicU64::new(1_700_000_000_000)));
    Sandbox::new(options, Arc::new(broker), clock, Arc::new(SeededRandom::new(7))).unwrap()
}

/// A call of `name` with this API key.
pub(crate) fn call(name: &str, key: &str) -> Call {
    let id = |number| Id::from_bytes([number; 12]);
    let secrets = Secrets::new([("api_key".to_owned(), key.to_owned())]).with_connection_scheme("key");
    Call {
        scope: Scope::new(WorkspaceId(id(9)), Environment::Development),
        user: Some(UserId(id(1))),
        connection: Some(ConnectionId(id(1))),
        name: name.to_owned(),
        parameters: Default::default(),
        account: "account".to_owned(),
        idempotency_key: "6f9619ff-8b86-4d01-b42d-00cf4fc964ff".to_owned(),
        attempt: 1,
        secrets: Arc::new(secrets),
        deadline: None,
        instance: Freshness::Fresh,
    }
}

/// A request to the allowed host, with `more` in place of what it says.
fn fetch(more: Value) -> Value {
    let mut fetch = json!({ "method": "GET", "authority": "api.foreign.example", "path": "/orders?page=2", "headers": [] });
    fetch.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fetch
}

#[tokio::test]
async fn the_file_system_is_empty_and_says_so() {
    let foreign = Foreign::start(Options::default()).await;
    let (tried, log) = foreign.answer("open", json!({ "path": "etc/passwd" })).await;
    assert_eq!(
        tried,
        json!([{ "directory": "/", "read": "no-entry", "create": "read-only", "look": "no-entry", "empty": true }])
    );
    let [read, create, look] = log.as_slice() else { panic!("a line each: {log:?}") };
    assert!(read.contains("open the file `etc/passwd`"), "{read}");
    assert!(create.contains("create the file `etc/passwd`"), "{create}");
    assert!(look.contains("look at the file `etc/passwd`"), "{look}");
    assert!(log.iter().all(|line| line.contains("a connector has no files")), "{log:?}");

    let (_, log) = foreign.answer("search", json!({ "tries": 30 })).await;
    assert_eq!(log.len(), 21, "a runtime that looks everywhere does not drown the rest: {log:?}");
    assert!(log[20].contains("further attempts of this call are not shown"), "{log:?}");
}

#[tokio::test]
async fn there_are_no_sockets_and_the_log_says_so() {
    let foreign = Foreign::start(Options::default()).await;
    let (tried, log) = foreign.answer("connect", json!({})).await;
    let refused = "access-denied";
    assert_eq!(tried, json!({ "tcp": refused, "udp": refused, "name": refused }));
    for (line, what) in log.iter().zip(["a TCP socket", "a UDP socket", "the host `elsewhere.example`"]) {
        assert!(line.contains(what) && line.contains("send through the contract's `http`"), "{line}");
    }
    assert_eq!(log.len(), 3, "{log:?}");
}

#[tokio::test]
async fn the_machine_stays_unknown_and_time_and_chance_are_the_hosts() {
    let foreign = Foreign::start(Options::default()).await;
    let (seen, _) = foreign.answer("look", json!({})).await;
    assert_eq!(
        seen,
        json!({ "environment": [], "arguments": [], "directory": null, "terminal": false, "input_closed": true })
    );
    let (told, _) = foreign.answer("sleep", json!({ "ms": 65 })).await;
    let slept = told["slept_ms"].as_u64().unwrap();
    assert!(slept >= 65 && slept.is_multiple_of(STEP_MS), "by the host's clock: {told}");
    let now = told["now_ms"].as_u64().unwrap();
    assert!((1_700_000_000_000..1_700_000_100_000).contains(&now), "the host's date: {told}");
    assert_eq!(told["random"].as_array().unwrap().len(), 8);
    let again = Foreign::start(Options::default()).await;
    let (first, _) = again.answer("sleep", json!({ "ms": 1 })).await;
    let (other, _) = again.answer("sleep", json!({ "ms": 1 })).await;
    assert_ne!(first["random"], other["random"]);
    assert_eq!(first["random"], told["random"], "from the host's source, which this test seeds");
}

#[tokio::test]
async fn what_it_prints_is_its_log_line_by_line() {
    let options = Options { max_log_line_bytes: 40, max_log_lines: 8, ..Options::default() };
    let foreign = Foreign::start(options).await;
    let answer = foreign
        .call(
            "print",
            json!({ "out": ["one\ntw", "o\r\n\n", "x".repeat(100_000), "\nlast"], "error": ["oh\nno"] }),
        )
        .await
        .unwrap();
    let lines: Vec<_> = answer.log.iter().map(|line| (line.level, line.message.as_str())).collect();
    let long = "x".repeat(40);
    assert_eq!(
        lines,
        [
            (LogLevel::Info, "one"),
            (LogLevel::Info, "two"),
            (LogLevel::Info, long.as_str()),
            (LogLevel::Error, "oh"),
            (LogLevel::Info, "last"),
            (LogLevel::Error, "no"),
        ]
    );
    let chatter: Vec<_> = (0..50).map(|line| format!("line {line}\n")).collect();
    let (_, log) = foreign.answer("print", json!({ "out": chatter, "error": ["the last word\n"] })).await;
    assert_eq!(log.len(), 9, "{log:?}");
    assert_eq!(log[7], "the last word", "an error is not lost behind chatter");
    assert!(log[8].contains("43 more lines were dropped"), "{log:?}");
}

#[tokio::test]
async fn the_broker_serves_wasi_http_and_keeps_the_credential() {
    let foreign = Foreign::start(Options::default()).await;
    let canary = Canary::new(KEY);
    let mut masked = vec![Canary::masked(MARKER)];
    masked.extend(canary.masked_forms());
    let headers = json!([
        ["x-trunnion-auth", "connection"],
        ["x-by-reference", "{{secret:api_key}}"],
        ["content-length", "11"],
        ["accept-encoding", "gzip"],
    ]);
    let input =
        fetch(json!({ "method": "POST", "headers": headers, "body": "hello there", "masked": masked }));
    let answer = foreign.call("fetch", input).await.unwrap();
    let told: Value = serde_json::from_str(&answer.value).unwrap();
    assert_eq!(told["status"], 200, "{told}");
    assert!(told["body"].as_str().unwrap().contains("hello there"), "{told}");

    let request = foreign.mirror.requests().remove(0);
    assert_eq!(request.header("x-api-key"), KEY, "the auth scheme's placement");
    assert_eq!(request.header("x-by-reference"), KEY);
    assert_eq!(request.header("x-trunnion-auth"), "", "the reserved header never leaves");
    assert_eq!(request.header("accept-encoding"), "", "the host decides");
    assert_eq!((request.method.as_str(), request.uri.to_string().as_str()), ("POST", "/orders?page=2"));

    let found = told["found"].as_array().unwrap();
    assert!(found[0].as_u64() > Some(0), "the look through memory finds what the mirror answered: {told}");
    assert!(found[1..].iter().all(|count| *count == 0), "the secret stands in guest memory: {told}");
    assert!(canary.found_in(format!("{answer:?}").as_bytes()).is_empty(), "{answer:?}");
    let exchange = &answer.exchanges[0];
    assert_eq!((exchange.host.as_str(), exchange.path.as_str()), ("api.foreign.example", "/orders"));
    assert_eq!((exchange.status, exchange.problem.as_deref()), (Some(200), None));
}

#[tokio::test]
async fn wasi_http_reaches_nothing_else() {
    let foreign = Foreign::start(Options::default()).await;
    let denied = "ErrorCode::HttpRequestDenied";
    for (more, error, reason) in [
        (
            json!({ "authority": "api.elsewhere.example" }),
            denied,
            "host `api.elsewhere.example` is not allowed",
        ),
        (
            json!({ "authority": "169.254.169.254" }),
            denied,
            "name the vendor's host instead of an IP address",
        ),
        (json!({ "authority": "user@api.foreign.example" }), denied, "user information"),
        (json!({ "authority": "{{secret:api_key}}.example" }), denied, "a secret may stand in the path"),
        (json!({ "authority": "api.foreign.example:8443" }), denied, "api.foreign.example:8443"),
        (json!({ "scheme": "http" }), denied, "https only"),
        (json!({ "method": "TRACE" }), denied, "not a method that may be sent"),
        (json!({ "headers": [["x-trunnion-auth", "theirs"]] }), denied, "`connection`, `app` or `none`"),
        (json!({ "headers": [["x-trunnion-auth", "app"]] }), denied, "needs an app registration"),
        (json!({ "headers": [["x-key", "{{secret:other}}"]] }), denied, "there is no secret `other`"),
        (json!({ "headers": [["host", "api.elsewhere.example"]] }), "HeaderError::Forbidden", ""),
        (json!({ "headers": [["x-key", "a\r\nhost: b"]] }), "HeaderError::InvalidSyntax", ""),
        (json!({ "path": ".elsewhere.example/" }), "the path was refused", ""),
        (
            json!({ "method": "POST", "body": "hello", "headers": [["content-length", "7"]] }),
            "ErrorCode::HttpRequestBodySize",
            "",
        ),
        (
            json!({ "method": "POST", "body": "hello", "unfinished": true }),
            "ErrorCode::HttpProtocolError",
            "its body was never finished",
        ),
    ] {
        let (told, log) = foreign.answer("fetch", fetch(more.clone())).await;
        assert!(told["error"].as_str().is_some_and(|told| told.contains(error)), "{more}: {told}");
        assert_eq!(log.len(), usize::from(!reason.is_empty()), "{more}: {log:?}");
        assert!(log.concat().contains(reason), "{more}: {log:?}");
    }
    assert!(foreign.mirror.requests().is_empty(), "{:?}", foreign.mirror.requests());

    let away = "/redirect?to=https%3A%2F%2Fapi.elsewhere.example%2F";
    let (told, _) = foreign.answer("fetch", fetch(json!({ "path": away }))).await;
    assert_eq!(told["status"], 302, "a redirect is an answer; where it leads is judged anew: {told}");
    assert_eq!(foreign.mirror.requests().len(), 1);
}

#[tokio::test]
async fn a_request_under_way_when_the_guest_ends_is_uncertain() {
    let foreign = Foreign::start(Options { max_host_calls: 16, ..Options::default() }).await;
    let body = "x".repeat(100_000);
    let input = fetch(json!({ "method": "POST", "body": body }));
    let failed = foreign.call("fetch", input).await.unwrap_err();
    assert!(
        matches!(&failed.error, CallError::Trapped { message } if message.contains("max_host_calls")),
        "its body was not whole, so nothing had left: {failed:?}"
    );
    assert!(foreign.mirror.requests().is_empty());
    assert_eq!(failed.exchanges.len(), 1);
    assert!(failed.exchanges[0].problem.as_deref().unwrap().contains("the call ended before"), "{failed:?}");
}

#[tokio::test]
async fn a_guest_that_leaves_or_hoards_in_the_host_ends_one_call() {
    let foreign = Foreign::start(Options { max_memory_bytes: 16 << 20, ..Options::default() }).await;
    for (action, phrase) in [("leave", "ended itself with `exit` (failure)"), ("hoard", "`max_memory_bytes`")]
    {
        let failed = foreign.call(action, json!({})).await.unwrap_err();
        assert!(failed.error.to_string().contains(phrase), "{action}: {failed:?}");
    }
    let (told, _) = foreign.answer("fetch", fetch(json!({}))).await;
    assert_eq!(told["status"], 200, "the next call has all the room again: {told}");
}

#[tokio::test]
async fn our_own_connectors_do_without_wasi() {
    let foreign = Foreign::start(Options::default()).await;
    let wasi = |connector: &Connector| connector.imports().iter().any(|name| name.starts_with("wasi:"));
    assert!(wasi(&foreign.connector), "{:?}", foreign.connector.imports());
    for path in [component::bigcommerce().await.unwrap(), component::shopify().await.unwrap()] {
        let bytes = std::fs::read(&path).unwrap();
        let connector = foreign.sandbox.load(bytes.into()).await.unwrap();
        assert!(!wasi(&connector), "{}: {:?}", path.display(), connector.imports());
    }
}
