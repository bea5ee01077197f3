//! Who may name what: wasmtime only the sandbox, databases only the store, axum only the edges.

use std::{fs, process::Command};

use serde_json::Value;
use trunnion_tests::{host::workspace, scan};

/// The library and the only packages that may depend on it, however.
const OWNED: [(&str, &[&str]); 6] = [
    ("wasmtime", &["trunnion-sandbox"]),
    ("sled", &["trunnion-store"]),
    ("axum", &["trunnion", "trunnion-tests", "trunnion-sandbox"]),
    ("tokio", &["trunnion", "trunnion-sandbox", "trunnion-store", "trunnion-tests", "trunnion-sim", "xtask"]),
    ("wit-bindgen", &["trunnion-sdk"]),
    ("reqwest", &["trunnion", "trunnion-sandbox", "trunnion-tests", "xtask"]),
];

/// Files of `host/src` that may speak HTTP as a server.
const EDGES: [&str; 8] = [
    "api.rs",
    "api/",
    "ui.rs",
    "server.rs",
    "bench/reference.rs",
    "bench/vendor.rs",
    "bench/rows/warehouse.rs",
    "author/vendor.rs",
];

fn packages() -> Vec<Value> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let output = Command::new(cargo)
        .current_dir(workspace())
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn dependencies(package: &Value) -> impl Iterator<Item = (&str, bool)> {
    let listed = package["dependencies"].as_array().into_iter().flatten();
    listed.map(|dependency| (dependency["name"].as_str().unwrap(), dependency["kind"] == "dev"))
}

#[test]
fn a_library_has_one_owner() {
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        for (dependency, _) in dependencies(&package) {
            for (library, owners) in OWNED {
                let named = dependency == library || dependency.starts_with(&format!("{library}-"));
                assert!(
                    !named || owners.contains(&name),
                    "`{name}` depends on `{dependency}`; only {owners:?} may"
                );
            }
        }
    }
}

#[test]
fn crates_depend_inwards_only() {
    let inner = [
        ("trunnion-core", &[][..]),
        ("trunnion-store", &["trunnion-core"]),
        ("trunnion-sandbox", &["trunnion-core"]),
        ("trunnion-sdk", &[]),
    ];
    let packages = packages();
    for (name, allowed) in inner {
        let package = packages.iter().find(|package| package["name"] == name).unwrap();
        let ours: Vec<_> = dependencies(package)
            .filter(|(dependency, dev)| dependency.starts_with("trunnion") && !dev)
            .map(|(dependency, _)| dependency)
            .collect();
        assert!(ours.iter().all(|dependency| allowed.contains(dependency)), "`{name}` depends on {ours:?}");
    }
    for package in &packages {
        for (dependency, dev) in dependencies(package) {
            let user = package["name"].as_str().unwrap();
            let may = dev || ["xtask", "trunnion-tests"].contains(&user);
            assert!(dependency != "trunnion-tests" || may, "`{user}` depends on the tests");
        }
    }
}

#[test]
fn axum_stays_at_the_edges() {
    let root = workspace().join("host/src");
    let mut seen_at_edges = 0;
    for path in scan::files(&root).unwrap() {
        let relative = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        // `axum::…` and `use axum`, not a word in a comment.
        let code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
        let named = code.into_iter().any(|line| line.contains("axum::") || line.contains("use axum"));
        let edge = EDGES.iter().any(|edge| relative.starts_with(edge));
        seen_at_edges += usize::from(named && edge);
        assert!(
            !named || edge,
            "host/src/{relative} names axum; services don't know HTTP (move it to {EDGES:?})"
        );
    }
    assert!(seen_at_edges > 0, "the scan found no axum at the edges either: it looks in the wrong place");
}

#[test]
fn no_module_file_is_called_mod() {
    let others = workspace().join("host/store/vendor");
    for folder in ["host", "sdk", "connectors", "tests", "xtask"] {
        for path in scan::files(&workspace().join(folder)).unwrap() {
            if path.starts_with(&others) {
                continue;
            }
            assert!(!path.ends_with("mod.rs"), "{} should be `foo.rs` beside `foo/`", path.display());
        }
    }
}
