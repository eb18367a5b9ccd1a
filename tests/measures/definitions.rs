//! Measures against plain loops over their definitions, on random embeddings of more than one block, in both precisions.

use arcos::Error;
use arcos::metrics::folds::fold_accuracy;
use arcos::metrics::identification::{cmc, cmc_among_distractors};
use arcos::metrics::k_means::k_means;
use arcos::metrics::mutual_information::normalized_mutual_information;
use arcos::metrics::open_set::{OpenSet, OpenSetOptions, measure};
use arcos::metrics::retrieval::retrieval;
use arcos::metrics::roc::Roc;
use arcos::metrics::verification::{Pair, all_pairs, scores};
use arcos::ops::IGNORE_LABEL;
use ndarray::{Array1, Array2, Axis, array};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Vectors of norm 1 whose inner products are exact in single precision, with many ties; labels, some of them none.
fn exact(rows: usize, classes: i64, seed: u64) -> (Array2<f32>, Array1<i64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let embeddings = Array2::from_shape_simple_fn((rows, 16), || if rng.random_bool(0.5) { 0.25 } else { -0.25 });
    let label = |row: usize| if row % 17 == 5 { IGNORE_LABEL } else { rng.random_range(0..classes) };
    (embeddings, (0..rows).map(label).collect())
}

fn similarities(a: &Array2<f32>, b: &Array2<f32>) -> Array2<f32> {
    a.dot(&b.t())
}

fn is_unmeasurable<T>(found: &arcos::Result<T>) -> bool {
    matches!(found, Err(Error::NotDefined { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn retrieval_of_plain_loops(rows in 4usize..700, classes in 2i64..40, seed: u64) {
        let (embeddings, labels) = exact(rows, classes, seed);
        let similarities = similarities(&embeddings, &embeddings);
        let (mut queries, mut recall, mut r_precision, mut map) = (0, [0, 0], 0.0, 0.0);
        for query in 0..rows {
            let r = (0..rows).filter(|&other| other != query && labels[other] == labels[query]).count();
            if labels[query] == IGNORE_LABEL || r == 0 {
                continue;
            }
            let mut others: Vec<usize> = (0..rows).filter(|&other| other != query).collect();
            others.sort_by(|&a, &b| similarities[[query, b]].total_cmp(&similarities[[query, a]]));
            let right: Vec<bool> = others.iter().map(|&other| labels[other] == labels[query]).collect();
            queries += 1;
            for (recall, k) in recall.iter_mut().zip([1, 5]) {
                *recall += usize::from(right.iter().take(k).any(|&right| right));
            }
            let precision = |i: usize| right[..i].iter().filter(|&&right| right).count() as f64 / i as f64;
            r_precision += precision(r);
            map += (1..=r).filter(|&i| right[i - 1]).map(precision).sum::<f64>() / r as f64;
        }
        let found = retrieval(embeddings.view(), labels.view(), &[1, 5]);
        if queries == 0 {
            prop_assert!(is_unmeasurable(&found));
            return Ok(());
        }
        let found = found.expect("queries");
        let share = |sum: f64| sum / queries as f64;
        prop_assert_eq!(found.queries, queries);
        prop_assert_eq!(found.recall[0].recall, share(recall[0] as f64));
        prop_assert_eq!(found.recall[1].recall, share(recall[1] as f64));
        prop_assert!((found.r_precision - share(r_precision)).abs() < 1e-12);
        prop_assert!((found.map_at_r - share(map)).abs() < 1e-12);
    }

    #[test]
    fn pairs_of_plain_loops(rows in 4usize..700, classes in 2i64..40, seed: u64) {
        let (embeddings, labels) = exact(rows, classes, seed);
        let similarities = similarities(&embeddings, &embeddings);
        let (mut scores, mut same) = (Vec::new(), Vec::new());
        for first in 0..rows {
            for second in first + 1..rows {
                if labels[first] != IGNORE_LABEL && labels[second] != IGNORE_LABEL {
                    scores.push(similarities[[first, second]]);
                    same.push(labels[first] == labels[second]);
                }
            }
        }
        let expected = Roc::new(&scores, &same);
        let found = all_pairs(embeddings.view(), labels.view());
        let (Ok(found), Ok(expected)) = (found, expected) else { return Err(TestCaseError::reject("one kind")) };
        prop_assert_eq!(&found.roc, &expected);
        prop_assert_eq!((found.genuine.total(), found.impostors.total()), (expected.genuine(), expected.impostors()));
    }

    #[test]
    fn ranks_of_plain_loops(probes in 1usize..600, others in 1usize..600, classes in 1i64..30, seed: u64) {
        let (probes, probe_labels) = exact(probes, classes, seed);
        let (gallery, gallery_labels) = exact(others, classes, seed ^ 1);
        let to_gallery = similarities(&probes, &gallery);
        let mut ranks = Vec::new();
        let mut among_distractors = Vec::new();
        let to_each_other = similarities(&probes, &probes);
        for (probe, &label) in probe_labels.iter().enumerate().filter(|(_, label)| **label != IGNORE_LABEL) {
            let (own, foreign): (Vec<usize>, Vec<usize>) = (0..gallery.nrows()).partition(|&row| gallery_labels[row] == label);
            let of = |rows: &[usize]| rows.iter().map(|&row| to_gallery[[probe, row]]).collect::<Vec<_>>();
            if let Some(best) = of(&own).into_iter().reduce(f32::max) {
                ranks.push(1 + of(&foreign).into_iter().filter(|&similarity| similarity >= best).count());
            }
            for mate in (0..probes.nrows()).filter(|&mate| mate != probe && probe_labels[mate] == label) {
                let nearer = |&&similarity: &&f32| similarity >= to_each_other[[probe, mate]];
                among_distractors.push(1 + to_gallery.row(probe).iter().filter(nearer).count());
            }
        }
        let found = cmc(probes.view(), probe_labels.view(), gallery.view(), gallery_labels.view(), 10);
        let found_distractors = cmc_among_distractors(probes.view(), probe_labels.view(), gallery.view(), 10);
        for (found, ranks) in [(found, ranks), (found_distractors, among_distractors)] {
            if ranks.is_empty() {
                prop_assert!(is_unmeasurable(&found));
                continue;
            }
            let found = found.expect("searches");
            prop_assert_eq!(found.searches, ranks.len());
            for rank in 1..=10 {
                let share = ranks.iter().filter(|&&found| found <= rank).count() as f64 / ranks.len() as f64;
                prop_assert_eq!(found.rate_at(rank), share);
            }
        }
    }
}

/// Rows around as many centres as there are classes, `spread` from them.
fn clusters(rows: usize, classes: usize, spread: f32, seed: u64) -> (Array2<f32>, Array1<i64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = |rows: usize| Array2::from_shape_simple_fn((rows, 24), || rng.random_range(-1.0f32..1.0));
    let (centres, noise) = (draw(classes), draw(rows));
    let labels: Vec<usize> = (0..rows).map(|row| row % classes).collect();
    (centres.select(Axis(0), &labels) + noise * spread, labels.into_iter().map(|label| label as i64).collect())
}

#[test]
fn clusters_that_lie_apart_are_found_and_measured_as_perfect() {
    let (embeddings, labels) = clusters(640, 20, 0.02, 7);
    let pairs = [Pair { first: 0, second: 20, same: true }, Pair { first: 0, second: 1, same: false }].repeat(10);
    let distractors = clusters(100, 50, 0.02, 8).0;
    let options =
        OpenSetOptions { pairs: Some(&pairs), distractors: Some(distractors.view()), ..OpenSetOptions::default() };
    let found = measure(embeddings.view(), labels.view(), &options).expect("measurable");
    assert_eq!(found.undefined(), []);
    let OpenSet { rows, classes, retrieval, nmi, all_pairs, given_pairs, enrolled, among_distractors } = found;
    let (retrieval, all_pairs) = (retrieval.expect("defined"), all_pairs.expect("defined"));
    assert_eq!((rows, classes, retrieval.queries), (640, 20, 640));
    assert_eq!((retrieval.map_at_r, nmi), (1.0, Some(Ok(1.0))));
    assert_eq!((all_pairs.roc.auc(), all_pairs.roc.eer()), (1.0, 0.0));
    assert_eq!(enrolled.map(|cmc| (cmc.searches, cmc.rate_at(1))), Ok((620, 1.0)));
    assert_eq!(among_distractors.expect("asked for").map(|cmc| (cmc.searches, cmc.rate_at(1))), Ok((640 * 31, 1.0)));
    assert_eq!(given_pairs.expect("asked for").1.map(|folds| folds.mean), Ok(1.0));
}

#[test]
fn the_same_measures_in_both_precisions_and_for_any_number_of_threads() {
    let (embeddings, labels) = clusters(1300, 100, 0.9, 3);
    let options = OpenSetOptions { clusters: false, ..OpenSetOptions::default() };
    let single = measure(embeddings.view(), labels.view(), &options).expect("measurable");
    let clustered = || measure(embeddings.view(), labels.view(), &OpenSetOptions::default()).expect("measurable");
    assert_eq!(clustered(), clustered());
    let double = OpenSetOptions { clusters: false, ..OpenSetOptions::default() };
    let double = measure(embeddings.mapv(f64::from).view(), labels.view(), &double).expect("measurable");
    let [map_of_single, map_of_double] =
        [&single, &double].map(|found| found.retrieval.as_ref().expect("defined").map_at_r);
    let [auc_of_single, auc_of_double] =
        [&single, &double].map(|found| found.all_pairs.as_ref().expect("defined").roc.auc());
    assert!((0.3..0.95).contains(&map_of_single), "{map_of_single}");
    assert!((map_of_single - map_of_double).abs() < 1e-4);
    assert!((auc_of_single - auc_of_double).abs() < 1e-5);
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        assert_eq!(pool.install(|| measure(embeddings.view(), labels.view(), &options)).expect("measurable"), single);
    }
}

#[test]
fn empty_clusters_get_a_row_and_impossible_numbers_are_refused() {
    // Three directions, four clusters: one is empty, however the first centres are drawn.
    let points = array![[1.0f64, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0], [-1.0, 0.0]];
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let found = k_means(points.view(), 4, 3, &mut rng).expect("enough rows");
    assert!(found.inertia < 1e-20 && found.centres.iter().all(|value| value.is_finite()), "{found:?}");
    for clusters in [0, 6] {
        let error = k_means(points.view(), clusters, 1, &mut rng).expect_err("no such clustering").to_string();
        assert!(error.contains(&format!("{clusters}; expected 1 to 5")), "{error}");
    }
}

#[test]
fn an_embedding_that_maps_all_rows_to_one_identifies_nobody() {
    // Whatever the rounding of a block's products and of single ones: the entries are not exact in binary.
    for dimension in [7, 128, 512] {
        let mut rng = ChaCha8Rng::seed_from_u64(dimension as u64);
        let row = Array1::from_shape_simple_fn(dimension, || rng.random_range(-1.0f32..1.0));
        let embeddings = row.broadcast((600, dimension)).expect("rows of that dimension").to_owned();
        let labels = Array1::from_shape_fn(600, |row| (row % 30) as i64);
        let gallery = embeddings.slice(ndarray::s![..30, ..]);
        let found = cmc(embeddings.view(), labels.view(), gallery, labels.slice(ndarray::s![..30]), 30).expect("mates");
        assert_eq!((found.searches, found.rate_at(29), found.rate_at(30)), (600, 0.0, 1.0));
        let found = cmc_among_distractors(embeddings.view(), labels.view(), gallery, 31).expect("mates");
        assert_eq!((found.searches, found.rate_at(30), found.rate_at(31)), (600 * 19, 0.0, 1.0));
    }
}

#[test]
fn a_measure_that_is_not_defined_leaves_the_others() {
    let embeddings = array![[1.0f64, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, -1.0]];
    let pairs = [Pair { first: 0, second: 1, same: true }, Pair { first: 0, second: 2, same: false }];
    let names = |labels: [i64; 4], pairs: Option<&[Pair]>| {
        let options = OpenSetOptions { pairs, ..OpenSetOptions::default() };
        let found = measure(embeddings.view(), Array1::from_iter(labels).view(), &options).expect("something is");
        found.undefined().into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert!(names([0, 0, 1, 1], None).is_empty());
    // One class: nobody to be told apart from.
    assert_eq!(names([0, 0, 0, 0], None), ["nmi", "all_pairs"]);
    // No class with two rows: nobody to be found.
    assert_eq!(names([0, 1, 2, 3], Some(&pairs)), ["retrieval", "all_pairs", "folds", "enrolled"]);
    // Without labels: pairs alone, and two are too few for ten folds.
    assert_eq!(names([-100; 4], Some(&pairs)), ["retrieval", "nmi", "all_pairs", "folds", "enrolled"]);
    // All impostors: their scores have no order to be judged by.
    assert_eq!(names([0, 0, 1, 1], Some(&pairs[1..])), ["given_pairs", "folds"]);

    let none = measure(embeddings.view(), array![0, 1, -100, -100].view(), &OpenSetOptions::default());
    let error = none.expect_err("two rows of two classes").to_string();
    assert!(error.starts_with("any measure of 2 labelled rows of 2 classes is not defined"), "{error}");
}

#[test]
fn ties_of_identical_rows_are_not_split_by_rounding() {
    for dimension in [7, 128, 512] {
        let mut rng = ChaCha8Rng::seed_from_u64(dimension as u64);
        let row = Array1::from_shape_simple_fn(dimension, || rng.random_range(-1.0f32..1.0));
        // The same direction with other lengths: the cosines are 1 up to rounding.
        let lengths = Array1::from_shape_simple_fn(600, || rng.random_range(0.1f32..10.0));
        let embeddings = Array2::from_shape_fn((600, dimension), |(number, column)| lengths[number] * row[column]);
        let pair =
            |number: usize| Pair { first: number, second: (number * 7 + 1) % 600, same: number.is_multiple_of(3) };
        let pairs: Vec<Pair> = (0..600).map(pair).collect();
        let scores = scores(embeddings.view(), &pairs).expect("rows");
        assert!(scores.iter().all(|score| (-1.0..=1.0).contains(score)));
        let same: Vec<bool> = pairs.iter().map(|pair| pair.same).collect();
        let roc = Roc::new(&scores, &same).expect("both kinds");
        assert_eq!((roc.auc(), roc.eer(), roc.thresholds.len()), (0.5, 0.5, 2));
        assert!(roc.thresholds[1] <= 1.0);
        let folds = fold_accuracy(&scores, &same, 10).expect("both kinds");
        assert!(folds.thresholds.iter().all(|threshold| threshold.is_infinite()), "{folds:?}");
        let labels = Array1::from_shape_fn(600, |number| (number % 30) as i64);
        let roc = all_pairs(embeddings.view(), labels.view()).expect("classes").roc;
        assert_eq!((roc.auc(), roc.thresholds.len()), (0.5, 2));
        // The lowest row numbers come first: 29 rows have 29 classes, 31 all; the first 30 rows find themselves left out.
        let found = retrieval(embeddings.view(), labels.view(), &[29, 31]).expect("classes");
        assert_eq!([found.recall[0].recall, found.recall[1].recall], [551.0 / 600.0, 572.0 / 600.0]);
    }
}

/// Two classes 1e-4 from one direction, their rows a hundredth of that from each other: cosines differ by 1e-9, and by 1e-13 in a class.
#[test]
fn classes_that_are_close_are_told_apart_by_all_pairs_as_by_pairs_that_are_given() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (rows, wide) in [(200, 0), (3000, 0), (3000, 100)] {
        let labels = Array1::from_shape_fn(rows, |row| (row % 2) as i64);
        let embeddings = Array2::from_shape_fn((rows, 8), |(row, column)| {
            let side = if column < 4 { 1e-4 } else { -1e-4 };
            // A few others are anywhere, and of no class that these have.
            match row < wide {
                true => rng.random_range(-1.0..1.0),
                false => 1.0 + if row % 2 == 0 { side } else { -side } + 1e-6 * rng.random_range(-1.0..1.0),
            }
        });
        let labels = Array1::from_shape_fn(rows, |row| if row < wide { 2 + row as i64 } else { labels[row] });
        let roc = all_pairs(embeddings.view(), labels.view()).expect("classes").roc;
        assert!(roc.auc() > 0.9999 && roc.eer() < 1e-4, "{rows} {wide}: {} {}", roc.auc(), roc.eer());
        assert_eq!(roc.tar_at_far(1e-3), Some(1.0));
        let labelled = rows - wide;
        let same = |row: usize| Pair { first: wide + row, second: wide + (row + 2) % labelled, same: true };
        let other = |row: usize| Pair { first: wide + row, second: wide + (row + 1) % labelled, same: false };
        let pairs: Vec<Pair> = (0..labelled).flat_map(|row| [same(row), other(row)]).collect();
        let same: Vec<bool> = pairs.iter().map(|pair| pair.same).collect();
        let given = Roc::new(&scores(embeddings.view(), &pairs).expect("rows"), &same).expect("both kinds");
        assert_eq!(given.auc(), 1.0);
    }
}

#[test]
fn what_cannot_be_measured_is_said() {
    let labels = array![0, 0, 1];
    let embeddings = array![[1.0f32, 0.0], [0.0, 0.0], [1.0, 1.0]];
    let said = |embeddings: &Array2<f32>, labels: &Array1<i64>| {
        retrieval(embeddings.view(), labels.view(), &[1]).expect_err("not measurable").to_string()
    };
    assert!(said(&embeddings, &labels).contains("embeddings row 1 has norm 0"), "{}", said(&embeddings, &labels));
    assert!(said(&embeddings, &array![0, 1]).contains("labels has shape [2]"), "{}", said(&embeddings, &array![0, 1]));
    let error = normalized_mutual_information(&[1, 2], &[1]).expect_err("not the same rows").to_string();
    assert_eq!(error, "the second partition has shape [1]; expected (2,), a part for each row");
    let gallery = Array2::zeros((3, 5));
    let error = cmc(embeddings.view(), labels.view(), gallery.view(), labels.view(), 5).expect_err("3 columns");
    assert!(error.to_string().contains("gallery has shape [3, 5]"), "{error}");
}
