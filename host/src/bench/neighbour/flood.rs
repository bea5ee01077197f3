//! The flood: one request over and over, at a fixed rate whatever the host answers, from a thread of its own with
//! bare sockets, so that making it costs little of the machine that is measured.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Connections it is sent on.
const CONNECTIONS: usize = 64;

/// A flood under way; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Flood {
    stopped: CancellationToken,
    ended: oneshot::Receiver<Result<Flooded>>,
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Flooded {
    /// Requests with a 2xx.
    pub(super) accepted: u64,
    /// Requests with anything else.
    pub(super) refused: u64,
    /// The first answer that was no 2xx.
    pub(super) first_refusal: String,
    /// How long it took.
    pub(super) length: Duration,
}

/// What every connection needs.
#[derive(Debug)]
struct Plan {
    address: String,
    request: Vec<u8>,
    start: Instant,
    every: Duration,
    next: AtomicU64,
    stopped: CancellationToken,
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

impl Flood {
    /// Begins to send the event of `body` to `base`, `rate` times a second.
    pub(super) fn start(base: &str, key: &str, body: &str, rate: f64) -> Result<Self> {
        let address = base.strip_prefix("http://").context("the host is not at an http address")?.to_owned();
        let request = format!(
            "POST /run/event HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let stopped = CancellationToken::new();
        let (told, ended) = oneshot::channel();
        let token = stopped.clone();
        let every = Duration::from_secs_f64(1.0 / rate);
        thread::Builder::new().name("flood".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let flooded = runtime.context("the flood's runtime did not start").and_then(|runtime| {
                runtime.block_on(async {
                    let plan = Plan {
                        address,
                        request: request.into_bytes(),
                        start: Instant::now(),
                        every,
                        next: AtomicU64::new(0),
                        stopped: token,
                    };
                    Arc::new(plan).run().await
                })
            });
            // Whoever started it may have gone.
            let _gone = told.send(flooded);
        })?;
        Ok(Self { stopped, ended })
    }

    /// Ends it.
    pub(super) async fn stop(mut self) -> Result<Flooded> {
        self.stopped.cancel();
        (&mut self.ended).await.map_err(|_| anyhow!("the flood's thread ended badly"))?
    }
}

impl Plan {
    async fn run(self: Arc<Self>) -> Result<Flooded> {
        let mut connections = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let plan = Arc::clone(&self);
            connections.spawn(async move { plan.connection().await });
        }
        let mut all = Flooded::default();
        while let Some(ended) = connections.join_next().await {
            let of_one = ended??;
            all.accepted += of_one.accepted;
            all.refused += of_one.refused;
            if all.first_refusal.is_empty() {
                all.first_refusal = of_one.first_refusal;
            }
        }
        all.length = self.start.elapsed();
        Ok(all)
    }

    async fn connection(&self) -> Result<Flooded> {
        let stream = TcpStream::connect(&self.address).await.context("the flood could not connect")?;
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        let mut flooded = Flooded::default();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let at = self.start + self.every.mul_f64(super::count(number));
            tokio::select! {
                () = sleep_until(at) => {}
                () = self.stopped.cancelled() => return Ok(flooded),
            }
            if self.stopped.is_cancelled() {
                return Ok(flooded);
            }
            stream.get_mut().write_all(&self.request).await.context("sending the flood")?;
            let answer = answer(&mut stream).await?;
            if answer.starts_with("HTTP/1.1 2") {
                flooded.accepted += 1;
            } else {
                flooded.refused += 1;
                if flooded.first_refusal.is_empty() {
                    flooded.first_refusal = answer;
                }
            }
        }
    }
}

/// Reads one answer; its status line.
async fn answer(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let (mut status, mut line, mut length) = (String::new(), String::new(), 0);
    stream.read_line(&mut status).await.context("reading an answer to the flood")?;
    loop {
        line.clear();
        if stream.read_line(&mut line).await.context("reading an answer to the flood")? == 0 {
            return Err(anyhow!("the host closed a connection of the flood"));
        }
        let header = line.trim_end();
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().context("the host's content-length is no number")?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.context("reading an answer to the flood")?;
    Ok(format!("{} {}", status.trim_end(), String::from_utf8_lossy(&body)))
}
