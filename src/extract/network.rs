//! A frozen network from an ONNX file, run by tract.

use super::independence::{check_on_images, check_on_noise};
use super::manifest::{ModelFile, Tokens};
use super::onnx_file::{choose_output, hash, weight_files};
use super::options::{Options, check_batch_size};
use crate::data::image::Layout;
use crate::wording::{counted, number};
use crate::{Error, Result, files::regular_file};
use ndarray::{Array2, Array3, ArrayView4, Axis, s};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tract_onnx::model::ParseResult;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

/// The side of an image where the network takes any.
const DEFAULT_SIDE: usize = 224;

/// The largest side of an image: one such image takes 800 MB.
const LARGEST_SIDE: usize = 8192;

/// What is taken from an ONNX file, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkOptions {
    /// Images that it is run on at a time, unless it was exported for a number of its own.
    pub batch_size: usize,
    /// The name of the tensor that features come from: an output, or any other that it computes; the first output if none is chosen.
    pub output: Option<String>,
    /// How they come from a tensor (N, T, D).
    pub tokens: Option<Tokens>,
}

impl NetworkOptions {
    /// The first output, (N, D).
    pub fn new(batch_size: usize) -> Self {
        Self { batch_size, output: None, tokens: None }
    }
}

/// A network from images to features.
#[derive(Debug)]
pub struct Network {
    file: ModelFile,
    weights: Vec<PathBuf>,
    outputs: Vec<String>,
    plan: Arc<TypedRunnableModel>,
    /// Shape of the input: (n, 3, H, W) or (n, H, W, 3).
    input: [usize; 4],
    input_type: DatumType,
    layout: Layout,
    /// Vectors of features for each image, of which one is made.
    tokens: usize,
    dimension: usize,
    /// Whether images of its user have been looked at alone.
    is_checked: AtomicBool,
}

impl Network {
    /// Loads the ONNX file `path`. Its one input must be (N, 3, H, W) or (N, H, W, 3) of floats (f16, f32, f64) or bytes, H and W from 1
    /// to 8192; features come from a tensor (N, D), (N, D, 1, 1), (N, 1, 1, D) or, as [`Tokens`] says, (N, T, D) of floats. N may be left
    /// open by the file, and H and W, which are then 224. What the file says of the shapes of other tensors is passed over.
    ///
    /// # Errors
    /// [`Error::Setting`] for a batch of none or too many, an output that is not there, and tokens where there are none; [`Error::Io`];
    /// [`Error::File`] for a file that is no such network, and for one that gives an image other features beside other images.
    pub fn load(path: &Path, options: &NetworkOptions) -> Result<Self> {
        check_batch_size(options.batch_size)?;
        let network = Self::unchecked(path, options)?;
        check_on_noise(&network)?;
        Ok(network)
    }

    /// [`load`](Self::load), whether images are mixed or not.
    pub(crate) fn unchecked(path: &Path, options: &NetworkOptions) -> Result<Self> {
        guarded(path, || Self::optimised(path, options))
    }

    fn optimised(path: &Path, options: &NetworkOptions) -> Result<Self> {
        let unusable =
            |found: String, expected: &str| Error::File { path: path.into(), found, expected: expected.into() };
        let expected = match options.batch_size {
            1 => "an ONNX network".into(),
            images => format!("an ONNX network, of {images} images at a time"),
        };
        let not_onnx = |error: TractError| unusable(format!("cannot be loaded: {error:#}"), &expected);
        let bytes = regular_file::read(path)?;
        // Exporters note the shapes that they saw, for a batch of one mostly.
        let onnx = tract_onnx::onnx().with_ignore_value_info(true).with_ignore_output_shapes(true);
        let mut proto = onnx.proto_model_for_read(&mut bytes.as_slice()).map_err(not_onnx)?;
        let weights = weight_files(path, &proto)?;
        let sha256 = hash(&bytes, &weights)?;
        let graph = proto.graph.as_mut().ok_or_else(|| unusable("has no graph".into(), "an ONNX network"))?;
        let outputs = choose_output(path, graph, options.output.as_deref())?;
        let output = graph.output[0].name.clone();
        let directory = path.parent().and_then(Path::to_str);
        let ParseResult { model, unresolved_inputs, .. } = onnx.parse(&proto, directory).map_err(not_onnx)?;
        if let Some(name) = unresolved_inputs.first() {
            return Err(unusable(format!("makes use of {name:?}, which nothing gives"), "an ONNX network"));
        }

        let fitting = match model.inputs.len() {
            1 => Input::fitting(model.input_fact(0).map_err(not_onnx)?, options.batch_size),
            _ => None,
        };
        let Input { shape: input, datum_type: input_type, layout } = fitting.ok_or_else(|| {
            const MOST: usize = Options::MOST_AT_A_TIME;
            let sizes = format!("N from 1 to {MOST}, H and W from 1 to {LARGEST_SIDE}");
            let expected = format!("one input (N, 3, H, W) or (N, H, W, 3) of floats or bytes, {sizes}");
            unusable(describe_inputs(&model), &expected)
        })?;
        let optimise = || {
            let model = model.with_input_fact(0, InferenceFact::dt_shape(input_type, input))?;
            model.with_output_fact(0, InferenceFact::default())?.into_optimized()
        };
        let model = optimise().map_err(not_onnx)?;
        let fact = model.output_fact(0).map_err(not_onnx)?;
        let shape =
            fact.shape.as_concrete().filter(|shape| shape.first() == Some(&input[0]) && fact.datum_type.is_float());
        let expected = "(N, D), (N, D, 1, 1), (N, 1, 1, D) or (N, T, D) of floats";
        let (tokens, dimension) = match shape {
            Some(&[_, dimension] | &[_, dimension, 1, 1] | &[_, 1, 1, dimension]) if dimension > 0 => (None, dimension),
            Some(&[_, tokens, dimension]) if tokens > 0 && dimension > 0 => (Some(tokens), dimension),
            _ => return Err(unusable(format!("its output {output:?} is {}", describe_output(fact)), expected)),
        };
        match (tokens, options.tokens) {
            (None, Some(chosen)) => {
                let expected = format!("none: the output {output:?} of {} has no tokens", path.display());
                return Err(Error::Setting { name: "tokens", value: format!("{chosen:?}").to_lowercase(), expected });
            }
            (Some(2..), None) => {
                let expected = "a choice of tokens, first or mean, for (N, T, D), or another output";
                return Err(unusable(format!("its output {output:?} is {}", describe_output(fact)), expected));
            }
            _ => {}
        }
        let file = path.to_string_lossy().into_owned();
        let file = ModelFile { file, sha256, output: Some(output), tokens: options.tokens };
        let plan = model.into_runnable().map_err(not_onnx)?;
        Ok(Self {
            file,
            weights,
            outputs,
            plan,
            input,
            input_type,
            layout,
            tokens: tokens.unwrap_or(1),
            dimension,
            is_checked: AtomicBool::new(false),
        })
    }

    /// What this network is.
    pub fn file(&self) -> &ModelFile {
        &self.file
    }

    /// The files beside its own that it keeps weights in.
    pub fn weight_files(&self) -> &[PathBuf] {
        &self.weights
    }

    /// The names of all outputs that the file has.
    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// Whether the values of images are to be from 0 to 255.
    pub fn takes_bytes(&self) -> bool {
        self.input_type == u8::datum_type()
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

    /// Whether it computes in half precision.
    pub(super) fn is_half(&self) -> bool {
        self.input_type == f16::datum_type()
    }

    /// Shape of the input.
    pub(super) fn input_shape(&self) -> [usize; 4] {
        self.input
    }

    /// Features (n, D) of at most [`batch_size`](Self::batch_size) images in this network's layout. Of the first images that come together two are looked at alone as well.
    ///
    /// # Errors
    /// [`Error::Shape`] for images of another size; [`Error::File`] if the network fails on them, takes bytes and they are none, or gives one of these two other features alone.
    pub fn features(&self, images: ArrayView4<f32>) -> Result<Array2<f32>> {
        let features = self.run(images)?;
        if images.len_of(Axis(0)) > 1 && !self.is_checked.swap(true, Ordering::Relaxed) {
            check_on_images(self, images, &features)?;
        }
        Ok(features)
    }

    /// [`features`](Self::features), whatever they are.
    pub(super) fn run(&self, images: ArrayView4<f32>) -> Result<Array2<f32>> {
        let rows = images.shape()[0];
        if rows > self.input[0] || images.shape()[1..] != self.input[1..] {
            return Err(Error::Shape {
                what: "images",
                found: images.shape().to_vec(),
                expected: format!("{:?} with at most {}", &self.input, counted(self.input[0], "image")),
            });
        }
        // What is missing of a batch is zero.
        let mut values: Vec<f32> = images.iter().copied().collect();
        values.resize(self.input.iter().product(), 0.0);
        let path = Path::new(&self.file.file);
        if self.takes_bytes() {
            values.iter_mut().for_each(|value| *value = value.round());
            if let Some(value) = values.iter().copied().find(|value| !(0.0..=255.0).contains(value)) {
                let (found, expected) =
                    (format!("takes bytes, and is given {}", number(value.into())), "values from 0 to 255".into());
                return Err(Error::File { path: path.into(), found, expected });
            }
        }
        let shape = (self.input[0], self.tokens, self.dimension);
        let run = || {
            let input = Tensor::from_shape(&self.input, &values)?.cast_to_dt(self.input_type)?.into_owned();
            let output = self.plan.run(tvec!(input.into_tvalue()))?;
            let output = output[0].cast_to::<f32>()?;
            let values: Vec<f32> = output.to_plain_array_view::<f32>()?.iter().copied().collect();
            Ok::<_, TractError>(Array3::from_shape_vec(shape, values)?)
        };
        let failed = |error: TractError| Error::File {
            path: path.into(),
            found: format!("fails on images: {error:#}"),
            expected: "a network from images to features".into(),
        };
        let output = guarded(path, || run().map_err(failed))?;
        let features = match self.file.tokens {
            Some(Tokens::Mean) => output.mean_axis(Axis(1)).expect("there is a token"),
            _ => output.index_axis_move(Axis(1), 0),
        };
        Ok(features.slice_move(s![..rows, ..]))
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

/// What the network is run on.
struct Input {
    shape: [usize; 4],
    datum_type: DatumType,
    layout: Layout,
}

impl Input {
    /// That of an input, if it takes images.
    fn fitting(found: &InferenceFact, batch_size: usize) -> Option<Self> {
        let datum_type = found.datum_type.concretize().unwrap_or(f32::datum_type());
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
        let is_image =
            check_batch_size(n).is_ok() && [width, height].iter().all(|side| (1..=LARGEST_SIDE).contains(side));
        let is_known = datum_type.is_float() || datum_type == u8::datum_type();
        (is_known && is_image).then_some(Self { shape: [n, a, b, c], datum_type, layout })
    }
}

/// Shape and type, as `(8, 5) of f32`.
fn describe_output(fact: &TypedFact) -> String {
    let shape: Vec<String> = fact.shape.iter().map(|length| length.to_string()).collect();
    // What the runtime computes shapes with is integers to everybody else.
    let datum_type = if fact.datum_type == TDim::datum_type() { i64::datum_type() } else { fact.datum_type };
    format!("({}) of {}", shape.join(", "), format!("{datum_type:?}").to_lowercase())
}

fn describe_inputs(model: &InferenceModel) -> String {
    let facts = (0..model.inputs.len()).filter_map(|input| Some(format!("{:?}", model.input_fact(input).ok()?)));
    format!("its inputs are {}", facts.collect::<Vec<_>>().join(", "))
}
