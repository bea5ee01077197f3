//! Builds real crates: the connectors of this repository, and crates that have to be refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like tests"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use trunnion_connector_build::{BuildError, BuildOptions, Built, build};
use wit_parser::decoding::{DecodedWasm, decode};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn build_one(path: &Path, out_dir: &Path) -> Result<Built, BuildError> {
    let mut lines = Vec::new();
    let options = BuildOptions::new(vec![path.to_owned()], out_dir);
    let built = build(&options, &mut |line| lines.push(line.to_owned()))?;
    assert!(!lines.is_empty(), "a build says what it does");
    Ok(built.into_iter().next().unwrap())
}

/// A crate outside the workspace, with `lib` as its source.
fn crate_with(directory: &Path, lib_section: &str, lib: &str) -> PathBuf {
    let path = directory.join("crate");
    fs::create_dir_all(path.join("src")).unwrap();
    let manifest = format!(
        "[package]\nname = \"trunnion-connector-probe\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{lib_section}\n[workspace]\n"
    );
    fs::write(path.join("Cargo.toml"), manifest).unwrap();
    fs::write(path.join("src/lib.rs"), lib).unwrap();
    path
}

#[test]
fn the_bigcommerce_connector_is_a_small_component_that_imports_only_the_contract() {
    assert_small_and_contained("bigcommerce", 400_000);
}

#[test]
fn the_bigquery_connector_is_a_small_component_that_imports_only_the_contract() {
    assert_small_and_contained("bigquery", 380_000);
}

#[test]
fn the_http_connector_is_a_small_component_that_imports_only_the_contract() {
    assert_small_and_contained("http", 290_000);
}

#[test]
fn the_hubspot_connector_is_a_small_component_that_imports_only_the_contract() {
    assert_small_and_contained("hubspot", 400_000);
}

#[test]
fn the_shopify_connector_is_a_small_component_that_imports_only_the_contract() {
    assert_small_and_contained("shopify", 390_000);
}

fn assert_small_and_contained(name: &str, max_bytes: u64) {
    let out = tempfile::tempdir().unwrap();
    let built = build_one(&repository().join("connectors").join(name), out.path()).unwrap();
    assert_eq!(built.name, name);
    assert_eq!(built.path, out.path().join(format!("{name}.wasm")));
    assert!(built.size < max_bytes, "{} bytes", built.size);

    let bytes = fs::read(&built.path).unwrap();
    assert_eq!(bytes.len() as u64, built.size);
    let DecodedWasm::Component(resolve, world) = decode(&bytes).unwrap() else { panic!("not a component") };
    let world = &resolve.worlds[world];
    let names =
        |items: &wit_parser::IndexMap<wit_parser::WorldKey, wit_parser::WorldItem>| -> BTreeSet<String> {
            items.keys().map(|key| resolve.name_world_key(key)).collect()
        };
    for import in names(&world.imports) {
        assert!(import.starts_with("trunnion:connector/"), "{import} is outside the contract");
    }
    let exports = ["actions", "connection", "lookups", "manifest", "triggers"];
    let expected: BTreeSet<String> =
        exports.iter().map(|name| format!("trunnion:connector/{name}@1.0.0")).collect();
    assert_eq!(names(&world.exports), expected);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1, "no draft is left behind");
    // Packed: it begins as it is written, and says nothing twice.
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains(&format!("{{\"manifest_version\":1,\"id\":\"{name}\"")), "it carries its manifest");
    assert!(!text.contains("json-schema.org"), "nothing that makes schemas is left in it");
}

#[test]
fn a_declaration_that_panics_is_told_with_its_message() {
    let out = tempfile::tempdir().unwrap();
    let sdk = repository().join("sdk");
    let lib_section = format!(
        "[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\ntrunnion-sdk = {{ path = \"{}\" }}",
        sdk.display()
    );
    let lib = r#"
        fn check(_: &trunnion_sdk::prelude::Context) -> trunnion_sdk::prelude::Result<trunnion_sdk::auth::Account> {
            Ok(trunnion_sdk::auth::Account::new("1", "Probe"))
        }
        fn connection() -> trunnion_sdk::auth::Connection { panic!("no way to connect") }
        trunnion_sdk::connector! {
            id: "probe", title: "Probe", hosts: ["probe.example"], connection: connection(), check: check,
        }
    "#;
    let path = crate_with(out.path(), &lib_section, lib);
    // The same dependencies as everything else here, so that they need not be compiled again.
    fs::copy(repository().join("Cargo.lock"), path.join("Cargo.lock")).unwrap();
    let mut options = BuildOptions::new(vec![path], out.path());
    options.target_dir = Some(repository().join("target/connectors"));
    let error = build(&options, &mut |_| {}).unwrap_err();
    assert!(matches!(&error, BuildError::NotDescribed { .. }), "{error}");
    assert!(error.to_string().contains("no way to connect"), "{error}");
}

#[test]
fn a_directory_without_a_crate_is_named() {
    let out = tempfile::tempdir().unwrap();
    let error = build_one(out.path(), out.path()).unwrap_err();
    assert!(matches!(error, BuildError::NotACrate { .. }), "{error}");
}

#[test]
fn a_workspace_is_not_a_crate() {
    let out = tempfile::tempdir().unwrap();
    let error = build_one(&repository(), out.path()).unwrap_err();
    assert!(matches!(error, BuildError::OnlyAWorkspace { .. }), "{error}");
}

#[test]
fn a_crate_that_cargo_cannot_read_passes_on_what_cargo_said() {
    let out = tempfile::tempdir().unwrap();
    let path = crate_with(out.path(), "nonsense", "");
    let error = build_one(&path, out.path()).unwrap_err();
    assert!(matches!(&error, BuildError::Metadata { output, .. } if output.contains("nonsense")), "{error}");
}

#[test]
fn a_crate_without_cdylib_is_told_what_to_write() {
    let out = tempfile::tempdir().unwrap();
    let error = build_one(&crate_with(out.path(), "", ""), out.path()).unwrap_err();
    assert!(error.to_string().contains("crate-type = [\"cdylib\", \"rlib\"]"), "{error}");
}

#[test]
fn a_crate_without_a_declaration_is_told_what_to_write() {
    let out = tempfile::tempdir().unwrap();
    let path = crate_with(out.path(), "[lib]\ncrate-type = [\"cdylib\"]", "pub fn nothing() {}");
    let error = build_one(&path, out.path()).unwrap_err();
    assert!(matches!(error, BuildError::NoDeclaration { .. }), "{error}");
    assert!(error.to_string().contains("trunnion_sdk::connector!"), "{error}");
}

#[test]
fn a_crate_that_only_uses_the_sdk_is_told_what_to_write() {
    let out = tempfile::tempdir().unwrap();
    let lib_section = format!(
        "[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\ntrunnion-sdk = {{ path = \"{}\" }}",
        repository().join("sdk").display()
    );
    let lib = "#[unsafe(no_mangle)] pub extern \"C\" fn digits() -> usize { trunnion_sdk::trigger::fingerprint(\"\").len() }";
    let path = crate_with(out.path(), &lib_section, lib);
    // Named otherwise than the crates of tests that run meanwhile, beside which it is compiled.
    let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap().replace("probe", "undeclared");
    fs::write(path.join("Cargo.toml"), manifest).unwrap();
    fs::copy(repository().join("Cargo.lock"), path.join("Cargo.lock")).unwrap();
    let mut options = BuildOptions::new(vec![path], out.path());
    options.target_dir = Some(repository().join("target/connectors"));
    let error = build(&options, &mut |_| {}).unwrap_err();
    assert!(matches!(error, BuildError::NoDeclaration { .. }), "{error}");
}

#[test]
fn a_compile_error_is_passed_on() {
    let out = tempfile::tempdir().unwrap();
    let path =
        crate_with(out.path(), "[lib]\ncrate-type = [\"cdylib\"]", "pub fn broken() -> u8 { \"text\" }");
    let error = build_one(&path, out.path()).unwrap_err();
    assert!(
        matches!(&error, BuildError::Compile { output, .. } if output.contains("mismatched types")),
        "{error}"
    );
}

/// A package of npm without dependencies, whose script `build` runs `code`.
fn package_with(directory: &Path, code: &str) -> PathBuf {
    let path = directory.join("package");
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("build.mjs"), code).unwrap();
    let manifest =
        r#"{"name":"trunnion-connector-probe","private":true,"scripts":{"build":"node build.mjs"}}"#;
    fs::write(path.join("package.json"), manifest).unwrap();
    path
}

#[test]
fn a_package_of_npm_is_built_by_its_script() {
    if std::process::Command::new("npm").arg("--version").output().is_err() {
        eprintln!("SKIPPED: `npm` is missing; install Node.js 20 or newer (Debian: nodejs npm)");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // The bytes stand for a component; the contract must be where the script is told.
    let writes = "import { readFileSync, writeFileSync } from 'node:fs';
        readFileSync(process.env.TRUNNION_WIT + '/world.wit');
        const version = process.env.TRUNNION_CONNECTOR_VERSION ?? 'its own';
        writeFileSync(process.env.TRUNNION_OUT, Buffer.concat([Buffer.from('0061736d0d000100', 'hex'), Buffer.from(version)]));";
    let package = package_with(directory.path(), writes);
    let out = directory.path().join("out");
    let built = build_one(&package, &out).unwrap();
    assert_eq!((built.name.as_str(), &built.path), ("probe", &out.join("probe.wasm")));
    assert_eq!(fs::read(&built.path).unwrap(), b"\0asm\x0d\0\x01\0its own");
    let mut options = BuildOptions::new(vec![package.clone()], &out);
    options.version = Some("3.2.1".parse().unwrap());
    build(&options, &mut |_| {}).unwrap();
    assert!(fs::read(&built.path).unwrap().ends_with(b"3.2.1"));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "no draft is left");

    for (code, says) in [
        ("", "left no WebAssembly component"),
        (
            "(await import('node:fs')).writeFileSync(process.env.TRUNNION_OUT, 'text')",
            "left no WebAssembly component",
        ),
        ("console.error('the reason'); process.exit(3)", "the reason"),
    ] {
        let package = package_with(directory.path(), code);
        let error = build_one_quietly(&package, &out).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("probe"), "{error}");
    }
    assert!(fs::read(&built.path).unwrap().ends_with(b"3.2.1"), "a failed build leaves the last one alone");

    fs::write(package.join("package.json"), r#"{"name":"trunnion-connector-probe"}"#).unwrap();
    let error = build_one_quietly(&package, &out).unwrap_err();
    assert!(matches!(&error, BuildError::NotAPackage { reason, .. } if reason.contains("script")), "{error}");
    fs::write(package.join("package.json"), r#"{"name":"../../x","scripts":{"build":"true"}}"#).unwrap();
    let error = build_one_quietly(&package, &out).unwrap_err();
    assert!(matches!(&error, BuildError::NotAPackage { reason, .. } if reason.contains("name")), "{error}");
}

fn build_one_quietly(path: &Path, out_dir: &Path) -> Result<Vec<Built>, BuildError> {
    build(&BuildOptions::new(vec![path.to_owned()], out_dir), &mut |_| {})
}
