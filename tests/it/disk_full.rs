//! A full disk: refused before anything is acknowledged, readiness fails, nothing is corrupt, and the host goes on by
//! itself when there is room again.
//!
//! The disk is a small one of the test's own. Where the test may not mount one, it says so and does nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use trunnion_tests::{bigcommerce::Match, scenario::Scenario, wait};

/// The disk's size and the reserve, in bytes.
const DISK: u64 = 96 << 20;
const RESERVE: u64 = 32 << 20;
/// What the filler leaves free: less than the reserve.
const LEFT: u64 = 24 << 20;

/// A file system of its own, unmounted when dropped.
struct Disk {
    place: TempDir,
}

impl Disk {
    fn mount() -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let options = format!("size={DISK}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(place.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self { place })
    }

    fn data_dir(&self) -> PathBuf {
        self.place.path().join("data")
    }

    fn filler(&self) -> PathBuf {
        self.place.path().join("filler")
    }

    /// Somebody else's file takes the room, but for a little.
    fn fill(&self) {
        let free = free_bytes(self.place.path());
        let size = usize::try_from(free.saturating_sub(LEFT)).unwrap();
        fs::write(self.filler(), vec![1; size]).unwrap();
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, since a process that is just being killed may still have files open there.
        match Command::new("umount").arg("-l").arg(self.place.path()).status() {
            Ok(status) if status.success() => {}
            other => println!("{} could not be unmounted: {other:?}", self.place.path().display()),
        }
    }
}

fn free_bytes(path: &Path) -> u64 {
    let output = Command::new("df").args(["--output=avail", "-B1"]).arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().nth(1).unwrap().trim().parse().unwrap()
}

/// Status and message of the readiness probe.
async fn ready(scenario: &Scenario) -> (u16, String) {
    let answer = scenario.client.get("/readyz").await.unwrap();
    (answer.status, answer.message())
}

#[tokio::test]
async fn a_full_disk_refuses_and_the_host_recovers_by_itself() {
    let Some(disk) = Disk::mount() else {
        println!("skipped: mounting a small disk needs root");
        return;
    };
    let config = disk.place.path().join("trunnion.toml");
    fs::write(&config, format!("[store]\nmin_free_bytes = {RESERVE}\ncache_bytes = 8388608\n")).unwrap();
    let mut scenario = Scenario::start_with(|options| {
        options.data_dir = Some(disk.data_dir());
        options.arguments = vec!["--config".to_owned(), config.display().to_string()];
    })
    .await
    .unwrap();
    let merchant = scenario.merchant("ada").await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    let first = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    let refused = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    assert_eq!(ready(&scenario).await.0, 200);

    // A run is under way, its call carried out and not yet answered, when the disk fills up.
    let path = format!("/stores/{}/v2/orders/{first}", merchant.store);
    let held = scenario.bigcommerce.hold_next(Match::call("PUT", &path));
    scenario.fulfil(&merchant, first, "FULFILLED").await.unwrap().ok().unwrap();
    held.arrived().await;
    disk.fill();
    held.release();

    let answer = scenario.fulfil(&merchant, refused, "FULFILLED").await.unwrap();
    assert_eq!(answer.status, 507, "{}", answer.message());
    assert!(answer.message().contains("make room"), "{}", answer.message());
    let (status, message) = ready(&scenario).await;
    assert_eq!(status, 507, "{message}");
    assert!(message.contains("make room"), "{message}");
    wait::until("the run's result cannot be written, and is kept", async || {
        scenario.host.log().contains("a result could not be written; trying again").then_some(())
    })
    .await
    .unwrap();
    let runs = scenario.client.runs(&scenario.catalogue.fulfilment, &merchant.user).await.unwrap();
    assert!(runs.iter().all(|run| !run.ended()), "nothing is said to have ended that is not durable");

    disk.empty();
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
    assert_eq!(ready(&scenario).await.0, 200);
    scenario.fulfil(&merchant, refused, "FULFILLED").await.unwrap().ok().unwrap();
    scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 2).await.unwrap();
    assert_eq!(puts(&scenario, &path), 1, "what was performed is not performed again");

    scenario.crash().await.unwrap();
    let runs = scenario.client.runs_ended(&scenario.catalogue.fulfilment, &merchant.user, 2).await.unwrap();
    assert_eq!(runs.len(), 2, "the refused event left nothing, and nothing is corrupt");
    for order in [first, refused] {
        assert_eq!(scenario.bigcommerce.status_of(&merchant.store, order), Some(2), "order {order}");
    }
}

fn puts(scenario: &Scenario, path: &str) -> usize {
    let requests = scenario.bigcommerce.requests();
    requests.iter().filter(|request| request.method == "PUT" && request.uri.path() == path).count()
}
