//! What is looked at in an ONNX file before the runtime sees it: its hash, files with weights beside it, its outputs.

use super::manifest::sha256;
use crate::files::{regular_file, stays_inside};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, ValueInfoProto};

/// The files with weights that the network `path` refers to.
///
/// # Errors
/// [`Error::File`] for one that is not in the network's directory.
pub(super) fn weight_files(path: &Path, proto: &ModelProto) -> Result<Vec<PathBuf>> {
    let mut tensors = Vec::new();
    proto.graph.iter().for_each(|graph| collect_tensors(graph, &mut tensors));
    let entries = tensors.iter().flat_map(|tensor| &tensor.external_data).filter(|entry| entry.key == "location");
    let locations: BTreeSet<&str> = entries.map(|entry| entry.value.as_str()).collect();
    locations.into_iter().map(|location| weight_file(path, location)).collect()
}

/// The hash of a network's file and of its files with weights.
pub(super) fn hash(bytes: &[u8], weights: &[PathBuf]) -> Result<String> {
    let weights = weights.iter().map(|path| regular_file::read(path)).collect::<Result<Vec<_>>>()?;
    Ok(sha256([bytes].into_iter().chain(weights.iter().map(Vec::as_slice))))
}

/// All tensors of a graph: its weights, and those that its operations and the graphs in them hold.
fn collect_tensors<'a>(graph: &'a GraphProto, tensors: &mut Vec<&'a TensorProto>) {
    tensors.extend(&graph.initializer);
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        tensors.extend(attribute.t.iter().chain(&attribute.tensors));
        attribute.g.iter().chain(&attribute.graphs).for_each(|graph| collect_tensors(graph, tensors));
    }
}

/// A file with weights of the network `path`.
fn weight_file(path: &Path, location: &str) -> Result<PathBuf> {
    if !stays_inside(Path::new(location)) {
        return Err(Error::File {
            path: path.into(),
            found: format!("keeps weights in {location:?}"),
            expected: "files in its own directory".into(),
        });
    }
    Ok(path.with_file_name(location))
}

/// Makes `chosen`, any tensor that the graph computes, its only output, or the first of its outputs where none is chosen: what
/// others take is not computed. All outputs that it had.
///
/// # Errors
/// [`Error::File`] for a graph without outputs; [`Error::Setting`] where no such tensor is computed.
pub(crate) fn choose_output(path: &Path, graph: &mut GraphProto, chosen: Option<&str>) -> Result<Vec<String>> {
    let outputs: Vec<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    match chosen {
        None if outputs.is_empty() => {
            let (found, expected) = ("has no output".into(), "an ONNX network".into());
            return Err(Error::File { path: path.into(), found, expected });
        }
        None => graph.output.truncate(1),
        Some(chosen) => {
            if !graph.node.iter().any(|node| node.output.iter().any(|output| output == chosen)) {
                let expected = format!("a tensor of {}, whose outputs are {}", path.display(), outputs.join(", "));
                return Err(Error::Setting { name: "output", value: format!("{chosen:?}"), expected });
            }
            graph.output = vec![ValueInfoProto { name: chosen.into(), ..ValueInfoProto::default() }];
        }
    }
    Ok(outputs)
}
