//! The page for people that `arcos evaluate --report` leaves.

use super::command::{arcos, complaint, stdout};
use super::program::with_data;
use image::RgbImage;
use ndarray::Array1;
use ndarray_npy::read_npy;
use std::fs;
use std::path::Path;

const EVALUATE: [&str; 9] = [
    "evaluate",
    "--run",
    "run",
    "--features",
    "data/test_features.npy",
    "--labels",
    "data/test_labels.npy",
    "--report",
    "page.html",
];

fn with_run(epochs: &str) -> tempfile::TempDir {
    let directory = with_data();
    stdout(&arcos(
        directory.path(),
        &["train", "--data", "data", "--head", "softmax", "--epochs", epochs, "--out", "run"],
    ));
    directory
}

fn page(directory: &Path, more: &[&str]) -> String {
    stdout(&arcos(directory, &[&EVALUATE[..], more].concat()));
    fs::read_to_string(directory.join("page.html")).expect("written")
}

/// The texts of the cells of all rows of the table below this heading.
fn cells(page: &str, heading: &str) -> Vec<Vec<String>> {
    let below = page.split_once(&format!("<h2>{heading}</h2>")).expect("the heading is there").1;
    let body = below.split_once("<tbody>").expect("a table").1.split_once("</tbody>").expect("its end").0;
    let cell =
        |cell: &str| cell.split_once("</td>").expect("its end").0.split_once('>').expect("its beginning").1.to_owned();
    body.split("<tr>").skip(1).map(|row| row.split("<td").skip(1).map(cell).collect()).collect()
}

#[test]
fn the_page_has_every_figure_of_the_report_and_needs_no_other_file() {
    let directory = with_run("2");
    let page = page(directory.path(), &["--out", "report"]);
    for outside in ["src=\"http", "href=", "<link", "@import", "url(http"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let classes = cells(&page, "Classes");
    let mut scores = csv::Reader::from_path(directory.path().join("report/class_scores.csv")).expect("written");
    let scores: Vec<_> = scores.records().map(|record| record.expect("CSV")).collect();
    assert_eq!(classes.len(), scores.len());
    for score in &scores {
        let shown = classes.iter().find(|class| class[0] == score[0]).expect("every class is shown");
        assert_eq!([&shown[1], &shown[2]], [&score[2], &score[3]]);
        assert_eq!(shown[3], format!("{:.4}", score[4].parse::<f64>().expect("a recall")));
    }
    let recalls: Vec<f64> = classes.iter().map(|class| class[3].parse().expect("a number")).collect();
    assert!(recalls.is_sorted(), "{recalls:?}");

    // The surest mistakes are rows that are predicted to be what is said of them.
    let labels: Array1<i32> = read_npy(directory.path().join("data/test_labels.npy")).expect("there");
    let predictions = stdout(&arcos(directory.path(), &[&["predict"], &EVALUATE[1..5]].concat()));
    let predictions: Vec<_> =
        csv::Reader::from_reader(predictions.as_bytes()).into_records().map(|record| record.expect("CSV")).collect();
    let mistakes = cells(&page, "The surest mistakes");
    let wrong =
        predictions.iter().zip(&labels).filter(|(prediction, label)| prediction[2] != *label.to_string()).count();
    assert_eq!(mistakes.len(), wrong.min(100));
    assert!(wrong > 0, "a head that is right in all shows nothing here");
    for mistake in &mistakes {
        let row: usize = mistake[0].parse().expect("a row");
        let probability: f64 = predictions[row][3].parse().expect("a probability");
        assert_eq!(mistake[1..], [labels[row].to_string(), predictions[row][2].into(), format!("{probability:.4}")]);
    }
    let probabilities: Vec<&String> = mistakes.iter().map(|mistake| &mistake[3]).collect();
    assert!(probabilities.is_sorted_by(|a, b| a >= b), "{probabilities:?}");
    assert_eq!(page.matches("<svg").count(), 2);
}

#[test]
fn names_from_files_are_text_and_photographs_of_mistakes_are_shown() {
    let directory = with_run("2");
    let at = |name: &str| directory.path().join(name);
    let labels: Array1<i32> = read_npy(at("data/test_labels.npy")).expect("there");
    let classes = 1 + labels.iter().max().copied().expect("rows") as usize;
    let names: Vec<String> = (0..classes).map(|class| format!("<script>alert({class})</script> & co")).collect();
    fs::write(at("names.txt"), names.join("\n")).expect("writable");
    let train = ["train", "--data", "data", "--head", "softmax", "--epochs", "2", "--out", "run"];
    fs::remove_dir_all(at("run")).expect("there");
    stdout(&arcos(directory.path(), &[&train[..], &["--class-names", "names.txt"]].concat()));
    let photographs: Vec<String> = (0..labels.len()).map(|row| format!("{row}.png")).collect();
    fs::write(at("photographs.txt"), photographs.join("\n")).expect("writable");
    fs::create_dir(at("images")).expect("writable");
    for (row, name) in photographs.iter().enumerate() {
        RgbImage::from_pixel(9, 5, image::Rgb([row as u8, 0, 0])).save(at("images").join(name)).expect("writable");
    }
    let page = page(directory.path(), &["--manifest", "photographs.txt", "--photographs", "images"]);
    assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert(0)"), "names are no markup");
    let mistakes = cells(&page, "The surest mistakes");
    assert!(
        mistakes.iter().all(|cells| cells[0].starts_with("<img src=\"data:image/jpeg;base64,")),
        "{:?}",
        mistakes[0]
    );
    assert!(mistakes.iter().all(|cells| cells[2] == format!("{}.png", cells[1])), "{:?}", mistakes[0]);

    for photograph in fs::read_dir(at("images")).expect("there") {
        let photograph = photograph.expect("readable").path();
        let own = [
            "--manifest",
            "photographs.txt",
            "--photographs",
            "images",
            "--report",
            photograph.to_str().expect("UTF-8"),
        ];
        let message = complaint(&arcos(directory.path(), &[&EVALUATE[..7], &own].concat()), 1);
        assert!(message.contains("part of what this command reads"), "{message}");
    }

    // Those that cannot be shown are said, and the page is there without them.
    fs::remove_dir_all(at("images")).expect("there");
    fs::write(at("photographs.txt"), photographs.join("\n").replace("0.png", "../0.png")).expect("writable");
    let gone = [&EVALUATE[..], &["--manifest", "photographs.txt", "--photographs", "images"]].concat();
    let output = arcos(directory.path(), &gone);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(" not on the page; the first: ") && said.contains(".png"), "{said}");
    stdout(&output);
    let bare = fs::read_to_string(at("page.html")).expect("written");
    assert!(!bare.contains("<img") && bare.contains(".png</td>"));
    let unnamed = [&EVALUATE[..], &["--photographs", "images"]].concat();
    assert!(complaint(&arcos(directory.path(), &unnamed), 2).contains("expected photographs that are named"));
}

#[test]
fn a_page_takes_the_place_of_no_other_file() {
    let directory = with_run("1");
    let base = &EVALUATE[..8];
    for (page, expected) in [
        ("data/test_labels.npy", "is part of what this command reads"),
        ("run/run.json", "part of what this command reads"),
        ("run", "is a directory"),
        ("nowhere/page.html", "is in no directory"),
        ("-", "names no file here"),
    ] {
        let message = complaint(&arcos(directory.path(), &[base, &[page]].concat()), 1);
        assert!(message.contains(expected), "{message}");
    }
    for twice in ["report/class_scores.csv", "report/../report/evaluation.json"] {
        stdout(&arcos(directory.path(), &[&EVALUATE[..7], &["--out", "report"]].concat()));
        let message = complaint(&arcos(directory.path(), &[base, &[twice, "--out", "report"]].concat()), 1);
        assert!(message.contains("is to be written twice"), "{message}");
    }
    // The page may stand among the files of a directory that is made with it.
    let message = complaint(&arcos(directory.path(), &[base, &["new/evaluation.json", "--out", "new"]].concat()), 1);
    assert!(message.contains("is to be written twice") && !directory.path().join("new").exists(), "{message}");
    stdout(&arcos(directory.path(), &[base, &["new/page.html", "--out", "new"]].concat()));
    assert!(["page.html", "evaluation.json"].iter().all(|name| directory.path().join("new").join(name).exists()));

    let message = complaint(&arcos(directory.path(), &[&EVALUATE[..], &["--open-set"]].concat()), 2);
    assert!(message.contains("--report") && message.contains("--open-set"), "{message}");
    let message = complaint(&arcos(directory.path(), &[&EVALUATE[..7], &["--photographs", "images"]].concat()), 2);
    assert!(message.contains("--report"), "{message}");
}
