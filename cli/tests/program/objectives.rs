//! Objectives other than the mean cross-entropy, in `grad` and `train`.

use super::command::{arcos, complaint, stdout};
use super::program::{last_tensors, with_data};
use arcos::heads::CosFace;
use arcos::ops::{Objective, Reduction, SoftTargets, class_weights};
use arcos::train::read_history;
use arcos::{Head, Parameters};
use ndarray::{Array0, Array1, Array2, Axis, array};
use ndarray_npy::{read_npy, write_npy};

#[test]
fn grad_takes_every_part_of_an_objective() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = |name: &str| directory.path().join(name);
    let features = array![[1.0, 2.0, -0.5], [-1.0, 0.5, 2.0], [0.3, -0.4, 1.0]];
    let weights = array![[1.0, 0.0, 0.2], [0.3, 1.0, 0.0], [-1.0, 0.5, 0.4]];
    let (labels, sample_weights, of_classes) = (array![2, 1, 1], array![1.0, 0.5, 3.0], array![0.5, 2.0, 1.0]);
    let (soft_classes, soft) = (array![[2, 0], [1, 2], [0, 2]], array![[0.7, 0.3], [0.9, 0.1], [0.6, 0.4]]);
    write_npy(path("x.npy"), &features).expect("writable");
    write_npy(path("w.npy"), &weights).expect("writable");
    write_npy(path("y.npy"), &labels).expect("writable");
    write_npy(path("s.npy"), &sample_weights).expect("writable");
    write_npy(path("c.npy"), &of_classes).expect("writable");
    write_npy(path("classes.npy"), &soft_classes).expect("writable");
    write_npy(path("soft.npy"), &soft).expect("writable");
    let mut dense = Array2::<f64>::zeros((3, 3));
    for ((row, place), &class) in soft_classes.indexed_iter() {
        dense[[row, class as usize]] = soft[[row, place]];
    }
    write_npy(path("dense.npy"), &dense).expect("writable");
    let base = ["grad", "--head", "cosface", "--scale", "8", "--features", "x.npy", "--weights", "w.npy"];
    let grad =
        |more: &[&str]| arcos(directory.path(), &[&base[..], &["--labels", "y.npy", "--out", "out"], more].concat());
    let of_program = || {
        let read = |name: &str| -> Array2<f64> { read_npy(path("out").join(name)).expect(name) };
        (read("d_features.npy"), read("d_weights.npy"))
    };
    let head = CosFace { scale: arcos::heads::Scale::Fixed(8.0), ..CosFace::default() };
    let parameters = Parameters::from(weights.clone());
    let of_library = |objective: Objective<f64>| {
        let (loss, cache) = head.forward(features.view(), &parameters, objective).expect("well-formed");
        let row_losses = cache.row_losses.clone();
        let gradients = head.backward(cache);
        (loss, row_losses, (gradients.d_features, gradients.d_weights))
    };

    let everything = Objective {
        label_smoothing: 0.1,
        focal: 2.0,
        z_loss: 0.01,
        class_weights: Some(of_classes.view()),
        sample_weights: Some(sample_weights.view()),
        soft_targets: Some(SoftTargets { classes: soft_classes.view(), probabilities: soft.view() }),
        ..labels.view().into()
    };
    let options = ["--label-smoothing", "0.1", "--focal", "2", "--z-loss", "0.01", "--class-weights", "c.npy"];
    let options = [&options[..], &["--sample-weights", "s.npy", "--soft-targets"]].concat();
    let sparse = [&options[..], &["soft.npy", "--soft-classes", "classes.npy"]].concat();
    stdout(&grad(&sparse));
    let (loss, _, gradients) = of_library(everything);
    assert_eq!(read_npy::<_, Array0<f64>>(path("out/loss.npy")).expect("0-d")[()], loss);
    assert_eq!(of_program(), gradients);
    stdout(&grad(&[&options[..], &["dense.npy"]].concat()));
    assert!((of_program().0 - &gradients.0).iter().all(|difference| difference.abs() < 1e-15));

    let (sum, row_losses, gradients) = of_library(Objective { reduction: Reduction::Sum, ..everything });
    stdout(&grad(&[&sparse[..], &["--reduction", "none"]].concat()));
    assert_eq!(read_npy::<_, Array1<f64>>(path("out/loss.npy")).expect("a vector"), row_losses);
    assert_eq!(of_program(), gradients);
    stdout(&grad(&[&sparse[..], &["--reduction", "sum"]].concat()));
    assert_eq!(read_npy::<_, Array0<f64>>(path("out/loss.npy")).expect("0-d")[()], sum);

    let inverse = class_weights::inverse_frequency(&[0, 2, 1]);
    stdout(&grad(&["--class-weights", "inverse"]));
    assert_eq!(of_program(), of_library(Objective { class_weights: Some(inverse.view()), ..labels.view().into() }).2);

    for (options, expected) in [
        (&["--class-weights", "s.npy,"][..], "--class-weights is s.npy,; expected inverse, effective, or effective:B"),
        (&["--class-weights", "effective:2"], "class weights is effective:2; expected inverse"),
        (&["--sample-weights", "soft.npy"], "soft.npy"),
        (&["--label-smoothing", "1"], "label smoothing is 1; expected a number from 0 to below 1"),
        (&["--soft-targets", "s.npy"], "s.npy"),
        (&["--soft-targets", "soft.npy"], "soft.npy: soft targets has shape [3, 2]; expected (rows, 3), a column"),
        (&["--soft-classes", "classes.npy"], "--soft-targets"),
    ] {
        let output = grad(options);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && message.contains(expected), "{options:?}: {message}");
    }
    write_npy(path("negative.npy"), &-&soft).expect("writable");
    write_npy(path("twice.npy"), &(&soft * 2.0)).expect("writable");
    write_npy(path("halves.npy"), &soft_classes.mapv(|class| class as f64 + 0.5)).expect("writable");
    write_npy(path("far.npy"), &(&soft_classes + 7)).expect("writable");
    for (options, expected) in [
        (["classes.npy", "negative.npy"], "negative.npy: soft targets' probabilities[0] is -0.7; expected"),
        (["classes.npy", "twice.npy"], "twice.npy: soft targets' probability is 2; expected 1, the sum"),
        (["far.npy", "soft.npy"], "far.npy: a class of soft targets is 9; expected 0 to 2"),
        (["halves.npy", "soft.npy"], "halves.npy: holds 2.5; expected numbers of classes"),
        (["classes.npy", "dense.npy"], "dense.npy: soft targets' probabilities has shape [3, 3]; expected (3, 2)"),
        (["classes.npy", "x.npy"], "x.npy: soft targets' probabilities"),
    ] {
        let [classes, probabilities] = options;
        let message = complaint(&grad(&["--soft-classes", classes, "--soft-targets", probabilities]), 1);
        assert!(message.contains(expected), "{message}");
    }
    write_npy(path("s.npy"), &array![1.0, -1.0, 1.0]).expect("writable");
    let negative = complaint(&grad(&["--sample-weights", "s.npy"]), 1);
    assert!(negative.contains("s.npy: sample_weights[1] is -1; expected a number from 0 to 1e15"), "{negative}");
}

#[test]
fn a_run_with_an_objective_resumes_to_the_same_bits_and_no_other_objective() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let weights = Array1::from_shape_fn(160, |row| 0.5 + (row % 4) as f32);
    write_npy(at("s.npy"), &weights).expect("writable");
    write_npy(at("c.npy"), &Array1::from_shape_fn(8, |class| 1.0 + class as f32)).expect("writable");
    let begin = ["train", "--head", "arcface", "--scale", "16", "--data", "data", "--sample-weights", "s.npy"];
    let objective = ["--label-smoothing", "0.1", "--focal", "1.5", "--z-loss", "1e-3", "--class-weights", "c.npy"];
    let begin = [&begin[..], &objective].concat();
    let run = |more: &[&str]| stdout(&arcos(directory.path(), &[&begin[..], more].concat()));
    run(&["--epochs", "4", "--out", "whole"]);
    run(&["--epochs", "2", "--out", "parts"]);
    run(&["--epochs", "4", "--out", "explicit", "--kernel", "explicit"]);
    // A job's script gives all of it again; where a file is does not matter.
    let elsewhere = ["train", "--resume", "--out", "../parts", "--epochs", "3", "--class-weights", "../data/../c.npy"];
    stdout(&arcos(&at("data"), &elsewhere));
    run(&["--epochs", "4", "--out", "parts", "--resume-or-start"]);
    assert!(last_tensors(&at("parts")) == last_tensors(&at("whole")), "the tensors differ");
    let losses = |run: &str| -> Vec<f64> {
        let history = read_history(&at(run).join("history.csv")).expect("a history");
        history.iter().map(|epoch| epoch.train_loss).collect()
    };
    for (streamed, explicit) in losses("whole").into_iter().zip(losses("explicit")) {
        approx::assert_relative_eq!(streamed, explicit, max_relative = 1e-4);
    }

    let resume = |more: &[&str], code| {
        let resume = ["train", "--resume", "--out", "whole", "--epochs", "5"];
        complaint(&arcos(directory.path(), &[&resume[..], more].concat()), code)
    };
    let message = resume(&["--label-smoothing", "0.2", "--class-weights", "inverse"], 2);
    let differences =
        "label smoothing is 0.2, the run has 0.1; class weights is inverse, the run has 8 numbers of a file";
    assert!(message.contains(differences), "{message}");
    write_npy(at("s.npy"), &(weights + 1.0)).expect("writable");
    assert!(resume(&[], 1).contains("the training sample weights are others"));
}

#[test]
fn rows_of_weight_0_take_no_part() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let labels: Array1<i64> = read_npy(at("data/train_labels.npy")).expect("labels");
    let counts = |row: usize| !row.is_multiple_of(3);
    write_npy(at("s.npy"), &Array1::from_shape_fn(160, |row| f32::from(counts(row)))).expect("writable");
    let kept: Vec<usize> = (0..160).filter(|&row| counts(row)).collect();
    let mut features: Array2<f32> = read_npy(at("data/train_features.npy")).expect("features");
    // Were they to count, the mean and the deviation of features would be others.
    (0..160).filter(|&row| !counts(row)).for_each(|row| features[[row, 0]] += 100.0);
    write_npy(at("data/train_features.npy"), &features).expect("writable");
    write_npy(at("kept_features.npy"), &features.select(Axis(0), &kept)).expect("writable");
    write_npy(at("kept.npy"), &labels.select(Axis(0), &kept)).expect("writable");
    let train = |[features, labels]: [&str; 2], out: &str, more: &[&str]| {
        let begin = ["train", "--head", "adacos", "--transform", "standardise", "--epochs", "2"];
        let data = ["--train-features", features, "--train-labels", labels, "--out", out];
        arcos(directory.path(), &[&begin[..], &data, more].concat())
    };
    let (all, kept) = (["data/train_features.npy", "data/train_labels.npy"], ["kept_features.npy", "kept.npy"]);
    for (weighted, fewer, more) in [("weighted", "fewer", &[][..]), ("both", "few", &["--class-weights", "inverse"])] {
        stdout(&train(all, weighted, &[&["--sample-weights", "s.npy"], more].concat()));
        stdout(&train(kept, fewer, more));
        assert!(last_tensors(&at(weighted)) == last_tensors(&at(fewer)), "the tensors differ with {more:?}");
    }

    write_npy(at("s.npy"), &Array1::<f32>::zeros(160)).expect("writable");
    let message = complaint(&train(all, "none", &["--sample-weights", "s.npy"]), 2);
    assert!(message.contains("the weight of every row is 0; expected above 0"), "{message}");
    write_npy(at("s.npy"), &Array1::<f32>::ones(159)).expect("writable");
    let message = complaint(&train(all, "short", &["--sample-weights", "s.npy"]), 1);
    assert!(message.contains("s.npy: sample_weights has shape [159]; expected (160,)"), "{message}");
    let message = complaint(&train(all, "classes", &["--class-weights", "s.npy"]), 1);
    let expected = "s.npy: class_weights has shape [159]; expected (8,), one for each class";
    assert!(message.contains(expected), "{message}");
    let compare =
        ["compare", "--data", "data", "--heads", "softmax,arcface", "--class-weights", "s.npy", "--out", "of"];
    let message = complaint(&arcos(directory.path(), &compare), 1);
    assert!(message.contains(expected), "{message}");
}
