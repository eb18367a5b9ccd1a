//! The best of many configurations, by cross-validation on the training rows.
//!
//! All candidates are trained on the rows outside one fold and tried on those inside; the better part of them goes on to further folds, until a few
//! have been tried on all folds of all repeats (successive halving: Jamieson and Talwalkar 2016, *Non-stochastic Best Arm Identification and
//! Hyperparameter Optimization*, with folds as what is spent). Of those the simplest within one standard error of the best is chosen (Breiman,
//! Friedman, Olshen, Stone 1984, *Classification and Regression Trees*, section 3.4.3).

use super::{StoredHead, TrainConfig, Trainer};
use crate::data::{Dataset, Transform, TransformKind, stratified_folds};
use crate::metrics::significance::mean_and_deviation;
use crate::{Error, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How candidates are told from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Folds of a repeat, at least 2.
    pub folds: usize,
    /// How often rows are drawn into folds anew, at least 1.
    pub repeats: usize,
    /// One candidate in so many goes on after each round, at least 2.
    pub halving: usize,
    /// Seed of the folds.
    pub seed: u64,
}

impl Default for Search {
    /// Two repeats of five folds, the best third goes on.
    fn default() -> Self {
        Self { folds: 5, repeats: 2, halving: 3, seed: 0 }
    }
}

/// One candidate, trained without one fold and tried on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The number of the candidate.
    pub candidate: usize,
    /// Fold f of repeat r is split r · folds + f.
    pub split: usize,
    /// Rows of the fold that it has right; none where training fails.
    pub right: usize,
    /// Labelled rows of the fold.
    pub rows: usize,
}

/// What is known of a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CandidateScore {
    /// Its number.
    pub candidate: usize,
    /// Splits that it was tried on.
    pub splits: usize,
    /// Mean accuracy over them.
    pub accuracy: f64,
    /// Standard error of that mean, from the spread over splits; `None` of one. Splits share training rows, so that it is somewhat too small.
    pub standard_error: Option<f64>,
}

/// What a search has found.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchResult {
    /// Every candidate that was tried, those with the most splits first, among these the most accurate.
    pub scores: Vec<CandidateScore>,
    /// The first of the candidates that are within one standard error of the most accurate, among those with the most splits.
    pub chosen: usize,
}

impl Search {
    /// How many splits each round's candidates have been tried on at its end: one, two, a repeat, all.
    fn rounds(&self) -> Vec<usize> {
        let mut rounds = vec![1, 2, self.folds, self.folds * self.repeats];
        rounds.dedup();
        rounds
    }

    /// How many trainings a search among so many candidates takes.
    pub fn trainings(&self, candidates: usize) -> usize {
        let (mut left, mut before, mut trainings) = (candidates, 0, 0);
        for splits in self.rounds() {
            trainings += left * (splits - before);
            before = splits;
            left = left.div_ceil(self.halving);
        }
        trainings
    }

    /// Tries `candidates`, the simplest first. `known` are trials of an earlier, interrupted search over the same candidates and rows, which are not
    /// made again. `on_trial` is called after each new trial, on one thread at a time; once it breaks, no other is begun, and the result is of what
    /// there is.
    ///
    /// # Errors
    /// [`Error::Setting`]; those of [`TrainConfig::check`] and of the transforms. A training that fails is a trial with no row right.
    pub fn run<H: StoredHead>(
        &self,
        candidates: &[TrainConfig<H>],
        train: &Dataset,
        known: &[Trial],
        on_trial: impl FnMut(Trial) -> ControlFlow<()> + Send,
    ) -> Result<SearchResult> {
        self.check(candidates.len())?;
        candidates.iter().try_for_each(|candidate| candidate.check(train.classes()))?;
        let splits = self.splits(train)?;
        let known: BTreeMap<(usize, usize), Trial> =
            known.iter().map(|&trial| ((trial.split, trial.candidate), trial)).collect();
        let on_trial = Mutex::new((on_trial, ControlFlow::Continue(())));
        let mut trials: Vec<Trial> = Vec::new();
        let mut left: Vec<usize> = (0..candidates.len()).collect();
        let mut from = 0;
        for to in self.rounds() {
            for (split, folds) in splits.iter().enumerate().take(to).skip(from) {
                let (old, new): (Vec<usize>, Vec<usize>) =
                    left.iter().partition(|&&candidate| known.contains_key(&(split, candidate)));
                trials.extend(old.iter().map(|&candidate| known[&(split, candidate)]));
                trials.extend(tried(candidates, &new, train, folds, split, &on_trial)?);
                if is_stopped(&on_trial) {
                    return result(&trials);
                }
            }
            from = to;
            let mut scores = scores(&trials);
            scores.retain(|score| left.contains(&score.candidate));
            scores.truncate(left.len().div_ceil(self.halving));
            left = scores.iter().map(|score| score.candidate).collect();
        }
        result(&trials)
    }

    fn check(&self, candidates: usize) -> Result<()> {
        let at_least = |name, value: usize, least: usize| match value < least {
            true => Err(Error::Setting { name, value: value.to_string(), expected: format!("at least {least}") }),
            false => Ok(()),
        };
        at_least("candidates", candidates, 1)?;
        at_least("folds", self.folds, 2)?;
        at_least("repeats", self.repeats, 1)?;
        at_least("halving", self.halving, 2)
    }

    /// The fold of each row that is held out, by split: (the fold of each row, the fold that is held out).
    fn splits(&self, train: &Dataset) -> Result<Vec<Split>> {
        let mut splits = Vec::new();
        for repeat in 0..self.repeats {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(repeat as u64);
            let fold_of_row = stratified_folds(train.labels.view(), self.folds, &mut rng)?;
            for held_out in 0..self.folds {
                let (inside, outside) = (0..fold_of_row.len()).partition(|&row| fold_of_row[row] == held_out);
                splits.push(Split { inside, outside });
            }
        }
        Ok(splits)
    }
}

/// Rows to try on, and rows to train on.
struct Split {
    inside: Vec<usize>,
    outside: Vec<usize>,
}

/// What is called after a trial, and whether it has said to stop.
type OnTrial<C> = Mutex<(C, ControlFlow<()>)>;

/// The trials of some candidates on one split, side by side, each on one thread: their batches are small.
fn tried<H: StoredHead>(
    candidates: &[TrainConfig<H>],
    numbers: &[usize],
    train: &Dataset,
    split: &Split,
    split_number: usize,
    on_trial: &OnTrial<impl FnMut(Trial) -> ControlFlow<()> + Send>,
) -> Result<Vec<Trial>> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let (outside, inside) = (train.select_rows(&split.outside)?, train.select_rows(&split.inside)?);
    // What candidates have in common is done once.
    let mut transformed: Vec<(TransformKind, Dataset, Dataset)> = Vec::new();
    for &number in numbers {
        let kind = candidates[number].transform;
        if transformed.iter().all(|(known, ..)| *known != kind) {
            let transform = Transform::fit(kind, &outside.features)?;
            transformed.push((kind, outside.clone().transformed(&transform)?, inside.clone().transformed(&transform)?));
        }
    }
    let trial = |number: usize| {
        let config = &candidates[number];
        let (_, outside, inside) = transformed.iter().find(|(kind, ..)| *kind == config.transform)?;
        // Diverged, or with a class vector of no direction: as bad as can be, but no reason to give up the others.
        let right = rows_right(config, outside, inside).unwrap_or(0);
        Some(Trial { candidate: number, split: split_number, right, rows: inside.rows() - inside.unlabelled_rows() })
    };
    // Threads outside any pool: a worker of rayon's that waits for another pool would begin further trials meanwhile.
    let pool = || rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pools = (0..rayon::current_num_threads().min(numbers.len())).map(|_| pool()).collect::<Result<Vec<_>, _>>();
    let pools = pools.map_err(|error| Error::io("start", "threads", std::io::Error::other(error)))?;
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(&number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
            if is_stopped(on_trial) {
                break;
            }
            let Some(trial) = trial(number) else { continue };
            let mut on_trial = unlocked(on_trial);
            if on_trial.0(trial).is_break() {
                on_trial.1 = ControlFlow::Break(());
            }
            unlocked(&done).push(trial);
        }
    };
    std::thread::scope(|scope| {
        for pool in &pools {
            scope.spawn(|| pool.install(work));
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|trial| trial.candidate);
    Ok(done)
}

fn is_stopped<C>(on_trial: &OnTrial<C>) -> bool {
    unlocked(on_trial).1.is_break()
}

/// What a mutex holds, be it after another thread's panic: that is passed on by the scope.
fn unlocked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Labelled rows of `inside` that a training on `outside` has right; both are transformed.
fn rows_right<H: StoredHead>(config: &TrainConfig<H>, outside: &Dataset, inside: &Dataset) -> Result<usize> {
    let config = TrainConfig { transform: TransformKind::None, ..config.clone() };
    let mut trainer = Trainer::new(config, outside.clone(), None)?;
    while !trainer.is_done() {
        trainer.run_epoch(|_| {})?;
    }
    let predicted = trainer.model().predictions(inside)?;
    Ok(inside.labels.iter().zip(predicted).filter(|&(&label, class)| label == class as i64).count())
}

/// Every candidate's score, those with the most splits first, among these the most accurate, of equals the first.
fn scores(trials: &[Trial]) -> Vec<CandidateScore> {
    let mut of_candidates: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for trial in trials {
        let accuracy = trial.right as f64 / trial.rows as f64;
        of_candidates.entry(trial.candidate).or_default().push(accuracy);
    }
    let score = |(candidate, accuracies): (usize, Vec<f64>)| {
        let (accuracy, deviation) = mean_and_deviation(&accuracies);
        let standard_error = deviation.map(|deviation| deviation / (accuracies.len() as f64).sqrt());
        CandidateScore { candidate, splits: accuracies.len(), accuracy, standard_error }
    };
    let mut scores: Vec<_> = of_candidates.into_iter().map(score).collect();
    scores.sort_by(|a, b| b.splits.cmp(&a.splits).then(b.accuracy.total_cmp(&a.accuracy)));
    scores
}

fn result(trials: &[Trial]) -> Result<SearchResult> {
    let scores = scores(trials);
    let Some(best) = scores.first() else {
        let (name, expected) = ("trials", "at least one before the search is stopped".into());
        return Err(Error::Setting { name, value: "0".into(), expected });
    };
    let least = best.accuracy - best.standard_error.unwrap_or(0.0);
    let alike = scores.iter().filter(|score| score.splits == best.splits && score.accuracy >= least);
    let chosen = alike.map(|score| score.candidate).min().expect("the best is within an error of itself");
    Ok(SearchResult { scores, chosen })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(candidate: usize, split: usize, right: usize) -> Trial {
        Trial { candidate, split, right, rows: 10 }
    }

    #[test]
    fn the_simplest_within_one_standard_error_of_the_best_is_chosen() {
        // Means 0.75, 0.8 and 0.85; the error of the last is 0.05.
        let of = |candidate: usize, right: [usize; 2]| {
            right.into_iter().enumerate().map(move |(s, r)| trial(candidate, s, r))
        };
        let trials: Vec<_> = of(0, [7, 8]).chain(of(1, [8, 8])).chain(of(2, [8, 9])).chain([trial(3, 0, 10)]).collect();
        let found = result(&trials).expect("trials");
        assert_eq!(found.scores.iter().map(|score| score.candidate).collect::<Vec<_>>(), [2, 1, 0, 3]);
        assert_eq!(found.chosen, 1, "{found:?}");
        assert!((found.scores[0].standard_error.expect("two splits") - 0.05).abs() < 1e-12);
        assert!(result(&[]).is_err());
    }

    #[test]
    fn rounds_grow_to_all_splits() {
        let rounds = |folds, repeats| Search { folds, repeats, ..Search::default() }.rounds();
        assert_eq!(rounds(5, 2), [1, 2, 5, 10]);
        assert_eq!(rounds(2, 1), [1, 2]);
        // 9 on the first split, 3 on the second, 1 on the eight others.
        assert_eq!(Search::default().trainings(9), 9 + 3 + 3 + 5);
    }
}
