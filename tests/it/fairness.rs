//! Tenants are fair to each other: what one user sends, however much and however slow, delays that user alone. By
//! counts and order, never by times: those are `trunnion bench neighbour`'s.

use std::time::Duration;

use tempfile::TempDir;
use trunnion_tests::{
    bigcommerce::{Fault, Match},
    host::Answer,
    scenario::{FULFILMENT_EVENT, Merchant, Scenario},
    wait,
};

/// A scenario whose host has this configuration.
async fn scenario(configuration: &str) -> (Scenario, TempDir) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("trunnion.toml");
    std::fs::write(&file, configuration).unwrap();
    let arguments = vec!["--config".to_owned(), file.display().to_string()];
    let scenario = Scenario::start_with(|options| options.arguments = arguments).await.unwrap();
    scenario.bigcommerce.pause_deliveries(true);
    (scenario, dir)
}

fn orders(scenario: &Scenario, merchant: &Merchant, count: usize) -> Vec<u64> {
    (0..count).map(|_| scenario.bigcommerce.create_order(&merchant.store, 11).unwrap()).collect()
}

async fn fulfil(scenario: &Scenario, merchant: &Merchant, orders: &[u64]) {
    for order in orders {
        scenario.fulfil(merchant, *order, "FULFILLED").await.unwrap().ok().unwrap();
    }
}

/// The stores whose orders were set, in order.
fn sets(scenario: &Scenario) -> Vec<String> {
    let requests = scenario.bigcommerce.requests().into_iter().filter(|request| request.method == "PUT");
    requests.map(|request| request.uri.path().split('/').nth(2).unwrap_or_default().to_owned()).collect()
}

async fn all_set(scenario: &Scenario, merchant: &Merchant, orders: &[u64]) {
    let what = format!("every order of {} to be set", merchant.username);
    wait::until(&what, || async {
        let set = |order: &u64| scenario.bigcommerce.status_of(&merchant.store, *order) == Some(2);
        orders.iter().all(set).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_noisy_neighbour_delays_only_itself() {
    let (scenario, _dir) = scenario("workers = 2\nworkers_per_connection = 2\n").await;
    let (noisy, quiet) =
        (scenario.merchant("noisy").await.unwrap(), scenario.merchant("quiet").await.unwrap());
    let (flood, few) = (orders(&scenario, &noisy, 200), orders(&scenario, &quiet, 4));
    let slow = Fault::Slow { by: Duration::from_millis(50) };
    scenario.bigcommerce.fail_next(1_000, Match::call("PUT", "/v2/orders/"), slow);
    fulfil(&scenario, &noisy, &flood).await;
    let before = sets(&scenario).len();
    fulfil(&scenario, &quiet, &few).await;
    all_set(&scenario, &quiet, &few).await;
    let done = sets(&scenario);
    let last = done.iter().rposition(|store| *store == quiet.store).unwrap();
    let flooded = done.iter().take(last).skip(before).filter(|store| **store == noisy.store).count();
    // In turns there is about one of the flood for each of the others; first come, first served would have all 200.
    assert!(flooded <= 50, "{flooded} calls of the flood came before the last of 4 of another user");
    all_set(&scenario, &noisy, &flood).await;
}

#[tokio::test]
async fn a_vendor_account_that_does_not_answer_takes_no_worker_from_others() {
    let (scenario, _dir) = scenario("workers = 4\nworkers_per_connection = 3\n").await;
    let (stuck, well) = (scenario.merchant("stuck").await.unwrap(), scenario.merchant("well").await.unwrap());
    let (waiting, few) = (orders(&scenario, &stuck, 12), orders(&scenario, &well, 12));
    let held: Vec<_> = (0..waiting.len())
        .map(|_| scenario.bigcommerce.hold_next(Match::call("PUT", &format!("/stores/{}/", stuck.store))))
        .collect();
    fulfil(&scenario, &stuck, &waiting).await;
    for held in held.iter().take(3) {
        held.arrived().await;
    }
    fulfil(&scenario, &well, &few).await;
    all_set(&scenario, &well, &few).await;
    let of_stuck = sets(&scenario).iter().filter(|store| **store == stuck.store).count();
    assert!(of_stuck <= 3, "{of_stuck} calls to one account, where 3 may be under way at once");
    held.into_iter().for_each(trunnion_tests::gate::Held::release);
    all_set(&scenario, &stuck, &waiting).await;
}

#[tokio::test]
async fn a_users_flood_is_refused_for_that_user_before_memory_grows() {
    let (scenario, _dir) =
        scenario("workers = 4\nworkers_per_connection = 1\nmax_waiting = 100\nmax_waiting_per_user = 5\n")
            .await;
    let (noisy, quiet) =
        (scenario.merchant("noisy").await.unwrap(), scenario.merchant("quiet").await.unwrap());
    let (flood, few) = (orders(&scenario, &noisy, 20), orders(&scenario, &quiet, 3));
    let of_noisy = || Match::call("PUT", &format!("/stores/{}/", noisy.store));
    let held = scenario.bigcommerce.hold_next(of_noisy());
    fulfil(&scenario, &noisy, &flood[..1]).await;
    held.arrived().await;
    let mut accepted = vec![flood[0]];
    let mut refused = Vec::new();
    for order in &flood[1..] {
        let answer: Answer = scenario.fulfil(&noisy, *order, "FULFILLED").await.unwrap();
        if answer.status == 200 { accepted.push(*order) } else { refused.push(answer) }
    }
    assert_eq!((accepted.len(), refused.len()), (6, 14), "one under way, five waiting");
    for answer in refused {
        assert_eq!(answer.status, 429, "{}", answer.text);
        assert!(answer.message().contains("this user"), "{}", answer.text);
        assert_eq!(answer.headers["retry-after"], "5");
    }
    fulfil(&scenario, &quiet, &few).await;
    all_set(&scenario, &quiet, &few).await;
    held.release();
    all_set(&scenario, &noisy, &accepted).await;
    scenario.fulfil(&noisy, flood[19], "FULFILLED").await.unwrap().ok().unwrap();
}

#[tokio::test]
async fn work_of_which_only_the_name_waits_is_done_as_well_also_after_a_kill() {
    let (mut scenario, _dir) = scenario("max_kept_bytes = 0\nworkers_per_connection = 1\n").await;
    let merchant = scenario.merchant("ada").await.unwrap();
    let shipped = orders(&scenario, &merchant, 20);
    let held = scenario.bigcommerce.hold_next(Match::call("PUT", "/v2/orders/"));
    fulfil(&scenario, &merchant, &shipped).await;
    held.arrived().await;
    scenario.crash().await.unwrap();
    held.release();
    all_set(&scenario, &merchant, &shipped).await;
    scenario.bigcommerce.pause_deliveries(false);
    let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();
    let runs = scenario
        .client
        .runs_ended(&scenario.catalogue.fulfilment, &merchant.user, shipped.len())
        .await
        .unwrap();
    assert!(runs.iter().all(|run| run.status() == "succeeded"), "{FULFILMENT_EVENT}: {runs:?}");
    let waited =
        runs.iter().filter(|run| run.step("update").is_some_and(|step| step["attempts"] == 1)).count();
    assert!(waited >= shipped.len() - 1, "a kill takes no attempt from a run that had not begun");
    // The vendor's own deliveries of the other orders may still be under way.
    wait::until("nothing to wait any more", || async {
        let ready = scenario.client.get("/readyz").await.ok()?.ok().ok()?;
        (ready["waiting"] == 0 && ready["waiting_bytes"] == 0).then_some(())
    })
    .await
    .unwrap();
}
