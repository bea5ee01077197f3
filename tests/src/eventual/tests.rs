//! The fake is as inconsistent as it says, and no more.

use serde_json::Value;

use super::*;

async fn items(vendor: &Eventual, key: &str, since: u64, page: usize) -> Vec<u64> {
    let url = format!("{}/items?updated_since={since}&page={page}&limit=10", vendor.base_url());
    let answer = reqwest::Client::new().get(url).header("x-api-key", key).send().await.unwrap();
    let listed: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    listed.as_array().unwrap().iter().map(|item| item["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn changes_are_shown_late_and_in_another_order_until_they_settle() {
    let vendor = Eventual::start(7).await.unwrap();
    vendor.add_account("ada", "key");
    for item in 1..=20 {
        vendor.change("ada", item, Duration::from_secs(if item == 20 { 30 } else { 0 })).unwrap();
    }
    let mut orders = BTreeSet::new();
    for _ in 0..10 {
        let shown = items(&vendor, "key", 0, 1).await;
        assert!(!shown.contains(&20), "it is not shown yet");
        orders.insert(shown);
    }
    assert!(orders.len() > 1, "another order at every request");
    vendor.advance(SETTLED + Duration::from_secs(1));
    let (first, second) = (items(&vendor, "key", 0, 1).await, items(&vendor, "key", 0, 2).await);
    assert_eq!([first, second].concat(), (1..=20).collect::<Vec<_>>(), "once settled, one order");
    let since = vendor.now().as_millis();
    assert_eq!(vendor.change("ada", 3, Duration::ZERO).unwrap(), 2);
    assert_eq!(items(&vendor, "key", since, 1).await, [3]);
    assert_eq!((vendor.most_under_way("ada"), vendor.served("ada").len()), (1, 13));
}

#[tokio::test]
async fn faults_and_withdrawn_keys_are_answered_as_told() {
    let vendor = Eventual::start(7).await.unwrap();
    vendor.add_account("ada", "key");
    vendor.fail_next("ada", Fault::TooMany(9));
    let call = |key: &'static str| {
        reqwest::Client::new()
            .get(format!("{}/items?limit=1", vendor.base_url()))
            .header("x-api-key", key)
            .send()
    };
    let answer = call("key").await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (429, "9"));
    assert_eq!(call("key").await.unwrap().status(), 200);
    vendor.change_key("ada", "new").unwrap();
    assert_eq!(call("key").await.unwrap().status(), 401);
    assert_eq!(call("new").await.unwrap().status(), 200);
}
