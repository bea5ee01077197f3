//! The way out, end to end over real sockets: what leaves, where to, and what comes back.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use trunnion_core::{
    clock::Timestamp,
    id::{Id, WorkspaceId},
    manifest::Manifest,
    scope::{Environment, Scope},
};

use super::*;
use crate::{call::Freshness, secrets::Secrets};

const TOKEN: &str = "tok/en+with \"quotes\"";

/// A vendor on loopback: answers by path, remembers what it was sent.
struct Vendor {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Vendor {
    async fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                tokio::spawn(async move {
                    while let Some(request) = read_request(&mut stream).await {
                        let said = answer(&request);
                        log.lock().unwrap().push(request);
                        if said.is_empty() || stream.write_all(said.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")
                    .map(|n| n.parse::<usize>().unwrap())
            })
            .unwrap_or(0);
        if body.len() >= length {
            return Some(text);
        }
    }
}

fn ok(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\ncontent-length: 0\r\nlocation: {location}\r\n\r\n")
}

/// Names whose addresses a test chooses.
#[derive(Debug)]
struct Names(HashMap<String, IpAddr>);

impl LookUp for Names {
    fn look_up(&self, host: String) -> LookingUp {
        let found = self.0.get(&host).copied();
        Box::pin(async move { found.map(|ip| vec![ip]).ok_or_else(|| std::io::Error::other("no such name")) })
    }
}

fn broker(options: EgressOptions) -> Broker {
    let names = [
        ("metadata.acme.dev", "169.254.169.254"),
        ("internal.acme.dev", "10.0.0.7"),
        ("rebound.acme.dev", "::ffff:127.0.0.1"),
    ];
    let names = names.map(|(name, address)| (name.to_owned(), address.parse().unwrap()));
    Broker::with_look_up(options, Arc::new(Names(names.into()))).unwrap()
}

fn to(vendor: &Vendor) -> EgressOptions {
    EgressOptions {
        rewrites: ["api.acme.dev", "other.acme.dev"]
            .map(|host| Rewrite { host: host.to_owned(), url: vendor.url.clone() })
            .into(),
        ..EgressOptions::default()
    }
}

fn subject() -> Subject {
    let manifest = r#"{
        "manifest_version": 1, "id": "acme", "version": "1.2.0", "title": "Acme",
        "hosts": ["api.acme.dev", "other.acme.dev", "metadata.acme.dev", "internal.acme.dev", "rebound.acme.dev",
                  "missing.acme.dev", "{shop}.acme.app"],
        "connection": {
            "parameters": [{"name": "shop", "title": "Shop", "pattern": "host_label"}],
            "schemes": [
                {"id": "header", "title": "H", "type": "fields", "fields": [{"name": "token", "title": "T"}],
                 "place": [{"in": "header", "name": "x-token", "value": "Bearer {{secret:token}}"}]},
                {"id": "query", "title": "Q", "type": "fields", "fields": [{"name": "token", "title": "T"}],
                 "place": [{"in": "query", "name": "key", "value": "{{secret:token}}"}]},
                {"id": "aws", "title": "A", "type": "fields", "fields": [{"name": "token", "title": "T"}],
                 "place": [{"in": "aws_sigv4", "access_key": "AKIDEXAMPLE", "secret_key": "{{secret:token}}",
                            "service": "s3", "region": "{shop}"}]},
                {"id": "basic", "title": "B", "type": "fields", "fields": [{"name": "token", "title": "T"}],
                 "place": [{"in": "basic", "username": "ada/token", "password": "{{secret:token}}"}]}
            ]
        }
    }"#;
    Subject::new(Arc::new(Manifest::parse(manifest).unwrap())).unwrap()
}

fn call(scheme: &str) -> Call {
    let token = if scheme == "header" { "token-0123456789" } else { TOKEN };
    Call {
        scope: Scope::new(WorkspaceId(Id::from_bytes([1; 12])), Environment::Development),
        user: None,
        connection: None,
        name: "do".to_owned(),
        parameters: BTreeMap::from([("shop".to_owned(), "jane".to_owned())]),
        account: String::new(),
        idempotency_key: String::new(),
        attempt: 1,
        secrets: Arc::new(
            Secrets::new([("token".to_owned(), token.to_owned())]).with_connection_scheme(scheme),
        ),
        deadline: None,
        instance: Freshness::Fresh,
    }
}

fn get(url: &str) -> Outgoing {
    Outgoing {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        auth: Auth::None,
        timeout: None,
        at: Timestamp::from_millis(1_440_938_160_000),
        redirects: Redirects::Follow,
    }
}

async fn send(broker: &Broker, call: &Call, request: Outgoing) -> Sent {
    broker.send(&subject(), call, request, &ByteBudget::new(1 << 20)).await
}

async fn denied(broker: &Broker, request: Outgoing) -> String {
    let sent = send(broker, &call("header"), request).await;
    match sent.result {
        Err(SendError::Denied(message)) => {
            assert_eq!(sent.exchange.problem.as_deref(), Some(message.as_str()));
            message
        }
        other => panic!("not denied: {other:?}"),
    }
}

#[tokio::test]
async fn every_forbidden_destination_is_refused_and_says_why() {
    let broker = broker(EgressOptions::default());
    for (url, says) in [
        (
            "https://api.evil.dev/x",
            "host `api.evil.dev` is not allowed for connector `acme@1.2.0`; add it to `hosts` in its manifest",
        ),
        ("https://acme.dev/", "is not allowed for connector"),
        ("https://api.acme.dev.evil.dev/", "is not allowed for connector"),
        ("https://api.acme.dev:8443/", "host `api.acme.dev:8443` is not allowed"),
        ("https://joe.acme.app/", "is not allowed for connector"),
        ("http://api.acme.dev/", "https only"),
        ("ftp://api.acme.dev/", "https only"),
        ("https://user:pass@api.acme.dev/", "user information"),
        ("https://api.acme.dev@evil.dev/", "user information"),
        ("https://api.acme.dev\\@evil.dev:1/x y", "spaces or control"),
        ("https://127.0.0.1/", "instead of an IP address"),
        ("https://169.254.169.254/latest/meta-data/", "instead of an IP address"),
        ("https://[::ffff:127.0.0.1]/", "instead of an IP address"),
        ("https://[fc00::1]/", "instead of an IP address"),
        ("https://[fe80::1]/", "instead of an IP address"),
        ("https://0x7f.1/", "instead of an IP address"),
        ("https://2130706433/", "instead of an IP address"),
        ("https://017700000001/", "instead of an IP address"),
        ("https://10.0.0.1/", "instead of an IP address"),
        ("https://localhost/", "is not allowed for connector"),
        ("https://metadata.google.internal/", "is not allowed for connector"),
        ("https://metadata.acme.dev/", "169.254.169.254 is link-local"),
        ("https://internal.acme.dev/", "10.0.0.7 is private"),
        ("https://rebound.acme.dev/", "127.0.0.1 is loopback"),
        ("https://{{secret:token}}.acme.app/", "a secret may stand in the path"),
        ("nonsense", "cannot be read"),
    ] {
        let message = denied(&broker, get(url)).await;
        assert!(message.contains(says), "{url}: {message}");
    }
}

#[tokio::test]
async fn a_host_without_address_is_unreachable() {
    let sent =
        send(&broker(EgressOptions::default()), &call("header"), get("https://missing.acme.dev/")).await;
    assert!(
        matches!(&sent.result, Err(SendError::Unreachable(message)) if message.contains("missing.acme.dev")),
        "{sent:?}"
    );
    assert!(!sent.may_have_arrived());
}

#[tokio::test]
async fn the_operator_grants_less_than_a_manifest_names() {
    let granted =
        EgressOptions { granted_hosts: Some(vec!["other.acme.dev".to_owned()]), ..EgressOptions::default() };
    let message = denied(&broker(granted), get("https://api.acme.dev/")).await;
    assert!(message.contains("egress.granted_hosts"), "{message}");
}

#[tokio::test]
async fn a_redirect_is_authorised_like_a_request() {
    for (location, says) in [
        ("https://169.254.169.254/latest", "instead of an IP address"),
        ("https://metadata.acme.dev/", "169.254.169.254 is link-local"),
        ("https://evil.dev/", "host `evil.dev` is not allowed for connector `acme@1.2.0`"),
        ("http://api.acme.dev/", "https only"),
        ("//user@api.acme.dev/", "user information"),
        ("/again", "redirected more than 5 times"),
    ] {
        let vendor = Vendor::start(move |_| redirect(302, location)).await;
        let message = denied(&broker(to(&vendor)), get("https://api.acme.dev/x")).await;
        assert!(message.contains(says), "{location}: {message}");
    }
}

#[tokio::test]
async fn credentials_stay_with_their_host() {
    for (location, kept) in [("https://other.acme.dev/end", false), ("/end", true)] {
        let vendor = Vendor::start(move |request| {
            if request.starts_with("GET /end") { ok("", "done") } else { redirect(302, location) }
        })
        .await;
        let mut request = get("https://api.acme.dev/start");
        request.auth = Auth::Connection;
        request.headers = vec![
            ("authorization".to_owned(), "mine".to_owned()),
            ("x-key".to_owned(), "{{secret:token}}".to_owned()),
            ("x-plain".to_owned(), "plain".to_owned()),
        ];
        let sent = send(&broker(to(&vendor)), &call("header"), request).await;
        assert_eq!(sent.result.unwrap().body, b"done");
        let seen = vendor.seen();
        assert!(
            seen[0].contains("x-token: Bearer token-0123456789")
                && seen[0].contains("x-key: token-0123456789"),
            "{seen:?}"
        );
        assert_eq!(seen[1].contains("token-0123456789"), kept, "{seen:?}");
        assert_eq!(seen[1].contains("authorization: mine"), kept, "{seen:?}");
        assert!(seen[1].contains("x-plain: plain"), "{seen:?}");
    }
}

#[tokio::test]
async fn a_user_name_and_password_are_placed_together_and_stay_with_their_host() {
    let pair = BASE64_STANDARD.encode(format!("ada/token:{TOKEN}"));
    let echoed = pair.clone();
    let vendor = Vendor::start(move |request| {
        if request.starts_with("GET /away") {
            redirect(302, "https://other.acme.dev/there")
        } else {
            ok("", &format!("you sent {echoed}"))
        }
    })
    .await;
    let broker = broker(to(&vendor));
    let asking = |url| Outgoing { auth: Auth::Connection, ..get(url) };
    let mut request = asking("https://api.acme.dev/me");
    request.headers.push(("Authorization".to_owned(), "Bearer mine".to_owned()));
    let incoming = send(&broker, &call("basic"), request).await.result.unwrap();
    let told = String::from_utf8(incoming.body).unwrap();
    assert!(!told.contains(&pair) && told.contains("[redacted]"), "{told}");
    send(&broker, &call("basic"), asking("https://api.acme.dev/away")).await.result.unwrap();
    let seen = vendor.seen();
    assert!(seen[0].contains(&format!("authorization: Basic {pair}\r\n")), "{}", seen[0]);
    assert!(!seen[0].contains("mine"), "{}", seen[0]);
    assert!(seen[1].contains(&pair) && !seen[2].contains("authorization"), "{seen:?}");
}

#[tokio::test]
async fn a_signature_is_of_each_hop_and_stays_with_its_host() {
    let vendor = Vendor::start(|request| match request.split(' ').nth(1) {
        Some("/a") => redirect(307, "/b"),
        Some("/b") => redirect(307, "https://other.acme.dev/c"),
        _ => ok("", "done"),
    })
    .await;
    let broker = broker(to(&vendor));
    let request = Outgoing { auth: Auth::Connection, ..get("https://api.acme.dev/a") };
    send(&broker, &call("aws"), request).await.result.unwrap();
    let seen = vendor.seen();
    let signature = |request: &String| {
        let line = request.lines().find_map(|line| line.strip_prefix("authorization: "));
        line.map(str::to_owned)
    };
    let [first, second, third] = [0, 1, 2].map(|hop| signature(&seen[hop]));
    let (first, second) = (first.unwrap(), second.unwrap());
    let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/jane/s3/aws4_request";
    assert!(first.starts_with(scope) && second.starts_with(scope), "{first} {second}");
    assert_ne!(first, second, "another path, another signature");
    assert_eq!(third, None, "another host gets none");
    assert!(!seen.concat().contains(TOKEN), "the key itself goes nowhere");
}

#[tokio::test]
async fn a_body_with_a_secret_is_not_sent_to_another_host() {
    let vendor = Vendor::start(|_| redirect(307, "https://other.acme.dev/end")).await;
    let mut request = get("https://api.acme.dev/start");
    request.method = "POST".to_owned();
    request.body = Bytes::from_static(b"{\"k\":\"{{secret:token}}\"}");
    let message = denied(&broker(to(&vendor)), request).await;
    assert!(message.contains("send to `other.acme.dev` directly"), "{message}");
    assert_eq!(vendor.seen().len(), 1);
}

#[tokio::test]
async fn secrets_are_placed_and_never_come_back() {
    let vendor = Vendor::start(|request| {
        // Everything the vendor was sent comes back, in a header and in the body, also as base64.
        use base64::Engine;
        let line = request.lines().next().unwrap().to_owned();
        let encoded = base64::prelude::BASE64_STANDARD.encode(TOKEN);
        ok(&format!("x-echo: {line}\r\n"), &format!("{request}\n{encoded}"))
    })
    .await;
    let mut request = get("https://api.acme.dev/a/{{secret:token}}?b=1");
    request.method = "POST".to_owned();
    request.auth = Auth::Connection;
    request.headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("x-key".to_owned(), "{{secret:token}}".to_owned()),
    ];
    request.body = Bytes::from_static(b"{\"k\":\"{{secret:token}}\"}");
    let call = call("query");
    let sent = send(&broker(to(&vendor)), &call, request).await;
    let seen = vendor.seen().remove(0);
    assert!(
        seen.starts_with(
            "POST /a/tok%2Fen%2Bwith%20%22quotes%22?b=1&key=tok%2Fen%2Bwith+%22quotes%22 HTTP/1.1"
        ),
        "{seen}"
    );
    assert!(seen.contains("x-forwarded-host: api.acme.dev"), "{seen}");
    assert!(seen.contains(&format!("x-key: {TOKEN}")), "{seen}");
    assert!(seen.ends_with(r#"{"k":"tok/en+with \"quotes\""}"#), "{seen}");

    let incoming = sent.result.unwrap();
    let told =
        format!("{:?}{}{:?}", incoming.headers, String::from_utf8_lossy(&incoming.body), sent.exchange);
    assert!(told.contains("[redacted]"), "{told}");
    for trace in ["quotes", "tok/en", "tok%2Fen", "dG9rL2VuK3dpdGggInF1b3Rlcy"] {
        assert!(!told.contains(trace), "{trace}: {told}");
    }
    assert_eq!(sent.exchange.path, "/a/{{secret:token}}");
    assert_eq!(sent.exchange.status, Some(200));
}

#[tokio::test]
async fn requests_that_are_not_sent() {
    let vendor = Vendor::start(|_| ok("", "")).await;
    let small = EgressOptions { max_request_bytes: 100, ..to(&vendor) };
    let broker = broker(small);
    let url = "https://api.acme.dev/";
    let header =
        |name: &str, value: &str| Outgoing { headers: vec![(name.to_owned(), value.to_owned())], ..get(url) };
    for (request, says) in [
        (header("host", "evil.dev"), "the host's own"),
        (header("X-Forwarded-Host", "evil.dev"), "the host's own"),
        (header("accept-encoding", "gzip"), "the host's own"),
        (header("transfer-encoding", "chunked"), "the host's own"),
        (header("a b", "c"), "is not a header name"),
        (header("x", "a\r\nb: c"), "characters a header cannot carry"),
        (header("x", "{{secret:other}}"), "there is no secret `other`; this call has `token`"),
        (Outgoing { method: "CONNECT".to_owned(), ..get(url) }, "`CONNECT` is not a method"),
        (Outgoing { body: vec![b'x'; 101].into(), ..get(url) }, "egress.max_request_bytes"),
    ] {
        let message = denied(&broker, request).await;
        assert!(message.contains(says), "{message}");
    }
    for (auth, says) in [(Auth::App, "needs an app registration"), (Auth::Connection, "no longer has")] {
        let sent = send(&broker, &call("gone"), Outgoing { auth, ..get(url) }).await;
        assert!(
            matches!(&sent.result, Err(SendError::Unauthorized(message)) if message.contains(says)),
            "{sent:?}"
        );
    }
    assert_eq!(vendor.seen(), Vec::<String>::new());
}

type Expected = fn(&SendError) -> bool;

#[tokio::test]
async fn answers_that_do_not_reach_the_guest() {
    let cases: [(&'static str, Expected); 4] = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n", |error| {
            matches!(error, SendError::TooLarge(_))
        }),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\ncontent-encoding: gzip\r\n\r\n0123456789",
            |error| matches!(error, SendError::Denied(message) if message.contains("gzip")),
        ),
        ("", |error| matches!(error, SendError::Interrupted(_))),
        ("nonsense\r\n\r\n", |error| matches!(error, SendError::Interrupted(_))),
    ];
    for (answer, expected) in cases {
        let vendor = Vendor::start(move |_| answer.to_owned()).await;
        let options = EgressOptions { max_response_bytes: 1_000_000, ..to(&vendor) };
        let sent = send(&broker(options), &call("header"), get("https://api.acme.dev/")).await;
        assert!(expected(sent.result.as_ref().unwrap_err()), "{answer}: {sent:?}");
    }
    // Without a length to announce it, the cap counts.
    let endless =
        Vendor::start(|_| format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(2_000))).await;
    let options = EgressOptions { max_response_bytes: 1_000, ..to(&endless) };
    let sent = send(&broker(options), &call("header"), get("https://api.acme.dev/")).await;
    assert!(matches!(sent.result, Err(SendError::TooLarge(_))), "{sent:?}");
}

#[tokio::test]
async fn a_vendor_that_is_silent_is_timed_out_and_may_have_acted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let options = EgressOptions {
        rewrites: vec![Rewrite { host: "api.acme.dev".to_owned(), url }],
        ..EgressOptions::default()
    };
    let request = Outgoing { timeout: Some(Duration::from_millis(50)), ..get("https://api.acme.dev/") };
    let sent = send(&broker(options), &call("header"), request).await;
    assert!(
        matches!(&sent.result, Err(SendError::TimedOut(message)) if message.contains("50 ms")),
        "{sent:?}"
    );
    assert!(sent.may_have_arrived());
}

#[tokio::test]
async fn the_hosts_own_posts_meet_the_same_addresses() {
    let vendor = Vendor::start(|_| redirect(302, "https://elsewhere.dev/")).await;
    let post = |url: &str| Post {
        url: url.to_owned(),
        method: Method::POST,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"{}"),
        timeout: Duration::from_secs(5),
    };
    let strict = broker(EgressOptions::default());
    for (url, says) in [
        (vendor.url.as_str(), "plain http to address 127.0.0.1"),
        ("https://127.0.0.1/", "127.0.0.1 is loopback"),
        ("https://[::1]/", "::1 is loopback"),
        ("https://2130706433/", "127.0.0.1 is loopback"),
        ("https://internal.acme.dev/", "10.0.0.7 is private"),
        ("https://a:b@acme.dev/", "user information"),
        ("file:///etc/passwd", "use https"),
        ("nonsense", "not a URL"),
    ] {
        let error = strict.post(post(url)).await.unwrap_err();
        assert!(matches!(&error, SendError::Denied(message) if message.contains(says)), "{url}: {error:?}");
    }
    let development = broker(EgressOptions { allow_loopback: true, ..EgressOptions::default() });
    let posted = development.post(post(&vendor.url)).await.unwrap();
    assert_eq!(posted.status, 302, "a redirect is an answer");
    assert!(vendor.seen()[0].ends_with("{}"));
    let error = development.post(post("http://internal.acme.dev/")).await.unwrap_err();
    assert!(error.to_string().contains("10.0.0.7 is not allowed; use https"), "{error}");
}

#[tokio::test]
async fn a_post_for_a_connection_goes_where_its_connector_may_send() {
    let vendor = Vendor::start(|_| ok("", "issued")).await;
    let broker = broker(to(&vendor));
    let manifest = Arc::clone(subject().manifest());
    let parameters = BTreeMap::from([("shop".to_owned(), "jane".to_owned())]);
    let post = |url: &str| Post {
        url: url.to_owned(),
        method: Method::POST,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"grant"),
        timeout: Duration::from_secs(30),
    };
    let send = |url: &str| broker.post_for(Arc::clone(&manifest), &parameters, post(url));
    assert_eq!(send("https://api.acme.dev/token").await.unwrap().body, "issued");
    for (url, says) in [
        ("https://evil.example/token", "is not allowed for connector"),
        ("https://bob.acme.app/token", "is not allowed for connector"),
        ("http://api.acme.dev/token", "over https only"),
        ("https://user:pass@api.acme.dev/token", "user information"),
        ("https://127.0.0.1/token", "instead of an IP address"),
        ("https://internal.acme.dev/token", "not allowed"),
        ("token", "not a URL"),
    ] {
        let error = send(url).await.unwrap_err().to_string();
        assert!(error.contains(says), "{url}: {error}");
    }
    assert_eq!(vendor.seen().len(), 1);
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (options, setting) in [
        (
            EgressOptions { granted_hosts: Some(vec!["*".to_owned()]), ..EgressOptions::default() },
            "egress.granted_hosts",
        ),
        (
            EgressOptions {
                rewrites: vec![Rewrite { host: "a.example.com".to_owned(), url: "http://x/path".to_owned() }],
                ..EgressOptions::default()
            },
            "egress.rewrites",
        ),
    ] {
        let error = Broker::new(options).unwrap_err().to_string();
        assert!(error.contains(setting), "{error}");
    }
    assert!("no-equals".parse::<Rewrite>().is_err());
    let rewrite: Rewrite = "*.bigcommerce.com=http://127.0.0.1:4110".parse().unwrap();
    assert_eq!((rewrite.host.as_str(), rewrite.url.as_str()), ("*.bigcommerce.com", "http://127.0.0.1:4110"));
}
