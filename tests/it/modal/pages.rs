//! What surrounds the modal: headers, policies, tokens that do not hold, a host that is away.

use serde_json::{Value, json};
use trunnion_tests::{browser::Sdk, host::workspace, scenario::Scenario};

use super::Stage;

fn header<'a>(answer: &'a trunnion_tests::host::Answer, name: &str) -> &'a str {
    answer.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[tokio::test]
async fn pages_run_the_hosts_own_scripts_and_nothing_else() {
    let scenario = Scenario::start().await.unwrap();
    let (client, host) = (&scenario.client, &scenario.host);
    let anybody = host.client_with("").unwrap();
    let user = client.create_user("ada", "Ada").await.unwrap();
    let path = format!("/2024-03/users/{user}/token?origins=https://acmeco.example,https://b.example");
    let token = client.get(&path).await.unwrap().ok().unwrap()["token"].as_str().unwrap().to_owned();
    for (path, ancestors) in [
        ("/forge-install?token=x".to_owned(), "frame-ancestors *"),
        ("/authenticate-app".to_owned(), "frame-ancestors *"),
        (format!("/forge-install?token={token}"), "frame-ancestors https://acmeco.example https://b.example"),
        ("/embedded-install?token=x".to_owned(), "frame-ancestors 'none'"),
    ] {
        let page = anybody.get(&path).await.unwrap();
        assert_eq!(page.status, 200);
        let policy = header(&page, "content-security-policy");
        assert!(policy.ends_with(ancestors), "{path}: {policy}");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe") && page.headers.get("x-frame-options").is_none());
        assert_eq!(header(&page, "cache-control"), "no-store");
        assert_eq!(header(&page, "referrer-policy"), "no-referrer");
        assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
        assert!(
            !page.text.contains("<script>") && !page.text.contains(" on") && !page.text.contains("token")
        );
        for (from, kind) in [("href=\"", "text/css"), ("src=\"", "text/javascript")] {
            let address = page.text.split(from).nth(1).unwrap().split('"').next().unwrap();
            let file = anybody.get(address).await.unwrap();
            assert!(header(&file, "content-type").starts_with(kind), "{address}");
            assert_eq!(header(&file, "cache-control"), "public, max-age=31536000, immutable");
            let stale = address.replace("/ui/modal/", "/ui/modal/0");
            assert_eq!(anybody.get(&stale).await.unwrap().status, 404);
        }
    }
    let embed = anybody.get("/embed.js").await.unwrap();
    assert_eq!(embed.text, anybody.get("/scripts/embedded.js").await.unwrap().text);
    assert!(!header(&embed, "etag").is_empty() && header(&embed, "cache-control") == "public, max-age=300");
    let package = std::fs::read_to_string(workspace().join("sdk/embed/index.js")).unwrap();
    let (before, after) = package.split_once("export default function").unwrap();
    assert!(embed.text.contains(before) && embed.text.contains(after), "/embed.js is the package");
    assert!(!header(&embed, "access-control-allow-origin").is_empty());
}

#[tokio::test]
async fn the_documents_page_is_for_everybody() {
    let Some(mut stage) = Stage::set("the_documents_page_is_for_everybody").await else { return };
    for (name, look) in [
        ("docs-light", json!({})),
        ("docs-dark", json!({ "dark": true })),
        ("docs-phone", json!({ "width": 360, "height": 640 })),
    ] {
        let mut how = json!({ "url": format!("https://{}/docs", super::PUBLIC) });
        how.as_object_mut().unwrap().extend(look.as_object().unwrap().clone());
        assert_eq!(stage.act("visit", how).await["status"], 200);
        stage.see("Lists the keys that sign users' tokens").await;
        stage.look(name).await;
    }
}

#[tokio::test]
async fn what_the_modal_asks_for_is_its_users_alone() {
    let scenario = Scenario::start().await.unwrap();
    let (client, host) = (&scenario.client, &scenario.host);
    let ada = scenario.merchant("ada").await.unwrap();
    client.create_user("eve", "Eve").await.unwrap();
    let token = client.get("/2024-03/users/eve/token").await.unwrap().ok().unwrap();
    let token = token["token"].as_str().unwrap().to_owned();
    let http = reqwest::Client::new();
    let ask = async |method: reqwest::Method, path: String, body: Value| {
        let url = format!("{}/v1/embed{path}", host.base_url());
        let request = http.request(method, url).header("x-alloy-user-token", &token).body(body.to_string());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (get, post, put, delete) =
        (reqwest::Method::GET, reqwest::Method::POST, reqwest::Method::PUT, reqwest::Method::DELETE);
    let (status, text) = ask(get.clone(), "/connections".to_owned(), json!({})).await;
    assert_eq!((status, text.as_str()), (200, "{\"data\":[]}"));
    let at = format!("/connections/{}", ada.credential);
    for (method, path) in [
        (put, at.clone()),
        (delete, at.clone()),
        (post.clone(), format!("{at}/check")),
        (post.clone(), format!("{at}/lookups/order_statuses")),
    ] {
        let body = if path == at { json!({ "data": {} }) } else { json!({}) };
        let (status, text) = ask(method.clone(), path.clone(), body).await;
        assert_eq!(status, 404, "{method} {path}: {text}");
        assert!(text.contains("credential-unknown") && !text.contains(&ada.token), "{text}");
    }
    let plan = json!({ "integration_id": scenario.catalogue.integration });
    let (status, text) = ask(post.clone(), "/plan".to_owned(), plan).await;
    assert!(status == 200 && !text.contains(&ada.credential) && !text.contains("storeada"), "{text}");
    let install = json!({ "integration_id": scenario.catalogue.integration, "connections": [ada.credential],
        "workflows": [{ "workflow_id": scenario.catalogue.fulfilment, "release": 1 }] });
    let (status, text) = ask(post.clone(), "/installations".to_owned(), install).await;
    assert_eq!(status, 404, "{text}");
    let (status, text) = ask(post, "/plan".to_owned(), json!({})).await;
    assert!(status == 400 && text.contains("nothing-to-install"), "{text}");
    let anybody = host.client_with("").unwrap();
    assert_eq!(anybody.get("/v1/embed/connections").await.unwrap().status, 401);
    assert!(
        client
            .get(&format!("/v1/users/{}/connections", ada.user))
            .await
            .unwrap()
            .text
            .contains(&ada.credential)
    );
}

#[tokio::test]
async fn a_token_that_does_not_hold_here_shows_nothing() {
    let Some(mut stage) = Stage::set("a_token_that_does_not_hold_here_shows_nothing").await else { return };
    let install = || json!({ "workflowIds": ["6634b1f0a7c1d2e3f4a5b6c7"] });
    let browser = &mut stage.browser;
    browser.open(Sdk::Embed, "not.a.token", ("install", install()), json!({})).await.unwrap();
    stage.see("This session has ended").await;
    stage.look("failed-1-ended").await;
    stage.open(Sdk::Embed, "install", install()).await;
    stage.see("This could not be loaded").await;
    stage.look("failed-2-unknown").await;
    // The frame of a token for other pages is not shown at all: the browser goes by its policy.
    let token = stage.token_for("?origins=https://elsewhere.example").await;
    let params = json!({ "workflowIds": [stage.shipping] });
    stage.browser.open(Sdk::Embed, &token, ("install", params), json!({})).await.unwrap();
    stage.act("refused", json!({ "words": "frame-ancestors" })).await;
    let token = stage.token_for("?origins=https://acmeco.example").await;
    let params = json!({ "workflowIds": [stage.shipping] });
    stage.browser.open(Sdk::Embed, &token, ("install", params), json!({})).await.unwrap();
    stage.see("Connect your account").await;
}

#[tokio::test]
async fn a_host_that_is_away_is_asked_again() {
    let Some(mut stage) = Stage::set("a_host_that_is_away_is_asked_again").await else { return };
    stage.connect().await;
    let fulfilment = stage.scenario.catalogue.fulfilment.clone();
    stage.open(Sdk::Embed, "install", json!({ "workflowIds": [fulfilment] })).await;
    stage.see("There is nothing to choose.").await;
    stage.look("nothing-to-choose").await;
    stage.scenario.host.kill9().await.unwrap();
    stage.click("Install").await;
    stage.see("There is no connection to the server.").await;
    stage.look("failed-3-unreachable").await;
}
