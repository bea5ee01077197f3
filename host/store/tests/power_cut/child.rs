//! The process that is recorded: writers that commit, users who come and are erased, another master key, a clean
//! stop and a start in the middle.

use std::{env, io::Write, path::PathBuf};

use trunnion_store::Store;

use super::model::{Model, batch, open, owner, rotate};

pub(crate) const DIR: &str = "TRUNNION_TEST_POWER_CUT_DIR";
/// Which process it is: their users differ.
pub(crate) const LIFE: &str = "TRUNNION_TEST_POWER_CUT_LIFE";
pub(crate) const HONESTY: &str = "TRUNNION_TEST_POWER_CUT_HONESTY";

const WRITERS: u32 = 4;
/// Batches of a writer between two openings.
const BATCHES: u32 = 60;
/// Openings of the store.
const ROUNDS: u32 = 3;
/// Users of different rounds and writers have different numbers; this is how far rounds are apart.
const ROUND: u32 = 100;

/// Whether an acknowledgement waits for what it acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Honesty {
    Honest,
    AcknowledgesEarly,
}

impl Honesty {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::AcknowledgesEarly => "early",
        }
    }
}

fn tell(line: &str) {
    // One write, so that one record of the trace holds the line.
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

pub(crate) fn main() {
    let dir = PathBuf::from(env::var_os(DIR).expect("started by the test that records it"));
    let early = env::var_os(HONESTY).is_some_and(|honesty| honesty == Honesty::AcknowledgesEarly.name());
    let life = env::var_os(LIFE).and_then(|life| life.to_str()?.parse::<u32>().ok());
    let first = life.expect("each process has a number") * ROUND * ROUNDS;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let store = runtime.block_on(live(dir, first, early));
    // What other threads are doing stays undone: the recorder sees to it.
    drop(store);
    std::process::exit(0);
}

async fn live(dir: PathBuf, first: u32, early: bool) -> Store {
    // The process does not know which master key is in force after a power cut; its operator tries both.
    let (mut store, mut master) = either_key(&dir);
    for round in 0..ROUNDS {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(store.clone(), first + round * ROUND + writer, early)))
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        let erased = first + round * ROUND;
        tell(&format!("erasing {erased}"));
        store.keys().destroy(owner(erased)).await.unwrap();
        tell(&format!("erased {erased}"));
        if round == 1 {
            tell(&format!("rotating {}", master + 1));
            rotate(&store, master + 1).await;
            master += 1;
            tell(&format!("rotated {master}"));
        }
        if round + 1 < ROUNDS {
            // One stop is clean, the other only lets go.
            if round == 0 {
                store.close().await.unwrap();
            }
            drop(store);
            store = open(&dir, master).unwrap();
        }
    }
    store
}

fn either_key(dir: &std::path::Path) -> (Store, u32) {
    (0..200).find_map(|key| Model::under(key).open(dir).ok()).expect("one of the master keys opens the store")
}

async fn write(store: Store, user: u32, early: bool) {
    store.keys().create(owner(user)).await.unwrap();
    tell(&format!("made {user}"));
    for number in 0..BATCHES {
        let commit = store.commit(batch(user, number));
        if early {
            tell(&format!("committed {user} {}", number + 1));
            commit.await.unwrap();
        } else {
            commit.await.unwrap();
            tell(&format!("committed {user} {}", number + 1));
        }
    }
}
