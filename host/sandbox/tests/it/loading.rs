//! A candidate is refused with a message that says which, and what to do.

use bytes::Bytes;
use trunnion_sandbox::{Call, Freshness, LoadError, Options, Stage, digest_of};
use wit_parser::Resolve;

use crate::support::{Guest, answering, bench, call, contract, options};

async fn refused(component: impl Into<Bytes>) -> LoadError {
    bench(options()).sandbox.load(component.into()).await.unwrap_err()
}

fn of_text(package: &str) -> Resolve {
    let mut resolve = contract();
    resolve.push_str("test.wit", package).unwrap();
    resolve
}

#[tokio::test]
async fn a_good_component_is_loaded_and_says_what_it_imports() {
    let connector = bench(options()).load(&answering("")).await.unwrap();
    assert_eq!(connector.manifest().id, "acme");
    assert_eq!(connector.digest().to_string().len(), 64);
    for import in connector.imports() {
        assert!(import.starts_with("trunnion:connector/") && import.ends_with("@1.0.0"), "{import}");
    }
}

#[tokio::test]
async fn a_superseded_component_keeps_no_instances() {
    let bench = bench(options());
    let connector = bench.load(&answering("")).await.unwrap();
    let warm = || Call { instance: Freshness::MayBeWarm, ..call() };
    connector.run_action(warm(), "{}").await.unwrap();
    bench.sandbox.retire(&digest_of(b"another"));
    assert_eq!(bench.sandbox.warm_instances(), 1);
    bench.sandbox.retire(connector.digest());
    assert_eq!(bench.sandbox.warm_instances(), 0);
    assert_eq!(connector.run_action(warm(), "{}").await.unwrap().value, r#"{"ok":true}"#, "calls go on");
}

#[tokio::test]
async fn each_stage_refuses_what_is_its_own() {
    let trapping = Guest::new().with("manifest.describe", "unreachable");
    let wrong = Guest { manifest: "{}".to_owned(), ..Guest::new() };
    for (candidate, stage) in [
        (Bytes::from_static(b"no component"), Stage::Check),
        (wat::parse_str("(component)").unwrap().into(), Stage::Check),
        ([wat::parse_str("(component)").unwrap(), vec![0xff; 9]].concat().into(), Stage::Compile),
        (trapping.component(), Stage::Probe),
        (wrong.component(), Stage::Probe),
    ] {
        let error = refused(candidate).await;
        assert_eq!(error.stage(), stage, "{error}");
    }
}

#[tokio::test]
async fn what_is_no_component() {
    for (candidate, kind, remedy) in [
        (b"PK\x03\x04 not wasm".to_vec(), "not_wasm", "trunnion connector build"),
        (wat::parse_str("(module)").unwrap(), "core_module", "trunnion connector build"),
        ([wat::parse_str("(component)").unwrap(), vec![0xff; 9]].concat(), "compile", "compile"),
        (vec![0; options().max_component_bytes + 1], "too_large", "max_component_bytes"),
    ] {
        let error = refused(candidate).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(remedy), "{error}");
    }
}

#[tokio::test]
async fn an_import_outside_the_contract_is_named() {
    let component = r#"(component
        (import "wasi:keyvalue/store@0.2.3" (instance (export "x" (func))))
        (import "wasi:cli/environment@0.3.0" (instance (export "y" (func)))))"#;
    let error = refused(wat::parse_str(component).unwrap()).await;
    assert!(matches!(&error, LoadError::ForeignImports { imports } if imports.len() == 2), "{error:?}");
    assert!(
        error.to_string().contains("`wasi:keyvalue/store@0.2.3`, `wasi:cli/environment@0.3.0`"),
        "{error}"
    );
}

#[tokio::test]
async fn missing_exports_are_all_named() {
    let error = refused(wat::parse_str("(component)").unwrap()).await;
    let LoadError::MissingExports { exports } = &error else { panic!("{error:?}") };
    assert_eq!(exports.len(), 14, "{exports:?}");

    let resolve = of_text(
        "package test:partial; world partial { export trunnion:connector/manifest@1.0.0; export trunnion:connector/connection@1.0.0; }",
    );
    let error = refused(answering("").component_of(&resolve, "partial")).await;
    let LoadError::MissingExports { exports } = &error else { panic!("{error:?}") };
    assert_eq!(exports.len(), 12, "{exports:?}");
    assert!(error.to_string().contains("`actions.run`"), "{error}");
}

#[tokio::test]
async fn an_unknown_major_is_named_with_what_is_known() {
    let mut resolve = Resolve::default();
    resolve
        .push_str(
            "v2.wit",
            "package trunnion:connector@2.0.0;
             interface manifest { describe: func() -> string; }
             world connector { export manifest; }",
        )
        .unwrap();
    let error = refused(Guest::new().component_of(&resolve, "connector")).await;
    assert!(matches!(error, LoadError::UnknownMajor { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("`trunnion:connector/manifest@2.0.0`, this host knows trunnion:connector@1"),
        "{error}"
    );
}

#[tokio::test]
async fn a_function_of_a_later_contract_is_named() {
    let mut resolve = Resolve::default();
    resolve
        .push_str(
            "later.wit",
            "package trunnion:connector@1.9.0;
             interface clock { now: func() -> u64; sleep: func(ms: u64); }
             world connector { import clock; }",
        )
        .unwrap();
    let error = refused(Guest::new().component_of(&resolve, "connector")).await;
    // It lacks every export as well; that is said first, since nothing else can be made of it.
    assert!(matches!(error, LoadError::MissingExports { .. }), "{error:?}");
}

#[tokio::test]
async fn an_export_with_another_type_is_named() {
    let component = r#"(component
        (core module $m (func (export "f") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (func $f (result u32) (canon lift (core func $i "f")))
        (instance $manifest (export "describe" (func $f)))
        (export "trunnion:connector/manifest@1.0.0" (instance $manifest)))"#;
    let error = refused(wat::parse_str(component).unwrap()).await;
    assert!(
        matches!(&error, LoadError::WrongExport { export, .. } if export == "manifest.describe"),
        "{error:?}"
    );
}

#[tokio::test]
async fn describe_is_probed() {
    for (guest, kind, says) in [
        (Guest::new().with("manifest.describe", "unreachable"), "describe", "unreachable"),
        (Guest::new().with("manifest.describe", "(loop (br 0)) unreachable"), "describe", "cpu_budget_ms"),
        (Guest { manifest: "{".to_owned(), ..Guest::new() }, "manifest", "manifest"),
        (Guest { manifest: "{\"manifest_version\":99}".to_owned(), ..Guest::new() }, "manifest", "99"),
    ] {
        let error = bench(options()).load(&guest).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn describe_must_not_depend_on_chance() {
    // One random byte chooses the title's last letter.
    let guest = Guest::new().with(
        "manifest.describe",
        "(call $random.bytes (i32.const 1) (i32.const 512))
         (i32.store8 (i32.const 600) (i32.load8_u (i32.load (i32.const 512))))
         (i32.store8 (i32.const 4097) (i32.add (i32.const 32) (i32.and (i32.load8_u (i32.const 600)) (i32.const 63))))
         (i32.const 64)",
    );
    let error = bench(options()).load(&guest).await.unwrap_err();
    assert!(matches!(error, LoadError::NotDeterministic), "{error:?}");
}

#[tokio::test]
async fn describe_sends_nothing() {
    let zeros = "(i32.const 0) ".repeat(16);
    let guest = Guest::new().with("manifest.describe", &format!("(call $http.send {zeros}) unreachable"));
    let error = bench(options()).load(&guest).await.unwrap_err();
    assert!(error.to_string().contains("while being described"), "{error}");
}

#[tokio::test]
async fn a_kept_compilation_is_used_again_and_a_forged_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let with_cache = || {
        let mut options = options();
        options.compile.cache_dir = Some(dir.path().join("compiled"));
        options.compile.cache_key = b"key".to_vec();
        options
    };
    let component = answering("").component();
    bench(with_cache()).sandbox.load(component.clone()).await.unwrap();
    let files = || {
        std::fs::read_dir(dir.path().join("compiled"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect::<Vec<_>>()
    };
    assert_eq!(files().len(), 1);

    // With a compiler that cannot run, only the kept file can have served.
    let without_compiler = || Options {
        compile: trunnion_sandbox::CompileOptions {
            command: vec!["/nonexistent".into()],
            ..with_cache().compile
        },
        ..with_cache()
    };
    bench(without_compiler()).sandbox.load(component.clone()).await.unwrap();

    let file = files().remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let error = bench(without_compiler()).sandbox.load(component.clone()).await.unwrap_err();
    assert!(error.to_string().contains("`/nonexistent` could not be started"), "{error}");
    bench(with_cache()).sandbox.load(component.clone()).await.unwrap();
    bench(without_compiler()).sandbox.load(component).await.unwrap();
}

#[tokio::test]
async fn a_component_that_wants_more_memory_than_there_is() {
    let error = bench(options()).load(&Guest { pages: 200, ..answering("") }).await.unwrap_err();
    assert_eq!(error.kind(), "does_not_fit", "{error}");
    assert!(error.to_string().contains("raise `sandbox.max_memory_bytes`"), "{error}");
}

#[tokio::test]
async fn the_defaults_make_a_sandbox() {
    let bench = bench(Options::default());
    let connector = bench.load(&answering("")).await.unwrap();
    assert_eq!(connector.run_action(crate::support::call(), "{}").await.unwrap().value, r#"{"ok":true}"#);
}
