//! The recorder's trace, read: one record after the other, descriptors and paths as the process named them.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// What was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Opened { fd: i32, path: String, created: bool, emptied: bool },
    Closed { fd: i32 },
    Duplicated { fd: i32, copy: i32 },
    Written { fd: i32, at: u64, bytes: Vec<u8> },
    Resized { fd: i32, length: u64 },
    Zeroed { fd: i32, at: u64, length: u64 },
    SyncBegun { fd: i32, number: u64 },
    SyncEnded { number: u64 },
    Renamed { from: String, to: String },
    Removed { path: String },
    Made { path: String },
    Told { text: String },
}

/// Every record of a trace.
pub(crate) fn read(path: &Path) -> Result<Vec<Record>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read the trace {}", path.display()))?;
    let mut input = bytes.as_slice();
    let mut records = Vec::new();
    while !input.is_empty() {
        let record = next(&mut input)
            .with_context(|| format!("record {} of {} is cut off", records.len(), path.display()))?;
        records.push(record?);
    }
    Ok(records)
}

fn next(input: &mut &[u8]) -> Option<Result<Record>> {
    let length = usize::try_from(u32::from_le_bytes(take(input)?)).ok()?;
    let (mut record, rest) = input.split_at_checked(length)?;
    *input = rest;
    let [kind] = take(&mut record)?;
    let fd = i32::from_le_bytes(take(&mut record)?);
    let number = u64::from_le_bytes(take(&mut record)?);
    Some(parse(kind, fd, number, record))
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*head)
}

fn parse(kind: u8, fd: i32, number: u64, bytes: &[u8]) -> Result<Record> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).context("a recorded name is not UTF-8");
    Ok(match kind {
        b'o' => Record::Opened { fd, path: text(bytes)?, created: number & 1 != 0, emptied: number & 2 != 0 },
        b'c' => Record::Closed { fd },
        b'd' => Record::Duplicated { fd, copy: i32::try_from(number).context("a descriptor is too large")? },
        b'w' => Record::Written { fd, at: number, bytes: bytes.to_vec() },
        b'l' => Record::Resized { fd, length: number },
        b'z' => {
            let (length, _) = bytes.split_first_chunk::<8>().context("a recorded hole lacks its length")?;
            Record::Zeroed { fd, at: number, length: u64::from_le_bytes(*length) }
        }
        b's' => Record::SyncBegun { fd, number },
        b'e' => Record::SyncEnded { number },
        b'r' => {
            let (from, to) = usize::try_from(number)
                .ok()
                .and_then(|length| bytes.split_at_checked(length))
                .context("a recorded rename lacks its names")?;
            Record::Renamed { from: text(from)?, to: text(to.split_first().map_or(&[], |(_, to)| to))? }
        }
        b'u' => Record::Removed { path: text(bytes)? },
        b'm' => Record::Made { path: text(bytes)? },
        b't' => Record::Told { text: String::from_utf8_lossy(bytes).into_owned() },
        other => bail!("the trace holds a record of the unknown kind {other}"),
    })
}
