//! `--penalty`: what the library's penalties add to the loss and gradients of `grad`, and to training.

use super::command::{arcos, complaint, stdout};
use super::program::{last_tensors, with_data};
use arcos::penalties::{center_loss, inter, intra, regularface, triplet};
use ndarray::{Array0, Array1, Array2, array};
use ndarray_npy::{read_npy, write_npy};
use std::path::Path;

const GRAD: [&str; 9] = ["grad", "--head", "arcface", "--features", "x.npy", "--weights", "w.npy", "--labels", "y.npy"];

type Gradients = (f64, Array2<f64>, Array2<f64>);

fn batch(directory: &Path) -> (Array2<f64>, Array2<f64>, Array1<i64>) {
    let x = Array2::from_shape_fn((6, 3), |(row, column)| ((row * 5 + column * 3) % 7) as f64 - 2.5);
    let w = Array2::from_shape_fn((4, 3), |(row, column)| ((row * 3 + column * 2) % 5) as f64 - 1.3);
    let y = array![0i64, 1, 0, -100, 1, 3];
    write_npy(directory.join("x.npy"), &x).expect("writable");
    write_npy(directory.join("w.npy"), &w).expect("writable");
    write_npy(directory.join("y.npy"), &y).expect("writable");
    (x, w, y)
}

fn gradients(directory: &Path, out: &str, more: &[&str]) -> Gradients {
    stdout(&arcos(directory, &[&GRAD[..], &["--out", out], more].concat()));
    let at = |name: &str| directory.join(out).join(name);
    let loss: Array0<f64> = read_npy(at("loss.npy")).expect("written");
    let read = |name: &str| -> Array2<f64> { read_npy(at(name)).expect("written") };
    (loss[()], read("d_features.npy"), read("d_weights.npy"))
}

#[test]
fn penalties_are_added_times_their_weights() -> arcos::Result<()> {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path();
    let (x, w, y) = batch(path);
    let (x, w, y) = (x.view(), w.view(), y.view());
    let plain = gradients(path, "plain", &[]);
    let of_intra = {
        let (loss, cache) = intra::forward(x, w, y)?;
        let gradients = intra::backward(&cache);
        (loss, gradients.d_features, gradients.d_weights)
    };
    let (loss, cache) = inter::forward(w, y)?;
    let of_inter = (loss, Array2::zeros(x.dim()), inter::backward(&cache));
    let (loss, cache) = triplet::forward(x, y, 0.7)?;
    let of_triplet = (loss, triplet::backward(&cache), Array2::zeros(w.dim()));
    let (loss, cache) = regularface::forward(w)?;
    let of_regularface = (loss, Array2::zeros(x.dim()), regularface::backward(&cache));
    let centres = Array2::from_shape_fn((4, 3), |(row, column)| ((row + 2 * column) % 3) as f64 - 0.7);
    write_npy(path.join("c.npy"), &centres).expect("writable");
    let (loss, cache) = center_loss::forward(x, centres.view(), y)?;
    let of_center_loss = (loss, center_loss::backward(&cache), Array2::zeros(w.dim()));
    assert!(of_triplet.0 > 0.0);

    let add = |to: Gradients, weight: f64, of: &Gradients| {
        (to.0 + weight * of.0, to.1 + weight * &of.1, to.2 + weight * &of.2)
    };
    let check = |options: &[&str], added: &[(f64, &Gradients)]| {
        let found = gradients(path, "with", options);
        let expected = added.iter().fold(plain.clone(), |to, &(weight, of)| add(to, weight, of));
        approx::assert_relative_eq!(found.0, expected.0, max_relative = 1e-14);
        for (found, expected) in [(&found.1, &expected.1), (&found.2, &expected.2)] {
            assert!((found - expected).iter().all(|difference| difference.abs() < 1e-14), "{options:?}");
        }
    };
    check(&["--penalty", "intra"], &[(1.0, &of_intra)]);
    check(&["--penalty", "inter:2.5"], &[(2.5, &of_inter)]);
    check(&["--penalty", "triplet:0.5:margin=0.7"], &[(0.5, &of_triplet)]);
    let both = [(3.0, &of_regularface), (0.25, &of_intra)];
    check(&["--penalty", "regularface:3", "--penalty", "intra:0.25"], &both);
    check(&["--penalty", "regularface:3,intra:0.25"], &both);
    check(&["--penalty", "center-loss:0.1", "--center-loss-centres", "c.npy"], &[(0.1, &of_center_loss)]);
    Ok(())
}

#[test]
fn what_is_no_penalty_is_refused() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path();
    batch(path);
    let refused = |more: &[&str]| {
        let message = complaint(&arcos(path, &[&GRAD[..], &["--out", "none"], more].concat()), 2);
        assert!(!path.join("none").exists(), "{more:?}");
        message
    };
    for wrong in ["intro", "triplet", "intra:1:margin=0.3", ""] {
        assert!(refused(&["--penalty", wrong]).contains("expected NAME[:WEIGHT] with NAME one of intra"), "{wrong}");
    }
    for wrong in ["0", "-1", "NaN", "inf", "x"] {
        let message = refused(&["--penalty", &format!("intra:{wrong}")]);
        assert!(message.contains("expected a weight that is a number above 0"), "{message}");
    }
    let message = refused(&["--penalty", "center-loss"]);
    assert!(message.contains("expected --center-loss-centres beside it"), "{message}");
    let message = refused(&["--penalty", "intra", "--center-loss-centres", "w.npy"]);
    assert!(message.contains("--center-loss-centres is w.npy; expected --penalty center-loss beside it"), "{message}");
    let message = refused(&["--penalty", "intra", "--reduction", "none"]);
    assert!(message.contains("--reduction is none; expected mean or sum with --penalty"), "{message}");
    let sub_centers = ["grad", "--head", "sub-center-arcface", "--centres", "2"];
    for (penalty, is_taken) in [("inter", false), ("intra", false), ("regularface", true), ("centre-distance", true)] {
        let more = ["--features", "x.npy", "--weights", "w.npy", "--labels", "two.npy", "--out", penalty];
        write_npy(path.join("two.npy"), &array![0i64, 1, 0, -100, 1, 1]).expect("writable");
        let output = arcos(path, &[&sub_centers[..], &more, &["--penalty", penalty]].concat());
        match is_taken {
            true => drop(stdout(&output)),
            false => {
                let message = complaint(&output, 2);
                assert!(
                    message.contains("a penalty of heads with 2 centres a class: any but intra and inter"),
                    "{message}"
                );
            }
        }
    }
}

#[test]
fn runs_are_trained_with_penalties_and_know_them() {
    let directory = with_data();
    let run = |arguments: &[&str]| arcos(directory.path(), arguments);
    let train = ["train", "--head", "adacos", "--data", "data", "--epochs", "2"];
    let penalties = ["--embed", "8", "--penalty", "center-loss:0.01,regularface:0.5"];
    stdout(&run(&[&train[..], &penalties, &["--out", "whole"]].concat()));
    stdout(&run(&[&train[..4], &["data", "--epochs", "1", "--out", "parts"], &penalties].concat()));
    let resume = ["train", "--resume", "--out", "parts", "--epochs", "2"];
    stdout(&run(&[&resume[..], &["--penalty", "center-loss:1e-2", "--penalty", "regularface:0.5"]].concat()));
    assert!(last_tensors(&directory.path().join("parts")) == last_tensors(&directory.path().join("whole")));
    stdout(&run(&[&train[..], &["--embed", "8", "--out", "without"]].concat()));
    assert!(last_tensors(&directory.path().join("without")) != last_tensors(&directory.path().join("whole")));
    let message = complaint(&run(&[&resume[..], &["--penalty", "intra"]].concat()), 2);
    assert!(message.contains("penalty is intra, the run has center-loss:0.01,regularface:0.5"), "{message}");
    let message = complaint(&run(&[&train[..], &["--penalty", "triplet:1:margin=0.3", "--out", "none"]].concat()), 2);
    assert!(message.contains("penalty is triplet:1:margin=0.3; expected an embedder beside it"), "{message}");
    assert!(!directory.path().join("none").exists());
}
