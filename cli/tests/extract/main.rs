//! Extraction of features from photographs, as a user meets it.

#[path = "../common/command.rs"]
mod command;
#[cfg(feature = "onnx")]
#[path = "../../../tests/images/fixture.rs"]
mod fixture;
mod program;

/// A file of `tests/data`; see `tests/reference` for what made it.
#[cfg(feature = "onnx")]
fn data_file(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}
