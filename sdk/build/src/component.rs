//! From a core module to a component on disk.

use std::path::{Path, PathBuf};

use wasm_encoder::{Module, RawSection};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use crate::{Symbols, error::BuildError};

/// What the SDK's declaration leaves in a module; without it there is nothing to make a component from.
const CONTRACT_SECTION: &[u8] = b"component-type";

/// The first bytes of a component.
pub(crate) const MAGIC: &[u8] = b"\0asm\x0d\0\x01\0";

/// Encodes `module`, validates the component, and puts it at `path`; answers its size.
pub(crate) fn write(module: &[u8], path: &Path, package: &str, symbols: Symbols) -> Result<u64, BuildError> {
    let component = match symbols {
        Symbols::SourceLines => encode(module, package)?,
        Symbols::Stripped => encode(&stripped(module, package)?, package)?,
    };
    let draft = draft(path);
    std::fs::write(&draft, &component).map_err(|source| BuildError::io("write", &draft, source))?;
    put_in_place(&draft, path)?;
    Ok(component.len().try_into().unwrap_or(u64::MAX))
}

/// Where a component is written before it is renamed into place, so that whoever watches or loads the file never sees
/// half of it. The name is this process's own: two builds at once do not write into one file.
pub(crate) fn draft(path: &Path) -> PathBuf {
    path.with_extension(format!("wasm.{}.part", std::process::id()))
}

pub(crate) fn put_in_place(draft: &Path, path: &Path) -> Result<(), BuildError> {
    std::fs::rename(draft, path).map_err(|source| BuildError::io("put in place", path, source))
}

/// Refuses a module that declares no connector.
pub(crate) fn declares(module: &[u8], package: &str) -> Result<(), BuildError> {
    if module.windows(CONTRACT_SECTION.len()).any(|window| window == CONTRACT_SECTION) {
        Ok(())
    } else {
        Err(BuildError::NoDeclaration { package: package.to_owned() })
    }
}

fn encode(module: &[u8], package: &str) -> Result<Vec<u8>, BuildError> {
    ComponentEncoder::default().validate(true).module(module).and_then(|encoder| encoder.encode()).map_err(
        |error| BuildError::NotAComponent { package: package.to_owned(), reason: format!("{error:#}") },
    )
}

/// The module without names and source lines, which are most of its size and nothing of what it does.
fn stripped(module: &[u8], package: &str) -> Result<Vec<u8>, BuildError> {
    let broken = |reason: String| BuildError::NotAComponent { package: package.to_owned(), reason };
    let mut kept = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(|error| broken(error.to_string()))?;
        if matches!(&payload, Payload::CustomSection(section) if for_people(section.name())) {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            let place = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            let data = place.and_then(|(start, end)| module.get(start..end));
            let data = data.ok_or_else(|| broken("a section ends outside the module".to_owned()))?;
            kept.section(&RawSection { id, data });
        }
    }
    Ok(kept.finish())
}

fn for_people(section: &str) -> bool {
    section == "name" || section.starts_with(".debug_")
}
