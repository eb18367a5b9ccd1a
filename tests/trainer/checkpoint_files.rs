//! The files of checkpoints: damage is noticed, tensors and JSON belong together, and an older one is found.

use super::birds::{adacos, trainer};
use super::hostile::{data, trained};
use arcos::AnyHead;
use arcos::Error;
use arcos::embedder::{EmbedBlock, Embedder};
use arcos::heads::{ArcFace, CosFace, NormSoftmax, Scale};
use arcos::train::{Checkpoint, RunDirectory, TrainConfig, Trainer};
use std::fs;
use std::path::{Path, PathBuf};

fn small() -> Trainer {
    let embedder = Some(Embedder { dimension: 2, block: EmbedBlock::Linear });
    trained(TrainConfig { embedder, ..TrainConfig::new(adacos()) })
}

fn saved(trainer: &Trainer, directory: &Path) -> PathBuf {
    let path = directory.join("checkpoint");
    trainer.checkpoint().save(&path).expect("writable");
    path
}

#[test]
fn any_bit_that_is_flipped_is_noticed_or_means_nothing() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let trainer = small();
    let path = saved(&trainer, directory.path());
    assert_eq!(&Checkpoint::<AnyHead>::load(&path).expect("whole"), trainer.checkpoint());
    for extension in ["safetensors", "json"] {
        let file = path.with_extension(extension);
        let whole = fs::read(&file).expect("just written");
        for bit in 0..8 * whole.len() {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&file, &bytes).expect("writable");
            match Checkpoint::<AnyHead>::load(&path) {
                Err(error @ Error::File { .. }) => assert!(error.to_string().contains("checkpoint."), "{error}"),
                // 1E-7 is 1e-7.
                Ok(same) if extension == "json" && &same == trainer.checkpoint() => {}
                other => panic!("bit {} of byte {} of {extension}: {other:?}", bit % 8, bit / 8),
            }
        }
        fs::write(&file, &whole).expect("writable");
    }
}

#[test]
fn tensors_of_another_epoch_are_noticed() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let mut trainer = small();
    let path = saved(&trainer, directory.path());
    let before = fs::read(path.with_extension("safetensors")).expect("just written");
    trainer.run_epoch(|_| ()).expect("training goes on");
    let path = saved(&trainer, directory.path());
    fs::write(path.with_extension("safetensors"), before).expect("writable");
    let error = Checkpoint::<AnyHead>::load(&path).expect_err("they are of the epoch before").to_string();
    assert!(error.contains("checkpoint.safetensors: damaged, or not the tensors of this checkpoint"), "{error}");
}

#[test]
fn checkpoints_from_before_there_were_checksums_go_on() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let trainer = small();
    let path = saved(&trainer, directory.path());
    let json = fs::read(path.with_extension("json")).expect("just written");
    let mut json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    json["format"] = "arcos checkpoint 1".into();
    for added in ["data", "tensors_crc32c", "crc32c"] {
        json.as_object_mut().expect("an object").remove(added).expect("it is there");
    }
    fs::write(path.with_extension("json"), json.to_string()).expect("writable");
    let checkpoint = Checkpoint::<AnyHead>::load(&path).expect("it can be read");
    assert_eq!(checkpoint, Checkpoint { data: None, ..trainer.checkpoint().clone() });
    let config = checkpoint.config.clone();
    let mut trainer = Trainer::resume(checkpoint, config, data(), None).expect("nothing is known of its data");
    trainer.run_epoch(|_| ()).expect("training goes on");
    assert!(trainer.checkpoint().data.is_some(), "now it is");
}

/// A directory that is not empty cannot be replaced by a file.
#[test]
fn the_json_is_put_in_its_place_after_the_tensors() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("checkpoint");
    fs::create_dir_all(path.with_extension("safetensors").join("full")).expect("writable");
    assert!(matches!(small().checkpoint().save(&path), Err(Error::Io { .. })));
    assert!(!path.with_extension("json").exists(), "a checkpoint without tensors would be found");
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1, "temporary files are gone");

    fs::remove_dir_all(path.with_extension("safetensors")).expect("there");
    fs::create_dir_all(path.with_extension("json").join("full")).expect("writable");
    assert!(matches!(small().checkpoint().save(&path), Err(Error::Io { .. })));
    assert!(path.with_extension("safetensors").is_file());
}

#[test]
fn of_damaged_checkpoints_the_newest_whole_one_before_is_named() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path();
    assert!(RunDirectory::load_newest::<AnyHead>(path).expect("nothing yet").is_none());
    let mut trainer = trainer(TrainConfig { epochs: 3, ..TrainConfig::new(adacos()) });
    let mut writer = RunDirectory::create(path, 3, trainer.checkpoint()).expect("writable");
    while !trainer.is_done() {
        trainer.run_epoch(|_| ()).expect("training goes on");
        writer.save(trainer.checkpoint()).expect("writable");
    }
    drop(writer);
    let tensors = |epoch: usize| path.join(format!("checkpoints/epoch-000{epoch}.safetensors"));
    assert_eq!(RunDirectory::load_newest(path).expect("whole").as_ref(), Some(trainer.checkpoint()));

    let damage = |epoch| {
        let mut bytes = fs::read(tensors(epoch)).expect("written");
        *bytes.last_mut().expect("bytes") ^= 1;
        fs::write(tensors(epoch), bytes).expect("writable");
    };
    damage(3);
    let says = |expected: &str| match RunDirectory::load_newest::<AnyHead>(path) {
        Err(error @ Error::DamagedCheckpoint { .. }) => {
            let message = error.to_string();
            assert!(message.contains("epoch-0003.safetensors: damaged"), "{message}");
            assert!(message.contains(expected), "{message}");
        }
        other => panic!("{other:?}"),
    };
    says("epoch-0002.json is whole, and resuming goes on from epoch 2 after `rm -f ");
    fs::remove_file(tensors(2)).expect("there");
    says("epoch-0001.json is whole, and resuming goes on from epoch 1 after `rm -f ");
    damage(1);
    says("no older checkpoint can be read");
}

/// Two heads may have the same fields.
#[test]
fn a_checkpoint_is_of_its_head_and_no_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("checkpoint");
    let head = ArcFace { scale: Scale::Fixed(16.0), margin: 0.1, ..ArcFace::default() };
    let trainer = Trainer::new(TrainConfig { epochs: 1, ..TrainConfig::new(head) }, data(), None).expect("a run");
    trainer.checkpoint().save(&path).expect("writable");
    assert_eq!(&Checkpoint::<ArcFace>::load(&path).expect("its own head"), trainer.checkpoint());
    let message = |error: arcos::Error| error.to_string();
    for found in [
        Checkpoint::<CosFace>::load(&path).map(drop).map_err(message),
        Checkpoint::<NormSoftmax>::load(&path).map(drop).map_err(message),
        Checkpoint::<AnyHead>::load(&path).map(drop).map_err(message),
    ] {
        let message = found.expect_err("another head");
        assert!(message.contains("is of the head arcface"), "{message}");
    }
}
