//! Classes of a trained model that come, go, become one, or get another label.

use super::birds::{birds, run};
use super::training::config;
use arcos::data::{ClassTable, Dataset, Features, Label, Labels};
use arcos::heads::Scale;
use arcos::train::{Model, Trainer};
use arcos::{AnyHead, Error, Head};
use ndarray::{Array, Array1, Array2, Axis, Dimension, s};

/// The labels of classes 0 to 9: with gaps, in order.
const LABELS: [i64; 10] = [3, 7, 8, 11, 20, 21, 22, 30, 44, 50];

/// The rows of some classes of `data`, labelled by [`LABELS`].
fn rows_of(data: &Dataset, classes: &[usize]) -> Dataset {
    let rows = data.select(|class| classes.contains(&(class as usize))).expect("there are rows");
    let labels = Labels::Integers(rows.labels.mapv(|class| LABELS[class as usize]));
    let table = ClassTable::of(&[&labels]).expect("numbers");
    Dataset::encoded(rows.features, &labels, table).expect("well-formed")
}

fn matrix(data: &Dataset) -> Array2<f32> {
    data.features.rows().all().expect("in memory").to_owned()
}

/// Equal but for `tolerance` times the largest element.
fn assert_close<F: Into<f64> + Copy, D: Dimension>(found: &Array<F, D>, expected: &Array<F, D>, tolerance: f64) {
    assert_eq!(found.shape(), expected.shape());
    let largest = expected.iter().fold(0.0, |largest: f64, &value| largest.max(value.into().abs()));
    for (&found, &expected) in found.iter().zip(expected) {
        approx::assert_abs_diff_eq!(found.into(), expected.into(), epsilon = tolerance * largest);
    }
}

/// The same bits; of OpenBLAS, which rounds otherwise where there are more columns or fewer, but for rounding.
fn assert_unchanged(found: &Array2<f32>, expected: &Array2<f32>) {
    match cfg!(feature = "blas") {
        true => assert_close(found, expected, 1e-6),
        false => assert_eq!(found, expected),
    }
}

/// A model of the classes at even places.
fn model_of_half(name: &str, options: &[(&str, &str)]) -> Model {
    let (train, _) = birds();
    let head = AnyHead::new(name, options).expect("a head");
    let mut trainer = Trainer::new(config(head), rows_of(&train, &[0, 2, 4, 6, 8]), None).expect("well-formed");
    run(&mut trainer);
    trainer.model().clone()
}

fn labels(model: &Model) -> Vec<i64> {
    let number = |class| match model.class_table.label(class) {
        Label::Number(number) => number,
        Label::String(string) => panic!("{string}"),
    };
    (0..model.class_table.len()).map(number).collect()
}

#[test]
fn new_classes_come_in_order_and_leave_all_others_logits_as_they_were() {
    let (train, test) = birds();
    for name in AnyHead::names() {
        let before = model_of_half(name, &[]);
        let after = before.clone().with_new_classes(&train_of_all(&train)).expect("five are new");
        assert_eq!(labels(&after), LABELS);
        let features = matrix(&test);
        let (found, expected) =
            (after.logits(features.view()).expect(name), before.logits(features.view()).expect(name));
        let of_old = found.select(Axis(1), &[0, 2, 4, 6, 8]);
        match before.head.scale() {
            Scale::FixedAdaCos => {
                let ratio = 9f32.ln() / 4f32.ln();
                assert_close(&of_old, &(expected * ratio), 1e-5);
            }
            _ => assert_unchanged(&of_old, &expected),
        }
        let evaluated = after.evaluate(&train_of_all(&test)).expect(name);
        // Chance is 0.1.
        assert!(evaluated.accuracy > 0.4, "{name}: {evaluated:?}");
    }
}

fn train_of_all(data: &Dataset) -> Dataset {
    rows_of(data, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
}

#[test]
fn a_new_class_is_the_mean_direction_of_its_rows() {
    let (train, _) = birds();
    for (name, options, centres) in [("arcface", &[][..], 1), ("sub-center-arcface", &[("centres", "3")][..], 3)] {
        let before = model_of_half(name, options);
        let new = rows_of(&train, &[1, 2]);
        let after = before.clone().with_new_classes(&new).expect("one is new");
        assert_eq!(labels(&after), [3, 7, 8, 20, 22, 44]);
        let embeddings = before.embeddings(&new.select(|class| class == 0).expect("rows").features).expect("finite");
        let mut mean = Array1::<f64>::zeros(embeddings.ncols());
        for row in embeddings.rows() {
            let row = row.mapv(f64::from);
            mean += &(&row / row.dot(&row).sqrt());
        }
        mean /= mean.dot(&mean).sqrt();
        let lengths = before.parameters.weights.rows().into_iter().map(|row| row.mapv(f64::from));
        let length = lengths.map(|row| row.dot(&row).sqrt()).sum::<f64>() / (5 * centres) as f64;
        for centre in 0..centres {
            let found = after.parameters.weights.row(centres + centre).mapv(f64::from);
            assert_close(&found, &(&mean * length), 1e-5);
        }
        let old: Vec<usize> = (0..6 * centres).filter(|row| row / centres != 1).collect();
        assert_eq!(after.parameters.weights.select(Axis(0), &old), before.parameters.weights);
    }
}

#[test]
fn rows_without_weight_have_no_part_in_a_new_class() {
    let (train, _) = birds();
    let before = model_of_half("cosface", &[]);
    let new = rows_of(&train, &[1, 3]);
    let kept = |label: i64, row: usize| label == 0 && row.is_multiple_of(2);
    let weights = new.labels.iter().enumerate().map(|(row, &label)| f32::from(kept(label, row))).collect();
    let rows: Vec<usize> = (0..new.rows()).filter(|&row| kept(new.labels[row], row)).collect();
    let expected = before.clone().with_new_classes(&new.select_rows(&rows).expect("some")).expect("one is new");
    let new = new.with_sample_weights(weights).expect("as many as rows");
    assert_eq!(before.with_new_classes(&new).expect("one is new"), expected);
}

#[test]
fn classes_go_and_the_others_stay() {
    let before = model_of_half("softmax", &[]);
    let after = before.clone().without_classes(&[Label::Number(22), Label::Number(3)]).expect("both are there");
    assert_eq!(labels(&after), [8, 20, 44]);
    assert_eq!(after.parameters.weights, before.parameters.weights.select(Axis(0), &[1, 2, 4]));
    assert_eq!(after.parameters.vectors["bias"], before.parameters.vectors["bias"].select(Axis(0), &[1, 2, 4]));
    for (labels, expected) in [
        (&[Label::Number(7)][..], "the label of a class is 7; expected one of 3, 8, 20, 22, 44, each once"),
        (&[Label::Number(8), Label::Number(8)], "the label of a class is 8; expected one of"),
        (&[Label::String("8")], "the label of a class is \"8\"; expected one of"),
    ] {
        let error = before.clone().without_classes(labels).expect_err("no such classes");
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let all_but_one: Vec<Label> = [3, 8, 20, 22].map(Label::Number).to_vec();
    assert!(matches!(before.without_classes(&all_but_one), Err(Error::TooFewClasses { found: 1, .. })));
}

#[test]
fn merged_classes_are_in_the_middle_and_take_the_first_label() {
    let (_, test) = birds();
    for name in ["arcface", "softmax", "sub-center-arcface"] {
        let before = model_of_half(name, &[]);
        let merged = [44, 8].map(Label::Number);
        let after = before.clone().with_merged_classes(&merged).expect("both are there");
        assert_eq!(labels(&after), [3, 20, 22, 44]);
        let centres = before.head.centres();
        let of = |model: &Model, class: usize, centre| {
            model.parameters.weights.row(class * centres + centre).mapv(f64::from)
        };
        for centre in 0..centres {
            let found = of(&after, 3, centre);
            let cosine = |other: Array1<f64>| found.dot(&other) / (found.dot(&found) * other.dot(&other)).sqrt();
            let (first, second) = (cosine(of(&before, 1, centre)), cosine(of(&before, 4, centre)));
            approx::assert_relative_eq!(first, second, max_relative = 1e-5);
        }
        let features = matrix(&test);
        let others = |logits: Array2<f32>, classes: &[usize]| logits.select(Axis(1), classes);
        let found = others(after.logits(features.view()).expect(name), &[0, 1, 2]);
        assert_unchanged(&found, &others(before.logits(features.view()).expect(name), &[0, 2, 3]));
    }
}

#[test]
fn equal_classes_that_are_merged_have_the_sum_of_their_probabilities() {
    let (_, test) = birds();
    let mut before = model_of_half("softmax", &[]);
    let vector = before.parameters.weights.row(1).to_owned();
    let length = |vector: &Array1<f32>| vector.dot(vector).sqrt();
    // All of one length, so that the merged one has it.
    for mut row in before.parameters.weights.rows_mut() {
        let factor = length(&vector) / length(&row.to_owned());
        row *= factor;
    }
    before.parameters.weights.row_mut(3).assign(&vector);
    let after = before.clone().with_merged_classes(&[Label::Number(8), Label::Number(22)]).expect("both are there");
    let features = matrix(&test);
    let softmax = |logits: Array2<f32>| {
        let mut powers = logits.mapv(|logit| f64::from(logit).exp());
        powers.rows_mut().into_iter().for_each(|mut row| row /= row.sum());
        powers
    };
    let (found, before) = (
        softmax(after.logits(features.view()).expect("finite")),
        softmax(before.logits(features.view()).expect("finite")),
    );
    let expected = &before.slice(s![.., 1]) + &before.slice(s![.., 3]);
    assert_close(&found.slice(s![.., 1]).to_owned(), &expected, 1e-4);
}

#[test]
fn labels_and_names_change_and_class_vectors_follow() {
    let before = model_of_half("norm-softmax", &[]);
    let after = before.clone().with_renamed_class(Label::Number(8), Label::Number(99)).expect("99 is free");
    assert_eq!(labels(&after), [3, 20, 22, 44, 99]);
    assert_eq!(after.parameters.weights, before.parameters.weights.select(Axis(0), &[0, 2, 3, 4, 1]));
    let error = before.clone().with_renamed_class(Label::Number(8), Label::Number(44)).expect_err("44 is taken");
    assert_eq!(error.to_string(), "the label of a class is 44; expected one that no other class has");
    let error = before.clone().with_renamed_class(Label::Number(8), Label::String("owl")).expect_err("no names");
    assert_eq!(error.to_string(), "the label of a class is \"owl\"; expected a number, as others are");

    let names = ["auk", "bee", "cat", "doe", "eel"].map(String::from).to_vec();
    let class_table = before.class_table.clone().with_names(names).expect("five");
    let named = Model { class_table, ..before };
    let after = named.clone().with_renamed_class(Label::Number(8), Label::String("owl")).expect("a name");
    assert_eq!(labels(&after), [3, 8, 20, 22, 44]);
    assert_eq!(
        (0..5).filter_map(|class| after.class_table.name(class)).collect::<Vec<_>>(),
        ["auk", "owl", "cat", "doe", "eel"]
    );
    let after = named.clone().with_renamed_class(Label::Number(44), Label::Number(1)).expect("1 is free");
    assert_eq!(
        (0..5).filter_map(|class| after.class_table.name(class)).collect::<Vec<_>>(),
        ["eel", "auk", "bee", "cat", "doe"]
    );
    let (train, _) = birds();
    let error = named.with_new_classes(&rows_of(&train, &[1])).expect_err("it has no name");
    assert_eq!(error.to_string(), "the names of classes is none for 7; expected one for each class, or for none");
}

#[test]
fn what_cannot_be_changed_is_said() {
    let (train, _) = birds();
    let model = model_of_half("arcface", &[]);
    let error = model.clone().with_new_classes(&rows_of(&train, &[0, 4])).expect_err("nothing is new");
    assert_eq!(error.to_string(), "the set of labels is 3, 20; expected labels that are no classes of the model");
    let error = model.clone().with_merged_classes(&[Label::Number(3)]).expect_err("one alone");
    assert_eq!(error.to_string(), "what is merged is 1 class; expected two or more");
    let labels = Labels::Integers(Array1::from_vec(vec![5, 5]));
    let features =
        Array2::from_shape_fn((2, 48), |(row, column)| if row == 0 { column as f32 } else { 2.0 - column as f32 });
    let wrong = Dataset::encoded(
        Features::from(features.slice(s![.., ..40]).to_owned()),
        &labels,
        ClassTable::of(&[&labels]).expect("numbers"),
    );
    let error = model.with_new_classes(&wrong.expect("well-formed")).expect_err("another dimension").to_string();
    assert!(error.contains("40") && error.contains("48"), "{error}");
}
