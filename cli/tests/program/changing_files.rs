//! Files that change while they are in use: rows of f32 in C order are read as they are used.

use super::command::{arcos, command, complaint, stdout};
use super::program::{last_tensors, with_data};
use arcos::data::Dataset;
use arcos::train::{Checkpoint, RunDirectory, RunPosition, TrainConfig, Trainer, has_logs};
use arcos::{AnyHead, Error};
use ndarray::Array2;
use ndarray_npy::write_npy;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

/// A file system's clock stands still for some milliseconds.
const CLOCK_TICK: Duration = Duration::from_millis(20);

fn trainer(features: &Path) -> Trainer {
    let labels = features.with_file_name("train_labels.npy");
    let data = Dataset::read(features, &labels, None).expect("well-formed");
    assert!(data.features.is_in_file());
    Trainer::new(TrainConfig::new(AnyHead::Softmax(arcos::heads::Softmax {})), data, None).expect("sensible")
}

fn refused(change: impl Fn(&Path)) -> String {
    let directory = with_data();
    let path: PathBuf = directory.path().join("data/train_features.npy");
    let mut trainer = trainer(&path);
    trainer.run_epoch(|_| {}).expect("nothing has changed");
    change(&path);
    let message = trainer.run_epoch(|_| {}).map(|_| ()).expect_err("the file has changed").to_string();
    assert!(message.contains("train_features.npy: "), "{message}");
    message
}

#[test]
fn files_that_change_between_epochs_are_an_error() {
    let open = |path: &Path| OpenOptions::new().write(true).open(path).expect("there");
    assert!(
        refused(|path| open(path).set_len(5000).expect("writable")).contains("bytes when it was opened and has 5000")
    );
    assert!(refused(|path| open(path).set_len(0).expect("writable")).contains("bytes when it was opened and has 0"));
    let message = refused(|path| {
        std::thread::sleep(CLOCK_TICK);
        let mut file = open(path);
        file.seek(SeekFrom::Start(0)).expect("seekable");
        file.write_all(&[0; 128]).expect("writable");
    });
    assert!(message.contains("has been written to since it was opened"), "{message}");
}

#[test]
fn a_file_that_is_cut_off_while_rows_are_read_is_an_error() {
    let directory = with_data();
    let path: PathBuf = directory.path().join("data/train_features.npy");
    let cut = || OpenOptions::new().write(true).open(&path).expect("there").set_len(5000).expect("writable");
    let mut trainer = trainer(&path);
    let labels = path.with_file_name("train_labels.npy");
    let data = Dataset::read(&path, &labels, None).expect("well-formed");
    let message = trainer.run_epoch(|_| cut()).map(|_| ()).expect_err("rows are gone").to_string();
    assert!(message.contains("epoch 1, batch 2: ") && message.contains("opened and has 5000"), "{message}");
    // All that looks at rows, be they there yet.
    let model = trainer.model();
    let rows = data.features.rows();
    let refused = [
        rows.all().map(drop),
        rows.select(&[3]).map(drop),
        rows.select(&[3, 159]).map(drop),
        model.embeddings(&data.features).map(drop),
        model.for_likeliest(&data.features, 1, |_, _| Ok(())),
        model.transform.apply_to_all(&data.features).map(drop),
        arcos::data::Transform::fit(arcos::data::TransformKind::Centre, &data.features).map(drop),
        arcos::train::DataChecksum::new(&data).map(drop),
        data.select(|_| true).map(drop),
        model.confusion(&data).map(drop),
    ];
    for outcome in refused {
        let message = outcome.expect_err("rows are gone").to_string();
        assert!(message.contains("train_features.npy: had "), "{message}");
    }
}

#[test]
fn a_header_that_is_zeroed_is_no_panic() {
    let directory = with_data();
    let path = directory.path().join("data/train_features.npy");
    let features = arcos::data::read_features(&path).expect("well-formed");
    std::thread::sleep(CLOCK_TICK);
    OpenOptions::new().write(true).open(&path).expect("there").write_all(&[0; 128]).expect("writable");
    assert!(matches!(features.rows().all(), Err(Error::File { .. })));
}

#[test]
fn a_file_that_another_one_replaces_is_still_the_one_that_was_opened() {
    let directory = with_data();
    let path = directory.path().join("data/train_features.npy");
    let features = arcos::data::read_features(&path).expect("well-formed");
    let before = features.rows().all().expect("readable").into_owned();
    let other = directory.path().join("other.npy");
    write_npy(&other, &Array2::<f32>::zeros((2, 2))).expect("writable");
    fs::rename(&other, &path).expect("renamed");
    assert_eq!(features.rows().all().expect("readable"), before);
}

/// Another time at which it was written, and the same contents.
fn touch(path: &Path) {
    let later = SystemTime::now() + Duration::from_secs(3600);
    File::options().write(true).open(path).and_then(|file| file.set_modified(later)).expect("there");
}

/// Other contents of the same length; returns those before.
fn overwrite(path: &Path) -> Vec<u8> {
    let before = fs::read(path).expect("there");
    let mut other = before.clone();
    *other.last_mut().expect("elements") ^= 1;
    let mut file = OpenOptions::new().write(true).open(path).expect("there");
    file.write_all(&other).expect("writable");
    touch(path);
    before
}

#[test]
fn a_file_that_is_touched_and_holds_the_same_has_not_changed() {
    let directory = with_data();
    let path: PathBuf = directory.path().join("data/train_features.npy");
    let mut trainer = trainer(&path);
    trainer.run_epoch(|_| touch(&path)).expect("it holds the same");
    touch(&path);
    trainer.run_epoch(|_| ()).expect("it holds the same");
    overwrite(&path);
    trainer.run_epoch(|_| ()).map(drop).expect_err("a bit of it is another");
    // Of features that nobody has looked through it is not known what they held.
    let features = arcos::data::read_features(&path).expect("well-formed");
    touch(&path);
    assert!(matches!(features.rows().all(), Err(Error::File { .. })));
}

#[test]
fn what_was_trained_before_a_file_changed_can_go_on_to_the_same_bits() {
    let directory = with_data();
    let at = |name: &str| directory.path().join("data").join(name);
    let data = |set: &str| Dataset::read(&at(&format!("{set}_features.npy")), &at(&format!("{set}_labels.npy")), None);
    let config = || TrainConfig::new(AnyHead::new("adacos", &[]).expect("a head"));
    let begin = || Trainer::new(config(), data("train").expect("read"), data("test").ok()).expect("sensible");
    let mut whole = begin();
    (0..2).for_each(|_| whole.run_epoch(|_| ()).map(|_| ()).expect("nothing changes"));
    // 160 rows are five batches of 32. The file of test rows changes after the last.
    for (set, batch, expected) in [("train", 2, 2), ("train", 5, 5), ("test", 3, 5)] {
        let mut first = begin();
        first.run_epoch(|_| ()).expect("nothing changes");
        let path = at(&format!("{set}_features.npy"));
        let mut before = Vec::new();
        let changed = first.run_epoch(|progress| {
            if progress.batch == batch {
                before = overwrite(&path);
            }
        });
        if (set, batch) == ("train", 5) {
            changed.expect("no row of it is needed any more");
            first.run_epoch(|_| ()).map(drop).expect_err("it is others");
        } else {
            changed.map(drop).expect_err("it is others");
        }
        let position = first.checkpoint().position();
        let is_done = RunPosition { epochs: 2, batches: 0 };
        assert_eq!(position, if batch == 5 { is_done } else { RunPosition { epochs: 1, batches: expected } });
        fs::write(&path, before).expect("writable");
        first.checkpoint().save(&directory.path().join("checkpoint")).expect("writable");
        let checkpoint = Checkpoint::<AnyHead>::load(&directory.path().join("checkpoint")).expect("whole");
        let mut second =
            Trainer::resume(checkpoint, config(), data("train").expect("read"), data("test").ok()).expect("the same");
        if batch < 5 {
            second.run_epoch(|_| ()).expect("nothing changes");
        }
        assert_eq!(second.model(), whole.model(), "{set} {batch}");
        assert_eq!(second.history()[1].test_loss, whole.history()[1].test_loss);
    }
}

#[test]
fn a_run_whose_data_change_leaves_a_checkpoint_and_says_how_to_go_on() {
    let directory = with_data();
    let path = directory.path().join("data/train_features.npy");
    let run = directory.path().join("run");
    let begin = |out, epochs| {
        ["train", "--head", "adacos", "--data", "data", "--checkpoint-every", "1h", "--out", out, "--epochs", epochs]
    };
    let mut command = command(directory.path(), &begin("run", "100000"));
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let start = Instant::now();
    while !has_logs(&run) {
        assert!(start.elapsed() < Duration::from_secs(60), "not in a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(RunDirectory::newest_position(&run).expect("readable"), None);
    let before = overwrite(&path);
    let message = complaint(&child.wait_with_output().expect("it ends"), 1);
    let position = RunDirectory::newest_position(&run).expect("readable").expect("a checkpoint");
    let goes_on = format!("the run has come to {position}; once that is mended, `");
    assert!(message.contains(&goes_on) && message.contains("has been written to since it was opened"), "{message}");
    fs::write(&path, before).expect("writable");
    let epochs = (position.epochs + 1).to_string();
    stdout(&arcos(directory.path(), &["train", "--resume", "--out", "run", "--epochs", &epochs]));
    stdout(&arcos(directory.path(), &begin("whole", &epochs)));
    assert!(last_tensors(&run) == last_tensors(&directory.path().join("whole")), "the tensors differ");
}
