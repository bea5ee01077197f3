//! How the modal looks and is worked: dark, on a phone, in the ISV's colours and words, by keyboard alone.

use serde_json::{Value, json};
use trunnion_tests::browser::Sdk;

use super::Stage;

#[tokio::test]
async fn it_is_at_home_in_the_dark_and_on_a_phone() {
    let Some(mut stage) = Stage::set("it_is_at_home_in_the_dark_and_on_a_phone").await else { return };
    let looks = [
        ("dark", json!({ "dark": true })),
        ("phone", json!({ "width": 360, "height": 640 })),
        ("phone-dark", json!({ "width": 360, "height": 640, "dark": true, "reduced": true })),
    ];
    let install = json!({ "workflowIds": [stage.shipping] });
    for (name, look) in &looks {
        stage.open_with(Sdk::Embed, "install", install.clone(), look.clone()).await;
        stage.see("store_v2_orders").await;
        stage.look(&format!("{name}-1-connect")).await;
    }
    stage.connect().await;
    for (name, look) in &looks {
        stage.open_with(Sdk::Embed, "install", install.clone(), look.clone()).await;
        stage.see("Choose your options").await;
        let submit = if stage.installed().await.is_empty() { "Install" } else { "Save" };
        stage.fill("Note for your staff", "Fragile").await;
        stage.look(&format!("{name}-2-options")).await;
        stage.pick_status("", "Shipped").await;
        stage.click(submit).await;
        stage.see("All set").await;
        stage.look(&format!("{name}-3-done")).await;
        stage.click("My connections").await;
        stage.see("Connected accounts").await;
        stage.look(&format!("{name}-4-connections")).await;
    }
    // In Alloy's own frame, which is 400 pixels wide.
    stage.open_with(Sdk::Alloy, "install", install, json!({ "dark": true })).await;
    stage.see("Choose your options").await;
    stage.look("alloy-dark-2-options").await;
}

#[tokio::test]
async fn it_wears_the_isvs_colours_and_speaks_its_words() {
    let Some(mut stage) = Stage::set("it_wears_the_isvs_colours_and_speaks_its_words").await else { return };
    let theme = json!({ "accent": "#0a6b4f", "radius": "4px", "font": "Georgia, serif",
                        "background": "url(https://evil.example/x)", "dark": { "accent": "#63d8b4" } });
    let params = json!({ "workflowIds": [stage.shipping], "theme": theme, "locale": "de",
                         "strings": { "connectHeading": "Ihr Laden", "nobody": "x" } });
    for (dark, accent) in [(false, "rgb(10, 107, 79)"), (true, "rgb(99, 216, 180)")] {
        stage.open_with(Sdk::Embed, "install", params.clone(), json!({ "dark": dark })).await;
        stage.see("Ihr Laden").await;
        stage.see("Erbetene Berechtigungen").await;
        let style = |selector: &str, property: &str| json!({ "selector": selector, "property": property });
        let button = stage.act("style", style("button.primary", "backgroundColor")).await;
        assert_eq!(button["value"], accent);
        let font = stage.act("style", style("body", "fontFamily")).await;
        assert!(font["value"].as_str().unwrap().starts_with("Georgia"), "{font}");
        stage.look(if dark { "themed-dark" } else { "themed" }).await;
    }
    // A link that somebody made says nothing in the host's name, and looks only as a theme may.
    let token = stage.token().await;
    let strings = "%7B%22connectHeading%22%3A%22Your%20password%22%7D";
    let url = format!(
        "https://trunnion.example/forge-install?token={token}&id={}&locale=de&strings={strings}",
        stage.shipping
    );
    stage.act("visit", json!({ "url": url })).await;
    stage.see("Konto verbinden").await;
}

#[tokio::test]
async fn it_is_worked_by_keyboard_alone() {
    let Some(mut stage) = Stage::set("it_is_worked_by_keyboard_alone").await else { return };
    stage.connect().await;
    stage.open(Sdk::Embed, "install", json!({ "workflowIds": [stage.shipping] })).await;
    stage.see("Choose your options").await;
    assert_eq!(focused(&mut stage).await, "Choose your options", "a new step has the focus");
    stage.act("press", json!({ "key": "Tab" })).await;
    stage.act("press", json!({ "key": "ArrowDown" })).await;
    stage.see("Pending").await;
    stage.act("press", json!({ "key": "ArrowDown", "times": 2 })).await;
    stage.act("press", json!({ "key": "Enter" })).await;
    let chosen = stage.act("value", json!({ "label": "Status of shipped orders" })).await;
    assert_ne!(chosen["value"], "", "a choice was made");
    // The choices are open again; Escape closes them, and not the modal.
    stage.act("press", json!({ "key": "ArrowDown" })).await;
    stage.act("press", json!({ "key": "Escape" })).await;
    assert_eq!(stage.act("shown", json!({})).await["there"], true);
    // From the note to the buttons, and around: nothing behind the modal is ever reached.
    let mut passed = Vec::new();
    for _ in 0..12 {
        stage.act("press", json!({ "key": "Tab" })).await;
        passed.push(stage.act("focused", json!({})).await);
    }
    assert!(passed.iter().all(|it| it["id"] != "before"), "{passed:?}");
    assert!(passed.iter().any(|it| it["text"] == "Install"), "{passed:?}");
    while focused(&mut stage).await != "Install" {
        stage.act("press", json!({ "key": "Tab" })).await;
    }
    stage.act("press", json!({ "key": "Enter" })).await;
    stage.see("All set").await;
    assert_eq!(focused(&mut stage).await, "All set");
    while focused(&mut stage).await != "Done" {
        stage.act("press", json!({ "key": "Tab" })).await;
    }
    stage.act("press", json!({ "key": "Enter", "leaves": true })).await;
    assert_eq!(stage.gone().await["focus"], "before");
}

async fn focused(stage: &mut Stage) -> String {
    let it = stage.act("focused", json!({})).await;
    it.get("text").and_then(Value::as_str).unwrap_or_default().to_owned()
}
