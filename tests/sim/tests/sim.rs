//! Seeds in the ordinary test run; `cargo xtask simulate` does many more.

use trunnion_sim::{simulate, world::Tracing};

#[test]
fn seeds_hold_the_promises() {
    for seed in 0..60 {
        let simulated = simulate(seed, Tracing::Off).unwrap();
        assert!(
            simulated.broken.is_empty(),
            "seed {seed}: {:#?}\ncargo xtask simulate --seed {seed} --seeds 1 shows its trace",
            simulated.broken
        );
    }
}

#[test]
fn a_seed_gives_the_same_trace_every_time() {
    for seed in 0..20 {
        let first = simulate(seed, Tracing::On).unwrap();
        let second = simulate(seed, Tracing::On).unwrap();
        assert_eq!(first.trace, second.trace, "seed {seed}");
    }
}
