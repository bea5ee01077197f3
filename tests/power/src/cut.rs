//! A power cut: what is on the disk after it, at one point of a history.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use trunnion_core::clock::{Random, SeededRandom};

use crate::history::{Event, History, Node, NodeId, ROOT};

/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

/// Files by path, and directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Contents.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Paths.
    pub directories: Vec<String>,
}

impl Image {
    /// What is in a directory.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn of(root: &Path) -> Result<Self> {
        let history = History::starting_at(root)?;
        Ok(Cutter::new(&history).everything())
    }

    /// Writes it into an empty directory.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn write(&self, root: &Path) -> Result<()> {
        for directory in &self.directories {
            fs::create_dir_all(root.join(directory))?;
        }
        for (path, content) in &self.files {
            let path = root.join(path);
            fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// Goes through a history once; at any point it says what a power cut there could leave.
#[derive(Debug)]
pub struct Cutter<'a> {
    history: &'a History,
    next: usize,
    /// Durable contents.
    contents: Vec<Node>,
    /// Durable entries.
    names: BTreeMap<(NodeId, String), NodeId>,
    /// Events that nothing made durable yet, in order.
    pending: Vec<usize>,
    /// Syncs under way: the node and where in the history they began.
    syncs: BTreeMap<u64, (NodeId, usize)>,
}

/// Every change is lost.
const ALL: u8 = 255;

/// How much of what is not durable is lost.
#[derive(Clone, Copy, Debug)]
struct Harm {
    /// Of 256 changes, so many are lost.
    lost: u8,
    /// Whether entries of directories are lost from some moment on (as a journalling file system does) rather
    /// than one by one.
    in_order: bool,
}

impl<'a> Cutter<'a> {
    /// At the beginning.
    #[must_use]
    pub fn new(history: &'a History) -> Self {
        Self {
            history,
            next: 0,
            contents: history
                .nodes
                .iter()
                .map(|node| match node {
                    Node::File(content) => Node::File(content.clone()),
                    Node::Directory => Node::Directory,
                })
                .collect(),
            names: history.names.clone(),
            pending: Vec::new(),
            syncs: BTreeMap::new(),
        }
    }

    /// Goes on to just before event `point`; never back.
    pub fn advance(&mut self, point: usize) {
        while self.next < point {
            let Some(event) = self.history.events.get(self.next) else { return };
            match event {
                Event::SyncBegun { node, number } => {
                    self.syncs.insert(*number, (*node, self.next));
                }
                Event::SyncEnded { number } => {
                    if let Some((node, begun)) = self.syncs.remove(number) {
                        self.settle(node, begun);
                    }
                }
                Event::Told(_) => {}
                _ => self.pending.push(self.next),
            }
            self.next += 1;
        }
    }

    /// What was told before this point.
    pub fn told(&self) -> impl Iterator<Item = &'a str> {
        let events = self.history.events.get(..self.next).unwrap_or_default();
        events.iter().filter_map(|event| match event {
            Event::Told(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// What a power cut here leaves; the same seed gives the same.
    #[must_use]
    pub fn cut(&self, seed: u64) -> Image {
        let chance = SeededRandom::new(seed);
        let harm = Harm {
            lost: match byte(&chance) % 5 {
                0 => 0,
                1 => 25,
                2 => 128,
                3 => 230,
                _ => ALL,
            },
            in_order: byte(&chance).is_multiple_of(2),
        };
        let mut contents = self.contents.clone();
        let mut names = self.names.clone();
        let mut entries_end = false;
        for event in self.pending.iter().filter_map(|index| self.history.events.get(*index)) {
            let lost = byte(&chance) < harm.lost || harm.lost == ALL;
            match event {
                Event::Written { file, at, bytes } => {
                    if let Some(Node::File(content)) = contents.get_mut(file.0) {
                        written(content, *at, bytes, lost, &chance);
                    }
                }
                Event::Resized { .. } | Event::Zeroed { .. } => {
                    if !lost {
                        apply(event, &mut contents, &mut names);
                    }
                }
                _ => {
                    entries_end |= lost && harm.in_order;
                    if !lost && !entries_end {
                        apply(event, &mut contents, &mut names);
                    }
                }
            }
        }
        image(&contents, &names)
    }

    /// What is there without a power cut.
    #[must_use]
    pub fn everything(&self) -> Image {
        let mut contents = self.contents.clone();
        let mut names = self.names.clone();
        for event in self.pending.iter().filter_map(|index| self.history.events.get(*index)) {
            apply(event, &mut contents, &mut names);
        }
        image(&contents, &names)
    }

    /// Makes durable what happened to a node before event `begun`.
    fn settle(&mut self, node: NodeId, begun: usize) {
        let pending = std::mem::take(&mut self.pending);
        for index in pending {
            match self.history.events.get(index) {
                Some(event) if index < begun && concerns(event, node) => {
                    apply(event, &mut self.contents, &mut self.names);
                }
                _ => self.pending.push(index),
            }
        }
    }
}

/// Whether syncing `node` makes the event durable.
fn concerns(event: &Event, node: NodeId) -> bool {
    match event {
        Event::Written { file, .. } | Event::Resized { file, .. } | Event::Zeroed { file, .. } => {
            *file == node
        }
        Event::Named { directory, .. } | Event::Unnamed { directory, .. } => *directory == node,
        Event::Moved { from, to, .. } => from.0 == node || to.0 == node,
        Event::SyncBegun { .. } | Event::SyncEnded { .. } | Event::Told(_) => false,
    }
}

fn apply(event: &Event, contents: &mut [Node], names: &mut BTreeMap<(NodeId, String), NodeId>) {
    match event {
        Event::Written { file, at, bytes } => {
            if let Some(Node::File(content)) = contents.get_mut(file.0) {
                put(content, offset(*at), bytes);
            }
        }
        Event::Resized { file, length } => {
            if let Some(Node::File(content)) = contents.get_mut(file.0) {
                content.resize(offset(*length), 0);
            }
        }
        Event::Zeroed { file, at, length } => {
            if let Some(Node::File(content)) = contents.get_mut(file.0) {
                let end = content.len().min(offset(*at).saturating_add(offset(*length)));
                if let Some(hole) = content.get_mut(offset(*at)..end) {
                    hole.fill(0);
                }
            }
        }
        Event::Named { directory, name, node } => {
            names.insert((*directory, name.clone()), *node);
        }
        Event::Unnamed { directory, name } => {
            names.remove(&(*directory, name.clone()));
        }
        Event::Moved { from, to, node } => {
            if names.get(from) == Some(node) {
                names.remove(from);
            }
            names.insert(to.clone(), *node);
        }
        Event::SyncBegun { .. } | Event::SyncEnded { .. } | Event::Told(_) => {}
    }
}

/// A write that was not synced: whole, lost, lost but for the file's length, or in sectors.
fn written(content: &mut Vec<u8>, at: u64, bytes: &[u8], lost: bool, chance: &SeededRandom) {
    let at = offset(at);
    let how = byte(chance);
    if lost {
        if how < 16 && content.len() < at + bytes.len() {
            content.resize(at + bytes.len(), 0);
        }
        return;
    }
    if how >= 64 {
        put(content, at, bytes);
        return;
    }
    let mut from = 0;
    while from < bytes.len() {
        let to = bytes.len().min(from + SECTOR - (at + from) % SECTOR);
        if byte(chance) >= 64 {
            put(content, at + from, bytes.get(from..to).unwrap_or_default());
        }
        from = to;
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    if let Some(place) = content.get_mut(at..end) {
        place.copy_from_slice(bytes);
    }
}

fn image(contents: &[Node], names: &BTreeMap<(NodeId, String), NodeId>) -> Image {
    let mut image = Image::default();
    let mut open = vec![(ROOT, String::new())];
    while let Some((directory, prefix)) = open.pop() {
        for ((_, name), node) in
            names.range((directory, String::new())..(NodeId(directory.0 + 1), String::new()))
        {
            let path = format!("{prefix}{name}");
            match contents.get(node.0) {
                Some(Node::File(content)) => {
                    image.files.insert(path, content.clone());
                }
                Some(Node::Directory) => {
                    open.push((*node, format!("{path}/")));
                    image.directories.push(path);
                }
                None => {}
            }
        }
    }
    image.directories.sort();
    image
}

fn offset(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

fn byte(chance: &SeededRandom) -> u8 {
    let mut bytes = [0; 1];
    chance.fill(&mut bytes);
    let [byte] = bytes;
    byte
}
