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
fn the_shopify_connector_is_a_small_component_that_imports_only_the_contract() {
    assert_small_and_contained("shopify", 450_000);
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
