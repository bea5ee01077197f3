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
    clock: Arc<ManualClock>,
    data_dir: TempDir,
    server: Option<Server>,
}

impl Inside {
    /// Starts at this moment, such as `2026-11-24T12:00:00Z`.
    pub(crate) async fn start(at: &str) -> Self {
        let data_dir = tempfile::Builder::new().prefix("trunnion-").tempdir().unwrap();
        let connectors = data_dir.path().join("connectors");
        fs::create_dir_all(&connectors).unwrap();
        let component = component::bigcommerce().await.unwrap();
        fs::copy(&component, connectors.join(component.file_name().unwrap())).unwrap();
        let clock = Arc::new(ManualClock::new(moment(at)));
        let (server, client) = launch(&data_dir, &clock).await;
        Self { client, clock, data_dir, server: Some(server) }
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
        let (server, client) = launch(&self.data_dir, &self.clock).await;
        (self.server, self.client) = (Some(server), client);
    }
}

pub(crate) fn moment(at: &str) -> Timestamp {
    let at: jiff::Timestamp = at.parse().unwrap();
    Timestamp::from_millis(u64::try_from(at.as_millisecond()).unwrap())
}

async fn launch(data_dir: &TempDir, clock: &Arc<ManualClock>) -> (Server, Client) {
    let binary = tokio::task::spawn_blocking(host::binary).await.unwrap().unwrap();
    let options = Options {
        config: Config::default(),
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
    (server, client)
}
