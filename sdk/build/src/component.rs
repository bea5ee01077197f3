//! From a core module to a component on disk.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
};

use wasm_encoder::{
    Component, Module, RawSection,
    reencode::{self, Reencode},
};
use wasmparser::{CustomSectionReader, Parser, Payload};
use wit_component::ComponentEncoder;

use crate::{Symbols, error::BuildError};

/// An export that the SDK's declaration leaves in a module; without it there is nothing to make a component from.
const DECLARED: &[u8] = b"trunnion:connector/manifest@1.0.0#describe";

/// The first bytes of a component.
pub(crate) const MAGIC: &[u8] = b"\0asm\x0d\0\x01\0";

/// Encodes `module`, validates the component, and puts it at `path`; answers its size.
pub(crate) fn write(module: &[u8], path: &Path, package: &str, symbols: Symbols) -> Result<u64, BuildError> {
    let component = match symbols {
        Symbols::SourceLines => encode(module, package, symbols)?,
        Symbols::Stripped => unnamed(&encode(&shipped(module, package)?, package, symbols)?, package)?,
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
    if module.windows(DECLARED.len()).any(|window| window == DECLARED) {
        Ok(())
    } else {
        Err(BuildError::NoDeclaration { package: package.to_owned() })
    }
}

fn encode(module: &[u8], package: &str, symbols: Symbols) -> Result<Vec<u8>, BuildError> {
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).debug_names(symbols == Symbols::SourceLines);
    encoder.module(module).and_then(ComponentEncoder::encode).map_err(|error| BuildError::NotAComponent {
        package: package.to_owned(),
        reason: format!("{error:#}"),
    })
}

/// The module as it is shipped.
#[derive(Debug)]
struct Shipped;

impl Reencode for Shipped {
    type Error = Infallible;

    /// Names and source lines are most of a module's size and nothing of what it does.
    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: CustomSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        if for_people(section.name()) {
            Ok(())
        } else {
            reencode::utils::parse_custom_section(self, module, section)
        }
    }
}

/// The module without what is for people, and with every number as short as it can be: the linker leaves five bytes for
/// each function and address that it fills in, which is a tenth of the code.
fn shipped(module: &[u8], package: &str) -> Result<Vec<u8>, BuildError> {
    let mut kept = Module::new();
    Shipped.parse_core_module(&mut kept, Parser::new(0), module).map_err(|error| {
        BuildError::NotAComponent { package: package.to_owned(), reason: error.to_string() }
    })?;
    Ok(kept.finish())
}

/// The component without its parts' names, which the encoder puts into its last section.
fn unnamed(component: &[u8], package: &str) -> Result<Vec<u8>, BuildError> {
    let broken = |reason: String| BuildError::NotAComponent { package: package.to_owned(), reason };
    let (mut kept, mut inside) = (Component::new(), 0_u32);
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(|error| broken(error.to_string()))?;
        let outermost = inside == 0;
        match &payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => inside += 1,
            Payload::End(_) => inside = inside.saturating_sub(1),
            Payload::CustomSection(section) if for_people(section.name()) => continue,
            _ => {}
        }
        if let Some((id, range)) = payload.as_section().filter(|_| outermost) {
            let place = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            let data = place.and_then(|(start, end)| component.get(start..end));
            let data = data.ok_or_else(|| broken("a section ends outside the component".to_owned()))?;
            kept.section(&RawSection { id, data });
        }
    }
    Ok(kept.finish())
}

fn for_people(section: &str) -> bool {
    section == "name" || section == "component-name" || section.starts_with(".debug_")
}
