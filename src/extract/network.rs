//! A frozen network from an ONNX file, run by tract.

use super::ModelFile;
use super::manifest::sha256;
use super::options::check_batch_size;
use crate::data::image::Layout;
use crate::{Error, Result};
use ndarray::{Array2, ArrayView4};
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path};
use std::sync::Arc;
use tract_onnx::model::ParseResult;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

/// The side of an image where the network takes any.
const DEFAULT_SIDE: usize = 224;

/// The largest side of an image: one such image takes 800 MB.
const LARGEST_SIDE: usize = 8192;

/// A network from images to features.
#[derive(Debug)]
pub struct Network {
    file: ModelFile,
    plan: Arc<TypedRunnableModel>,
    /// Shape of the input: (n, 3, H, W) or (n, H, W, 3).
    input: [usize; 4],
    layout: Layout,
    dimension: usize,
}

impl Network {
    /// Loads the ONNX file `path`, to be run on `batch_size` images at a time, or as many as it was exported for. Its one input must
    /// be (N, 3, H, W) or (N, H, W, 3) of f32, H and W from 1 to 8192, its first output (N, D) or (N, D, 1, 1) of f32; N may be left
    /// open by the file, and H and W, which are then 224.
    ///
    /// # Errors
    /// [`Error::Setting`] for a batch of none or too many; [`Error::Io`]; [`Error::File`] for a file that is no such network.
    pub fn load(path: &Path, batch_size: usize) -> Result<Self> {
        check_batch_size(batch_size)?;
        guarded(path, || Self::optimised(path, batch_size))
    }

    fn optimised(path: &Path, batch_size: usize) -> Result<Self> {
        let unusable =
            |found: String, expected: &str| Error::File { path: path.into(), found, expected: expected.into() };
        let not_onnx = |error: TractError| unusable(format!("cannot be loaded: {error:#}"), "an ONNX network");
        let bytes = fs::read(path).map_err(|error| Error::io("read", path, error))?;
        let onnx = tract_onnx::onnx();
        let proto = onnx.proto_model_for_read(&mut bytes.as_slice()).map_err(not_onnx)?;
        let file = ModelFile { file: path.to_string_lossy().into_owned(), sha256: hash(path, &bytes, &proto)? };
        let directory = path.parent().and_then(Path::to_str);
        let ParseResult { model, unresolved_inputs, .. } = onnx.parse(&proto, directory).map_err(not_onnx)?;
        if let Some(name) = unresolved_inputs.first() {
            return Err(unusable(format!("makes use of {name:?}, which nothing gives"), "an ONNX network"));
        }

        let shape = match model.inputs.len() {
            1 => input_shape(model.input_fact(0).map_err(not_onnx)?, batch_size),
            _ => None,
        };
        let (input, layout) =
            shape.ok_or_else(|| unusable(describe_inputs(&model), "one input of f32, (N, 3, H, W) or (N, H, W, 3)"))?;
        let optimise = || {
            let model = model.with_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), input))?;
            // Exporters note the output's shape for the batch they saw.
            model.with_output_fact(0, InferenceFact::default())?.into_optimized()
        };
        let model = optimise().map_err(not_onnx)?;
        let output = model.output_fact(0).map_err(not_onnx)?;
        let dimension = match output.shape.as_concrete() {
            Some(&[n, dimension] | &[n, dimension, 1, 1])
                if n == input[0] && dimension > 0 && output.datum_type == f32::datum_type() =>
            {
                dimension
            }
            _ => return Err(unusable(format!("its output is {output:?}"), "(N, D) or (N, D, 1, 1) of f32")),
        };
        let plan = model.into_runnable().map_err(not_onnx)?;
        Ok(Self { file, plan, input, layout, dimension })
    }

    /// What this network is.
    pub fn file(&self) -> &ModelFile {
        &self.file
    }

    /// Images taken at a time.
    pub fn batch_size(&self) -> usize {
        self.input[0]
    }

    /// Where the channels are.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Width and height of the images.
    pub fn image_size(&self) -> (u32, u32) {
        let [_, a, b, c] = self.input;
        let (height, width) = match self.layout {
            Layout::Nchw => (b, c),
            Layout::Nhwc => (a, b),
        };
        (width as u32, height as u32)
    }

    /// D
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Features (n, D) of at most [`batch_size`](Self::batch_size) images in this network's layout.
    ///
    /// # Errors
    /// [`Error::Shape`] for images of another size; [`Error::File`] if the network fails on them.
    pub fn features(&self, images: ArrayView4<f32>) -> Result<Array2<f32>> {
        let rows = images.shape()[0];
        if rows > self.input[0] || images.shape()[1..] != self.input[1..] {
            return Err(Error::Shape {
                what: "images",
                found: images.shape().to_vec(),
                expected: format!("{:?} with at most {} images", &self.input, self.input[0]),
            });
        }
        // What is missing of a batch is zero.
        let mut values: Vec<f32> = images.iter().copied().collect();
        values.resize(self.input.iter().product(), 0.0);
        let run = || {
            let input = Tensor::from_shape(&self.input, &values)?;
            let output = self.plan.run(tvec!(input.into_tvalue()))?;
            Ok::<Vec<f32>, TractError>(output[0].to_plain_array_view::<f32>()?.iter().copied().collect())
        };
        let path = Path::new(&self.file.file);
        let failed = |error: TractError| Error::File {
            path: path.into(),
            found: format!("fails on images: {error:#}"),
            expected: "a network from images to features".into(),
        };
        let mut features = guarded(path, || run().map_err(failed))?;
        features.truncate(rows * self.dimension);
        Ok(Array2::from_shape_vec((rows, self.dimension), features).expect("the output was checked to be of this size"))
    }
}

/// What tract does with the network `path`, its panics as errors: it takes some of what a file says for granted. Nothing that it left
/// half done is used.
fn guarded<T>(path: &Path, run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref().copied());
        Err(Error::File {
            path: path.into(),
            found: format!("the ONNX runtime panics: {}", message.unwrap_or("it does not say why")),
            expected: "an ONNX network".into(),
        })
    })
}

/// The hash of the file and of all files with weights that it refers to.
fn hash(path: &Path, bytes: &[u8], proto: &ModelProto) -> Result<String> {
    let mut tensors = Vec::new();
    proto.graph.iter().for_each(|graph| collect_tensors(graph, &mut tensors));
    let entries = tensors.iter().flat_map(|tensor| &tensor.external_data).filter(|entry| entry.key == "location");
    let locations: BTreeSet<&str> = entries.map(|entry| entry.value.as_str()).collect();
    let weights = locations.into_iter().map(|location| read_weights(path, location)).collect::<Result<Vec<_>>>()?;
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
fn read_weights(path: &Path, location: &str) -> Result<Vec<u8>> {
    let weights = path.with_file_name(location);
    let failed = |error| Error::io("read", &weights, error);
    let is_beside =
        Path::new(location).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    // A network from somewhere else is not to say which file of this machine is read, be it a device without end.
    if !is_beside || !fs::metadata(&weights).map_err(failed)?.is_file() {
        return Err(Error::File {
            path: path.into(),
            found: format!("keeps weights in {location:?}"),
            expected: "files in its own directory".into(),
        });
    }
    fs::read(&weights).map_err(failed)
}

/// The shape to run on, if there is one that fits.
fn input_shape(found: &InferenceFact, batch_size: usize) -> Option<([usize; 4], Layout)> {
    let is_f32 = found.datum_type.concretize().is_none_or(|found| found == f32::datum_type());
    let dims: Vec<Option<usize>> = found.shape.dims().map(|dim| dim.concretize()?.to_usize().ok()).collect();
    let &[n, a, b, c] = dims.as_slice() else { return None };
    let n = n.unwrap_or(batch_size);
    let side = |given: Option<usize>| given.unwrap_or(DEFAULT_SIDE);
    let (height, width, layout) = match (a, c) {
        (Some(3), _) => (side(b), side(c), Layout::Nchw),
        (_, Some(3)) => (side(a), side(b), Layout::Nhwc),
        _ => return None,
    };
    let [a, b, c] = layout.shape(width, height);
    let is_image = [width, height].iter().all(|side| (1..=LARGEST_SIDE).contains(side));
    (is_f32 && is_image).then_some(([n, a, b, c], layout))
}

fn describe_inputs(model: &InferenceModel) -> String {
    let facts = (0..model.inputs.len()).filter_map(|input| Some(format!("{:?}", model.input_fact(input).ok()?)));
    format!("its inputs are {}", facts.collect::<Vec<_>>().join(", "))
}
