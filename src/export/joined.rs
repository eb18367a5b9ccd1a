//! A network and what follows it in one ONNX file, from images to classes.

use crate::extract::independence::check_on_noise;
use crate::extract::onnx_file::choose_output;
use crate::extract::{Network, NetworkOptions};
use crate::files::regular_file;
use crate::{Error, Result};
use prost::Message;
use std::collections::HashSet;
use std::path::Path;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

/// Before it the operators of [`onnx`](super::onnx) took their arguments otherwise.
const OLDEST_OPERATORS: i64 = 13;

/// What names begin with that the network must not have.
const PREFIX: &str = "arcos.";

/// An ONNX file that goes from the images which the ONNX file `network` takes to the outputs of `head`, a file by [`onnx`](super::onnx) of a model of that
/// network's features. Features come from its first output or from `output`, any tensor that it computes; what else it computes is left out. Images are as the network
/// takes them: scaled, cut and normalised. Outputs are called as in `head`, or with `arcos.` before where the network has a tensor of that name.
///
/// # Errors
/// Those of [`Network::load`], of one image and of two at a time; [`Error::Shape`] for a network of another number of features; [`Error::File`] for one of operators before version 13, and for one that keeps weights in files beside it.
pub fn onnx_with_network(network: &Path, output: Option<&str>, head: &[u8]) -> Result<Vec<u8>> {
    let options = NetworkOptions { output: output.map(str::to_owned), ..NetworkOptions::new(1) };
    let loaded = Network::load(network, &options)?;
    // The file takes any number of images where the network does.
    if let Ok(of_two) = Network::unchecked(network, &NetworkOptions { batch_size: 2, ..options }) {
        check_on_noise(&of_two)?;
    }
    let refused =
        |found: String, expected: &str| Err(Error::File { path: network.into(), found, expected: expected.into() });
    if let Some(file) = loaded.weight_files().first() {
        return refused(format!("keeps weights in {}", file.display()), "a network in one file");
    }
    let decoded = |bytes: &[u8]| ModelProto::decode(bytes).expect("it was read before");
    let mut whole = decoded(&regular_file::read(network)?);
    let head = decoded(head);
    let operators = whole.opset_import.iter().find(|set| ["", "ai.onnx"].contains(&set.domain.as_str()));
    let version = operators.map_or(1, |set| set.version);
    if version < OLDEST_OPERATORS {
        return refused(format!("has operators of version {version}"), "version 13 or later");
    }

    let (graph, head_graph) = (whole.graph.get_or_insert_default(), head.graph.unwrap_or_default());
    choose_output(network, graph, output)?;
    let features = graph.output[0].name.clone();
    leave_out_all_but(&features, graph);
    let taken: HashSet<String> = names(graph);
    let outputs: HashSet<String> = head_graph.output.iter().map(|output| output.name.clone()).collect();
    let renamed = |name: &String| match outputs.contains(name) && !taken.contains(name) {
        true => name.clone(),
        false => format!("{PREFIX}{name}"),
    };
    let dimension = head_graph.input.first().and_then(columns).unwrap_or(0);
    if dimension != loaded.dimension() as i64 {
        return Err(Error::Shape {
            what: "the network's features",
            found: vec![loaded.dimension()],
            expected: format!("({dimension},), those that the model was trained on"),
        });
    }
    // Those of (N, D, 1, 1) and (N, 1, 1, D) as well.
    let raw_data = [0, dimension].into_iter().flat_map(i64::to_le_bytes).collect();
    let shape = format!("{PREFIX}shape");
    graph.initializer.push(TensorProto {
        name: shape.clone(),
        dims: vec![2],
        data_type: DataType::Int64 as i32,
        raw_data,
        ..TensorProto::default()
    });
    let flat = renamed(&"features".into());
    let floats = format!("{PREFIX}floats");
    let to = AttributeProto {
        name: "to".into(),
        i: DataType::Float as i64,
        r#type: AttributeType::Int as i32,
        ..AttributeProto::default()
    };
    let node = |op_type: &str, input: Vec<String>, output: &String, attribute| NodeProto {
        name: output.clone(),
        op_type: op_type.into(),
        input,
        output: vec![output.clone()],
        attribute,
        ..NodeProto::default()
    };
    graph.node.push(node("Cast", vec![features], &floats, vec![to]));
    graph.node.push(node("Reshape", vec![floats, shape], &flat, Vec::new()));
    graph.node.extend(head_graph.node.into_iter().map(|node| NodeProto {
        name: renamed(&node.name),
        input: node.input.iter().map(renamed).collect(),
        output: node.output.iter().map(renamed).collect(),
        ..node
    }));
    let constants = head_graph.initializer.into_iter();
    graph.initializer.extend(constants.map(|tensor| TensorProto { name: renamed(&tensor.name), ..tensor }));
    graph.output = head_graph.output;
    graph.output.iter_mut().for_each(|output| output.name = renamed(&output.name));
    whole.ir_version = whole.ir_version.max(head.ir_version);
    whole.metadata_props.retain(|entry| head.metadata_props.iter().all(|of_head| of_head.key != entry.key));
    whole.metadata_props.extend(head.metadata_props);
    Ok(whole.encode_to_vec())
}

/// D of a tensor (N, D).
fn columns(value: &tract_onnx::pb::ValueInfoProto) -> Option<i64> {
    use tract_onnx::pb::tensor_shape_proto::dimension::Value::DimValue;
    use tract_onnx::pb::type_proto::Value::TensorType;
    let TensorType(tensor) = value.r#type.as_ref()?.value.as_ref()?;
    match tensor.shape.as_ref()?.dim.get(1)?.value.as_ref()? {
        DimValue(columns) => Some(*columns),
        _ => None,
    }
}

/// Leaves out the operations and constants that `output` does not depend on.
fn leave_out_all_but(output: &str, graph: &mut GraphProto) {
    let mut needed = HashSet::from([output.to_owned()]);
    // Operations come after those whose results they take.
    let mut nodes: Vec<NodeProto> = Vec::new();
    for node in graph.node.drain(..).rev() {
        if node.output.iter().any(|output| needed.contains(output)) {
            inputs(&node, &mut needed);
            nodes.push(node);
        }
    }
    nodes.reverse();
    graph.node = nodes;
    graph.initializer.retain(|tensor| needed.contains(&tensor.name));
}

/// Adds what an operation takes, and what is taken by operations in graphs that it has.
fn inputs(node: &NodeProto, names: &mut HashSet<String>) {
    names.extend(node.input.iter().cloned());
    let graphs = |attribute: &AttributeProto| attribute.g.iter().chain(&attribute.graphs).cloned().collect::<Vec<_>>();
    for inner in node.attribute.iter().flat_map(graphs).flat_map(|graph| graph.node) {
        inputs(&inner, names);
    }
}

/// All names of tensors.
fn names(graph: &GraphProto) -> HashSet<String> {
    let computed = graph.node.iter().flat_map(|node| node.input.iter().chain(&node.output));
    let kept = graph.initializer.iter().map(|tensor| &tensor.name);
    computed.chain(kept).chain(graph.input.iter().map(|input| &input.name)).cloned().collect()
}
