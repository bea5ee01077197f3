//! A host inside the test's process, whose clock is moved by hand: for what takes minutes or weeks.

use std::{fs, sync::Arc, time::Duration};

use tempfile::TempDir;
use trunnion::{
    config::Config,
    real::SystemRandom,
    server::{Mode, Options, Server},
};
use trunnion_core::clock::{Clock as _, ManualClock, Timestamp};
use trunnion_tests::{
    component,
    host::{self, Client, Keys},
};

/// A host in this process.
pub(crate) struct Inside {
    pub(crate) client: Client,
    pub(crate) keys: Keys,
    config: Config,
    clock: Arc<ManualClock>,
    data_dir: TempDir,
    server: Option<Server>,
}

impl Inside {
    /// Starts at this moment, such as `2026-11-24T12:00:00Z`.
    pub(crate) async fn start(at: &str) -> Self {
        Self::start_with(at, |_| {}).await
    }

    /// As `start`, with settings changed.
    pub(crate) async fn start_with(at: &str, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let data_dir = tempfile::Builder::new().prefix("trunnion-").tempdir().unwrap();
        let connectors = data_dir.path().join("connectors");
        fs::create_dir_all(&connectors).unwrap();
        let component = component::bigcommerce().await.unwrap();
        fs::copy(&component, connectors.join(component.file_name().unwrap())).unwrap();
        let clock = Arc::new(ManualClock::new(moment(at)));
        let (server, client, keys) = launch(&config, &data_dir, &clock).await;
        Self { client, keys, config, clock, data_dir, server: Some(server) }
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.server.as_ref().unwrap().address())
    }

    /// Moves the clock to this moment.
    pub(crate) fn until(&self, at: &str) {
        self.pass(moment(at).since(self.clock.now()));
    }

    /// Lets this time pass.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Stops, lets time pass, and starts again on the same data.
    pub(crate) async fn down_for(&mut self, time: Duration) {
        self.server.take().unwrap().stop().await;
        self.pass(time);
        let (server, client, keys) = launch(&self.config, &self.data_dir, &self.clock).await;
        (self.server, self.client, self.keys) = (Some(server), client, keys);
    }
}

pub(crate) fn moment(at: &str) -> Timestamp {
    let at: jiff::Timestamp = at.parse().unwrap();
    Timestamp::from_millis(u64::try_from(at.as_millisecond()).unwrap())
}

async fn launch(config: &Config, data_dir: &TempDir, clock: &Arc<ManualClock>) -> (Server, Client, Keys) {
    let binary = tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap();
    let options = Options {
        config: config.clone(),
        data_dir: data_dir.path().to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        mode: Mode::Development,
        master_key: None,
        compiler: vec![binary.into_os_string(), "__compile".into()],
    };
    let server =
        Server::start(options, Arc::<ManualClock>::clone(clock), Arc::new(SystemRandom)).await.unwrap();
    let keys = fs::read_to_string(data_dir.path().join("keys.json")).unwrap();
    let keys: Keys = serde_json::from_str(&keys).unwrap();
    let client = Client::new(&format!("http://{}", server.address()), &keys.development).unwrap();
    (server, client, keys)
}
