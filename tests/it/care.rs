//! Webhooks that a vendor deleted or switched off without a word are put right by the host's own care.

use trunnion_tests::{
    host::HostOptions,
    scenario::{Scenario, shopify::ShopifyScenario},
    wait,
};

/// Has the host look after webhooks every second.
fn often(dir: &tempfile::TempDir) -> impl FnOnce(&mut HostOptions) {
    let config = dir.path().join("trunnion.toml");
    std::fs::write(&config, "webhook_check_secs = 1\n").unwrap();
    let arguments = vec!["--config".to_owned(), config.to_string_lossy().into_owned()];
    |options: &mut HostOptions| options.arguments = arguments
}

#[tokio::test]
async fn a_subscription_that_shopify_deleted_is_registered_anew_and_delivers() {
    let dir = tempfile::tempdir().unwrap();
    let scenario = ShopifyScenario::start_with(often(&dir)).await.unwrap();
    let ada = scenario.shopkeeper("ada").await.unwrap();
    let subscriptions = || scenario.shopify.subscriptions(&ada.shop);
    let before = subscriptions();
    let [deleted] = before.as_slice() else { panic!("one subscription: {before:?}") };
    scenario.shopify.delete_subscription(&ada.shop, deleted.id).unwrap();
    let anew =
        wait::until("the subscription registered anew", || async { subscriptions().pop() }).await.unwrap();
    assert_eq!(anew.uri, deleted.uri, "it keeps its path, so that deliveries on their way find it");
    assert_ne!(anew.id, deleted.id);
    let order = scenario.shopify.create_order(&ada.shop).unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();
    assert_eq!(subscriptions().len(), 1, "it is registered once, however often it is asked about");
}

#[tokio::test]
async fn a_hook_that_bigcommerce_switched_off_is_switched_on() {
    let dir = tempfile::tempdir().unwrap();
    let scenario = Scenario::start_with(often(&dir)).await.unwrap();
    let ada = scenario.merchant("ada").await.unwrap();
    let off = || scenario.bigcommerce.hooks(&ada.store).iter().filter(|hook| !hook.is_active).count();
    scenario.bigcommerce.switch_hooks_off(&ada.store);
    wait::until("every hook switched on again", || async { (off() == 0).then_some(()) }).await.unwrap();
    let order = scenario.bigcommerce.create_order(&ada.store, 11).unwrap();
    scenario.isv.wait_for_order(order).await.unwrap();
}
