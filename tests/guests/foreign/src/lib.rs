//! A guest that asks WASI for everything a program of another language may ask for, and says what it got.

mod http;
#[path = "../../hostile/src/memory.rs"]
mod memory;

use trunnion_sdk::{auth::Account, prelude::*};
use wasip2::{
    cli::{environment, exit, stderr, stdin, stdout, terminal_stdout},
    clocks::{monotonic_clock, wall_clock},
    filesystem::{
        preopens,
        types::{DescriptorFlags, OpenFlags, PathFlags},
    },
    io::streams::{OutputStream, StreamError},
    random::random,
    sockets::{
        instance_network::instance_network, ip_name_lookup::resolve_addresses, network::IpAddressFamily,
        tcp_create_socket::create_tcp_socket, udp_create_socket::create_udp_socket,
    },
};

#[derive(Serialize, Deserialize, JsonSchema)]
struct Nothing {}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Open {
    path: String,
}

/// Tries to read, to create and to look at a file, below every directory it is given.
fn open(_: &Context, input: Open) -> Result<Value> {
    let directories = preopens::get_directories();
    let tried: Vec<_> = directories
        .iter()
        .map(|(directory, name)| {
            let open = |how, flags| {
                let opened = directory.open_at(PathFlags::SYMLINK_FOLLOW, &input.path, how, flags);
                opened.map(|_| "opened").map_err(|error| error.name())
            };
            let entries = directory.read_directory().ok().map(|entries| entries.read_directory_entry().is_ok_and(|entry| entry.is_none()));
            json!({
                "directory": name,
                "read": open(OpenFlags::empty(), DescriptorFlags::READ).err(),
                "create": open(OpenFlags::CREATE, DescriptorFlags::WRITE).err(),
                "look": directory.stat_at(PathFlags::empty(), &input.path).map(|_| ()).err().map(|error| error.name()),
                "empty": entries,
            })
        })
        .collect();
    Ok(json!(tried))
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Search {
    tries: u32,
}

/// Looks for itself in many places, as runtimes do when they start.
fn search(_: &Context, input: Search) -> Result<Value> {
    for (directory, _) in preopens::get_directories() {
        for place in 0..input.tries {
            let path = format!("usr/lib/{place}/site.py");
            if directory.stat_at(PathFlags::empty(), &path).is_ok() {
                return Ok(json!(path));
            }
        }
    }
    Ok(Value::Null)
}

/// Tries to open sockets and to look a name up.
fn connect(_: &Context, _: Nothing) -> Result<Value> {
    let tcp = create_tcp_socket(IpAddressFamily::Ipv4).map(|_| "opened").map_err(|error| error.name());
    let udp = create_udp_socket(IpAddressFamily::Ipv6).map(|_| "opened").map_err(|error| error.name());
    let name = resolve_addresses(&instance_network(), "elsewhere.example");
    let name = name.map(|_| "looked up").map_err(|error| error.name());
    Ok(json!({ "tcp": tcp.err(), "udp": udp.err(), "name": name.err() }))
}

/// What it is told about the machine it runs on.
fn look(_: &Context, _: Nothing) -> Result<Value> {
    let input = stdin::get_stdin().blocking_read(10);
    Ok(json!({
        "environment": environment::get_environment(),
        "arguments": environment::get_arguments(),
        "directory": environment::initial_cwd(),
        "terminal": terminal_stdout::get_terminal_stdout().is_some(),
        "input_closed": matches!(input, Err(StreamError::Closed)),
    }))
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Print {
    out: Vec<String>,
    error: Vec<String>,
}

/// Prints pieces, without line ends of its own.
fn print(_: &Context, input: Print) -> Result<Value> {
    let print = |stream: &OutputStream, pieces: &[String]| {
        for piece in pieces {
            for part in piece.as_bytes().chunks(4096) {
                stream
                    .blocking_write_and_flush(part)
                    .map_err(|error| Error::other("print", error.to_string()))?;
            }
        }
        Ok(())
    };
    print(&stdout::get_stdout(), &input.out)?;
    print(&stderr::get_stderr(), &input.error)?;
    Ok(json!("printed"))
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Sleep {
    ms: u64,
}

/// Sleeps, and tells the time before and after.
fn sleep(_: &Context, input: Sleep) -> Result<Value> {
    let before = monotonic_clock::now();
    monotonic_clock::subscribe_duration(input.ms * 1_000_000).block();
    let now = wall_clock::now();
    Ok(json!({
        "slept_ms": (monotonic_clock::now() - before) / 1_000_000,
        "now_ms": now.seconds * 1_000 + u64::from(now.nanoseconds) / 1_000_000,
        "random": random::get_random_bytes(8),
    }))
}

/// Ends itself.
fn leave(_: &Context, _: Nothing) -> Result<Value> {
    exit::exit(Err(()));
    Ok(Value::Null)
}

/// Fills the host with header fields.
fn hoard(_: &Context, _: Nothing) -> Result<Value> {
    http::hoard();
    Ok(Value::Null)
}

/// Sends through `wasi:http`, and says what came back or why nothing did.
fn fetch(_: &Context, input: http::Fetch) -> Result<Value> {
    Ok(http::fetch(&input).unwrap_or_else(|code| json!({ "error": code })))
}

fn check(_: &Context) -> Result<Account> {
    Ok(Account::new("foreign", "Foreign"))
}

trunnion_sdk::connector! {
    id: "foreign",
    title: "Foreign",
    hosts: ["api.foreign.example"],
    connection: Connection::new().scheme(
        Scheme::fields("key", "Key").field("api_key", "Key", "Anything").header("x-api-key", secret("api_key")),
    ),
    check: check,
    actions: [
        Action::new("open", "Open", open).safe_to_repeat().sample(r#"{"path":"etc/passwd"}"#, "[]"),
        Action::new("search", "Search", search).safe_to_repeat().sample(r#"{"tries":1}"#, "null"),
        Action::new("connect", "Connect", connect).safe_to_repeat().sample("{}", "{}"),
        Action::new("look", "Look", look).safe_to_repeat().sample("{}", "{}"),
        Action::new("print", "Print", print).safe_to_repeat().sample(r#"{"out":[],"error":[]}"#, "{}"),
        Action::new("sleep", "Sleep", sleep).safe_to_repeat().sample(r#"{"ms":1}"#, "{}"),
        Action::new("leave", "Leave", leave).safe_to_repeat().sample("{}", "{}"),
        Action::new("hoard", "Hoard", hoard).safe_to_repeat().sample("{}", "{}"),
        Action::new("fetch", "Fetch", fetch)
            .safe_to_repeat()
            .sample(r#"{"method":"GET","authority":"api.foreign.example","path":"/","headers":[]}"#, "{}"),
    ],
}
