//! The corpus of every target, and seeded mutations of it, on every test run.

use headwater_fuzz::mutate::{Chance, mutate};
use headwater_fuzz::{TARGETS, Target, corpus};

/// Mutated inputs tried for each target.
const RUNS: u64 = 20_000;

fn replay(target: &Target) {
    let corpus = corpus::load(target.name).unwrap();
    assert!(corpus.len() > 1, "{} has a corpus", target.name);
    for (name, data) in &corpus {
        println!("{} {name}", target.name);
        (target.run)(data);
    }
    for run in 0..RUNS {
        let mut chance = Chance::new(run);
        let data = mutate(&corpus, &mut chance);
        let outcome = std::panic::catch_unwind(|| (target.run)(&data));
        assert!(
            outcome.is_ok(),
            "{} fails with the input of seed {run}",
            target.name
        );
    }
}

#[test]
fn every_target_stands_its_corpus_and_its_mutations() {
    TARGETS.iter().for_each(replay);
}
