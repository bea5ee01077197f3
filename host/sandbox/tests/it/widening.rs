//! The promise of `wit/connector/v1`: a component built against 1.0.0 runs in a host of a later 1.x, and the
//! host finds the exports of a component built against a later 1.x.

use wasmtime::{
    Config, Engine, Store,
    component::{Component, Linker},
};
use wit_parser::Resolve;

use crate::support::{answering, bench, call, contract, options};

/// The tree's contract as 1.1.0: another function in `http`, another interface to import.
fn widened() -> Resolve {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/connector/v1");
    let mut text = String::new();
    for file in ["types", "imports", "exports", "world"] {
        let source = std::fs::read_to_string(format!("{dir}/{file}.wit")).unwrap();
        text.push_str(&source.replace("package trunnion:connector@1.0.0;", ""));
    }
    let text = text
        .replacen("send-all: func", "resolve: func(host: string) -> list<string>;\n    send-all: func", 1)
        .replacen("export manifest;", "import files;\n    export manifest;", 1);
    let text = format!(
        "package trunnion:connector@1.1.0;\n{text}\ninterface files {{ names: func() -> list<string>; }}\n"
    );
    let mut resolve = Resolve::default();
    resolve.push_str("widened.wit", &text).unwrap();
    resolve
}

#[tokio::test]
async fn a_component_of_1_0_links_against_a_host_of_1_1() {
    let mut config = Config::new();
    config.concurrency_support(false);
    let engine = Engine::new(&config).unwrap();
    let component = Component::from_binary(&engine, &answering("").component()).unwrap();
    let host = Component::from_binary(&engine, &answering("").component_of(&widened(), "connector")).unwrap();
    let mut linker = Linker::<()>::new(&engine);
    // Exactly what a host of 1.1.0 offers: the imports of a component of 1.1.0.
    linker.define_unknown_imports_as_traps(&host).unwrap();
    let instance = linker.instantiate_async(&mut Store::new(&engine, ()), &component).await;
    assert!(instance.is_ok(), "{:?}", instance.err());
    let offered: Vec<_> = host.component_type().imports(&engine).map(|(name, _)| name.to_owned()).collect();
    assert!(offered.contains(&"trunnion:connector/files@1.1.0".to_owned()), "{offered:?}");
    assert!(!offered.iter().any(|name| name.ends_with("@1.0.0")), "{offered:?}");
}

#[tokio::test]
async fn a_component_that_needs_what_only_1_1_has_is_refused_by_name() {
    let error =
        bench(options()).sandbox.load(answering("").component_of(&widened(), "connector")).await.unwrap_err();
    assert_eq!(error.kind(), "mismatch", "{error}");
    let message = error.to_string();
    assert!(
        message.contains("`trunnion:connector/files@1.1.0`") && message.contains("update the host"),
        "{message}"
    );
}

#[tokio::test]
async fn a_component_of_1_1_that_uses_nothing_new_runs_here() {
    let mut resolve = contract();
    for (_, package) in resolve.packages.iter_mut() {
        package.name.version.as_mut().unwrap().minor = 1;
    }
    let component = answering("").component_of(&resolve, "connector");
    let connector = bench(options()).sandbox.load(component).await.unwrap();
    assert!(connector.imports().iter().all(|name| name.ends_with("@1.1.0")), "{:?}", connector.imports());
    assert_eq!(connector.run_action(call(), "{}").await.unwrap().value, r#"{"ok":true}"#);
}

#[tokio::test]
async fn the_contract_itself_is_still_what_1_0_says() {
    let resolve = contract();
    let (_, package) = resolve.packages.iter().next().unwrap();
    assert_eq!(package.name.to_string(), "trunnion:connector@1.0.0");
}
