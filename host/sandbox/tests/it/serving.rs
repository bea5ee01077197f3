//! What a call brings back: the value or the typed error, the log, the exchanges, the observations. And that
//! a secret is nowhere in a guest's memory.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use trunnion_core::call::CallError;
use trunnion_sandbox::{Call, Connector, EgressOptions, Observation, Options, Secrets, broker::Rewrite};

use crate::support::{Bench, Guest, answering, bench, bench_with, call, options, outcome};

const CANARY: &str = "canary-0123456789abcdef";
const URL: &str = "https://api.acme.dev/orders?page=2";

/// Sends a request with `auth: connection`; its answer lies at 2048. `rest` follows.
fn sending(method: &str, url: &str, rest: &str) -> Guest {
    let zeros = "(i32.const 0) ".repeat(11);
    let send = format!(
        "(call $http.send (i32.const 1200) (i32.const {}) (i32.const 1300) (i32.const {}) {zeros} (i32.const 2048))",
        method.len(),
        url.len()
    );
    Guest::running(&format!("(local $at i32) {send} {rest}"))
        .data(128, outcome(0, 0))
        .data(1200, method)
        .data(1300, url)
}

/// Sends, and answers with the body that came back.
fn echoing(method: &str) -> Guest {
    let answer = "(if (i32.load8_u (i32.const 2048)) (then unreachable))
         (i32.store (i32.const 136) (i32.load (i32.const 2064)))
         (i32.store (i32.const 140) (i32.load (i32.const 2068)))
         (i32.const 128)";
    sending(method, URL, answer)
}

/// A vendor that answers each request with `answer`.
async fn vendor(
    answer: impl Fn(&str) -> String + Send + 'static,
) -> (EgressOptions, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let read = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let body = answer(&request);
            log.lock().unwrap().push(request);
            let whole = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(whole.as_bytes()).await.unwrap();
        }
    });
    let rewrites = vec![Rewrite { host: "api.acme.dev".to_owned(), url }];
    (EgressOptions { rewrites, ..EgressOptions::default() }, seen)
}

fn with_token() -> Call {
    let secrets = Secrets::new([("token".to_owned(), CANARY.to_owned())]).with_connection_scheme("token");
    Call { secrets: Arc::new(secrets), ..call() }
}

async fn load(options: Options, egress: EgressOptions, guest: &Guest) -> (Bench, Connector) {
    let bench = bench_with(options, egress);
    let connector = bench.load(guest).await.unwrap();
    (bench, connector)
}

#[tokio::test]
async fn a_request_carries_the_credential_and_the_answer_does_not() {
    let (egress, seen) = vendor(|request| request.to_owned()).await;
    let (_bench, connector) = load(options(), egress, &echoing("GET")).await;
    let answer = connector.run_action(with_token(), "{}").await.unwrap();
    assert!(seen.lock().unwrap()[0].contains(&format!("x-auth-token: {CANARY}")));
    assert!(answer.value.contains("x-auth-token: [redacted]"), "{}", answer.value);
    let exchange = &answer.exchanges[0];
    assert_eq!(
        (exchange.method.as_str(), exchange.host.as_str(), exchange.path.as_str()),
        ("GET", "api.acme.dev", "/orders")
    );
    assert_eq!((exchange.status, exchange.problem.as_deref()), (Some(200), None));
    assert!(!format!("{answer:?}").contains(CANARY));
}

#[tokio::test]
async fn no_secret_is_in_guest_memory() {
    // After the vendor has echoed everything, the guest answers with the whole of its memory.
    let (egress, seen) = vendor(|request| request.to_owned()).await;
    // Bytes above 127 are cleared, so that it is text; so is the length's own form.
    let dump = "(loop
            (if (i32.gt_u (i32.load8_u (local.get $at)) (i32.const 127)) (then (i32.store8 (local.get $at) (i32.const 0))))
            (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 524288))))
         (i32.store (i32.const 136) (i32.const 0)) (i32.store (i32.const 140) (i32.const 0x77f7f)) (i32.const 128)";
    let guest = sending("GET", "https://api.acme.dev/{{secret:token}}", dump);
    let (_bench, connector) = load(options(), egress, &guest).await;
    let memory = connector.run_action(with_token(), "{}").await.unwrap().value;
    assert_eq!(memory.len(), 0x7_7f7f);
    assert!(seen.lock().unwrap()[0].contains(&format!("GET /{CANARY} ")));
    assert!(memory.contains("GET /[redacted] "), "the echo is there");
    for piece in [CANARY, "canary-01234", "123456789abcdef"] {
        assert!(!memory.contains(piece), "{piece}");
    }
}

#[tokio::test]
async fn a_failure_after_a_change_at_the_vendor_is_uncertain() {
    for (method, uncertain) in
        [("POST", true), ("put", true), ("DELETE", true), ("GET", false), ("HEAD", false)]
    {
        let (egress, _) = vendor(|_| String::new()).await;
        let guest = sending(method, URL, "unreachable");
        let (_bench, connector) = load(options(), egress, &guest).await;
        let failed = connector.run_action(with_token(), "{}").await.unwrap_err();
        assert_eq!(matches!(failed.error, CallError::Uncertain { .. }), uncertain, "{method}: {failed:?}");
        assert_eq!(failed.exchanges.len(), 1);
    }
    // Refused before it left: nothing can have changed.
    let guest = sending("POST", "https://evil.dev/", "unreachable");
    let (_bench, connector) = load(options(), EgressOptions::default(), &guest).await;
    let failed = connector.run_action(with_token(), "{}").await.unwrap_err();
    assert!(matches!(failed.error, CallError::Trapped { .. }), "{failed:?}");
    let problem = failed.exchanges[0].problem.as_deref();
    assert_eq!(
        problem,
        Some("host `evil.dev` is not allowed for connector `acme@1.2.0`; add it to `hosts` in its manifest")
    );
}

#[tokio::test]
async fn a_slow_vendor_is_not_charged_as_cpu_but_ends_with_the_wall_time() {
    // Accepts, and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let rewrites = vec![Rewrite { host: "api.acme.dev".to_owned(), url }];
    let egress = EgressOptions { rewrites, ..EgressOptions::default() };
    let options = Options { cpu_budget_ms: 50, wall_time_ms: 300, ..options() };
    let (_bench, connector) = load(options, egress, &echoing("POST")).await;
    let failed = connector.run_action(with_token(), "{}").await.unwrap_err();
    assert!(
        matches!(&failed.error, CallError::Uncertain { message } if message.contains("300 ms")),
        "{failed:?}"
    );
    assert_eq!(failed.exchanges[0].problem.as_deref(), Some("the call ended before the vendor had answered"));
    assert!(failed.cpu < std::time::Duration::from_millis(50), "{:?}", failed.cpu);
}

#[tokio::test]
async fn clock_and_chance_are_the_hosts() {
    let guest = answering(
        "(if (i64.ne (call $clock.now) (i64.const 1700000000000)) (then unreachable))
         (call $random.bytes (i32.const 8) (i32.const 512))
         (if (i32.ne (i32.load (i32.const 516)) (i32.const 8)) (then unreachable))
         (if (i64.eqz (i64.load (i32.load (i32.const 512)))) (then unreachable))",
    );
    let bench = bench(options());
    bench.load(&guest).await.unwrap().run_action(call(), "{}").await.unwrap();
}

#[tokio::test]
async fn observations_of_known_buckets_are_handed_on() {
    let observe = |remaining: u8| {
        format!(
            "(call $limits.observe (i32.const 512) (i32.const 4) (i64.const {remaining}) (i64.const 900))"
        )
    };
    let unknown = "(call $limits.observe (i32.const 516) (i32.const 4) (i64.const 1) (i64.const 1))";
    let guest = answering(&format!("{} {} {unknown}", observe(9), observe(8))).data(512, *b"restmore");
    let bench = bench(options());
    let answer = bench.load(&guest).await.unwrap().run_action(call(), "{}").await.unwrap();
    assert_eq!(answer.observations, [Observation { bucket: "rest".to_owned(), remaining: 8, reset_ms: 900 }]);
    assert!(answer.log[0].message.contains("bucket `more`"), "{:?}", answer.log);
}

#[tokio::test]
async fn every_error_of_the_contract_has_its_case() {
    // The error's case stands at 8 and its texts at 16 (and 24), the number of `rate-limited` at 24.
    let word = |number: u32| number.to_le_bytes();
    let text = [word(256), word(3)].concat();
    let two = [text.clone(), text.clone()].concat();
    let said = || "abc".to_owned();
    for (case, payload, expected) in [
        (0_u8, two.clone(), CallError::InvalidInput { field: said(), message: said() }),
        (1, text.clone(), CallError::AuthExpired { message: said() }),
        (
            2,
            [word(1), word(0), word(7), word(0)].concat(),
            CallError::RateLimited { retry_after_ms: Some(7) },
        ),
        (2, vec![0; 16], CallError::RateLimited { retry_after_ms: None }),
        (3, text.clone(), CallError::NotFound { message: said() }),
        (4, text.clone(), CallError::Conflict { message: said() }),
        (5, [word(422), word(256), word(3)].concat(), CallError::Rejected { status: 422, message: said() }),
        (6, text.clone(), CallError::Unavailable { message: said() }),
        (7, text.clone(), CallError::Uncertain { message: said() }),
        (8, [two.clone(), vec![0; 8]].concat(), CallError::Other { code: said(), message: said() }),
    ] {
        let mut answer = vec![0; 48];
        answer[0] = 1;
        answer[8] = case;
        answer[16..16 + payload.len()].copy_from_slice(&payload);
        let guest = Guest::running("(i32.const 128)").data(128, answer).data(256, *b"abc");
        let failed = bench(options()).load(&guest).await.unwrap().run_action(call(), "{}").await.unwrap_err();
        assert_eq!(failed.error, expected);
    }
}

#[tokio::test]
async fn a_batch_must_answer_every_item() {
    let mut answer = vec![0; 24];
    answer[8..12].copy_from_slice(&256_u32.to_le_bytes());
    answer[12..16].copy_from_slice(&1_u32.to_le_bytes());
    let guest = Guest::new()
        .with("actions.run-batch", "(i32.const 128)")
        .data(128, answer)
        .data(256, outcome(400, 2))
        .data(400, *b"{}");
    let connector = bench(options()).load(&guest).await.unwrap();
    let one = connector.run_batch(call(), &["1".to_owned()]).await.unwrap();
    assert_eq!(one.value, [Ok("{}".to_owned())]);
    let failed = connector.run_batch(call(), &["1".to_owned(), "2".to_owned()]).await.unwrap_err();
    assert!(
        matches!(&failed.error, CallError::Uncertain { message } if message.contains("1 answers to 2 items")),
        "{failed:?}"
    );
}

#[tokio::test]
async fn signing_uses_keys_the_guest_only_names() {
    // HMAC-SHA-256 of "abc" under the secret; the guest answers whether `verify` takes what `sign` gave.
    let guest = answering(
        "(call $signing.sign (i32.const 512) (i32.const 5) (i32.const 1) (i32.const 520) (i32.const 3) (i32.const 600))
         (if (i32.load8_u (i32.const 600)) (then unreachable))
         (if (i32.ne (i32.load (i32.const 608)) (i32.const 32)) (then unreachable))
         (call $signing.verify (i32.const 512) (i32.const 5) (i32.const 1) (i32.const 520) (i32.const 3)
            (i32.load (i32.const 604)) (i32.const 32) (i32.const 640))
         (if (i32.load8_u (i32.const 640)) (then unreachable))
         (if (i32.eqz (i32.load8_u (i32.const 644))) (then unreachable))
         (call $signing.sign (i32.const 512) (i32.const 4) (i32.const 1) (i32.const 520) (i32.const 3) (i32.const 600))
         (if (i32.eqz (i32.load8_u (i32.const 600))) (then unreachable))",
    )
    .data(512, *b"token")
    .data(520, *b"abc");
    let connector = bench(options()).load(&guest).await.unwrap();
    connector.run_action(with_token(), "{}").await.unwrap();
}
