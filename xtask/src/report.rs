//! What a person reads while a command works: headed stages, indented facts, elapsed time.

use std::fmt;

use trunnion_tests::wait;

/// Time since a command began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elapsed(tokio::time::Instant);

impl Elapsed {
    pub(crate) fn start() -> Self {
        Self(wait::now())
    }

    pub(crate) fn millis(self) -> u128 {
        self.0.elapsed().as_millis()
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elapsed = self.0.elapsed();
        if elapsed.as_secs() < 60 {
            write!(f, "{:.1} s", elapsed.as_secs_f64())
        } else {
            write!(f, "{} min {} s", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
        }
    }
}

/// Begins a stage.
pub(crate) fn stage(title: &str) {
    println!("\n== {title}");
}

/// A fact inside a stage.
pub(crate) fn fact(name: &str, value: impl fmt::Display) {
    println!("   {name:<16} {value}");
}
