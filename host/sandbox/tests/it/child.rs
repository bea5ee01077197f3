//! Compiling in a child process: this test binary is its own child.

use std::{io::Write, process::Command};

use trunnion_sandbox::{CompileOptions, Options, compile::child_main};

use crate::support::{Guest, answering, bench, call, options};

/// Not a test of its own: what the child runs. It does nothing unless it is told to be one.
#[test]
fn be_the_child() {
    let Some(settings) = std::env::args().skip_while(|argument| argument != "--child").nth(1) else { return };
    // The harness writes to standard output as well, so the child's goes to the descriptor the shell kept.
    let mut output = std::fs::File::options().write(true).open("/dev/fd/3").unwrap();
    let before = niceness();
    if let Err(error) = child_main(&settings, std::io::stdin(), &mut output) {
        writeln!(std::io::stderr(), "{error}").unwrap();
        std::process::exit(2);
    }
    // Whoever runs the tests may give way to others already, as far as to the end of the scale.
    let gave_way = niceness() == (before + 10).min(19);
    std::process::exit(if gave_way { 0 } else { 3 });
}

/// How far this thread, which compiles, gives way to others: the nineteenth field.
fn niceness() -> i32 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().parse().unwrap()
}

fn with_child(change: impl FnOnce(&mut CompileOptions)) -> Options {
    let own = std::env::current_exe().unwrap();
    // One arena: a thread's own has 64 MiB of address space from the start, which no limit takes back.
    let script = format!(
        "export MALLOC_ARENA_MAX=1; exec 3>&1; exec '{}' --exact child::be_the_child --nocapture -- --child \"$1\" >/dev/null",
        own.display()
    );
    let mut options = options();
    options.compile.command = ["/bin/sh", "-c", &script, "sh"].map(Into::into).to_vec();
    change(&mut options.compile);
    options
}

#[tokio::test]
async fn a_component_is_compiled_in_a_child() {
    let connector = bench(with_child(|_| {})).load(&answering("")).await.unwrap();
    assert_eq!(connector.run_action(call(), "{}").await.unwrap().value, r#"{"ok":true}"#);
}

#[tokio::test]
async fn the_child_has_limits_of_its_own() {
    let large = Guest { pages: 200, ..answering("") }.data(70_000, vec![b'x'; 8 << 20]);
    let error =
        bench(with_child(|compile| compile.max_memory_bytes = 16 << 20)).load(&large).await.unwrap_err();
    assert_eq!(error.kind(), "compile", "{error}");
    assert!(error.to_string().contains("max_memory_bytes"), "{error}");

    let mut sleeping = options();
    sleeping.compile.command =
        ["/bin/sh", "-c", "cat >/dev/null; exec sleep 60", "sh"].map(Into::into).to_vec();
    sleeping.compile.max_wall_ms = 100;
    let error = bench(sleeping).load(&answering("")).await.unwrap_err();
    assert!(error.to_string().contains("max_wall_ms"), "{error}");
}

#[tokio::test]
async fn a_child_that_took_too_long_is_gone_when_that_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let told = directory.path().join("child");
    let mut sleeping = options();
    let script = format!("cat >/dev/null; echo $$ >'{}'; exec sleep 60", told.display());
    sleeping.compile.command = ["/bin/sh", "-c", &script, "sh"].map(Into::into).to_vec();
    sleeping.compile.max_wall_ms = 500;
    bench(sleeping).load(&answering("")).await.unwrap_err();
    let id = std::fs::read_to_string(&told).unwrap();
    assert!(!std::path::Path::new("/proc").join(id.trim()).exists(), "{id} is left, be it as a zombie");
}

#[tokio::test]
async fn the_childs_complaint_is_passed_on() {
    let mut broken = answering("").component().to_vec();
    let length = broken.len();
    broken.truncate(length / 2);
    let error = bench(with_child(|_| {})).sandbox.load(broken.into()).await.unwrap_err();
    assert_eq!(error.kind(), "compile");
    assert!(error.to_string().contains("unexpected end"), "{error}");
    // The test harness of the child was really started with a filter that finds it.
    let own = std::env::current_exe().unwrap();
    let listed = Command::new(own).arg("--list").output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("child::be_the_child: test"));
}
