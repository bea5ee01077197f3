//! `trunnion backup` and `trunnion restore`.
//!
//! Invariants: what bears a backup's name is whole, since it was read again before it got it; a data directory that is
//! there was restored to its end; a copy of the keys is made after the data that it opens.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::Args;
use trunnion_store::{
    KeyRing, MasterKey,
    backup::{Attachment, Reader, Restored, restore as put_back},
    keys::KeyError,
};

use super::{keys::present, remote::Remote, say};

/// Takes a backup of a running host.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The file it becomes; one that is there is replaced once the new one is whole.
    #[arg(value_name = "FILE")]
    to: PathBuf,
    /// Also copies the data keys to this file, over the copy before: whoever was erased since is erased there as well.
    /// Keep it apart from backups, and never more than one. Needs --data-dir.
    #[arg(long, value_name = "FILE", requires = "data_dir")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// Makes a data directory of a backup, without whoever was erased since.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup.
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// The data directory: a new one, or one that has its `keys` still and no `store`.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The newest copy of the data keys, where DIR has none.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The configuration file that names the master key; else TRUNNION_MASTER_KEY, else DIR/master.key.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn back_up(Backup { to, keys, remote }: &Backup) -> anyhow::Result<()> {
    let client = remote.client()?;
    let unfinished = beside(to, ".unfinished");
    let not_written = || format!("`{}` could not be written", unfinished.display());
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
    let mut file = BufWriter::new(file.with_context(not_written)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime did not start")?;
    let bytes = runtime.block_on(client.download("/v1/backup", &mut file))?;
    file.flush().with_context(not_written)?;
    file.get_ref().sync_all().with_context(not_written)?;
    let records = Reader::new(open(&unfinished)?)?.verify()?;
    fs::rename(&unfinished, to).with_context(|| format!("`{}` could not be replaced", to.display()))?;
    sync_folder_of(to)?;
    say(&format!("{}: {records} records in {} KB", to.display(), bytes.div_ceil(1024)));
    let (Some(copy), Some(data_dir)) = (keys, remote.data_dir()) else { return Ok(()) };
    KeyRing::copy(data_dir.join("keys"), copy)?;
    sync_folder_of(copy)?;
    say(&format!("{}: the data keys as they are now", copy.display()));
    Ok(())
}

pub(super) fn restore(Restore { from, data_dir, keys, config }: &Restore) -> anyhow::Result<()> {
    let (store, own_keys) = (data_dir.join("store"), data_dir.join("keys"));
    if store.exists() {
        bail!(
            "`{}` is there already; restore into another directory, or move it away first",
            store.display()
        );
    }
    let opened_by = match (own_keys.is_file(), keys) {
        (true, None) => &own_keys,
        (true, Some(_)) => bail!(
            "`{}` is there already and knows who was erased up to the last moment; leave --keys out",
            own_keys.display()
        ),
        (false, Some(copy)) if copy.is_file() => copy,
        (false, Some(copy)) => {
            bail!("there is no file `{}`; name the newest copy of the data keys", copy.display())
        }
        (false, None) => bail!(
            "`{}` has no data keys, without which nothing can be read; name their newest copy with --keys",
            data_dir.display()
        ),
    };
    let master = present(data_dir, config.as_deref())?;
    let ring = KeyRing::open(opened_by, &MasterKey::new(master)).map_err(|error| match error {
        error @ KeyError::InUse { .. } => anyhow::Error::from(error).context("stop the host first"),
        error => error.into(),
    })?;
    let unfinished = data_dir.join("store.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)
            .with_context(|| format!("what an earlier restore left in `{}` stays", unfinished.display()))?;
    }
    let components = data_dir.join("components");
    // Makes the data directory as well.
    fs::create_dir_all(&components)
        .with_context(|| format!("`{}` could not be made", components.display()))?;
    let mut keep = |attachment| keep(&components, &attachment);
    let Restored { records, erased } = put_back(open(from)?, &unfinished, &ring, &mut keep)
        .with_context(|| format!("`{}` was not restored", from.display()))?;
    if *opened_by != own_keys {
        KeyRing::copy(opened_by, &own_keys)?;
    }
    sync_folder_of(&components.join("any"))?;
    fs::rename(&unfinished, &store).with_context(|| format!("`{}` could not be made", store.display()))?;
    sync_folder_of(&store)?;
    let left_out = match erased {
        0 => "nobody was erased since".to_owned(),
        1 => "left out one user who was erased since".to_owned(),
        count => format!("left out {count} users who were erased since"),
    };
    say(&format!("{}: {records} records; {left_out}", data_dir.display()));
    Ok(())
}

/// A component, in the place of whatever has its name.
fn keep(components: &Path, Attachment { name, content }: &Attachment) -> std::io::Result<()> {
    // A name is one part of a path: a backup that says otherwise writes nowhere else.
    if Path::new(name).file_name() != Some(name.as_ref()) {
        return Err(std::io::Error::other(format!("`{name}` is no file's name")));
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(components.join(name))?;
    file.write_all(content)?;
    file.sync_all()
}

fn open(path: &Path) -> anyhow::Result<BufReader<File>> {
    let file = File::open(path).with_context(|| format!("`{}` could not be read", path.display()))?;
    Ok(BufReader::with_capacity(1 << 20, file))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn sync_folder_of(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("`{}` could not be synced", folder.display()))
}
