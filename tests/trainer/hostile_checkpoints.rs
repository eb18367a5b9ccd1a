//! Checkpoints that are damaged or made to do harm.

use super::hostile::{adacos, data, noise, refusal, taken, trained};
use arcos::data::TransformKind;
use arcos::embedder::{EmbedBlock, Embedder};
use arcos::heads::L2Softmax;
use arcos::optim::{AdamW, Optimizer};
use arcos::train::{Checkpoint, TrainConfig, Trainer};
use arcos::{AnyHead, Error, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

/// A place for a checkpoint, and what its files hold while they are whole. The JSON is of the format without check sums: with them, what is made
/// to do harm would be noticed before it can.
struct Saved {
    directory: tempfile::TempDir,
    tensors: Vec<u8>,
    json: Vec<u8>,
}

impl Saved {
    fn of(checkpoint: &Checkpoint) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("checkpoint");
        checkpoint.save(&path).expect("writable");
        let [tensors, json] =
            ["safetensors", "json"].map(|name| fs::read(path.with_extension(name)).expect("just written"));
        let json = String::from_utf8(json).expect("UTF-8").replacen("arcos checkpoint 3", "arcos checkpoint 1", 1);
        let json = json.into_bytes();
        Self { directory, tensors, json }
    }

    fn loaded(&self, tensors: &[u8], json: &[u8]) -> Result<Checkpoint> {
        let path = self.directory.path().join("checkpoint");
        fs::write(path.with_extension("safetensors"), tensors).expect("writable");
        fs::write(path.with_extension("json"), json).expect("writable");
        Checkpoint::<AnyHead>::load(&path)
    }

    /// What is said of these tensors beside the JSON that is whole.
    fn refused_tensors(&self, tensors: &[u8]) -> String {
        refusal(self.loaded(tensors, &self.json), Path::new("checkpoint.safetensors"))
    }

    /// What is said of this JSON beside the tensors that are whole.
    fn refused_json(&self, json: &[u8]) -> String {
        refusal(self.loaded(&self.tensors, json), Path::new("checkpoint.json"))
    }

    /// Names of the changed tensors that nobody takes amiss.
    fn unnoticed(&self, change: impl Fn(&mut Tensors, &str)) -> Vec<String> {
        let whole = parsed(&self.tensors);
        let is_taken = |name: &&String| {
            let mut tensors = whole.clone();
            change(&mut tensors, name);
            taken(self.loaded(&serialized(&tensors), &self.json), Path::new("checkpoint.safetensors"))
        };
        whole.keys().filter(is_taken).cloned().collect()
    }

    /// Goes on for an epoch from the checkpoint with this value at `pointer` in its JSON.
    fn resumed(&self, pointer: &str, value: Value) -> Result<()> {
        let mut json: Value = serde_json::from_slice(&self.json).expect("JSON");
        let (parent, key) = pointer.rsplit_once('/').expect("a path");
        json.pointer_mut(parent).expect(pointer)[key] = value;
        let checkpoint = self.loaded(&self.tensors, json.to_string().as_bytes())?;
        let config = checkpoint.config.clone();
        let mut trainer = Trainer::resume(checkpoint, config, data(), None)?;
        trainer.run_epoch(|_| ()).map(|_| ())
    }
}

#[derive(Clone)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

type Tensors = BTreeMap<String, Tensor>;

fn parsed(file: &[u8]) -> Tensors {
    let (length, rest) = file.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("eight bytes")) as usize;
    let (header, data) = rest.split_at(length);
    let header: Map<String, Value> = serde_json::from_slice(header).expect("JSON");
    let numbers = |value: &Value| -> Vec<usize> {
        let numbers = value.as_array().expect("a list").iter();
        numbers.map(|number| number.as_u64().expect("a size") as usize).collect()
    };
    let tensor = |(name, entry): (String, Value)| {
        let (shape, offsets) = (numbers(&entry["shape"]), numbers(&entry["data_offsets"]));
        let dtype = entry["dtype"].as_str().expect("a name").into();
        (name, Tensor { dtype, shape, bytes: data[offsets[0]..offsets[1]].to_vec() })
    };
    header.into_iter().map(tensor).collect()
}

fn serialized(tensors: &Tensors) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, Tensor { dtype, shape, bytes }) in tensors {
        let start = data.len();
        data.extend_from_slice(bytes);
        header.insert(name.clone(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, data.len()] }));
    }
    with_header(&Value::Object(header).to_string(), &data)
}

fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// Checkpoints that have every tensor that there is.
fn checkpoints() -> Vec<Saved> {
    let alpha = AnyHead::L2Softmax(L2Softmax { alpha: 8.0, learn_alpha: true });
    let embedder =
        |block| TrainConfig { embedder: Some(Embedder { dimension: 3, block }), ..TrainConfig::new(adacos()) };
    let configs = [
        TrainConfig { transform: TransformKind::Standardise, ..TrainConfig::new(adacos()) },
        TrainConfig { optimizer: Optimizer::AdamW(AdamW::default()), ..TrainConfig::new(alpha) },
        embedder(EmbedBlock::Linear),
        embedder(EmbedBlock::E),
    ];
    configs.into_iter().map(|config| Saved::of(trained(config).checkpoint())).collect()
}

fn checkpoint() -> Saved {
    Saved::of(trained(TrainConfig::new(adacos())).checkpoint())
}

/// Former versions had AdaCos's scale among the tensors, numbers without a dimension, and moments by number: weights, bias, α, then the
/// embedder's.
#[test]
fn checkpoints_of_former_versions_are_read() {
    let fixed = AnyHead::new("l2-softmax", &[]).expect("defaults");
    let embedder = Some(Embedder { dimension: 3, block: EmbedBlock::E });
    let of_fixed = TrainConfig { embedder, ..TrainConfig::new(fixed) };
    for saved in checkpoints().into_iter().chain([Saved::of(trained(of_fixed).checkpoint())]) {
        let expected = saved.loaded(&saved.tensors, &saved.json).expect("whole");
        let mut tensors = parsed(&saved.tensors);
        let mut json: Value = serde_json::from_slice(&saved.json).expect("JSON");
        if let Some(state) = json.as_object_mut().and_then(|json| json.remove("state")) {
            let scale = state["scale"].as_f64().expect("a number") as f32;
            let scale = Tensor { dtype: "F32".into(), shape: vec![], bytes: scale.to_le_bytes().to_vec() };
            tensors.insert("scale".into(), scale);
        }
        tensors.get_mut("alpha").into_iter().for_each(|alpha| alpha.shape.clear());
        let order = ["weights", "bias", "alpha"].map(String::from).into_iter();
        let of_embedder = ["weights", "bias", "input.gamma", "input.beta", "output.beta"];
        let order = order.chain(of_embedder.map(|name| format!("embedder.{name}")));
        let names: Vec<_> = order.filter(|name| tensors.contains_key(&format!("moments.{name}.first"))).collect();
        assert_eq!(names.len(), expected.moments.len());
        for (number, name) in names.iter().enumerate() {
            for order in ["first", "second"] {
                let moments = tensors.remove(&format!("moments.{name}.{order}")).expect("there are some");
                tensors.insert(format!("moments.{number}.{order}"), moments);
            }
        }
        let found = saved.loaded(&serialized(&tensors), json.to_string().as_bytes()).expect("a former version");
        assert_eq!(found, expected);
    }
}

#[test]
fn checkpoints_that_are_cut_off_are_refused() {
    for saved in checkpoints() {
        let length = saved.tensors.len();
        for length in (0..64).chain((64..length).step_by(13)).chain([length - 1]) {
            saved.refused_tensors(&saved.tensors[..length]);
        }
        for length in (0..saved.json.len()).step_by(29) {
            saved.refused_json(&saved.json[..length]);
        }
        saved.refused_tensors(&[&saved.tensors[..], b"x"].concat());
        let same = saved.loaded(&serialized(&parsed(&saved.tensors)), &saved.json).expect("the same tensors");
        assert_eq!(same, saved.loaded(&saved.tensors, &saved.json).expect("whole"));
    }
}

#[test]
fn a_tensor_that_is_missing_is_missed() {
    for saved in checkpoints() {
        let unnoticed = saved.unnoticed(|tensors, name| drop(tensors.remove(name)));
        assert!(unnoticed.is_empty(), "{unnoticed:?}");
    }
}

#[test]
fn a_tensor_with_an_element_too_many_is_refused() {
    for saved in checkpoints() {
        let unnoticed = saved.unnoticed(|tensors, name| {
            let tensor = tensors.get_mut(name).expect("named");
            tensor.bytes.extend([0; 4]);
            tensor.shape = vec![tensor.bytes.len() / 4];
        });
        assert!(unnoticed.is_empty(), "{unnoticed:?}");
    }
}

#[test]
fn a_tensor_of_another_type_is_refused() {
    for saved in checkpoints() {
        for dtype in ["I32", "U32", "F16", "F64", "BOOL", "F4", "F33"] {
            let unnoticed = saved.unnoticed(|tensors, name| {
                let tensor = tensors.get_mut(name).expect("named");
                tensor.dtype = dtype.into();
                let elements = tensor.bytes.len() / 4;
                tensor.bytes.resize(elements * if dtype == "F64" { 8 } else { 4 }, 0);
            });
            assert!(unnoticed.is_empty(), "{dtype}: {unnoticed:?}");
        }
    }
}

#[test]
fn tensors_that_have_changed_places_are_refused() {
    for saved in checkpoints() {
        let mut tensors = parsed(&saved.tensors);
        let (weights, mean) = (tensors["weights"].clone(), tensors["transform.mean"].clone());
        tensors.extend([("weights".into(), mean), ("transform.mean".into(), weights)]);
        saved.refused_tensors(&serialized(&tensors));
    }
}

#[test]
fn tensors_of_another_head_are_refused() {
    let saved = ["adacos", "arcface", "softmax", "l2-softmax"].map(|name| {
        let head = AnyHead::new(name, &[]).expect("a head");
        (name, Saved::of(trained(TrainConfig::new(head)).checkpoint()))
    });
    for ((name, own), (other, others)) in saved.iter().flat_map(|own| saved.iter().map(move |other| (own, other))) {
        let loaded = own.loaded(&others.tensors, &own.json);
        // What tells AdaCos's from ArcFace's is state, which is in the JSON.
        let alike = parsed(&own.tensors).keys().eq(parsed(&others.tensors).keys());
        assert_eq!(taken(loaded, Path::new("checkpoint.safetensors")), alike, "tensors of {other} for {name}");
    }
}

#[test]
fn class_vectors_of_no_class_or_dimension_are_refused() {
    let saved = checkpoint();
    for shape in [[0, 4], [5, 0], [0, 0], [1 << 62, 0], [0, 1 << 62], [0, 1 << 63]] {
        let mut tensors = parsed(&saved.tensors);
        let empty = |shape: &[usize]| Tensor { dtype: "F32".into(), shape: shape.into(), bytes: Vec::new() };
        tensors.extend([
            ("weights".into(), empty(&shape)),
            ("moments.weights.first".into(), empty(&[0])),
            ("moments.weights.second".into(), empty(&[0])),
        ]);
        if shape[1] != 4 {
            tensors.insert("transform.mean".into(), empty(&[0]));
        }
        saved.refused_tensors(&serialized(&tensors));
    }
}

#[test]
fn tensor_files_of_another_format_are_refused() {
    let saved = checkpoint();
    for length in [1 << 60, u64::MAX, u64::MAX - 7, 100_000_000, 100_000_001, saved.tensors.len() as u64 - 7, 0, 1] {
        let mut tensors = saved.tensors.clone();
        tensors[..8].copy_from_slice(&length.to_le_bytes());
        saved.refused_tensors(&tensors);
    }
    let nested = ["[".repeat(100_000), "{\"a\":".repeat(100_000), format!("{{\"a\":{}", "[".repeat(100_000))];
    for header in nested.iter().map(String::as_str).chain(["", "{}", "null", "[]", "{\"weights\":{}}", "\u{7f}"]) {
        saved.refused_tensors(&with_header(header, &[]));
    }
    saved.refused_tensors(&noise(1_000_000));
}

#[test]
fn tensors_outside_their_file_are_refused() {
    let saved = checkpoint();
    let entry = |dtype: &str, shape: Value, offsets: [u64; 2]| {
        let [start, end] = offsets;
        json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] })
    };
    let with_weights = |entry: Value| json!({ "weights": entry }).to_string();
    for header in [
        with_weights(entry("F32", json!([1u64 << 60]), [0, 80])),
        with_weights(entry("F32", json!([1u64 << 62, 4]), [0, 80])),
        with_weights(entry("F32", json!([1u64 << 60]), [0, 1 << 62])),
        with_weights(entry("F32", json!([20]), [80, 0])),
        with_weights(entry("F32", json!([20]), [8, 88])),
        with_weights(entry("F32", json!([-5, 4]), [0, 80])),
        with_weights(entry("F32", json!([5.0, 4]), [0, 80])),
        json!({ "bias": entry("F32", json!([20]), [0, 80]), "weights": entry("F32", json!([20]), [0, 80]) })
            .to_string(),
    ] {
        saved.refused_tensors(&with_header(&header, &[0; 80]));
    }
    // Together they are as long as can be: the end of the file would be past the largest number.
    let size = (1 << 61) - 1;
    let tensors = (0..8).map(|i| (format!("{i}"), entry("U8", json!([size]), [i * size, (i + 1) * size])));
    saved.refused_tensors(&with_header(&Value::Object(tensors.collect()).to_string(), &[]));
}

#[test]
fn json_of_another_format_is_refused() {
    let saved = checkpoint();
    let text = String::from_utf8(saved.json.clone()).expect("UTF-8");
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        text.replacen(from, to, 1)
    };
    saved.loaded(&saved.tensors, text.as_bytes()).expect("nothing has changed");
    let message = saved.refused_json(changed("arcos checkpoint 1", "arcos checkpoint 0").as_bytes());
    assert!(message.contains("arcos checkpoint 0; expected arcos checkpoint"), "{message}");
    for rows in ["-1", "20.5", "1e400", "18446744073709551616", "\"20\"", "null", "[20]", &"9".repeat(100_000)[..]] {
        saved.refused_json(changed("\"train_rows\": 20", &format!("\"train_rows\": {rows}")).as_bytes());
    }
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let as_head = changed("\"name\": \"adacos\"", &format!("\"name\": \"adacos\", \"more\": {nested}"));
    for json in [nested.as_bytes(), as_head.as_bytes(), b"\"\\ud800\"", b"\xff\xfe{}", &noise(1_000_000)[..]] {
        saved.refused_json(json);
    }
    let at_the_top = changed("{", &format!("{{ \"more\": {nested},"));
    taken(saved.loaded(&saved.tensors, at_the_top.as_bytes()), Path::new("checkpoint.json"));
}

#[test]
fn settings_that_no_run_can_have_do_not_go_on() {
    let saved = checkpoint();
    for (pointer, value) in [
        ("/config/batch_size", json!(0)),
        ("/config/learning_rate", json!(1e308)),
        ("/config/optimizer/rho", json!(2.0)),
        ("/config/schedule/warm_up", json!(-1.0)),
        ("/config/schedule/decay", json!({ "kind": "step", "every": 0, "factor": 0.1 })),
        ("/config/kernel/streaming/filter", json!({ "mass": 2.0 })),
        ("/config/head/max_scale", json!(-1.0)),
        ("/config/transform", json!({ "kind": "whiten", "dimensions": u64::MAX, "ridge": 0.0 })),
        ("/config/embedder", json!({ "dimension": u64::MAX, "block": "linear" })),
        ("/train_rows", json!(u64::MAX)),
    ] {
        assert!(saved.resumed(pointer, value.clone()).is_err(), "{pointer}: {value}");
    }
    for pointer in ["/config/batch_size", "/config/epochs", "/config/seed", "/config/kernel/streaming/workspace"] {
        saved.resumed(pointer, json!(u64::MAX)).expect(pointer);
    }
}

#[test]
fn a_pause_that_no_epoch_can_have_does_no_harm() {
    let config = TrainConfig { batch_size: 5, ..TrainConfig::new(adacos()) };
    let mut trainer = trained(config);
    let paused = trainer.run_epoch_or_pause(|_| ControlFlow::Break(())).expect("training goes on");
    assert_eq!(paused, None);
    let saved = Saved::of(trainer.checkpoint());
    saved.resumed("/paused/batches", json!(1)).expect("nothing has changed");
    for batches in [5, 1 << 60, u64::MAX] {
        let refused = saved.resumed("/paused/batches", json!(batches));
        assert!(matches!(refused, Err(Error::Checkpoint { .. })), "{batches} batches of four: {refused:?}");
    }
    let angles = vec![u64::MAX; 180];
    for (pointer, value) in [
        ("/paused/dropout_position", json!(u64::MAX)),
        ("/paused/seconds", json!(-1e308)),
        ("/paused/means/rows", json!(u64::MAX)),
        ("/paused/means/steps", json!(u64::MAX)),
        ("/paused/means/correct", json!(u64::MAX)),
        ("/paused/log/target_angles", json!(angles)),
    ] {
        // That the run goes on is as good as that it does not.
        saved.resumed(pointer, value).unwrap_or_default();
    }
}

#[test]
fn directories_in_place_of_a_checkpoint_are_refused() {
    for name in ["checkpoint.safetensors", "checkpoint.json"] {
        let saved = checkpoint();
        let path = saved.directory.path().join(name);
        fs::remove_file(&path).expect("there");
        fs::create_dir(&path).expect("writable");
        let message = refusal(Checkpoint::<AnyHead>::load(&path), &path);
        assert!(message.ends_with("is a directory; expected a regular file"), "{message}");
    }
}
