//! Poisoned candidates: each is refused with its reason, the running version goes on, and nothing of them is
//! left in the host's memory, processes or files.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use trunnion_tests::{
    component,
    host::{Answer, Client, TestHost},
    scenario::{Merchant, Scenario},
    wait,
};
use wasm_encoder::{
    CodeSection, Component, Function, FunctionSection, Module, ModuleSection, TypeSection, ValType,
};

use super::contract::{contract, dummy};

const APP: &str = "bigcommerce";
/// What a host at rest may have more than before: an allocator does not give back every page, and the sandbox
/// keeps 2 MiB of each slot that calls ever used side by side. Less than the largest candidate here, so that one
/// that stays in memory is seen.
const SLACK_KB: u64 = 40 * 1024;

/// A scenario with a customer, and what its operator knew before anything was pushed.
struct Running {
    scenario: Scenario,
    merchant: Merchant,
    operator: Client,
    component: Vec<u8>,
    digest: String,
}

/// Started once without `config` first: what it says of compiling is meant for candidates, and the connectors that are
/// there are compiled by then.
async fn running(config: &str) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trunnion.toml");
    fs::write(&file, "").unwrap();
    let arguments = vec!["--config".to_owned(), file.display().to_string()];
    let mut scenario = Scenario::start_with(|options| options.arguments = arguments).await.unwrap();
    if !config.is_empty() {
        fs::write(&file, config).unwrap();
        scenario.crash().await.unwrap();
    }
    let merchant = scenario.merchant("ada").await.unwrap();
    let operator = scenario.host.client_with(&scenario.host.keys().operator).unwrap();
    let component = fs::read(component::bigcommerce().await.unwrap()).unwrap();
    let digest = operator.active_digest(APP).await.unwrap();
    Running { scenario, merchant, operator, component, digest }
}

impl Running {
    /// Pushes a candidate that must be refused with this code, and sees that nothing changed by it.
    async fn refused(&self, candidate: Vec<u8>, status: u16, code: &str) -> Answer {
        let answer = self.operator.push_connector(APP, candidate).await.unwrap();
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.json()["code"], code, "{}", answer.text);
        assert_eq!(self.operator.active_digest(APP).await.unwrap(), self.digest);
        answer
    }

    /// The running version still does its work.
    async fn works(&self) {
        let Self { scenario, merchant, .. } = self;
        let order = scenario.bigcommerce.create_order(&merchant.store, 11).unwrap();
        scenario.isv.wait_for_order(order).await.unwrap();
        scenario.fulfil(merchant, order, "FULFILLED").await.unwrap().ok().unwrap();
        wait::until("the order to be fulfilled", || async {
            (scenario.bigcommerce.status_of(&merchant.store, order) == Some(2)).then_some(())
        })
        .await
        .unwrap();
    }

    /// Waits until the host has no child process and no more memory than `before`.
    async fn at_rest(&self, before: u64) {
        let host = &self.scenario.host;
        wait::until("the host's processes and memory to return to rest", || async {
            (children(host).is_empty() && resident_kb(host) <= before + SLACK_KB).then_some(())
        })
        .await
        .unwrap_or_else(|error| {
            panic!(
                "{error:#}: {} KB before, {} now, children {:?}",
                before,
                resident_kb(host),
                children(host)
            )
        });
        let kept = fs::read_dir(host.data_dir().join("components")).unwrap();
        let kept: Vec<_> = kept.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(kept, [format!("{}.wasm", self.digest)], "only what was accepted is kept");
    }
}

fn resident_kb(host: &TestHost) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", host.process_id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn children(host: &TestHost) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", host.process_id().unwrap())).unwrap();
    let of_task = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    tasks
        .flat_map(|task| of_task(task.unwrap()).split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// A component whose only module takes the compiler minutes: many functions as long as a function may be.
fn endless_to_compile() -> Vec<u8> {
    const FUNCTIONS: u32 = 24;
    const STEPS: u32 = 60_000;
    let mut types = TypeSection::new();
    types.ty().function([ValType::I64], [ValType::I64]);
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    for _ in 0..FUNCTIONS {
        functions.function(0);
        let mut body = Function::new([]);
        let mut instructions = body.instructions();
        for step in 0..STEPS {
            let odd = i64::from(step) * 2 + 1;
            instructions.local_get(0).i64_const(odd).i64_mul().local_get(0).i64_eqz();
            instructions.if_(wasm_encoder::BlockType::Empty).i64_const(odd).local_set(0).end().local_set(0);
        }
        instructions.local_get(0).end();
        code.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    component.finish()
}

#[tokio::test]
async fn a_candidate_that_breaks_is_refused_and_leaves_nothing() {
    let host = running("").await;
    host.works().await;
    let before = resident_kb(&host.scenario.host);

    let said = host.refused(b"this is no WebAssembly at all".to_vec(), 400, "connector-refused").await;
    assert_eq!(said.json()["stage"], "check");
    let said =
        host.refused(dummy(&[("c.wit", contract(|text| text))], "connector"), 400, "connector-refused").await;
    assert_eq!(said.json()["stage"], "probe");
    assert!(said.message().contains("describe"), "traps in describe: {}", said.message());

    let newer = contract(|text| text.replace("trunnion:connector@1.0.0", "trunnion:connector@2.0.0"));
    let said = host.refused(dummy(&[("c.wit", newer)], "connector"), 400, "connector-refused").await;
    assert!(
        said.message().contains("2.0.0") && said.message().contains("update the host"),
        "{}",
        said.message()
    );

    let mut huge = host.component.clone();
    huge.resize(50 << 20, 0);
    let said = host.refused(huge, 413, "body-too-large").await;
    assert!(said.message().contains("max_component_bytes"), "{}", said.message());

    host.works().await;
    host.at_rest(before).await;
}

#[tokio::test]
async fn a_candidate_that_spins_while_compiling_is_stopped() {
    let host = running("[sandbox.compile]\nmax_cpu_seconds = 1\n").await;
    host.works().await;
    let before = resident_kb(&host.scenario.host);
    let component = endless_to_compile();
    println!("{} KB to compile", component.len() / 1024);
    let said = host.refused(component, 400, "connector-refused").await;
    assert_eq!(said.json()["stage"], "compile");
    assert!(said.message().contains("max_cpu_seconds"), "says what to raise: {}", said.message());
    host.works().await;
    host.at_rest(before).await;
}

#[tokio::test]
async fn while_one_candidate_spins_runs_go_on_and_another_is_told_to_wait() {
    let host = running("[sandbox.compile]\nmax_wall_ms = 5000\n").await;
    host.works().await;
    let before = resident_kb(&host.scenario.host);
    let spinning = {
        let operator = host.operator.clone();
        tokio::spawn(async move { operator.push_connector(APP, endless_to_compile()).await.unwrap() })
    };
    wait::until("the compiling process", || async {
        (!children(&host.scenario.host).is_empty()).then_some(())
    })
    .await
    .unwrap();
    host.works().await;
    let answer = host.operator.push_connector(APP, component::variant(&host.component, 1)).await.unwrap();
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (409, &json!("connector-swap-under-way")),
        "{}",
        answer.text
    );
    let answer = spinning.await.unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(answer.message().contains("max_wall_ms"), "{}", answer.message());
    host.at_rest(before).await;
}

#[tokio::test]
async fn a_candidate_without_an_action_in_use_is_refused_naming_workflow_and_user() {
    let host = running("").await;
    host.works().await;
    let before = resident_kb(&host.scenario.host);
    let without = component::patched(&host.component, "update_order_status", "update_order_statuz").unwrap();
    let said = host.refused(without, 409, "connector-in-use").await;
    let named = said.json()["errors"].to_string();
    for part in
        ["update_order_status", "Fulfilment", &host.scenario.catalogue.fulfilment, "ada", "development"]
    {
        assert!(named.contains(part), "`{part}` is not named: {named}");
    }
    host.at_rest(before).await;
    // What nobody uses may go.
    let unused = component::patched(&host.component, "get_order", "see_order").unwrap();
    let answer = host.operator.push_connector(APP, unused).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    host.works().await;
    host.operator.roll_back(APP).await.unwrap().ok().unwrap();
    host.works().await;
    wait::until("no process of the host to be left", || async {
        children(&host.scenario.host).is_empty().then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn only_an_operator_may_publish() {
    let host = running("").await;
    let workspace = host.scenario.client.push_connector(APP, host.component.clone()).await.unwrap();
    assert_eq!((workspace.status, &workspace.json()["code"]), (403, &json!("wrong-authority")));
    let nobody = host.scenario.host.client_with("trn_op_guessed").unwrap();
    assert_eq!(nobody.push_connector(APP, host.component.clone()).await.unwrap().status, 401);
    let other = host.operator.push_connector("shopify", host.component.clone()).await.unwrap();
    assert_eq!(
        (other.status, &other.json()["code"]),
        (400, &json!("connector-app-mismatch")),
        "{}",
        other.text
    );
    assert_eq!(other.json()["detail"].as_str().map(|text| text.contains("bigcommerce")), Some(true));
    let rows: Value =
        host.operator.get(&format!("/v1/connectors/{APP}/history")).await.unwrap().ok().unwrap();
    assert_eq!(rows["data"][0]["change"], "activated", "{rows}");
}

#[tokio::test]
async fn a_version_can_be_stamped_by_the_build() {
    let host = running("").await;
    let next = fs::read(component::built_as(APP, "9.8.7").await.unwrap()).unwrap();
    let answer = host.operator.push_connector(APP, next).await.unwrap().ok().unwrap();
    assert_eq!(answer["version"], "9.8.7");
    assert_eq!(answer["previous"], host.digest.as_str());
    host.works().await;
    let total = Duration::from_secs_f64(answer["total_ms"].as_f64().unwrap() / 1000.0);
    println!("pushed and active after {} ms: {}", total.as_millis(), answer["stages_ms"]);
}
