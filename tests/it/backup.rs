//! Backups over the API: whose they are, one at a time, and what becomes of one whose taker goes away.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use trunnion_core::clock::{Random as _, SeededRandom};
use trunnion_tests::{host::TestHost, scenario::Scenario, wait};

/// A taker that holds as little of an answer as a socket can, and has seen how it begins.
async fn slow_taker(host: &TestHost) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let address = host.base_url().strip_prefix("http://").unwrap();
    let mut taken = socket.connect(address.parse().unwrap()).await.unwrap();
    let key = &host.keys().operator;
    let request =
        format!("GET /v1/backup HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\r\n");
    taken.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.windows(6).any(|part| part == b"TRBK1\n") {
        assert_ne!(taken.read_buf(&mut seen).await.unwrap(), 0, "{}", String::from_utf8_lossy(&seen));
    }
    assert!(seen.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&seen));
    taken
}

/// A text that nothing makes shorter: records are compressed.
fn noise(seed: u64, length: usize) -> String {
    let mut bytes = vec![0; length / 4 * 3];
    SeededRandom::new(seed).fill(&mut bytes);
    BASE64_STANDARD.encode(bytes)
}

#[tokio::test]
async fn a_backup_is_an_operators_one_at_a_time_and_ends_with_its_taker() {
    let scenario = Scenario::start().await.unwrap();
    let host = &scenario.host;
    let refused = scenario.client.get("/v1/backup").await.unwrap();
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (403, &"wrong-authority".into()),
        "{}",
        refused.text
    );
    // More than the host's side of a socket holds, so that what is not taken keeps the backup under way.
    let filling: Vec<_> = (0..8).map(|number| (format!("Filler {number}"), noise(number, 3 << 20))).collect();
    for (name, text) in &filling {
        scenario.client.define_event(name, "", &serde_json::json!({ "text": text })).await.unwrap();
    }

    let operator = host.client_with(&host.keys().operator).unwrap();
    let url = format!("{}/v1/backup", host.base_url());
    let take = || reqwest::Client::new().get(&url).bearer_auth(&host.keys().operator).send();
    let taken = slow_taker(host).await;
    let second = operator.get("/v1/backup").await.unwrap();
    assert_eq!((second.status, &second.json()["code"]), (409, &"backup-under-way".into()));
    // Nobody waits for it meanwhile.
    scenario.merchant("ada").await.unwrap();
    drop(taken);
    let whole = wait::until("the abandoned backup to have ended", || async {
        let answer = take().await.ok()?;
        if answer.status() == 200 { answer.bytes().await.ok() } else { None }
    })
    .await
    .unwrap();
    assert!(whole.len() > 24 << 20, "{}", whole.len());
    assert!(!scenario.host.log().contains("panicked"), "{}", scenario.host.log());
}
