//! Components to native code: in a child process with limits of its own.
//!
//! A compiler that is fed a hostile or merely huge component may take gigabytes and minutes. The host's
//! binary offers a hidden subcommand that calls [`child_main`]; the sandbox runs it with the component on
//! standard input and takes the native code from standard output. The child gives way to every other process
//! and uses one thread, so that compiling does not hurt calls; it is gone, and reaped, when `run` answers.

use std::{
    ffi::OsStr,
    io::{Read, Write},
    process::Stdio,
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Child,
};

use crate::{engine, load::LoadError, options::CompileOptions};

/// What the child is told, as its last argument.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    max_memory_bytes: u64,
    max_cpu_seconds: u64,
}

/// Bytes of the child's complaint that are kept.
const MAX_COMPLAINT: u64 = 4_096;

/// How far the child steps back behind the host's threads: it gets a tenth of a busy core, and all of an idle
/// one. Further back, a host under load would never finish a swap.
#[cfg(unix)]
const NICENESS: i32 = 10;

/// What went wrong inside the child; its text goes to standard error.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// Not started by the sandbox.
    #[error("the settings argument is not one: {0}; this command is run by the sandbox only")]
    Settings(#[from] serde_json::Error),
    /// A limit could not be set.
    #[error("the process limits could not be set: {0}")]
    Limits(std::io::Error),
    /// The memory limit was passed.
    #[error(
        "the component takes more memory than the compiler may have; make it smaller, or raise \
         `sandbox.compile.max_memory_bytes`"
    )]
    Memory,
    /// Reading or writing failed.
    #[error("the component could not be passed: {0}")]
    Pipe(#[source] std::io::Error),
    /// The compiler refuses the component.
    #[error("{0}")]
    Compiler(String),
}

/// The compiling child: limits itself as `settings` say, then turns `input` into native code on `output`.
///
/// The host's hidden subcommand calls it with its last argument, standard input and standard output, writes
/// an error to standard error and exits with a status other than 0.
pub fn child_main(settings: &str, mut input: impl Read, mut output: impl Write) -> Result<(), ChildError> {
    let settings: Settings = serde_json::from_str(settings)?;
    limit(&settings).map_err(ChildError::Limits)?;
    let mut component = Vec::new();
    input.read_to_end(&mut component).map_err(pipe)?;
    let native = compile(&component).map_err(|error| ChildError::Compiler(format!("{error:#}")))?;
    output.write_all(&native).and_then(|()| output.flush()).map_err(pipe)
}

fn pipe(error: std::io::Error) -> ChildError {
    if error.kind() == std::io::ErrorKind::OutOfMemory { ChildError::Memory } else { ChildError::Pipe(error) }
}

#[cfg(unix)]
fn limit(settings: &Settings) -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, nice, setrlimit};
    let set = |resource, value| setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) });
    set(Resource::As, settings.max_memory_bytes)?;
    set(Resource::Cpu, settings.max_cpu_seconds)?;
    set(Resource::Core, 0)?;
    // Whatever ends the host ends its compiler. The signal is bound to the thread that started this process, which
    // waits for it.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    nice(NICENESS)?;
    Ok(())
}

#[cfg(not(unix))]
fn limit(_settings: &Settings) -> std::io::Result<()> {
    // The time limit of the parent is the only one here.
    Ok(())
}

fn compile(component: &[u8]) -> wasmtime::Result<Vec<u8>> {
    engine::compiling()?.precompile_component(component)
}

/// Native code of `component`, in a child process where a command for one is configured.
pub(crate) async fn run(options: &CompileOptions, component: Bytes) -> Result<Vec<u8>, LoadError> {
    let Some((program, arguments)) = options.command.split_first() else {
        let compiled = tokio::task::spawn_blocking(move || compile(&component)).await;
        return match compiled {
            Ok(Ok(native)) => Ok(native),
            Ok(Err(error)) => Err(LoadError::Compile { message: format!("{error:#}") }),
            Err(error) => Err(LoadError::Host { message: format!("the compiler's thread ended: {error}") }),
        };
    };
    let settings =
        Settings { max_memory_bytes: options.max_memory_bytes, max_cpu_seconds: options.max_cpu_seconds };
    let settings = serde_json::to_string(&settings).map_err(|error| LoadError::Host {
        message: format!("the compiler's settings cannot be written: {error}"),
    })?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .arg(settings)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| trouble(program, "could not be started", &error))?;
    let wall = Duration::from_millis(options.max_wall_ms);
    match tokio::time::timeout(wall, work(&mut child, program, &component)).await {
        Ok(result) => result,
        Err(_) => {
            // Killed and reaped here: nothing of it is left when the refusal is told.
            child.kill().await.map_err(|error| trouble(program, "could not be killed", &error))?;
            Err(LoadError::Compile {
                message: format!(
                    "it took longer than {} ms; make the component smaller, or raise `sandbox.compile.max_wall_ms`",
                    options.max_wall_ms
                ),
            })
        }
    }
}

fn trouble(program: &OsStr, what: &str, error: &std::io::Error) -> LoadError {
    LoadError::Host { message: format!("the compiling process `{}` {what}: {error}", program.display()) }
}

/// Hands the child the component and takes what it makes of it.
async fn work(child: &mut Child, program: &OsStr, component: &[u8]) -> Result<Vec<u8>, LoadError> {
    let trouble = |what: &str, error: &std::io::Error| trouble(program, what, error);
    let (Some(mut stdin), Some(mut stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(LoadError::Host { message: "the compiling process has no pipes".to_owned() });
    };
    let feed = async move {
        let fed = stdin.write_all(component).await;
        drop(stdin);
        fed
    };
    let (mut native, mut complaint) = (Vec::new(), Vec::new());
    let mut stderr = stderr.take(MAX_COMPLAINT);
    let (fed, read, complained) =
        tokio::join!(feed, stdout.read_to_end(&mut native), stderr.read_to_end(&mut complaint));
    let status = child.wait().await.map_err(|error| trouble("could not be waited for", &error))?;
    if !status.success() {
        let said = String::from_utf8_lossy(&complaint);
        let said = said.trim();
        let message = if said.is_empty() || status.code().is_none() {
            format!(
                "the compiling process ended with {status} {said}; it may have passed `sandbox.compile.max_memory_bytes` or \
                 `max_cpu_seconds`: make the component smaller, or raise them"
            )
        } else {
            said.to_owned()
        };
        return Err(LoadError::Compile { message });
    }
    fed.map_err(|error| trouble("did not take the component", &error))?;
    read.map_err(|error| trouble("did not give the native code", &error))?;
    complained.map_err(|error| trouble("could not be heard", &error))?;
    Ok(native)
}
