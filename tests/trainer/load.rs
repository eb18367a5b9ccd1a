//! Memory of many runs in one process.

use arcos::data::Dataset;
use arcos::embedder::{EmbedBlock, Embedder};
use arcos::heads::AdaCos;
use arcos::train::{RunDirectory, TrainConfig, Trainer};
use arcos::{AnyHead, Result};
use ndarray::Array2;
use std::fs;
use std::path::Path;
use std::process::Command;

fn small_run(directory: &Path) -> Result<()> {
    let features = Array2::from_shape_fn((64, 16), |(row, column)| ((7 * row + 5 * column) % 13) as f32 - 6.0);
    let data = Dataset::new(features.into(), (0..64).map(|row| row % 8).collect())?;
    let embedder = Some(Embedder { dimension: 8, block: EmbedBlock::E });
    let config = TrainConfig { epochs: 2, embedder, ..TrainConfig::new(AnyHead::AdaCos(AdaCos::default())) };
    let mut trainer = Trainer::new(config, data.clone(), Some(data))?;
    let mut run = RunDirectory::create(directory, 1, trainer.checkpoint())?;
    while !trainer.is_done() {
        trainer.run_epoch(|_| ())?;
        run.log_epoch(trainer.checkpoint(), trainer.epoch_log())?;
        run.save(trainer.checkpoint())?;
    }
    Ok(())
}

/// Resident memory in bytes.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").expect("Linux has it");
    4096 * pages.split(' ').nth(1).expect("the second field").parse::<usize>().expect("a number")
}

/// Alone in its process, where no other test's memory counts: [`many_runs_in_one_process_do_not_grow`] starts it.
#[test]
#[ignore = "started by another test"]
fn many_runs_alone() {
    let run = || {
        let directory = tempfile::tempdir().expect("temporary directory");
        small_run(directory.path()).expect("a run");
    };
    (0..100).for_each(|_| run());
    let before = resident();
    (0..400).for_each(|_| run());
    let grown = resident().saturating_sub(before);
    assert!(grown < 4 << 20, "400 runs took {grown} bytes more");
}

#[cfg(target_os = "linux")]
#[test]
fn many_runs_in_one_process_do_not_grow() {
    let test = std::env::current_exe().expect("this test");
    let output = Command::new(test).args(["--ignored", "--exact", "load::many_runs_alone"]).output().expect("starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
