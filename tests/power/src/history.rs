//! A history: what happened to each file and directory, in order, with names and descriptors resolved.
//!
//! Invariant: applied as a whole it gives exactly the files that the process left; [`History::verify`] checks that,
//! so that a way to change files which the recorder does not know is noticed.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    cut::{Cutter, Image},
    trace::{self, Record},
};

/// A file or directory, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) usize);

/// What a node is when the history begins; one that is made later begins empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A file with this content.
    File(Vec<u8>),
    /// A directory.
    Directory,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Bytes were written into a file.
    Written {
        /// Which file.
        file: NodeId,
        /// Where.
        at: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// A file got another length.
    Resized {
        /// Which file.
        file: NodeId,
        /// Its length.
        length: u64,
    },
    /// A hole was made in a file; its length stays.
    Zeroed {
        /// Which file.
        file: NodeId,
        /// Where.
        at: u64,
        /// Bytes.
        length: u64,
    },
    /// A name in a directory came to mean a node.
    Named {
        /// The directory.
        directory: NodeId,
        /// The name.
        name: String,
        /// What it means.
        node: NodeId,
    },
    /// A name was taken out of a directory.
    Unnamed {
        /// The directory.
        directory: NodeId,
        /// The name.
        name: String,
    },
    /// A node got another name, at once.
    Moved {
        /// The directory and name it had.
        from: (NodeId, String),
        /// The directory and name it has.
        to: (NodeId, String),
        /// The node.
        node: NodeId,
    },
    /// A sync was begun: it covers everything before this.
    SyncBegun {
        /// Of which node.
        node: NodeId,
        /// The sync.
        number: u64,
    },
    /// A sync ended well.
    SyncEnded {
        /// The sync.
        number: u64,
    },
    /// The process printed this.
    Told(String),
}

/// Everything that happened.
#[derive(Clone, Debug)]
pub struct History {
    /// What was there when it began, all of it durable. Node 0 is the root.
    pub(crate) nodes: Vec<Node>,
    /// The directories' entries when it began.
    pub(crate) names: BTreeMap<(NodeId, String), NodeId>,
    /// What happened.
    pub events: Vec<Event>,
    /// Each node's first name, for messages and for [`without_syncs_of`](Self::without_syncs_of).
    paths: Vec<String>,
}

pub(crate) const ROOT: NodeId = NodeId(0);

impl History {
    /// A history that begins with what is in the directory `root`.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn starting_at(root: &Path) -> Result<Self> {
        let mut history = Self {
            nodes: vec![Node::Directory],
            names: BTreeMap::new(),
            events: Vec::new(),
            paths: vec![".".to_owned()],
        };
        history.load(ROOT, root, "")?;
        Ok(history)
    }

    fn load(&mut self, directory: NodeId, path: &Path, prefix: &str) -> Result<()> {
        for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let is_directory = entry.file_type()?.is_dir();
            let content = if is_directory { Node::Directory } else { Node::File(fs::read(entry.path())?) };
            let node = self.add(content, path.clone());
            self.names.insert((directory, name), node);
            if is_directory {
                self.load(node, &entry.path(), &format!("{path}/"))?;
            }
        }
        Ok(())
    }

    fn add(&mut self, node: Node, path: String) -> NodeId {
        self.nodes.push(node);
        self.paths.push(path);
        NodeId(self.nodes.len() - 1)
    }

    /// Appends what a recorder wrote to `trace`.
    ///
    /// # Errors
    /// Where the trace is damaged, or holds something that this does not know.
    pub fn follow(mut self, trace: &Path) -> Result<Self> {
        let mut names = self.names.clone();
        let mut open: HashMap<i32, NodeId> = HashMap::new();
        for record in trace::read(trace)? {
            self.step(record, &mut names, &mut open)?;
        }
        Ok(self)
    }

    fn step(
        &mut self,
        record: Record,
        names: &mut BTreeMap<(NodeId, String), NodeId>,
        open: &mut HashMap<i32, NodeId>,
    ) -> Result<()> {
        let of = |open: &HashMap<i32, NodeId>, fd: i32| {
            open.get(&fd).copied().with_context(|| format!("descriptor {fd} was never opened"))
        };
        match record {
            Record::Opened { fd, path, created, emptied } => {
                let node = if created {
                    self.make(Node::File(Vec::new()), path, names)?
                } else {
                    find(names, &path)?
                };
                open.insert(fd, node);
                if emptied && !created {
                    self.events.push(Event::Resized { file: node, length: 0 });
                }
            }
            Record::Closed { fd } => drop(open.remove(&fd)),
            Record::Duplicated { fd, copy } => {
                let node = of(open, fd)?;
                open.insert(copy, node);
            }
            Record::Written { fd, at, bytes } => {
                self.events.push(Event::Written { file: of(open, fd)?, at, bytes });
            }
            Record::Resized { fd, length } => {
                self.events.push(Event::Resized { file: of(open, fd)?, length });
            }
            Record::Zeroed { fd, at, length } => {
                self.events.push(Event::Zeroed { file: of(open, fd)?, at, length });
            }
            Record::SyncBegun { fd, number } => {
                self.events.push(Event::SyncBegun { node: of(open, fd)?, number });
            }
            Record::SyncEnded { number } => self.events.push(Event::SyncEnded { number }),
            Record::Made { path } => drop(self.make(Node::Directory, path, names)?),
            Record::Removed { path } => {
                let place = place(names, &path)?;
                names.remove(&place);
                self.events.push(Event::Unnamed { directory: place.0, name: place.1 });
            }
            Record::Renamed { from, to } => {
                let (from, to) = (place(names, &from)?, place(names, &to)?);
                let node = names.remove(&from).with_context(|| format!("`{}` is not there", from.1))?;
                names.insert(to.clone(), node);
                self.events.push(Event::Moved { from, to, node });
            }
            Record::Told { text } => self.events.push(Event::Told(text)),
        }
        Ok(())
    }

    fn make(
        &mut self,
        kind: Node,
        path: String,
        names: &mut BTreeMap<(NodeId, String), NodeId>,
    ) -> Result<NodeId> {
        let (directory, name) = place(names, &path)?;
        let node = self.add(kind, path);
        names.insert((directory, name.clone()), node);
        self.events.push(Event::Named { directory, name, node });
        Ok(node)
    }

    /// Whether all of it gives what is in `root` now.
    ///
    /// # Errors
    /// Where it does not: then something changed files unseen.
    pub fn verify(&self, root: &Path) -> Result<()> {
        let mut cutter = Cutter::new(self);
        cutter.advance(self.events.len());
        let rebuilt = cutter.everything();
        let real = Image::of(root)?;
        for path in rebuilt.files.keys().chain(real.files.keys()) {
            let (ours, theirs) = (rebuilt.files.get(path), real.files.get(path));
            ensure!(
                ours == theirs,
                "`{path}` is not what its recorded changes make of it ({:?} bytes, not {:?}): something changes it \
                 in a way that record.c does not know",
                ours.map(Vec::len),
                theirs.map(Vec::len),
            );
        }
        Ok(())
    }

    /// The same history on a disk that ignores the syncs of some nodes, by first path: how a store that forgets
    /// them would fare.
    #[must_use]
    pub fn without_syncs_of(&self, ignored: impl Fn(&str, &Node) -> bool) -> Self {
        let mut history = self.clone();
        history.events.retain(|event| match event {
            Event::SyncBegun { node, .. } => match (self.paths.get(node.0), self.nodes.get(node.0)) {
                (Some(path), Some(kind)) => !ignored(path, kind),
                _ => true,
            },
            _ => true,
        });
        history
    }
}

/// The directory and name that a path means.
fn place(names: &BTreeMap<(NodeId, String), NodeId>, path: &str) -> Result<(NodeId, String)> {
    match path.rsplit_once('/') {
        Some((directory, name)) => Ok((find(names, directory)?, name.to_owned())),
        None => Ok((ROOT, path.to_owned())),
    }
}

fn find(names: &BTreeMap<(NodeId, String), NodeId>, path: &str) -> Result<NodeId> {
    let mut at = ROOT;
    if path == "." {
        return Ok(at);
    }
    for name in path.split('/') {
        match names.get(&(at, name.to_owned())) {
            Some(node) => at = *node,
            None => bail!("`{path}` was never made"),
        }
    }
    Ok(at)
}
