//! The best of many configurations, by cross-validation on the training rows.
//!
//! All candidates are trained on the rows outside one fold and tried on those inside; the better part of them goes on to further folds, until a few
//! have been tried on all folds of all repeats (successive halving: Jamieson and Talwalkar 2016, *Non-stochastic Best Arm Identification and
//! Hyperparameter Optimization*, with folds as what is spent). Of those the simplest within one standard error of the best is chosen (Breiman,
//! Friedman, Olshen, Stone 1984, *Classification and Regression Trees*, section 3.4.3).

use super::{StoredHead, TrainConfig, Trainer};
use crate::data::{Dataset, Transform, TransformKind, stratified_folds};
use crate::metrics::significance::mean_and_deviation;
use crate::ops::IGNORE_LABEL;
use crate::wording::counted;
use crate::{Error, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const MOST_REPEATS: usize = 1000;

/// How candidates are told from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Folds of a repeat, at least 2.
    pub folds: usize,
    /// How often rows are drawn into folds anew, 1 to 1000.
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
    /// Rows of the fold that it has right; `None` where training failed.
    pub right: Option<usize>,
    /// Labelled rows of the fold.
    pub rows: usize,
}

impl Trial {
    /// The share of rows that it has right: 0 where training failed.
    pub fn accuracy(&self) -> f64 {
        self.right.unwrap_or(0) as f64 / self.rows.max(1) as f64
    }
}

/// What is known of a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CandidateScore {
    /// Its number.
    pub candidate: usize,
    /// Splits that it was tried on.
    pub splits: usize,
    /// Those of them on which its training failed, each an accuracy of 0.
    pub failed: usize,
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
    /// Whether it was stopped before its last trial.
    pub is_stopped: bool,
    /// The first of the candidates that are within one standard error of the most accurate, among those with the most splits.
    pub chosen: usize,
}

impl Search {
    /// How many splits each round's candidates have been tried on at its end: one, two, a repeat, all.
    fn rounds(&self) -> Vec<usize> {
        let mut rounds = vec![1, 2, self.folds, self.folds.saturating_mul(self.repeats)];
        rounds.dedup();
        rounds
    }

    /// How many trainings a search among so many candidates takes.
    pub fn trainings(&self, candidates: usize) -> usize {
        let (mut left, mut before, mut trainings) = (candidates, 0, 0usize);
        for splits in self.rounds() {
            trainings = left.saturating_mul(splits - before).saturating_add(trainings);
            before = splits;
            left = left.div_ceil(self.halving);
        }
        trainings
    }

    /// Tries `candidates`, the simplest first, in an order of the seed's. `known` are trials of an earlier, stopped search over the same candidates
    /// and rows, which are not made again. `on_trial` is called after each new trial, on one thread at a time, with what ended a training that
    /// failed. `is_over` is asked before every batch, on several threads; once it says so, trainings under way are given up, and the result is of the
    /// trials that there are.
    ///
    /// # Errors
    /// [`Error::Setting`]; those of [`TrainConfig::check`] and of the transforms; [`Error::NotDefined`] where
    /// every training failed.
    pub fn run<H: StoredHead>(
        &self,
        candidates: &[TrainConfig<H>],
        train: &Dataset,
        known: &[Trial],
        mut on_trial: impl FnMut(Trial, Option<&Error>) + Send,
        is_over: impl Fn() -> bool + Sync,
    ) -> Result<SearchResult> {
        self.check(candidates.len())?;
        candidates.iter().try_for_each(|candidate| candidate.check(train.classes()))?;
        self.check_known(train, known)?;
        let train = &*train.rows_that_count()?;
        let known: BTreeMap<(usize, usize), Trial> =
            known.iter().map(|&trial| ((trial.split, trial.candidate), trial)).collect();
        let first_failure = Mutex::new(None);
        let on_trial = Mutex::new(|trial: Trial, failure: Option<Error>| {
            on_trial(trial, failure.as_ref());
            let mut first_failure = unlocked(&first_failure);
            *first_failure = first_failure.take().or(failure);
        });
        let mut trials: Vec<Trial> = Vec::new();
        // A search that is stopped early has seen some of everything.
        let mut left: Vec<usize> = (0..candidates.len()).collect();
        left.shuffle(&mut ChaCha8Rng::seed_from_u64(self.seed));
        let (mut from, mut is_stopped) = (0, false);
        'rounds: for to in self.rounds() {
            for number in from..to {
                let (old, new): (Vec<usize>, Vec<usize>) =
                    left.iter().partition(|&&candidate| known.contains_key(&(number, candidate)));
                trials.extend(old.iter().map(|&candidate| known[&(number, candidate)]));
                if !new.is_empty() {
                    let split = self.split(train, number)?;
                    let tried = tried(candidates, &new, train, &split, &on_trial, &is_over)?;
                    is_stopped = tried.len() < new.len();
                    trials.extend(tried);
                }
                if is_stopped {
                    break 'rounds;
                }
            }
            from = to;
            let mut scores = scores(&trials);
            scores.retain(|score| left.contains(&score.candidate));
            scores.truncate(left.len().div_ceil(self.halving));
            left = scores.iter().map(|score| score.candidate).collect();
        }
        if !trials.is_empty() && trials.iter().all(|trial| trial.right.is_none()) {
            let first = unlocked(&first_failure).take().map_or(String::new(), |failure| format!(" ({failure})"));
            return Err(Error::NotDefined {
                what: "the best candidate",
                found: format!("{} that failed{first}", counted(trials.len(), "training")),
                expected: "one that comes to its end",
            });
        }
        result(&trials, is_stopped)
    }

    /// Checks the settings of a search among so many candidates.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check(&self, candidates: usize) -> Result<()> {
        let at_least = |name, value: usize, least: usize| match value < least {
            true => Err(Error::Setting { name, value: value.to_string(), expected: format!("at least {least}") }),
            false => Ok(()),
        };
        at_least("candidates", candidates, 1)?;
        at_least("folds", self.folds, 2)?;
        at_least("repeats", self.repeats, 1)?;
        at_least("halving", self.halving, 2)?;
        match self.repeats > MOST_REPEATS {
            true => {
                let expected = format!("at most {MOST_REPEATS}");
                Err(Error::Setting { name: "repeats", value: self.repeats.to_string(), expected })
            }
            false => Ok(()),
        }
    }

    /// Checks that `known` trials can be of a search like this one on these rows.
    ///
    /// # Errors
    /// [`Error::Setting`]; as [`run`](Self::run) for folds and rows that do not go together.
    pub fn check_known(&self, train: &Dataset, known: &[Trial]) -> Result<()> {
        let train = train.rows_that_count()?;
        let mut rows_of_splits = BTreeMap::new();
        for &Trial { split, right, rows, .. } in known {
            let impossible = |value, expected| Err(Error::Setting { name: "a known trial", value, expected });
            if split / self.folds >= self.repeats {
                let splits = self.folds * self.repeats;
                return impossible(format!("of split {split}"), format!("one of the {splits} from 0"));
            }
            let of_split = match rows_of_splits.get(&split) {
                Some(&rows) => rows,
                None => {
                    let Split { inside, .. } = self.split(&train, split)?;
                    let labelled = inside.iter().filter(|&&row| train.labels[row] != IGNORE_LABEL).count();
                    *rows_of_splits.entry(split).or_insert(labelled)
                }
            };
            if rows != of_split || right.is_some_and(|right| right > rows) {
                let found = format!("{} right of {rows} rows in split {split}", right.unwrap_or(0));
                return impossible(found, format!("at most all of {of_split} rows"));
            }
        }
        Ok(())
    }

    /// Which rows a split holds out.
    fn split(&self, train: &Dataset, number: usize) -> Result<Split> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream((number / self.folds) as u64);
        let fold_of_row = stratified_folds(train.labels.view(), self.folds, &mut rng)?;
        let held_out = number % self.folds;
        let (inside, outside) = (0..fold_of_row.len()).partition(|&row| fold_of_row[row] == held_out);
        Ok(Split { number, inside, outside })
    }
}

/// Rows to try on, and rows to train on.
struct Split {
    number: usize,
    inside: Vec<usize>,
    outside: Vec<usize>,
}

/// The trials of some candidates on one split, side by side, each on one thread: their batches are small.
fn tried<H: StoredHead>(
    candidates: &[TrainConfig<H>],
    numbers: &[usize],
    train: &Dataset,
    split: &Split,
    on_trial: &Mutex<impl FnMut(Trial, Option<Error>) + Send>,
    is_over: &(impl Fn() -> bool + Sync),
) -> Result<Vec<Trial>> {
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
    let rows = inside.rows() - inside.unlabelled_rows();
    let rows_right = |number: usize| {
        let config = &candidates[number];
        let of_kind = transformed.iter().find(|(kind, ..)| *kind == config.transform);
        let (_, outside, inside) = of_kind.expect("features of every candidate are transformed");
        rows_right(config, outside, inside, is_over)
    };
    // Threads outside any pool: a worker of rayon's that waits for another pool would begin further trials meanwhile.
    let pool = || rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pools = (0..rayon::current_num_threads().min(numbers.len())).map(|_| pool()).collect::<Result<Vec<_>, _>>();
    let pools = pools.map_err(|error| Error::io("start", "threads", std::io::Error::other(error)))?;
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(&candidate) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
            // Diverged, or with a class vector of no direction: as bad as can be, but no reason to give up the others.
            let (right, failure) = match rows_right(candidate) {
                Ok(None) => break,
                Ok(right) => (right, None),
                Err(error) => (None, Some(error)),
            };
            let trial = Trial { candidate, split: split.number, right, rows };
            unlocked(on_trial)(trial, failure);
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

/// What a mutex holds, be it after another thread's panic: that is passed on by the scope.
fn unlocked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Labelled rows of `inside` that a training on `outside` has right, or `None` once `is_over`; both are transformed.
fn rows_right<H: StoredHead>(
    config: &TrainConfig<H>,
    outside: &Dataset,
    inside: &Dataset,
    is_over: &(impl Fn() -> bool + Sync),
) -> Result<Option<usize>> {
    let config = TrainConfig { transform: TransformKind::None, ..config.clone() };
    let mut trainer = Trainer::new(config, outside.clone(), None)?;
    while !trainer.is_done() {
        if is_over() {
            return Ok(None);
        }
        trainer.run_epoch_or_pause(|_| if is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })?;
    }
    let predicted = trainer.model().predictions(inside)?;
    Ok(Some(inside.labels.iter().zip(predicted).filter(|&(&label, class)| label == class as i64).count()))
}

/// Every candidate's score, those with the most splits first, among these the most accurate, of equals the first.
fn scores(trials: &[Trial]) -> Vec<CandidateScore> {
    let mut of_candidates: BTreeMap<usize, Vec<Trial>> = BTreeMap::new();
    trials.iter().for_each(|&trial| of_candidates.entry(trial.candidate).or_default().push(trial));
    let score = |(candidate, trials): (usize, Vec<Trial>)| {
        let accuracies: Vec<f64> = trials.iter().map(Trial::accuracy).collect();
        let (accuracy, deviation) = mean_and_deviation(&accuracies);
        let standard_error = deviation.map(|deviation| deviation / (accuracies.len() as f64).sqrt());
        let failed = trials.iter().filter(|trial| trial.right.is_none()).count();
        CandidateScore { candidate, splits: accuracies.len(), failed, accuracy, standard_error }
    };
    let mut scores: Vec<_> = of_candidates.into_iter().map(score).collect();
    scores.sort_by(|a, b| b.splits.cmp(&a.splits).then(b.accuracy.total_cmp(&a.accuracy)));
    scores
}

fn result(trials: &[Trial], is_stopped: bool) -> Result<SearchResult> {
    let scores = scores(trials);
    let Some(best) = scores.first() else {
        let (name, expected) = ("trials", "at least one before the search is stopped".into());
        return Err(Error::Setting { name, value: "0".into(), expected });
    };
    let least = best.accuracy - best.standard_error.unwrap_or(0.0);
    let alike = scores.iter().filter(|score| score.splits == best.splits && score.accuracy >= least);
    let chosen = alike.map(|score| score.candidate).min().expect("the best is within an error of itself");
    Ok(SearchResult { scores, is_stopped, chosen })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(candidate: usize, split: usize, right: usize) -> Trial {
        Trial { candidate, split, right: Some(right), rows: 10 }
    }

    #[test]
    fn the_simplest_within_one_standard_error_of_the_best_is_chosen() {
        // Means 0.75, 0.8 and 0.85; the error of the last is 0.05.
        let of = |candidate: usize, right: [usize; 2]| {
            right.into_iter().enumerate().map(move |(s, r)| trial(candidate, s, r))
        };
        let trials: Vec<_> = of(0, [7, 8]).chain(of(1, [8, 8])).chain(of(2, [8, 9])).chain([trial(3, 0, 10)]).collect();
        let found = result(&trials, false).expect("trials");
        assert_eq!(found.scores.iter().map(|score| score.candidate).collect::<Vec<_>>(), [2, 1, 0, 3]);
        assert_eq!(found.chosen, 1, "{found:?}");
        assert!((found.scores[0].standard_error.expect("two splits") - 0.05).abs() < 1e-12);
        assert!(result(&[], true).is_err());
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
