//! `trunnion serve`.

use std::{
    ffi::OsString,
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use trunnion_sandbox::broker::Rewrite;

use super::COMPILE;
use crate::{
    config::Config,
    keyfiles,
    real::{SystemClock, SystemRandom},
    server::{Mode, Options, Server},
    telemetry,
};

/// How long work that nobody waits for may hold up the end.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

/// Runs the host.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where everything durable is kept; made where it does not exist. Connectors are its `connectors/*.wasm`.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The address to listen on; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The URL that vendors and users reach this host by.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// For building and trying: makes a workspace `dev` with its keys in DIR/keys.json and a master key file,
    /// and lets connectors and streams reach this machine.
    #[arg(long)]
    dev: bool,
    /// Sends a vendor's traffic elsewhere, as in `*.bigcommerce.com=http://127.0.0.1:4110`; only with --dev.
    #[arg(long, value_name = "PATTERN=URL")]
    rewrite_host: Vec<Rewrite>,
    /// The configuration file; host/docs/CONFIG.md lists its fields.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(serve: Serve) -> anyhow::Result<()> {
    let mut config = match &serve.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    if !serve.rewrite_host.is_empty() && !serve.dev {
        bail!(
            "--rewrite-host sends credentials elsewhere, so it needs --dev; in production name it as `egress.rewrites` in the configuration file"
        );
    }
    config.egress.rewrites.extend(serve.rewrite_host);
    if serve.public_url.is_some() {
        config.public_url = serve.public_url;
    }
    if let Some(url) = &config.public_url {
        let parsed =
            url::Url::parse(url).with_context(|| format!("the public URL `{url}` cannot be read"))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            bail!("the public URL `{url}` must begin with https:// (or http:// for trying)");
        }
    }
    telemetry::init(&config.log)?;
    let own = std::env::current_exe()
        .context("this program's own path is unknown, so it cannot compile connectors")?;
    let options = Options {
        config,
        data_dir: serve.data_dir,
        listen: serve.listen,
        mode: if serve.dev { Mode::Development } else { Mode::Production },
        master_key: master_key()?,
        compiler: vec![own.into_os_string(), OsString::from(COMPILE)],
    };
    // A huge page for every corner of the heap that is touched takes a third more memory, also of an idle host, and
    // saves a twentieth of the processor time of a busy one (`host/docs/PERFORMANCE.md`).
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::warn!(%error, "huge pages stay on; the host may take more memory than it needs");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime did not start")?;
    let outcome = runtime.block_on(serve_until_stopped(options));
    // A connector that is just being taken in does not hold up the end; its push was not answered.
    runtime.shutdown_timeout(LEFT_BEHIND);
    outcome
}

#[expect(clippy::disallowed_methods, reason = "the environment is read here, once")]
pub(super) fn master_key() -> anyhow::Result<Option<[u8; 32]>> {
    match std::env::var("TRUNNION_MASTER_KEY") {
        Ok(text) => match keyfiles::parse_master(&text) {
            Some(key) => Ok(Some(key)),
            None => bail!("the environment variable TRUNNION_MASTER_KEY is not 64 hex digits"),
        },
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => bail!("the environment variable TRUNNION_MASTER_KEY cannot be read: {error}"),
    }
}

async fn serve_until_stopped(options: Options) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
    let server = Server::start(options, Arc::new(SystemClock), Arc::new(SystemRandom)).await?;
    {
        let mut out = io::stdout().lock();
        writeln!(out, "listening on http://{}", server.address())?;
        out.flush()?;
    }
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("an interrupt cannot be waited for")?,
    }
    tracing::info!("stopping");
    server.stop().await;
    Ok(())
}
