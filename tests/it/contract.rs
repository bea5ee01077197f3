//! What the host accepts as a component, and what it says of anything else.

use std::{collections::BTreeSet, fs, path::PathBuf};

use trunnion_tests::{
    component,
    host::{HostOptions, TestHost, workspace},
};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{
    ManglingAndAbi, Resolve, WorldItem,
    decoding::{DecodedWasm, decode},
};

/// The budget of every component (`host/docs/PERFORMANCE.md`).
const MAX_COMPONENT_BYTES: u64 = 400_000;

/// Starts a host with these bytes as its only connector; what it said before it gave up.
async fn refused(name: &str, component: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(format!("{name}.wasm"));
    fs::write(&path, component).unwrap();
    let options = HostOptions { components: vec![path], ..HostOptions::default() };
    match TestHost::start(options).await {
        Ok(host) => panic!("`{name}` was accepted; log:\n{}", host.log()),
        Err(error) => format!("{error:#}"),
    }
}

/// A component with this world of this WIT that traps wherever it is called.
pub(super) fn dummy(wit: &[(&str, String)], world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let mut package = None;
    for (path, text) in wit {
        package = Some(resolve.push_str(path, text).unwrap());
    }
    let world = resolve.select_world(&[package.unwrap()], Some(world)).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, true).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// The contract's packages as one text, changed by `change`.
pub(super) fn contract(change: impl Fn(String) -> String) -> String {
    let mut text = String::new();
    for (number, file) in ["types.wit", "imports.wit", "exports.wit", "world.wit"].iter().enumerate() {
        let part = fs::read_to_string(workspace().join("wit/connector/v1").join(file)).unwrap();
        // One file may name its package once.
        let part = if number == 0 { part } else { part.replacen("package trunnion:connector@1.0.0;", "", 1) };
        text.push_str(&part);
    }
    change(text)
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    let said = refused("noise", b"this is no WebAssembly at all").await;
    assert!(said.contains("noise.wasm") && said.contains("not a WebAssembly component"), "{said}");
    let said = refused("module", b"\0asm\x01\0\0\0").await;
    assert!(said.contains("module.wasm") && said.contains("core WebAssembly module"), "{said}");
    assert!(said.contains("trunnion connector build"), "says what to do: {said}");
}

#[tokio::test]
async fn an_import_outside_the_contract_is_refused_by_name() {
    let outside =
        "package wasi:keyvalue@0.2.0;\ninterface store { open: func(path: string) -> u32; }".to_owned();
    let wit = contract(|text| {
        text.replace("    import http;", "    import http;\n    import wasi:keyvalue/store@0.2.0;")
    });
    let said =
        refused("reaching", &dummy(&[("wasi.wit", outside), ("connector.wit", wit)], "connector")).await;
    assert!(said.contains("reaching.wasm") && said.contains("wasi:keyvalue/store"), "{said}");
    assert!(said.contains("trunnion:connector"), "says what may be imported: {said}");
}

#[tokio::test]
async fn a_missing_export_is_refused_by_name() {
    let wit = contract(|text| text.replace("    export triggers;", "").replace("    export lookups;", ""));
    let said = refused("lacking", &dummy(&[("connector.wit", wit)], "connector")).await;
    assert!(said.contains("triggers") && said.contains("lookups"), "{said}");
}

#[tokio::test]
async fn an_unknown_major_is_refused_with_the_known_ones() {
    let wit = contract(|text| text.replace("trunnion:connector@1.0.0", "trunnion:connector@2.0.0"));
    let said = refused("newer", &dummy(&[("connector.wit", wit)], "connector")).await;
    assert!(said.contains("2.0.0") && said.contains('1'), "{said}");
    assert!(said.contains("update the host"), "says what to do: {said}");
}

#[tokio::test]
async fn a_component_that_cannot_describe_itself_is_refused() {
    let wit = contract(|text| text);
    let said = refused("mute", &dummy(&[("connector.wit", wit)], "connector")).await;
    assert!(said.contains("mute.wasm") && said.contains("describe"), "{said}");
}

#[tokio::test]
async fn our_component_grows_no_further_and_imports_the_contract_alone() {
    let path: PathBuf = component::bigcommerce().await.unwrap();
    let size = fs::metadata(&path).unwrap().len();
    println!("bigcommerce.wasm: {size} bytes");
    assert!(size < MAX_COMPONENT_BYTES, "{} has {size} bytes", path.display());

    let DecodedWasm::Component(resolve, world) = decode(&fs::read(&path).unwrap()).unwrap() else {
        panic!("{} is not a component", path.display());
    };
    let imports: BTreeSet<String> = resolve.worlds[world]
        .imports
        .iter()
        .map(|(key, item)| match item {
            WorldItem::Interface { .. } => resolve.name_world_key(key),
            other => panic!("a bare import: {other:?}"),
        })
        .collect();
    let contract = ["clock", "http", "limits", "log", "random", "types"];
    let allowed = contract.map(|name| format!("trunnion:connector/{name}@1.0.0"));
    let extra: Vec<_> = imports.iter().filter(|import| !allowed.contains(import)).collect();
    assert!(extra.is_empty(), "imports beyond what it needs: {extra:?}");
    assert!(imports.contains("trunnion:connector/http@1.0.0"), "{imports:?}");
}
