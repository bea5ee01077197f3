//! Header fields, as a guest writes and reads them.
//!
//! Invariant: names and values are such as HTTP can carry, and none belongs to the connection.

use http::{HeaderName, HeaderValue};
use wasmtime::component::Resource;

use super::types::{self, HeaderError};
use crate::{
    broker::{Held, reserved},
    state::State,
};

/// A list of header fields.
#[expect(unreachable_pub, reason = "the generated bindings re-export it inside their private module")]
#[derive(Debug)]
pub struct Fields {
    entries: Vec<(HeaderName, Vec<u8>)>,
    /// A guest may not change what it did not make.
    fixed: bool,
    held: Held,
}

/// What an entry takes beside its bytes.
const OVERHEAD: usize = 64;

impl Fields {
    pub(super) fn entries(&self) -> impl Iterator<Item = (&HeaderName, &[u8])> {
        self.entries.iter().map(|(name, value)| (name, value.as_slice()))
    }

    /// Header fields of an answer; names that cannot be read are left out.
    pub(super) fn of_answer(headers: &[(String, String)], held: Held) -> Self {
        let entries = headers
            .iter()
            .filter_map(|(name, value)| Some((name.parse().ok()?, value.clone().into_bytes())))
            .collect();
        Self { entries, fixed: true, held }
    }

    /// The length that the guest announces for the body.
    pub(super) fn content_length(&self) -> Option<u64> {
        let (_, value) = self.entries().find(|(name, _)| **name == http::header::CONTENT_LENGTH)?;
        str::from_utf8(value).ok()?.parse().ok()
    }

    /// Room for something that lives as long.
    pub(super) fn hold(&mut self, more: Held) {
        self.held.join(more);
    }

    /// A copy that cannot be changed.
    pub(super) fn shown(&self) -> Option<Self> {
        Some(Self { entries: self.entries.clone(), fixed: true, held: self.held.again()? })
    }
}

fn checked_name(name: &str) -> Result<HeaderName, HeaderError> {
    let name: HeaderName = name.parse().map_err(|_| HeaderError::InvalidSyntax)?;
    // The host decides about encodings whatever is asked for, and libraries ask without being told to.
    if reserved(name.as_str())
        && name != http::header::CONTENT_LENGTH
        && name != http::header::ACCEPT_ENCODING
    {
        return Err(HeaderError::Forbidden);
    }
    Ok(name)
}

fn checked(name: &str, value: Vec<u8>) -> Result<(HeaderName, Vec<u8>), HeaderError> {
    let name = checked_name(name)?;
    HeaderValue::from_bytes(&value).map_err(|_| HeaderError::InvalidSyntax)?;
    Ok((name, value))
}

type Answer<T> = wasmtime::Result<Result<T, HeaderError>>;

impl State {
    /// Puts fields into the table; room for them is taken first.
    fn push_fields(&mut self, entries: Vec<(HeaderName, Vec<u8>)>) -> wasmtime::Result<Resource<Fields>> {
        let mut held = self.wasi().room.hold();
        self.keep(&mut held, size(&entries))?;
        Ok(self.table.push(Fields { entries, fixed: false, held })?)
    }

    /// Adds entries to fields, in place of any of `instead_of`.
    fn add_fields(
        &mut self,
        fields: &Resource<Fields>,
        instead_of: Option<&HeaderName>,
        entries: Vec<(HeaderName, Vec<u8>)>,
    ) -> Answer<()> {
        let mut more = self.wasi().room.hold();
        self.keep(&mut more, size(&entries))?;
        let fields = self.table.get_mut(fields)?;
        if fields.fixed {
            return Ok(Err(HeaderError::Immutable));
        }
        fields.hold(more);
        // The room of what is replaced is given back with the whole.
        fields.entries.retain(|(name, _)| Some(name) != instead_of);
        fields.entries.extend(entries);
        Ok(Ok(()))
    }
}

fn size(entries: &[(HeaderName, Vec<u8>)]) -> usize {
    entries.iter().map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD).sum()
}

impl types::HostFields for State {
    fn new(&mut self) -> wasmtime::Result<Resource<Fields>> {
        self.count_host_call()?;
        self.push_fields(Vec::new())
    }

    fn from_list(&mut self, entries: Vec<(String, Vec<u8>)>) -> Answer<Resource<Fields>> {
        self.count_host_call()?;
        let entries: Result<Vec<_>, _> =
            entries.into_iter().map(|(name, value)| checked(&name, value)).collect();
        match entries {
            Ok(entries) => self.push_fields(entries).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    fn get(&mut self, fields: Resource<Fields>, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        self.count_host_call()?;
        let values = self.table.get(&fields)?.entries().filter(|(own, _)| **own == name.as_str());
        Ok(values.map(|(_, value)| value.to_vec()).collect())
    }

    fn has(&mut self, fields: Resource<Fields>, name: String) -> wasmtime::Result<bool> {
        self.count_host_call()?;
        Ok(self.table.get(&fields)?.entries().any(|(own, _)| *own == name.as_str()))
    }

    fn set(&mut self, fields: Resource<Fields>, name: String, values: Vec<Vec<u8>>) -> Answer<()> {
        self.count_host_call()?;
        let entries: Result<Vec<_>, _> = values.into_iter().map(|value| checked(&name, value)).collect();
        match checked_name(&name).and_then(|name| Ok((name, entries?))) {
            Ok((name, entries)) => self.add_fields(&fields, Some(&name), entries),
            Err(error) => Ok(Err(error)),
        }
    }

    fn delete(&mut self, fields: Resource<Fields>, name: String) -> Answer<()> {
        self.count_host_call()?;
        match checked_name(&name) {
            Ok(name) => self.add_fields(&fields, Some(&name), Vec::new()),
            Err(error) => Ok(Err(error)),
        }
    }

    fn append(&mut self, fields: Resource<Fields>, name: String, value: Vec<u8>) -> Answer<()> {
        self.count_host_call()?;
        match checked(&name, value) {
            Ok(entry) => self.add_fields(&fields, None, vec![entry]),
            Err(error) => Ok(Err(error)),
        }
    }

    fn entries(&mut self, fields: Resource<Fields>) -> wasmtime::Result<Vec<(String, Vec<u8>)>> {
        self.count_host_call()?;
        let entries = self.table.get(&fields)?.entries();
        Ok(entries.map(|(name, value)| (name.as_str().to_owned(), value.to_vec())).collect())
    }

    fn clone(&mut self, fields: Resource<Fields>) -> wasmtime::Result<Resource<Fields>> {
        self.count_host_call()?;
        let entries = self.table.get(&fields)?.entries.clone();
        self.push_fields(entries)
    }

    fn drop(&mut self, fields: Resource<Fields>) -> wasmtime::Result<()> {
        self.table.delete(fields)?;
        Ok(())
    }
}
