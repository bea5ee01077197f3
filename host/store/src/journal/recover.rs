//! Recovery: reads the frames that the index does not contain into the overlay.

use bytes::Bytes;

use super::{
    OpenError, frame,
    index::Index,
    log::{self, Log},
    overlay::Overlay,
};

/// A journal, read.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// What was committed since the last checkpoint.
    pub(crate) overlay: Overlay,
    /// Where the next frame goes.
    pub(crate) log: Log,
    /// The newest version given.
    pub(crate) last: u64,
    /// Bytes of frames read.
    pub(crate) bytes: usize,
}

/// Replays the journal.
///
/// A torn last frame was never acknowledged: its sync had not returned. It is dropped. Anything else that is
/// damaged or missing was acknowledged, so recovery stops and says which frame it is.
pub(crate) fn recover(index: &Index) -> Result<Recovered, OpenError> {
    let marker = index.marker()?;
    let mut found = log::read(&index.disk, marker.replay_from)?;
    let mut recovered = Overlay::default();
    let mut last = marker.last_version;
    let mut bytes = 0;
    let mut next = marker.replay_from;
    while let Some((sequence, content)) = found.frames.pop_front() {
        let damaged = || OpenError::Frame { path: index.disk.path().to_owned(), sequence, expected: next };
        if sequence != next {
            return Err(damaged());
        }
        match frame::read(sequence, &content) {
            Some(batches) => {
                for (version, changes) in batches {
                    last = last.max(version.0);
                    for (key, value) in changes {
                        // Copied, so that what is left of a frame does not keep all of it in memory.
                        let record = value.map(|value| (version, Bytes::copy_from_slice(&value)));
                        recovered.change(Bytes::copy_from_slice(&key), record, false);
                    }
                }
            }
            None if found.frames.is_empty() => {
                tracing::warn!(
                    sequence,
                    "dropping the journal's last frame, which was being written when the process died"
                );
                log::remove_torn(&index.disk, sequence, &found.buckets)?;
                break;
            }
            None => return Err(damaged()),
        }
        bytes += content.len();
        next += 1;
    }
    let log = Log::new(index.disk.clone(), found.buckets, next);
    Ok(Recovered { overlay: recovered, log, last, bytes })
}
