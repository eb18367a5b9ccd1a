//! Embeddings and open sets as a user meets them.

use super::command::{arcos, complaint, stdout};
use super::program::with_data;
use ndarray::{Array1, Array2, Axis, s};
use ndarray_npy::{read_npy, write_npy};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn is_figure(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x89PNG"))
}

fn json(directory: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(&arcos(directory, &[arguments, &["--json"]].concat()))).expect("a JSON line")
}

#[test]
fn train_retrieve_embed_evaluate() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let train = ["train", "--head", "arcface", "--scale", "16", "--data", "data", "--open-set", "--out", "run"];
    let embedding = ["--embed", "12", "--embed-block", "e", "--dropout", "0.1", "--epochs", "4"];
    let text = stdout(&arcos(directory.path(), &[&train[..], &embedding[..]].concat()));
    assert!(
        text.contains("80 training rows, 40 test rows, 32 dimensions, 4 classes; 120 rows of 4 other classes"),
        "{text}"
    );
    assert!(text.contains("120 rows of 4 classes, by cosine similarity") && text.contains("MAP@R"), "{text}");
    assert!(is_figure(&at("run/open_set.png")) && is_figure(&at("run/training.png")));
    let of_run: Value = serde_json::from_slice(&fs::read(at("run/open_set.json")).expect("written")).expect("JSON");

    // The same rows once more, by way of files.
    let unseen = |name: &str| -> Array2<f32> {
        let features: Array2<f32> = read_npy(at(&format!("data/{name}_features.npy"))).expect("data");
        let labels: Array1<i32> = read_npy(at(&format!("data/{name}_labels.npy")))
            .or_else(|_| {
                read_npy(at(&format!("data/{name}_labels.npy")))
                    .map(|labels: Array1<i64>| labels.mapv(|label| label as i32))
            })
            .expect("data");
        let rows: Vec<usize> = (0..labels.len()).filter(|&row| labels[row] >= 4).collect();
        features.select(Axis(0), &rows)
    };
    let features = ndarray::concatenate![Axis(0), unseen("train"), unseen("test")];
    let labels = Array1::from_shape_fn(120, |row| (4 + row % 4) as i64);
    write_npy(at("x.npy"), &features).expect("writable");
    write_npy(at("y.npy"), &labels).expect("writable");
    let evaluate = ["evaluate", "--run", "run", "--features", "x.npy", "--labels", "y.npy", "--open-set"];
    let found = json(directory.path(), &[&evaluate[..], &["--out", "report"]].concat());
    assert_eq!((&found["retrieval"], &found["all_pairs"]), (&of_run["retrieval"], &of_run["all_pairs"]));
    assert_eq!((&found["dimension"], &found["head"]), (&12.into(), &"arcface".into()));
    assert!(is_figure(&at("report/open_set.png")) && at("report/evaluation.json").exists());

    let embed = ["embed", "--run", "run", "--features", "x.npy", "--out", "e.npy"];
    assert!(stdout(&arcos(directory.path(), &embed)).contains("120 embeddings of 12 dimensions in e.npy"));
    let embeddings: Array2<f32> = read_npy(at("e.npy")).expect("just written");
    let of_embeddings = json(directory.path(), &["evaluate", "--embeddings", "e.npy", "--labels", "y.npy"]);
    assert_eq!(of_embeddings["retrieval"], of_run["retrieval"]);
    stdout(&arcos(directory.path(), &[&embed[..], &["--normalize"]].concat()));
    let unit: Array2<f32> = read_npy(at("e.npy")).expect("just written");
    assert!(unit.rows().into_iter().all(|row| (row.dot(&row) - 1.0).abs() < 1e-5));
    let lengths = embeddings.map_axis(Axis(1), |row| row.dot(&row).sqrt());
    assert!((&unit * &lengths.insert_axis(Axis(1)) - &embeddings).iter().all(|difference| difference.abs() < 1e-4));

    // Labels that the head does not know are an error without --open-set, and can be left out.
    let known =
        ["evaluate", "--run", "run", "--features", "data/test_features.npy", "--labels", "data/test_labels.npy"];
    let message = complaint(&arcos(directory.path(), &known), 1);
    assert!(
        message.contains("data/test_labels.npy: labels[4] is 4; expected a label that training rows have, 0, 1, 2, 3"),
        "{message}"
    );
    let found = json(directory.path(), &[&known[..], &["--classes", "..4"]].concat());
    assert_eq!(found["rows"], 40);
    let message = complaint(&arcos(directory.path(), &[&known[..], &["--classes", "9"]].concat()), 2);
    assert!(message.contains("expected A..B"), "{message}");
}

fn evaluate<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["evaluate", "--embeddings", "e.npy", "--labels", "y.npy"], more].concat()
}

#[test]
fn pairs_and_distractors() {
    let directory = with_data();
    let at = |name: &str| directory.path().join(name);
    let write = |name: &str, text: &str| fs::write(at(name), text).expect("writable");
    // Four people with two photographs each; the second is the first turned by a few degrees.
    let angles = [0f32, 5.0, 90.0, 96.0, 180.0, 187.0, 270.0, 278.0].map(f32::to_radians);
    let embeddings = Array2::from_shape_fn((8, 2), |(row, column)| [angles[row].cos(), angles[row].sin()][column]);
    write_npy(at("e.npy"), &embeddings).expect("writable");
    write_npy(at("y.npy"), &Array1::from_shape_fn(8, |row| (row / 2) as i64)).expect("writable");
    // One distractor at 3°, nearer to either photograph of the first person than the other.
    let distractor =
        Array2::from_shape_fn((1, 2), |(_, column)| [3f32.to_radians().cos(), 3f32.to_radians().sin()][column]);
    write_npy(at("d.npy"), &distractor).expect("writable");

    let found = json(directory.path(), &evaluate(&["--distractors", "d.npy"]));
    assert_eq!(found["retrieval"]["recall"][0]["recall"], 1.0);
    assert_eq!(found["identification"]["searches"], 4);
    assert_eq!(found["identification"]["cmc"][0], 0.75);
    assert_eq!((&found["identification_among_distractors"]["cmc"][0], &found["nmi"]), (&0.75.into(), &1.0.into()));

    let same = (0..10).map(|pair| format!("{} {} {}\n", 2 * (pair % 4), 2 * (pair % 4) + 1, 1));
    let different = (0..10).map(|pair| format!("{},{},0\n", pair % 4 * 2, (pair + 1) % 4 * 2));
    write("pairs.csv", &same.zip(different).map(|(same, different)| same + &different).collect::<String>());
    let found = json(directory.path(), &evaluate(&["--pairs", "pairs.csv"]));
    assert_eq!(
        (&found["given_pairs"]["all"]["genuine"], &found["given_pairs"]["folds"]["mean"]),
        (&10.into(), &1.0.into())
    );
    let text = stdout(&arcos(directory.path(), &evaluate(&["--pairs", "pairs.csv"])));
    assert!(text.contains("accuracy 1.0000 ± 0.0000 over 10 folds"), "{text}");

    // Pairs are enough: nobody's label is needed.
    let alone = ["evaluate", "--embeddings", "e.npy", "--pairs", "pairs.csv"];
    let without_labels = json(directory.path(), &alone);
    assert_eq!(without_labels["given_pairs"], found["given_pairs"]);
    assert_eq!((&without_labels["retrieval"], &without_labels["rows"]), (&Value::Null, &8.into()));
    assert!(without_labels["undefined"]["retrieval"].is_string(), "{without_labels}");
    let text = stdout(&arcos(directory.path(), &alone));
    assert!(text.starts_with("8 rows, by cosine similarity\n"), "{text}");
    assert!(text.contains("given pairs") && !text.contains("not defined"), "{text}");
    for labelled in [&["--nmi"][..], &["--distractors", "d.npy"]] {
        assert!(
            complaint(&arcos(directory.path(), &[&alone, labelled].concat()), 2).contains("--labels"),
            "{labelled:?}"
        );
    }
    write("genuine.csv", "0 1 1\n2 3 1\n");
    let one_kind = ["evaluate", "--embeddings", "e.npy", "--pairs", "genuine.csv"];
    let message = complaint(&arcos(directory.path(), &one_kind), 1);
    let expected = "arcos: genuine.csv: any measure of 2 genuine pairs and 0 impostors is not defined; expected";
    assert!(message.starts_with(expected), "{message}");

    // The same in LFW's form, by the names of photographs.
    let people = ["Ann", "Bob_B", "Cid", "Dee"];
    let same = (0..10).map(|pair| format!("{}\t1\t2\n", people[pair % 4]));
    let different = (0..10).map(|pair| format!("{}\t1\t{}\t1\n", people[pair % 4], people[(pair + 1) % 4]));
    write("pairs.txt", &format!("10\t1\n{}", same.zip(different).map(|(a, b)| a + &b).collect::<String>()));
    let message = complaint(&arcos(directory.path(), &evaluate(&["--pairs", "pairs.txt"])), 1);
    assert!(message.contains("pairs.txt, line 2: Ann_0001 has no row"), "{message}");
    let rows =
        people.iter().flat_map(|name| [1, 2].map(|number| format!("{{\"file\": \"{name}/{name}_000{number}.jpg\"}}")));
    let rows = rows.collect::<Vec<_>>().join(", ");
    let preprocessing =
        serde_json::to_string(&arcos::data::image::Preprocessing::new(8, 8, arcos::data::image::Layout::Nchw))
            .expect("serialisable");
    write(
        "manifest.json",
        &format!(
            r#"{{"format": "arcos features 2", "model": {{"file": "m.onnx", "sha256": "0"}}, "preprocessing": {preprocessing},
                "boxes": true, "classes": [], "splits": {{"train": {{"fingerprint": "0", "rows": [{rows}], "skipped": [], "missing": 0}}}}}}"#
        ),
    );
    let by_name = json(directory.path(), &evaluate(&["--pairs", "pairs.txt", "--manifest", "."]));
    assert_eq!(by_name["given_pairs"], found["given_pairs"]);
    // The manifest by its own name, or beside the embeddings; and photographs by theirs.
    for manifest in [&["--manifest", "manifest.json"][..], &[]] {
        let found_by_name = json(directory.path(), &evaluate(&[&["--pairs", "pairs.txt"][..], manifest].concat()));
        assert_eq!(found_by_name["given_pairs"], found["given_pairs"]);
    }
    let numbers = fs::read_to_string(at("pairs.csv")).expect("written");
    let photograph = |row: &str| {
        let row: usize = row.parse().expect("a number");
        format!("{0}/{0}_000{1}.jpg", people[row / 2], row % 2 + 1)
    };
    let lines = numbers.lines().map(|line| {
        let parts: Vec<&str> = line.split([' ', ',']).collect();
        format!("{},{},{}\n", photograph(parts[0]), photograph(parts[1]), parts[2])
    });
    write("photographs.csv", &format!("photograph,other,same\n{}", lines.collect::<String>()));
    let of_photographs = json(directory.path(), &evaluate(&["--pairs", "photographs.csv"]));
    assert_eq!(of_photographs["given_pairs"], found["given_pairs"]);
    let photographs: Vec<_> =
        people.iter().flat_map(|name| [1, 2].map(|number| format!("{name}_000{number}.jpg"))).collect();
    write("photographs.txt", &photographs.join("\n"));
    let by_list = json(directory.path(), &evaluate(&["--pairs", "pairs.txt", "--manifest", "photographs.txt"]));
    assert_eq!(by_list["given_pairs"], found["given_pairs"]);
    write("photographs.txt", "Ann_0001.jpg\n");
    let message =
        complaint(&arcos(directory.path(), &evaluate(&["--pairs", "pairs.txt", "--manifest", "photographs.txt"])), 1);
    assert!(message.contains("photographs.txt: 1 line; expected 8, one for each row of embeddings"), "{message}");

    for (text, complaint_of) in [
        ("0 1 1\n0 1 2\n", "bad.txt, line 2: \"0 1 2\"; expected two row numbers below 8, and 0 or 1"),
        ("a b c\n", "bad.txt, line 1: \"a b c\"; expected `i j same`"),
        ("\n", "bad.txt: no lines; expected a list of pairs"),
        ("0 1 1\n2 99 0\n", "bad.txt, line 2: \"2 99 0\"; expected two row numbers below 8"),
    ] {
        write("bad.txt", text);
        let output = arcos(directory.path(), &evaluate(&["--pairs", "bad.txt"]));
        let message = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(!output.status.success() && message.contains(complaint_of), "{text:?}: {message}");
    }
    // Too few for folds: the rest is there, and it is said what is not.
    write("two.txt", "0 1 1\n0 2 0\n");
    let found = json(directory.path(), &evaluate(&["--pairs", "two.txt"]));
    let reason = "accuracy over folds of 2 pairs is not defined; expected a pair for each fold";
    assert_eq!(found["undefined"], serde_json::json!({ "folds": reason }));
    assert_eq!((&found["given_pairs"]["all"]["auc"], &found["given_pairs"]["folds"]), (&1.0.into(), &Value::Null));
    let text =
        stdout(&arcos(directory.path(), &[&evaluate(&["--pairs", "two.txt"])[..], &["--out", "report"]].concat()));
    assert!(text.contains(&format!("\nfolds            {reason}")), "{text}");
    assert!(at("report/open_set.png").exists());
}

#[test]
fn compare_ranks_heads_on_unseen_classes() {
    let directory = with_data();
    let heads =
        ["compare", "--data", "data", "--heads", "softmax,adacos", "--epochs", "2", "--out", "out", "--open-set"];
    let text = stdout(&arcos(directory.path(), &[&heads[..], &["--embed", "8"]].concat()));
    let table: Vec<&str> = text.lines().skip_while(|line| !line.contains("MAP@R")).skip(2).take(3).collect();
    let mut names: Vec<&str> = table.iter().filter_map(|line| line.split_whitespace().next()).collect();
    let recalls: Vec<f64> =
        table.iter().map(|line| line.split_whitespace().nth(1).expect("a column").parse().expect("a share")).collect();
    assert!(recalls.is_sorted_by(|a, b| a >= b), "{text}");
    names.sort_unstable();
    assert_eq!(names, ["(features)", "adacos", "softmax"], "{text}");
    assert!(is_figure(&directory.path().join("out/open_set.png")));
    assert!(is_figure(&directory.path().join("out/adacos/open_set.png")));

    let text = stdout(&arcos(directory.path(), &heads));
    assert!(
        text.contains("without --embed the features stay where they are, and retrieve as well as before"),
        "{text}"
    );
    let message = complaint(&arcos(directory.path(), &[&heads[..], &["--embed", "8", "--dropout", "0.2"]].concat()), 2);
    assert!(message.contains("--dropout is given; expected --embed-block e with it"), "{message}");
    let message = complaint(&arcos(directory.path(), &[&heads[..], &["--embed", "0"]].concat()), 2);
    assert!(message.contains("the embedding dimension is 0; expected at least 1"), "{message}");
}

#[test]
fn the_first_half_trains_and_the_second_is_retrieved() {
    use arcos::data::{Dataset, open_set_split};
    let dataset = |labels: &[i64]| {
        let features = Array2::from_shape_fn((labels.len(), 2), |(row, column)| (10 * row + column) as f32);
        Dataset::new(features.into(), labels.to_vec().into()).expect("well-formed")
    };
    let split =
        open_set_split(&dataset(&[0, 1, 2, 3, 4, -100, 3]), Some(&dataset(&[4, 2, 0, 3]))).expect("both halves");
    assert_eq!(split.train.labels.to_vec(), [0, 1, 2]);
    assert_eq!(split.test.expect("test rows").labels.to_vec(), [2, 0]);
    assert_eq!(split.unseen.labels.to_vec(), [3, 4, 3, 4, 3]);
    assert_eq!(
        split.unseen.features.rows().all().expect("readable").slice(s![.., 0]).to_vec(),
        [30.0, 40.0, 60.0, 0.0, 30.0]
    );
    // The files may be split as the classes are.
    let apart = open_set_split(&dataset(&[0, 1, 0]), Some(&dataset(&[2, 3, 3]))).expect("both halves");
    assert!(apart.test.is_none());
    assert_eq!(apart.unseen.labels.to_vec(), [2, 3, 3]);
    for labels in [&[0, 0][..], &[0, 1, 2], &[0, 1, 2, 3]] {
        let error = open_set_split(&dataset(labels), None).expect_err("nothing to find").to_string();
        assert!(error.contains("expected two classes to retrieve, one of them with two rows"), "{error}");
    }
}

#[test]
fn demo_can_be_of_an_open_set() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let sizes = ["--classes", "12", "--train-rows", "60", "--test-rows", "30", "--dimension", "16", "--epochs", "1"];
    let text = stdout(&arcos(directory.path(), &[&["demo", "--open-set", "--embed", "8"], &sizes[..]].concat()));
    assert!(text.contains("On classes that were not trained on"), "{text}");
}

#[test]
fn embeddings_in_double_precision_are_measured_in_it() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let at = |name: &str| directory.path().join(name);
    // In single precision all rows are one direction; in double the rows of a class are 1e-9 apart and those of others 1e-6.
    let angles = [0.0, 1e-9, 1e-6, 1e-6 + 1e-9, 2e-6, 2e-6 + 1e-9];
    let embeddings = Array2::from_shape_fn((6, 2), |(row, column)| [1.0, f64::tan(angles[row])][column]);
    write_npy(at("double.npy"), &embeddings).expect("writable");
    write_npy(at("single.npy"), &embeddings.mapv(|value| value as f32)).expect("writable");
    write_npy(at("y.npy"), &Array1::from_shape_fn(6, |row| (row / 2) as i64)).expect("writable");
    let recall = |file: &str| {
        let found = json(directory.path(), &["evaluate", "--embeddings", file, "--labels", "y.npy"]);
        found["retrieval"]["recall"][0]["recall"].as_f64().expect("a share")
    };
    assert_eq!((recall("double.npy"), recall("single.npy") < 0.5), (1.0, true));
}

#[test]
fn one_is_no_plural() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let at = |name: &str| directory.path().join(name);
    let measured = |labels: &[i64]| {
        let embeddings = Array2::from_shape_fn((labels.len(), 2), |(row, column)| (1 + row * column) as f32);
        write_npy(at("e.npy"), &embeddings).expect("writable");
        write_npy(at("y.npy"), &Array1::from(labels.to_vec())).expect("writable");
        stdout(&arcos(directory.path(), &evaluate(&[])))
    };
    let text = measured(&[0, 0, 1]);
    for counted in ["3 rows of 2 classes", "1 genuine pair, 2 impostors", "1 search "] {
        assert!(text.contains(counted), "{counted}: {text}");
    }
    let text = measured(&[0, 0]);
    for counted in ["2 rows of 1 class,", "verification of 1 genuine pair and 0 impostors", "classes of 1 class is not"]
    {
        assert!(text.contains(counted), "{counted}: {text}");
    }
}
