//! The gate: the same worlds on every change. More on demand:
//! `cargo run -p headwater-sim --release -- --seeds 0..1000`.

use headwater_sim::{Outcome, run};

fn demand_good(seeds: std::ops::Range<u64>) {
    let mut segments = 0;
    for seed in seeds {
        let Outcome {
            plan,
            failure,
            segments: compared,
            ..
        } = run(seed, false);
        if let Some((what, history)) = failure {
            history.iter().for_each(|line| println!("{line}"));
            panic!("seed {seed}: {what}\n{plan:#?}\nrepeat with --seed {seed} --aloud");
        }
        segments += compared;
    }
    assert!(segments > 300, "only {segments} segments were compared");
}

#[cfg(not(feature = "canary"))]
mod gate {
    use super::*;

    #[test]
    fn nothing_goes_wrong_in_the_first_worlds() {
        demand_good(0..20);
    }

    #[test]
    fn nothing_goes_wrong_in_the_second_worlds() {
        demand_good(20..40);
    }

    #[test]
    fn nothing_goes_wrong_in_the_third_worlds() {
        demand_good(40..60);
    }

    /// Worlds that found a bug, one each.
    #[test]
    fn nothing_goes_wrong_in_worlds_that_went_wrong() {
        for seed in [76, 104, 124, 173, 177, 321, 518, 595, 773] {
            let failure = run(seed, false).failure.map(|(what, _)| what);
            assert_eq!(failure, None, "seed {seed}");
        }
    }

    #[test]
    fn the_same_seed_is_the_same_history() {
        for seed in [3, 14] {
            let (one, two) = (run(seed, false), run(seed, false));
            assert_eq!((one.hash, one.lines), (two.hash, two.lines), "seed {seed}");
            assert!(one.lines > 1000, "a history worth comparing");
        }
        assert_ne!(run(3, false).hash, run(4, false).hash);
    }
}

/// A wake-up that never comes must be found, or the checkers are worth nothing.
#[cfg(feature = "canary")]
#[test]
fn a_dropped_wake_up_is_found() {
    const SEEDS_MAX: u64 = 10;
    let found = (0..SEEDS_MAX).find_map(|seed| run(seed, false).failure);
    let (what, _) = found.expect("no world noticed the dropped wake-up");
    assert!(
        what.contains("is held on shard"),
        "found for another reason: {what}"
    );
    let _ = demand_good;
}
