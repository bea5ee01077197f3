//! What a connector says of itself, asked once while it is built.
//!
//! The component then carries the answer (packed, see `packed`), so that the code which makes schemas of Rust types need not be in it.
//! The module is interpreted: it can reach nothing, and an import that it calls ends it. `describe` may only read what
//! its author declared, so this is also where a declaration that panics is found.

use wasmi::{Caller, Engine, Error, Extern, Func, Linker, Memory, Module, Store, Val};

use crate::error::BuildError;

/// The core module's function behind the contract's `describe`; it answers where a pointer and a length stand.
const DESCRIBE: &str = "trunnion:connector/manifest@1.0.0#describe";
const LOG: &str = "trunnion:connector/log@1.0.0";

/// The last line that the module logged: a panic's message.
#[derive(Debug, Default)]
struct Said(Option<String>);

/// Asks `module` for its manifest.
pub(crate) fn manifest(module: &[u8], package: &str) -> Result<String, BuildError> {
    let mut store = Store::new(&Engine::default(), Said::default());
    ask(&mut store, module).map_err(|error| {
        let reason = store.data_mut().0.take().unwrap_or_else(|| error.to_string());
        BuildError::NotDescribed { package: package.to_owned(), reason }
    })
}

fn ask(store: &mut Store<Said>, module: &[u8]) -> Result<String, Error> {
    let module = Module::new(store.engine(), module)?;
    let mut linker = Linker::<Said>::new(store.engine());
    for import in module.imports() {
        let Some(kind) = import.ty().func().cloned() else { continue };
        let (from, name) = (import.module().to_owned(), import.name().to_owned());
        let refuse =
            format!("it calls `{from}` `{name}`; a declaration may not depend on anything outside it");
        let is_log = from == LOG;
        let stub = Func::new(&mut *store, kind, move |mut caller: Caller<'_, Said>, given, _| {
            if !is_log {
                return Err(Error::new(refuse.clone()));
            }
            let line = line(&caller, given);
            caller.data_mut().0 = line;
            Ok(())
        });
        linker.define(&from, &name, stub)?;
    }
    let instance = linker.instantiate_and_start(&mut *store, &module)?;
    let describe = instance.get_typed_func::<(), i32>(&mut *store, DESCRIBE)?;
    let place = describe.call(&mut *store, ())?;
    let memory = instance.get_memory(&mut *store, "memory").ok_or_else(|| Error::new("it has no memory"))?;
    let bytes = memory.data(&*store);
    let number = |at: usize| {
        let at = usize::try_from(place.cast_unsigned()).ok()?.checked_add(at)?;
        let bytes = bytes.get(at..at.checked_add(4)?)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let text = number(0).zip(number(4)).and_then(|(at, length)| text(bytes, at, length));
    text.ok_or_else(|| Error::new("its answer is no text"))
}

/// The line that `log.write(level, pointer, length)` was given.
fn line(caller: &Caller<'_, Said>, given: &[Val]) -> Option<String> {
    let memory: Memory = caller.get_export("memory").and_then(Extern::into_memory)?;
    let [_, Val::I32(at), Val::I32(length)] = given else { return None };
    let whole = |value: &i32| usize::try_from(value.cast_unsigned()).ok();
    text(memory.data(caller), whole(at)?, whole(length)?)
}

fn text(bytes: &[u8], at: usize, length: usize) -> Option<String> {
    String::from_utf8(bytes.get(at..at.checked_add(length)?)?.to_vec()).ok()
}
