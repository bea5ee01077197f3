//! Backups of a running host: everything but the data keys, as the store's own run of frames, with the connectors'
//! components that its records name.
//!
//! Data keys are kept apart (`trunnion backup --keys`), so that erasing a user erases them in every backup as well.

use std::{
    fs,
    io::{self, ErrorKind},
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::sync::{Mutex, mpsc};
use trunnion_store::backup::{Attachment, Attachments, BackupError};

use crate::{
    context::Context,
    error::{Error, Result},
};

/// Pieces that wait for whoever takes the backup.
const AHEAD: usize = 4;

/// Takes backups, one at a time.
#[derive(Clone, Debug)]
pub struct Backups {
    context: Context,
    under_way: Arc<Mutex<()>>,
}

impl Backups {
    /// Over `context`.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context, under_way: Arc::default() }
    }

    /// Begins a backup: its bytes, as they are read. An error among them ends it, and what came until then is none.
    pub async fn take(&self) -> Result<impl Stream<Item = Result<Bytes, BackupError>> + Send + 'static> {
        let turn = Arc::clone(&self.under_way).try_lock_owned().map_err(|_| {
            let message = "another backup is under way; take one at a time".to_owned();
            Error::conflict("backup-under-way", message)
        })?;
        // It ends with whichever is later: the last piece's being taken, or the store's being done with it.
        let turn = Arc::new(turn);
        let of_task = Arc::clone(&turn);
        let components = self.context.registry.components().to_owned();
        let spool = spool(components.clone()).await?;
        let (to, from) = mpsc::channel(AHEAD);
        let store = self.context.store.clone();
        let taken = tokio::spawn(async move {
            let _turn = of_task;
            store.back_up(move || attachments(components), spool, &to).await
        });
        let pieces = stream::unfold((from, Some(taken), turn), |(mut from, taken, turn)| async move {
            if let Some(piece) = from.recv().await {
                return Some((Ok(piece), (from, taken, turn)));
            }
            // Nothing comes any more: whether that was the end is what the task says.
            match taken?.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a backup was not finished");
                    Some((Err(error), (from, None, turn)))
                }
                Err(error) => {
                    tracing::error!(%error, "a backup was not finished");
                    Some((Err(BackupError::Abandoned), (from, None, turn)))
                }
            }
        });
        Ok(pieces)
    }
}

/// Where what is committed meanwhile is kept: a file without a name, beside the kept components.
async fn spool(components: PathBuf) -> Result<fs::File> {
    let made = tokio::task::spawn_blocking(move || {
        fs::create_dir_all(&components)?;
        tempfile::tempfile_in(&components)
    });
    let failed =
        |why: String| Error::Internal(format!("no room could be made for a backup's commits: {why}"));
    made.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}

/// The kept components, each read when its turn has come. One that is removed meanwhile is no longer needed.
fn attachments(components: PathBuf) -> io::Result<Attachments> {
    let mut files = Vec::new();
    for entry in fs::read_dir(components)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            files.push(path);
        }
    }
    files.sort();
    Ok(Box::new(files.into_iter().filter_map(|path| {
        let name = path.file_name()?.to_str()?.to_owned();
        match fs::read(&path) {
            Ok(content) => Some(Ok(Attachment { name, content: content.into() })),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => Some(Err(error)),
        }
    })))
}
