//! Installing, editing and updating, with what goes wrong on the way.

use serde_json::{Value, json};
use trunnion_tests::{browser::Sdk, host::Client, scenario::FULFILMENT_EVENT};

use super::{PUBLIC, STORE, Stage, TOKEN, shipping, told};

/// Whether the customer's orders get this status when AcmeCo ships them.
async fn ships_as(stage: &Stage, status: u64) {
    let bigcommerce = &stage.scenario.bigcommerce;
    let order = bigcommerce.create_order(STORE, 11).unwrap();
    let data = json!({ "orderId": order.to_string(), "status": "FULFILLED" });
    let client: &Client = &stage.scenario.client;
    client.run_event(FULFILMENT_EVENT, &stage.user, &data).await.unwrap().ok().unwrap();
    let runs = client.runs_ended(&stage.shipping, &stage.user, 1).await.unwrap();
    assert_eq!(runs[0].status(), "succeeded", "{}", runs[0].text());
    assert_eq!(bigcommerce.status_of(STORE, order), Some(status));
}

/// Connect, options, done: whichever package AcmeCo uses, at whichever of the host's names.
async fn installs(stage: &mut Stage, sdk: Sdk, name: &str) {
    let params = json!({ "workflowIds": [stage.shipping], "title": "AcmeCo & BigCommerce" });
    // Alloy's package does not encode what it is given; an `&` ends its title there.
    let title = if sdk == Sdk::Embed { "AcmeCo & BigCommerce" } else { "AcmeCo " };
    stage.open(sdk, "install", params).await;
    stage.see("Connect your account").await;
    stage.see(title.trim()).await;
    for shown in ["Ship orders", "api.bigcommerce.com", "store_v2_orders", "Other ways to connect"] {
        stage.see(shown).await;
    }
    stage.look(&format!("{name}-1-connect")).await;
    stage.click("Connect BigCommerce").await;
    stage.see("Choose your options").await;
    stage.act("noPopup", json!({})).await;
    stage.click("Install").await;
    stage.see("Status of shipped orders is needed.").await;
    let problems = stage.act("problems", json!({})).await;
    assert_eq!(problems[0]["said"], "Status of shipped orders is needed.", "{problems}");
    assert_eq!((problems.as_array().unwrap().len(), &problems[0]["described"]), (1, &json!(true)));
    assert_eq!(
        stage.act("focused", json!({})).await["invalid"],
        "true",
        "the first wrong field has the focus"
    );
    let offered = stage.pick_status("ship", "Shipped").await["offered"].clone();
    assert!(offered.as_array().unwrap().len() < 8, "only what was searched for: {offered}");
    stage.look(&format!("{name}-2-options")).await;
    stage.click("Install").await;
    stage.see("All set").await;
    stage.look(&format!("{name}-3-done")).await;
    let (outcomes, said) = stage.outcomes(1).await;
    assert_eq!(outcomes, json!([{ "success": true }]));
    let origin =
        if sdk == Sdk::Embed { format!("https://{PUBLIC}") } else { "https://app.runalloy.com".to_owned() };
    let created = json!({ "workflowCreated": true, "workflowIds": [stage.shipping], "closeModal": false });
    assert_eq!(told(&said, &origin), [created]);
    let traces = stage.act("traces", json!({})).await;
    assert_eq!(traces["address"], format!("{origin}/forge-install"), "the token is not in the address");
    assert_eq!(traces["kept"], 0, "the page keeps nothing");
    stage.click("Done").await;
    let focus = stage.gone().await;
    if sdk == Sdk::Embed {
        assert_eq!(focus["focus"], "before", "the focus is where it was");
    }
    let (outcomes, said) = stage.outcomes(1).await;
    assert!(outcomes.as_array().unwrap().iter().all(|outcome| *outcome == json!({ "success": true })));
    assert_eq!(told(&said, &origin)[1..], [json!({ "closeModal": true })]);
    let mut asked = vec!["acmeco.example", "login.bigcommerce.com", PUBLIC];
    if sdk == Sdk::Alloy {
        asked.insert(1, "app.runalloy.com");
    }
    assert_eq!(stage.act("toll", json!({})).await, json!({ "complaints": [], "hosts": asked }));
    ships_as(stage, 2).await;
    assert!(!stage.scenario.host.log().contains("cnry"), "no secret is logged");
}

#[tokio::test]
async fn a_person_consents_chooses_and_installs() {
    let Some(mut stage) = Stage::set("a_person_consents_chooses_and_installs").await else { return };
    installs(&mut stage, Sdk::Embed, "install").await;
}

#[tokio::test]
async fn alloys_own_package_works_with_nothing_changed() {
    let Some(mut stage) = Stage::set("alloys_own_package_works_with_nothing_changed").await else { return };
    installs(&mut stage, Sdk::Alloy, "alloy-install").await;
    let listed = stage.act("call", json!({ "method": "getIntegrations" })).await;
    let workflows = listed["data"][0]["workflows"].as_array().unwrap();
    let installed = |it: &&Value| it["installed"] == true;
    assert_eq!(workflows.iter().filter(installed).count(), 1, "{listed}");
    for (method, activated) in [("deactivate", false), ("reactivate", true)] {
        let how = json!({ "method": method, "params": { "workflowId": stage.shipping } });
        assert_eq!(stage.act("call", how).await, json!({ "activated": activated }));
    }
    // Closed by the mask before anything was done.
    stage.open(Sdk::Alloy, "install", json!({ "integrationId": stage.integration() })).await;
    stage.see("Ship orders").await;
    stage.act("clickAt", json!({ "x": 10, "y": 10 })).await;
    stage.gone().await;
    assert_eq!(stage.outcomes(1).await.0[0], json!({ "success": false }));
}

#[tokio::test]
async fn a_key_that_the_vendor_refuses_is_said_and_can_be_given_again() {
    let name = "a_key_that_the_vendor_refuses_is_said_and_can_be_given_again";
    let Some(mut stage) = Stage::set(name).await else { return };
    stage.open(Sdk::Embed, "install", json!({ "workflowIds": stage.shipping })).await;
    stage.see("Other ways to connect").await;
    stage.act("clickText", json!({ "text": "Other ways to connect" })).await;
    stage.click("Connect with API account").await;
    stage.see("Stored encrypted").await;
    stage.click("Connect BigCommerce").await;
    stage.see("Access token is needed.").await;
    stage.fill("Store hash", "https://store").await;
    stage.fill("Access token", "wrong").await;
    stage.click("Connect BigCommerce").await;
    stage.see("Store hash: letters, digits, _ and - only.").await;
    stage.look("refused-1-beside-the-field").await;
    stage.fill("Store hash", STORE).await;
    stage.click("Connect BigCommerce").await;
    stage.see("That did not work").await;
    stage.see("no longer accepted").await;
    stage.look("refused-2-by-the-vendor").await;
    stage.fill("Access token", TOKEN).await;
    stage.click("Connect BigCommerce").await;
    stage.see("Choose your options").await;
    stage.act("press", json!({ "key": "Escape", "leaves": true })).await;
    stage.gone().await;
    let (outcomes, said) = stage.outcomes(1).await;
    assert_eq!(outcomes, json!([{ "success": false }]));
    assert_eq!(told(&said, &format!("https://{PUBLIC}")).last(), Some(&json!({ "closeModal": true })));
    assert!(stage.installed().await.is_empty(), "nothing is installed that was given up");
}

#[tokio::test]
async fn an_update_asks_for_what_is_new_and_keeps_what_was_chosen() {
    let name = "an_update_asks_for_what_is_new_and_keeps_what_was_chosen";
    let Some(mut stage) = Stage::set(name).await else { return };
    stage.connect().await;
    let prefilled = json!([{ "workflowId": stage.shipping, "fields": [{ "name": "status", "value": 2 }] },
                           { "name": "note", "value": "fragile" }]);
    let params = json!({ "workflowIds": [stage.shipping], "preFilledValues": prefilled });
    stage.open(Sdk::Embed, "install", params).await;
    stage.see("BigCommerce: ").await;
    assert_eq!(stage.act("value", json!({ "label": "Note for your staff" })).await["value"], "fragile");
    stage.click("Install").await;
    stage.see("All set").await;

    let greeting =
        json!({ "name": "greeting", "title": "Greeting", "kind": { "type": "text" }, "required": true });
    stage.scenario.client.release_again(&stage.shipping, &shipping(&[greeting])).await.unwrap();
    stage.open(Sdk::Embed, "update", json!({ "workflowIds": [stage.shipping] })).await;
    // `update` shows the accounts first.
    stage.see("Connected").await;
    stage.look("update-1-account").await;
    stage.click("Continue").await;
    stage.see("A newer version is available").await;
    stage.see("new").await;
    assert_eq!(stage.act("value", json!({ "label": "Note for your staff" })).await["value"], "fragile");
    stage.click("Update").await;
    stage.see("Greeting is needed.").await;
    stage.fill("Greeting", "Thanks!").await;
    stage.look("update-2-new-field").await;
    stage.click("Update").await;
    stage.see("The newest version is running.").await;
    assert_eq!(stage.outcomes(1).await.0, json!([{ "success": true }]));
    assert_eq!(stage.installed().await[0]["release"], 2);

    stage.open(Sdk::Alloy, "edit", json!({ "workflowIds": [stage.shipping] })).await;
    stage.click("Continue").await;
    assert_eq!(stage.act("value", json!({ "label": "Greeting" })).await["value"], "Thanks!");
    stage.pick_status("", "Pending").await;
    stage.click("Save").await;
    stage.see("Your changes are saved.").await;
    ships_as(&stage, 1).await;
}

#[tokio::test]
async fn what_needs_no_person_installs_without_being_seen() {
    let Some(mut stage) = Stage::set("what_needs_no_person_installs_without_being_seen").await else {
        return;
    };
    let fulfilment = stage.scenario.catalogue.fulfilment.clone();
    let params = json!({ "workflowIds": [fulfilment], "hide": true });
    // An account is missing: the modal comes out.
    stage.open(Sdk::Embed, "install", params.clone()).await;
    stage.see("Connect your account").await;
    assert_eq!(stage.act("shown", json!({})).await["visible"], true);
    stage.connect().await;
    for sdk in [Sdk::Embed, Sdk::Alloy] {
        stage.open(sdk, "install", params.clone()).await;
        stage.gone().await;
        let (outcomes, said) = stage.outcomes(1).await;
        assert_eq!(outcomes, json!([{ "success": true }]));
        let data: Vec<_> = said.iter().map(|message| message["data"].clone()).collect();
        assert_eq!(data, [json!({ "workflowCreated": true, "workflowIds": [fulfilment] })]);
    }
    assert_eq!(stage.installed().await.len(), 1);
}

#[tokio::test]
async fn a_version_and_a_choice_among_workflows_are_what_is_installed() {
    let name = "a_version_and_a_choice_among_workflows_are_what_is_installed";
    let Some(mut stage) = Stage::set(name).await else { return };
    stage.connect().await;
    stage.scenario.client.release_again(&stage.shipping, &shipping(&[])).await.unwrap();
    let params = json!({ "integrationId": stage.integration(), "workflowSelection": true });
    stage.open(Sdk::Embed, "install", params).await;
    stage.see("Fulfilment").await;
    for left in ["Fulfilment", "Order created"] {
        stage.act("click", json!({ "role": "checkbox", "name": left })).await;
    }
    stage.pick_status("", "Shipped").await;
    stage.look("selection").await;
    stage.click("Install").await;
    stage.see("All set").await;
    let installed = stage.installed().await;
    assert_eq!(installed.len(), 1);
    assert_eq!((&installed[0]["workflow_id"], &installed[0]["release"]), (&json!(stage.shipping), &json!(2)));
}

#[tokio::test]
async fn a_link_installs_its_integration_once_on_a_page_of_its_own() {
    let name = "a_link_installs_its_integration_once_on_a_page_of_its_own";
    let Some(mut stage) = Stage::set(name).await else { return };
    let path = format!("/2024-03/users/{}/integrations/{}/install-url", stage.user, stage.integration());
    let link = stage.scenario.client.get(&path).await.unwrap().ok().unwrap();
    let url = link["url"].as_str().unwrap().to_owned();
    let opened = stage.act("visit", json!({ "url": url })).await;
    assert_eq!(opened["status"], 200);
    stage.see("Connect your account").await;
    stage.look("link-1-connect").await;
    stage.click("Connect BigCommerce").await;
    stage.see("Choose your options").await;
    stage.pick_status("", "Shipped").await;
    stage.look("link-2-options").await;
    stage.click("Install").await;
    stage.see("You can close this window.").await;
    stage.look("link-3-done").await;
    assert_eq!(stage.installed().await.len(), 3);
    let shown = stage.act("text", json!({})).await;
    assert!(!shown["text"].as_str().unwrap().contains("My connections"), "a link only installs: {shown}");
    stage.act("visit", json!({ "url": url, "width": 360, "height": 640 })).await;
    stage.see("This link was used already").await;
    stage.look("link-4-used").await;
}
