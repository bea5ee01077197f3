//! `wasi:filesystem`: one directory, which is empty and stays so.
//!
//! It is there for the sake of the log: without any directory a language's library refuses a path by itself,
//! and nobody learns which file the connector wanted.

use wasmtime::component::Resource;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream, Error};

use super::bindings::wasi::filesystem::{
    preopens,
    types::{
        self, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, MetadataHashValue,
        OpenFlags, PathFlags,
    },
};
use crate::state::State;

const WHY: &str = "a connector has no files; carry what it needs in its code or its input";

/// The empty directory.
#[expect(unreachable_pub, reason = "the generated bindings re-export it inside their private module")]
#[derive(Debug)]
pub struct Root;

/// The listing of the empty directory.
#[expect(unreachable_pub, reason = "as above")]
#[derive(Debug)]
pub struct NoEntries;

type Answer<T> = wasmtime::Result<Result<T, ErrorCode>>;

impl State {
    /// Refuses to look at something that is not there.
    fn absent<T>(&mut self, what: &str, path: &str) -> Answer<T> {
        self.count_host_call()?;
        self.attempted(what, path, WHY);
        Ok(Err(ErrorCode::NoEntry))
    }

    /// Refuses to make something.
    fn unwritable<T>(&mut self, what: &str, path: &str) -> Answer<T> {
        self.count_host_call()?;
        self.attempted(what, path, WHY);
        Ok(Err(ErrorCode::ReadOnly))
    }

    /// Refuses to treat the directory as a file.
    fn no_file<T>(&mut self) -> Answer<T> {
        self.count_host_call()?;
        Ok(Err(ErrorCode::IsDirectory))
    }
}

/// Whether a path means the directory itself.
fn is_root(path: &str) -> bool {
    path.split('/').all(|part| matches!(part, "" | "."))
}

fn root() -> DescriptorStat {
    DescriptorStat {
        type_: DescriptorType::Directory,
        link_count: 1,
        size: 0,
        data_access_timestamp: None,
        data_modification_timestamp: None,
        status_change_timestamp: None,
    }
}

const HASH: MetadataHashValue = MetadataHashValue { lower: 1, upper: 0 };

impl preopens::Host for State {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Root>, String)>> {
        self.count_host_call()?;
        Ok(vec![(self.table.push(Root)?, "/".to_owned())])
    }
}

impl types::Host for State {
    fn filesystem_error_code(&mut self, _error: Resource<Error>) -> wasmtime::Result<Option<ErrorCode>> {
        self.count_host_call()?;
        Ok(None)
    }
}

impl types::HostDirectoryEntryStream for State {
    fn read_directory_entry(&mut self, _entries: Resource<NoEntries>) -> Answer<Option<DirectoryEntry>> {
        self.count_host_call()?;
        Ok(Ok(None))
    }

    fn drop(&mut self, entries: Resource<NoEntries>) -> wasmtime::Result<()> {
        self.table.delete(entries)?;
        Ok(())
    }
}

impl types::HostDescriptor for State {
    fn open_at(
        &mut self,
        _root: Resource<Root>,
        _how: PathFlags,
        path: String,
        open: OpenFlags,
        _flags: DescriptorFlags,
    ) -> Answer<Resource<Root>> {
        if open.contains(OpenFlags::CREATE) {
            return self.unwritable("create the file", &path);
        }
        if is_root(&path) {
            self.count_host_call()?;
            return Ok(Ok(self.table.push(Root)?));
        }
        self.absent("open the file", &path)
    }

    fn stat_at(&mut self, _root: Resource<Root>, _how: PathFlags, path: String) -> Answer<DescriptorStat> {
        if is_root(&path) {
            self.count_host_call()?;
            return Ok(Ok(root()));
        }
        self.absent("look at the file", &path)
    }

    fn metadata_hash_at(
        &mut self,
        _root: Resource<Root>,
        _how: PathFlags,
        path: String,
    ) -> Answer<MetadataHashValue> {
        if is_root(&path) {
            self.count_host_call()?;
            return Ok(Ok(HASH));
        }
        self.absent("look at the file", &path)
    }

    fn readlink_at(&mut self, _root: Resource<Root>, path: String) -> Answer<String> {
        self.absent("read the link", &path)
    }

    fn create_directory_at(&mut self, _root: Resource<Root>, path: String) -> Answer<()> {
        self.unwritable("create the directory", &path)
    }

    fn symlink_at(&mut self, _root: Resource<Root>, _old: String, new: String) -> Answer<()> {
        self.unwritable("create the link", &new)
    }

    fn remove_directory_at(&mut self, _root: Resource<Root>, path: String) -> Answer<()> {
        self.absent("remove the directory", &path)
    }

    fn unlink_file_at(&mut self, _root: Resource<Root>, path: String) -> Answer<()> {
        self.absent("remove the file", &path)
    }

    fn rename_at(
        &mut self,
        _root: Resource<Root>,
        old: String,
        _other: Resource<Root>,
        _new: String,
    ) -> Answer<()> {
        self.absent("rename the file", &old)
    }

    fn read_directory(&mut self, _root: Resource<Root>) -> Answer<Resource<NoEntries>> {
        self.count_host_call()?;
        Ok(Ok(self.table.push(NoEntries)?))
    }

    fn stat(&mut self, _root: Resource<Root>) -> Answer<DescriptorStat> {
        self.count_host_call()?;
        Ok(Ok(root()))
    }

    fn metadata_hash(&mut self, _root: Resource<Root>) -> Answer<MetadataHashValue> {
        self.count_host_call()?;
        Ok(Ok(HASH))
    }

    fn get_flags(&mut self, _root: Resource<Root>) -> Answer<DescriptorFlags> {
        self.count_host_call()?;
        Ok(Ok(DescriptorFlags::READ))
    }

    fn get_type(&mut self, _root: Resource<Root>) -> Answer<DescriptorType> {
        self.count_host_call()?;
        Ok(Ok(DescriptorType::Directory))
    }

    fn is_same_object(&mut self, _root: Resource<Root>, _other: Resource<Root>) -> wasmtime::Result<bool> {
        self.count_host_call()?;
        Ok(true)
    }

    fn read(&mut self, _root: Resource<Root>, _length: u64, _offset: u64) -> Answer<(Vec<u8>, bool)> {
        self.no_file()
    }

    fn write(&mut self, _root: Resource<Root>, _bytes: Vec<u8>, _offset: u64) -> Answer<u64> {
        self.no_file()
    }

    fn read_via_stream(&mut self, _root: Resource<Root>, _offset: u64) -> Answer<Resource<DynInputStream>> {
        self.no_file()
    }

    fn write_via_stream(&mut self, _root: Resource<Root>, _offset: u64) -> Answer<Resource<DynOutputStream>> {
        self.no_file()
    }

    fn append_via_stream(&mut self, _root: Resource<Root>) -> Answer<Resource<DynOutputStream>> {
        self.no_file()
    }

    fn drop(&mut self, root: Resource<Root>) -> wasmtime::Result<()> {
        self.table.delete(root)?;
        Ok(())
    }
}
