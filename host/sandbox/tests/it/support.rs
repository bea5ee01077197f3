//! Components from a few lines of WebAssembly text, and a sandbox to run them in.

use std::{collections::BTreeMap, fmt::Write, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use trunnion_core::{
    clock::{ManualClock, SeededRandom, Timestamp},
    id::{ConnectionId, Id, UserId, WorkspaceId},
    scope::{Environment, Scope},
};
use trunnion_sandbox::{
    Broker, Call, Connector, EgressOptions, Freshness, LoadError, Options, Sandbox, Secrets,
};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{
    Function, Resolve, WorldItem, WorldKey,
    abi::{AbiVariant, WasmType},
};

pub(crate) const MANIFEST: &str = r#"{
    "manifest_version": 1, "id": "acme", "version": "1.2.0", "title": "Acme",
    "hosts": ["api.acme.dev"],
    "connection": {"schemes": [{
        "id": "token", "title": "Token", "type": "fields",
        "fields": [{"name": "token", "title": "Token"}],
        "place": [{"in": "header", "name": "x-auth-token", "value": "{{secret:token}}"}]
    }]},
    "buckets": [{"id": "rest", "capacity": 10, "window_ms": 1000}]
}"#;

/// Where `describe` leaves its answer, and the address of the manifest.
const DESCRIBED: u32 = 64;
const TEXT: u32 = 4096;

/// A guest: bodies of functions by `interface.function`; the others trap.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) manifest: String,
    pub(crate) bodies: BTreeMap<String, String>,
    pub(crate) data: Vec<(u32, Vec<u8>)>,
    pub(crate) extra: String,
    pub(crate) pages: u32,
}

impl Guest {
    pub(crate) fn new() -> Self {
        Self {
            manifest: MANIFEST.to_owned(),
            bodies: BTreeMap::new(),
            data: Vec::new(),
            extra: String::new(),
            pages: 8,
        }
    }

    /// `body` as what `actions.run` does: it leaves the address of its answer on the stack.
    pub(crate) fn running(body: &str) -> Self {
        Self::new().with("actions.run", body)
    }

    pub(crate) fn with(mut self, function: &str, body: &str) -> Self {
        self.bodies.insert(function.to_owned(), body.to_owned());
        self
    }

    pub(crate) fn data(mut self, at: u32, bytes: impl Into<Vec<u8>>) -> Self {
        self.data.push((at, bytes.into()));
        self
    }

    pub(crate) fn component(&self) -> Bytes {
        self.component_of(&contract(), "connector")
    }

    /// A component of a world; its exports are those of the contract, with these bodies.
    pub(crate) fn component_of(&self, resolve: &Resolve, world: &str) -> Bytes {
        let world =
            resolve.select_world(&[resolve.packages.iter().next_back().unwrap().0], Some(world)).unwrap();
        let mut module = wat::parse_str(self.text(resolve, world)).unwrap();
        wit_component::embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8, false)
            .unwrap();
        ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap().into()
    }

    fn text(&self, resolve: &Resolve, world: wit_parser::WorldId) -> String {
        let mut text = String::from("(module\n");
        for (key, item) in &resolve.worlds[world].imports {
            let WorldItem::Interface { id, .. } = item else { continue };
            for function in resolve.interfaces[*id].functions.values() {
                let module = resolve.name_world_key(key);
                let signature = signature(resolve, function, AbiVariant::GuestImport);
                let short = format!("{}.{}", interface(resolve, key), function.name.replace(['[', ']'], "/"));
                writeln!(text, "(import \"{module}\" \"{}\" (func ${short} {signature}))", function.name)
                    .unwrap();
            }
        }
        for (key, item) in &resolve.worlds[world].exports {
            let WorldItem::Interface { id, .. } = item else { continue };
            for function in resolve.interfaces[*id].functions.values() {
                let name = format!("{}#{}", resolve.name_world_key(key), function.name);
                let signature = signature(resolve, function, AbiVariant::GuestExport);
                let short = format!("{}.{}", interface(resolve, key), function.name);
                let described = format!("(i32.const {DESCRIBED})");
                let body = match self.bodies.get(&short) {
                    Some(body) => body,
                    None if short == "manifest.describe" => &described,
                    None => "unreachable",
                };
                writeln!(text, "(func (export \"{name}\") {signature} {body})").unwrap();
            }
        }
        write!(
            text,
            "(memory (export \"memory\") {}) (global $next (mut i32) (i32.const 65536))
             (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
                    (then (if (i32.eq (memory.grow (i32.add (i32.div_u (local.get 3) (i32.const 65536)) (i32.const 1))) (i32.const -1))
                        (then unreachable))))
                (local.get $at))\n{}\n",
            self.pages, self.extra
        )
        .unwrap();
        let length = u32::try_from(self.manifest.len()).unwrap();
        let answer = [TEXT.to_le_bytes(), length.to_le_bytes()].concat();
        let own = [(DESCRIBED, answer), (TEXT, self.manifest.clone().into_bytes())];
        for (at, bytes) in own.iter().chain(&self.data) {
            let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
            writeln!(text, "(data (i32.const {at}) \"{escaped}\")").unwrap();
        }
        text.push(')');
        text
    }
}

/// The contract as it is in the tree.
pub(crate) fn contract() -> Resolve {
    let mut resolve = Resolve::default();
    resolve.push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/connector/v1")).unwrap();
    resolve
}

fn interface(resolve: &Resolve, key: &WorldKey) -> String {
    let WorldKey::Interface(id) = key else { panic!("the contract names its interfaces") };
    resolve.interfaces[*id].name.clone().unwrap()
}

fn signature(resolve: &Resolve, function: &Function, variant: AbiVariant) -> String {
    let signature = resolve.wasm_signature(variant, function);
    let list = |types: &[WasmType]| {
        types
            .iter()
            .map(|kind| match kind {
                WasmType::I64 | WasmType::PointerOrI64 => "i64",
                WasmType::F32 => "f32",
                WasmType::F64 => "f64",
                WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    format!("(param {}) (result {})", list(&signature.params), list(&signature.results))
        .replace("(param )", "")
        .replace("(result )", "")
}

/// `result<outcome, error>`: an outcome whose output is the text at an address.
pub(crate) fn outcome(at: u32, length: u32) -> Vec<u8> {
    let mut bytes = vec![0; 24];
    bytes[8..12].copy_from_slice(&at.to_le_bytes());
    bytes[12..16].copy_from_slice(&length.to_le_bytes());
    bytes
}

/// A guest whose `actions.run` does `body` and then answers `{"ok":true}`.
pub(crate) fn answering(body: &str) -> Guest {
    let text = br#"{"ok":true}"#;
    Guest::running(&format!("{body} (i32.const 128)"))
        .data(128, outcome(256, u32::try_from(text.len()).unwrap()))
        .data(256, text.to_vec())
}

pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    pub(crate) clock: Arc<ManualClock>,
}

pub(crate) fn bench(options: Options) -> Bench {
    bench_with(options, EgressOptions::default())
}

pub(crate) fn bench_with(options: Options, egress: EgressOptions) -> Bench {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
    let broker = Arc::new(Broker::new(egress).unwrap());
    let sandbox = Sandbox::new(options, broker, clock.clone(), Arc::new(SeededRandom::new(7))).unwrap();
    Bench { sandbox, clock }
}

impl Bench {
    pub(crate) async fn load(&self, guest: &Guest) -> Result<Connector, LoadError> {
        self.sandbox.load(guest.component()).await
    }
}

/// Small, so that a test reaches every bound quickly.
pub(crate) fn options() -> Options {
    Options {
        max_memory_bytes: 4 << 20,
        cpu_budget_ms: 50,
        wall_time_ms: 20_000,
        admission_wait_ms: 5_000,
        max_host_calls: 100,
        max_output_bytes: 1 << 20,
        pool_size: 4,
        max_calls_per_connector: 2,
        ..Options::default()
    }
}

fn id(number: u8) -> Id {
    Id::from_bytes([number; 12])
}

pub(crate) fn call() -> Call {
    call_of(1)
}

/// A call on behalf of user and connection number `number`.
pub(crate) fn call_of(number: u8) -> Call {
    Call {
        scope: Scope::new(WorkspaceId(id(9)), Environment::Development),
        user: Some(UserId(id(number))),
        connection: Some(ConnectionId(id(number))),
        name: "do".to_owned(),
        parameters: BTreeMap::new(),
        account: "account".to_owned(),
        idempotency_key: "6f9619ff-8b86-4d01-b42d-00cf4fc964ff".to_owned(),
        attempt: 1,
        secrets: Arc::new(Secrets::none()),
        deadline: None,
        instance: Freshness::Fresh,
    }
}

/// Longer than any bound that a test sets.
pub(crate) const SOON: Duration = Duration::from_secs(15);
