//! Operations on rows, one after the other, as an ONNX graph.

use super::onnx_file::{AttributeProto, FLOAT, GraphProto, INT64, NodeProto, TensorProto};
use ndarray::{ArrayView, Dimension};

/// A graph under way: what it computes so far is called [`current`](Self::current).
pub(super) struct Graph {
    pub proto: GraphProto,
    /// The name of what the last operation gives.
    pub current: String,
}

impl Graph {
    pub fn new(input: &str) -> Self {
        Self { proto: GraphProto::default(), current: input.into() }
    }

    /// Keeps an array under `name`.
    pub fn constant<D: Dimension>(&mut self, name: &str, values: ArrayView<f32, D>) -> String {
        let dims = values.shape().iter().map(|&length| length as i64).collect();
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.proto.initializer.push(TensorProto { dims, data_type: FLOAT, name: name.into(), raw_data });
        name.into()
    }

    /// Keeps whole numbers under `name`: (length,).
    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let dims = vec![values.len() as i64];
        self.proto.initializer.push(TensorProto { dims, data_type: INT64, name: name.into(), raw_data });
        name.into()
    }

    /// Adds an operation on `inputs` that gives `outputs`, which are names of this graph's own.
    pub fn node(&mut self, operation: &str, inputs: &[&str], outputs: &[&str], attributes: &[AttributeProto]) {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        self.proto.node.push(NodeProto {
            input: names(inputs),
            output: names(outputs),
            name: outputs[0].into(),
            op_type: operation.into(),
            attribute: attributes.to_vec(),
        });
    }

    /// What is [`current`](Self::current), and then `others`, go through an operation; what it gives is called `output` and is current from then on.
    pub fn then(&mut self, operation: &str, others: &[&str], output: &str, attributes: &[AttributeProto]) {
        let current = self.current.clone();
        self.node(operation, &[&[current.as_str()], others].concat(), &[output], attributes);
        self.current = output.into();
    }

    /// Divides rows by their norms.
    pub fn then_unit_rows(&mut self, output: &str) {
        let rows = self.current.clone();
        let [squares, sums, norms, axis] = ["squares", "sums", "norms", "axis"].map(|part| format!("{output}.{part}"));
        // `ReduceL2` takes its axis in another way from version 18 of the operators on.
        let axis = self.integers(&axis, &[1]);
        self.node("Mul", &[&rows, &rows], &[&squares], &[]);
        self.node("ReduceSum", &[&squares, &axis], &[&sums], &[AttributeProto::int("keepdims", 1)]);
        self.node("Sqrt", &[&sums], &[&norms], &[]);
        self.then("Div", &[&norms], output, &[]);
    }

    /// Products with the rows of a matrix (rows, columns) which is kept under `name`.
    pub fn then_products(&mut self, name: &str, matrix: ArrayView<f32, ndarray::Ix2>, others: &[&str], output: &str) {
        let matrix = self.constant(name, matrix);
        self.then("Gemm", &[&[matrix.as_str()], others].concat(), output, &[AttributeProto::int("transB", 1)]);
    }
}
