//! Networks from ONNX files, and `arcos extract` with them.

use super::data_file;
use arcos::data::image::{Layout, Preprocessing, to_unit_range};
use arcos::extract::{Network, NetworkOptions, Tokens};
use arcos::{Error, Result};
use ndarray::{Array2, Array4, Axis, s};
use ndarray_npy::read_npy;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::path::Path;

fn network(name: &str, batch_size: usize) -> Result<Network> {
    Network::load(&data_file(&format!("networks/{name}.onnx")), &NetworkOptions::new(batch_size))
}

fn load(path: &Path) -> Result<Network> {
    Network::load(path, &NetworkOptions::new(1))
}

/// Features of the photographs beside a network, by it and by PyTorch (`tests/reference/make_efficientnet.py`).
fn agrees_with_pytorch(directory: &Path, batch_size: usize) {
    let network = Network::load(&directory.join("model.onnx"), &NetworkOptions::new(batch_size)).expect("EfficientNet");
    let (width, height) = network.image_size();
    let preprocessing = Preprocessing::new(width, height, network.layout());
    let expected: Array2<f32> = read_npy(directory.join("features.npy")).expect("features");
    assert_eq!(network.dimension(), expected.ncols());
    let [channels, rows, columns] = preprocessing.input_shape();
    let mut images = Array4::zeros((expected.nrows(), channels, rows, columns));
    for (number, image) in images.axis_iter_mut(Axis(0)).enumerate() {
        let photograph =
            preprocessing.read(&directory.join(format!("photograph_{number}.png")), None).expect("an image");
        let photograph = to_unit_range(&photograph);
        preprocessing.normalisation.write(photograph.view(), Layout::Nchw, image).expect("of this size");
    }
    let mut worst = 0f32;
    for (first, images) in images.axis_chunks_iter(Axis(0), batch_size).enumerate() {
        let features = network.features(images).expect("features");
        let expected = expected.slice(s![first * batch_size..first * batch_size + features.nrows(), ..]);
        for (found, expected) in features.rows().into_iter().zip(expected.rows()) {
            let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
            assert!(largest > 0.1, "features that vanish agree with any");
            let difference = (&found - &expected).iter().fold(0f32, |largest, value| largest.max(value.abs()));
            worst = worst.max(difference / largest);
        }
    }
    println!("largest difference to PyTorch, relative to the row's largest feature: {worst:e}");
    assert!(worst < 1e-4, "{worst:e}");
}

#[test]
fn the_first_images_show_what_noise_does_not() {
    let of_colours = |colours: &[f32]| {
        let mut images = Array4::zeros((colours.len(), 3, 8, 8));
        images.outer_iter_mut().zip(colours).for_each(|(mut image, &colour)| image.fill(colour));
        images
    };
    let mixing = network("mixes_plain_images", 3).expect("noise is not mixed");
    mixing.features(of_colours(&[0.5]).view()).expect("an image by itself");
    let error = mixing.features(of_colours(&[0.5, 0.25]).view()).expect_err("two are mixed").to_string();
    assert!(error.contains("mixes_plain_images.onnx: gives an image other features beside other images"), "{error}");
    let by_itself = network("noted_shapes", 3).expect("each image is by itself");
    by_itself.features(of_colours(&[0.5, 0.25]).view()).expect("each image is by itself");
}

#[test]
fn networks_that_mix_the_images_of_a_batch_are_refused() {
    for name in ["mean_of_batch", "sums_of_batch"] {
        network(name, 1).expect("nothing is mixed in batches of one");
    }
    for (name, batch_size) in [
        ("mean_of_batch", 2),
        ("mean_of_batch", 5),
        ("sums_of_batch", 2),
        ("sums_of_batch", 3),
        ("noise", 1),
        ("noise", 4),
    ] {
        let error = network(name, batch_size).expect_err("features depend on the batch").to_string();
        assert!(error.contains(&format!("{name}.onnx: gives an image other features beside other images")), "{error}");
    }
    for batch_size in [2, 4, 64] {
        network("by_brightest", batch_size).expect_err("divided by the brightest pixel of the batch");
    }
    for row in 0..4 {
        network(&format!("mixes_image_{row}"), 4).expect_err("an image has the features of all");
    }
    for name in ["noted_shapes", "halves", "doubles", "bytes"] {
        for batch_size in [1, 2, 3, 16] {
            network(name, batch_size).expect("each image is by itself");
        }
    }
}

#[test]
fn a_tiny_efficientnet_agrees_with_pytorch() {
    for batch_size in [1, 3] {
        agrees_with_pytorch(&data_file("efficientnet_tiny"), batch_size);
    }
}

#[test]
#[ignore = "needs PyTorch to make the network: make efficientnet"]
fn efficientnet_b0_agrees_with_pytorch() {
    agrees_with_pytorch(&Path::new(env!("CARGO_MANIFEST_DIR")).join("target/efficientnet_b0"), 1);
}

#[test]
fn layout_size_and_batch_are_read_from_the_file() {
    let shape = |name, batch_size| {
        let network = network(name, batch_size).expect(name);
        (network.layout(), network.image_size(), network.batch_size(), network.dimension())
    };
    assert_eq!(shape("pool_nchw", 4), (Layout::Nchw, (224, 224), 4, 3));
    assert_eq!(shape("mean_nhwc", 4), (Layout::Nhwc, (10, 6), 4, 3));
    assert_eq!(shape("batch_of_two", 4), (Layout::Nchw, (8, 8), 2, 3));
    assert_eq!(shape("weights_apart", 1), (Layout::Nchw, (8, 8), 1, 5));
    assert_eq!(shape("last_axis", 2), (Layout::Nhwc, (10, 6), 2, 3));
    // The file notes shapes of tensors on the way, for the batch that it leaves open.
    assert_eq!(shape("noted_shapes", 2), (Layout::Nchw, (8, 8), 2, 5));
}

#[test]
fn features_are_those_of_each_image_whatever_the_batch() {
    let network = network("mean_nhwc", 4).expect("well-formed");
    let images = Array4::from_shape_fn((4, 6, 10, 3), |(n, y, x, c)| (n + 2 * y + 3 * x + 5 * c) as f32 / 50.0);
    let means = |images: &Array4<f32>| images.mean_axis(Axis(1)).and_then(|means| means.mean_axis(Axis(1)));
    let expected: Array2<f32> = means(&images).expect("not empty");
    for images_given in 0..=4 {
        let features = network.features(images.slice(s![..images_given, .., .., ..])).expect("of this size");
        assert_eq!(features.dim(), (images_given, 3));
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
        assert!(features.iter().zip(&expected).all(close), "{features} {expected}");
    }
    let too_many = Array4::zeros((5, 6, 10, 3));
    assert!(matches!(network.features(too_many.view()), Err(Error::Shape { .. })));
    assert!(matches!(network.features(Array4::zeros((1, 3, 6, 10)).view()), Err(Error::Shape { .. })));
}

#[test]
fn files_that_are_no_such_network_are_refused() {
    let says = |path: &Path, text: &str| {
        let message = load(path).expect_err(text).to_string();
        assert!(message.contains(text) && message.contains(&path.display().to_string()), "{message}");
    };
    let named = |name: &str| data_file(&format!("networks/{name}.onnx"));
    says(&named("maps"), "expected (N, D), (N, D, 1, 1), (N, 1, 1, D) or (N, T, D) of floats");
    let sizes = "N from 1 to 1024, H and W from 1 to 8192";
    let expected = format!("expected one input (N, 3, H, W) or (N, H, W, 3) of floats or bytes, {sizes}");
    says(&named("one_channel"), &format!("its inputs are N,1,8,8,F32; {expected}"));
    says(&named("no_images"), &format!("its inputs are 0,3,8,8,F32; {expected}"));
    says(&named("two_inputs"), "expected one input");
    says(&data_file("images/rgb.png"), "cannot be loaded");
    says(Path::new("gone.onnx"), "cannot read");

    let directory = tempfile::tempdir().expect("temporary directory");
    let copy = directory.path().join("copy.onnx");
    fs::copy(named("weights_apart"), &copy).expect("writable");
    let message = load(&copy).expect_err("no weights").to_string();
    assert!(message.contains("weights_apart.bin"), "{message}");
}

/// What is said of the network `name` with `found` changed to `changed`, byte for byte.
fn refusal_with(name: &str, found: &[u8], changed: &[u8]) -> String {
    assert_eq!(found.len(), changed.len());
    let bytes = fs::read(data_file(&format!("networks/{name}.onnx"))).expect("there");
    let at = bytes.windows(found.len()).position(|part| part == found).expect("in the file");
    let directory = tempfile::tempdir().expect("temporary directory");
    let network = directory.path().join("network.onnx");
    fs::write(&network, [&bytes[..at], changed, &bytes[at + found.len()..]].concat()).expect("writable");
    load(&network).expect_err(name).to_string()
}

#[test]
fn images_are_of_floats_or_bytes_and_have_pixels() {
    // The type of the input's elements, and its height.
    let [float, integer] = [b"\x0a\x15\x08\x01", b"\x0a\x15\x08\x03"];
    let [six_rows, no_rows] = [b"\x0a\x02\x08\x06", b"\x0a\x02\x08\x00"];
    for (found, changed) in [(float, integer), (six_rows, no_rows)] {
        let message = refusal_with("mean_nhwc", found, changed);
        assert!(message.contains("expected one input (N, 3, H, W) or (N, H, W, 3) of floats or bytes"), "{message}");
    }
}

#[test]
fn weights_are_read_from_beside_the_network_alone() {
    for elsewhere in ["../../../dev/null", "../weights_a.bin/", "/dev/././././zero"] {
        let message = refusal_with("weights_apart", b"weights_apart.bin", elsewhere.as_bytes());
        let expected = format!("keeps weights in {elsewhere:?}; expected files in its own directory");
        assert!(message.contains(&expected), "{message}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let message = load(Path::new("/dev/zero")).expect_err("no file").to_string();
    assert!(message.ends_with("/dev/zero: is no regular file; expected a regular file"), "{message}");
    let directory = tempfile::tempdir().expect("temporary directory");
    let network = directory.path().join("network.onnx");
    fs::copy(data_file("networks/weights_apart.onnx"), &network).expect("writable");
    std::os::unix::fs::symlink("/dev/zero", directory.path().join("weights_apart.bin")).expect("writable");
    let message = load(&network).expect_err("no weights").to_string();
    assert!(message.ends_with("weights_apart.bin: is no regular file; expected a regular file"), "{message}");
}

#[test]
fn damaged_networks_are_errors() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let damaged = directory.path().join("damaged.onnx");
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut panics_of_the_runtime = 0;
    for name in ["maps", "mean_nhwc", "pool_nchw", "weights_apart"] {
        let bytes = fs::read(data_file(&format!("networks/{name}.onnx"))).expect("there");
        for _ in 0..300 {
            let mut bytes = bytes.clone();
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..3) {
                0 => bytes[at] = rng.random(),
                1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
            fs::write(&damaged, bytes).expect("writable");
            match load(&damaged) {
                Err(Error::File { found, .. }) if found.contains("panics") => panics_of_the_runtime += 1,
                Ok(_) | Err(Error::File { .. } | Error::Io { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(panics_of_the_runtime > 0, "the runtime has no need of being guarded");
}

#[test]
fn the_hash_is_that_of_the_weights_too() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let copy = |name: &str| {
        let to = directory.path().join(name);
        fs::copy(data_file("networks").join(name), &to).expect("writable");
        to
    };
    let (network, weights) = (copy("weights_apart.onnx"), copy("weights_apart.bin"));
    let hash = || load(&network).expect("well-formed").file().sha256.clone();
    let before = hash();
    assert_eq!(before, self::network("weights_apart", 2).expect("well-formed").file().sha256);
    let mut bytes = fs::read(&weights).expect("there");
    bytes[1] ^= 1;
    fs::write(&weights, bytes).expect("writable");
    assert_ne!(before, hash());
}

/// Two images (n, 3, 8, 8) of whole numbers up to 255, and the mean of each channel.
fn bytes_and_means() -> (Array4<f32>, Array2<f32>) {
    let images = Array4::from_shape_fn((2, 3, 8, 8), |(n, c, y, x)| ((90 * n + 41 * c + 7 * y + 3 * x) % 256) as f32);
    let means = images.mean_axis(Axis(3)).and_then(|means| means.mean_axis(Axis(2))).expect("not empty");
    (images, means)
}

fn assert_close(found: &Array2<f32>, expected: &Array2<f32>, tolerance: f32) {
    assert_eq!(found.dim(), expected.dim());
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < tolerance), "{found} {expected}");
}

#[test]
fn images_are_given_as_the_numbers_that_a_network_takes() {
    let (images, means) = bytes_and_means();
    for (name, tolerance) in [("pool_nchw", 1e-4), ("doubles", 1e-4), ("bytes", 1e-4), ("halves", 0.5)] {
        let images = match name {
            "pool_nchw" => Array4::from_shape_fn((2, 3, 224, 224), |(n, c, y, x)| images[[n, c, y % 8, x % 8]]),
            _ => images.clone(),
        };
        let network = network(name, 2).expect(name);
        assert_eq!(network.takes_bytes(), name == "bytes");
        assert_close(&network.features(images.view()).expect(name), &means, tolerance);
    }
    let bytes = network("bytes", 2).expect("well-formed");
    // Whole numbers but for rounding, as a normalisation gives them.
    assert_close(&bytes.features((images.clone() * 0.9999999).view()).expect("bytes"), &means, 1e-4);
    for wrong in [-1.0, 256.0, f32::NAN] {
        let message = bytes.features(Array4::from_elem((1, 3, 8, 8), wrong).view()).expect_err("no byte").to_string();
        assert!(
            message.contains(&format!("takes bytes, and is given {wrong}; expected values from 0 to 255")),
            "{message}"
        );
    }
}

#[test]
fn features_come_from_the_tensor_and_the_tokens_that_are_chosen() {
    let (images, means) = bytes_and_means();
    let path = data_file("networks/several_outputs.onnx");
    let load = |output: Option<&str>, tokens| {
        Network::load(&path, &NetworkOptions { batch_size: 3, output: output.map(String::from), tokens })
    };
    let features = |output, tokens| {
        let network = load(output, tokens).expect("well-formed");
        assert_eq!(network.outputs(), ["features", "tokens"]);
        assert_eq!(network.file().output.as_deref(), Some(output.unwrap_or("features")));
        assert_eq!(network.file().tokens, tokens);
        network.features(images.view()).expect("of this size")
    };
    // A token is the mean of a row of pixels.
    let first = images.slice(s![.., .., 0, ..]).mean_axis(Axis(2)).expect("not empty");
    let first_channel = images.slice(s![.., 0, .., ..]).mean_axis(Axis(2)).expect("not empty");
    assert_close(&features(None, None), &means, 1e-4);
    assert_close(&features(Some("features"), None), &means, 1e-4);
    assert_close(&features(Some("tokens"), Some(Tokens::First)), &first, 1e-4);
    assert_close(&features(Some("tokens"), Some(Tokens::Mean)), &means, 1e-4);
    // No output of the file, but a tensor that it computes.
    assert_close(&features(Some("rows"), Some(Tokens::First)), &first_channel, 1e-4);

    let says = |output, tokens, text: &str| {
        let message = load(output, tokens).expect_err(text).to_string();
        assert!(message.contains(text), "{message}");
    };
    says(Some("tokens"), None, "expected a choice of tokens, first or mean, for (N, T, D), or another output");
    says(None, Some(Tokens::Mean), "tokens is mean; expected none: the output \"features\" of ");
    says(Some("images"), None, "output is \"images\"; expected a tensor of ");
    says(Some("nothing"), None, "several_outputs.onnx, whose outputs are features, tokens");
}
