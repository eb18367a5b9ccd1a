//! A few images' features: made, kept on disk, found again.

use super::manifest::sha256;
use super::options::Event;
use super::plan::Shard;
use crate::data::LabelledImage;
use crate::data::image::{Preprocessing, to_unit_range};
use crate::files::{atomic_file, regular_file};
use crate::{Error, Result};
use ndarray::{Array1, Array2, Array4, ArrayView3, ArrayView4, Axis, s};
use ndarray_npy::{NpzReader, NpzWriter, WriteNpzError};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::io::{self, BufReader, Cursor, Write};
use std::path::{Path, PathBuf};

/// What there is to say about the features of a shard.
pub(super) struct ShardFeatures {
    /// The images that have features, by position in the shard.
    pub kept: Vec<usize>,
    /// (rows, D); all views of an image one after the other.
    pub features: Array2<f32>,
}

/// How features are made.
pub(super) struct Maker<'a, E> {
    pub root: &'a Path,
    pub preprocessing: &'a Preprocessing,
    /// Augmented views of each image, and their seed.
    pub views: Option<(usize, u64)>,
    pub skip_bad: bool,
    pub batch_size: usize,
    /// From images (n, 3, H, W) or (n, H, W, 3), n at most `batch_size`, to features (n, D).
    pub embed: &'a E,
    pub on_event: &'a (dyn Fn(Event) + Sync),
}

impl<E: Fn(ArrayView4<f32>) -> Result<Array2<f32>> + Sync> Maker<'_, E> {
    /// # Errors
    /// What is wrong with an image, unless those are skipped; what `embed` returns; [`Error::File`] for features that are not
    /// finite.
    pub fn make(&self, shard: &Shard) -> Result<ShardFeatures> {
        let mut kept = Vec::new();
        let mut batch = Batch::new(self);
        for (position, image) in shard.images.iter().enumerate() {
            let path = self.root.join(&image.path);
            match self.preprocessing.read(&path, image.bounding_box) {
                Ok(pixels) => {
                    let pixels = to_unit_range(&pixels);
                    match self.views {
                        None => batch.push(pixels.view(), &path)?,
                        Some((views, seed)) => {
                            for view in 0..views {
                                let mut rng = view_rng(seed, image, view);
                                let Preprocessing { width, height, augmentation, .. } = self.preprocessing;
                                let view = augmentation.draw(*width, *height, &mut rng);
                                batch.push(view.of(pixels.view()).view(), &path)?;
                            }
                        }
                    }
                    kept.push(position);
                }
                Err(error @ Error::BadImage { .. }) if self.skip_bad => {
                    (self.on_event)(Event::Skipped(&error));
                }
                Err(error) => return Err(error),
            }
            (self.on_event)(Event::Done);
        }
        Ok(ShardFeatures { kept, features: batch.finish()? })
    }
}

/// A stream of random numbers for each view, whatever else is extracted.
fn view_rng(seed: u64, image: &LabelledImage, view: usize) -> ChaCha8Rng {
    let name = image.path.to_string_lossy();
    let hash = sha256([name.as_bytes(), b"\n", view.to_string().as_bytes()]);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from_str_radix(&hash[..16], 16).expect("hexadecimal digits"));
    rng
}

/// Images on their way through the network.
struct Batch<'a, E> {
    maker: &'a Maker<'a, E>,
    inputs: Array4<f32>,
    paths: Vec<PathBuf>,
    /// Of the batches before, one after the other.
    features: Vec<f32>,
    dimension: usize,
}

impl<'a, E: Fn(ArrayView4<f32>) -> Result<Array2<f32>> + Sync> Batch<'a, E> {
    fn new(maker: &'a Maker<'a, E>) -> Self {
        let [a, b, c] = maker.preprocessing.input_shape();
        let inputs = Array4::zeros((maker.batch_size, a, b, c));
        Self { maker, inputs, paths: Vec::new(), features: Vec::new(), dimension: 0 }
    }

    fn push(&mut self, image: ArrayView3<f32>, path: &Path) -> Result<()> {
        self.maker.preprocessing.write(image, self.inputs.index_axis_mut(Axis(0), self.paths.len()))?;
        self.paths.push(path.into());
        if self.paths.len() == self.maker.batch_size { self.embed() } else { Ok(()) }
    }

    fn embed(&mut self) -> Result<()> {
        if self.paths.is_empty() {
            return Ok(());
        }
        let features = (self.maker.embed)(self.inputs.slice(s![..self.paths.len(), .., .., ..]))?;
        let (rows, dimension) = features.dim();
        let known = if self.dimension > 0 { self.dimension } else { dimension };
        if rows != self.paths.len() || dimension != known || dimension == 0 {
            return Err(Error::Shape {
                what: "what embeds images",
                found: vec![rows, dimension],
                expected: format!("({}, D), a row of features for each image and always the same D", self.paths.len()),
            });
        }
        for (row, path) in features.rows().into_iter().zip(&self.paths) {
            if let Some(value) = row.iter().find(|value| !value.is_finite()) {
                return Err(Error::File {
                    path: path.clone(),
                    found: format!("the network gives the feature {value}"),
                    expected: "finite features".into(),
                });
            }
        }
        self.dimension = dimension;
        self.features.extend(features);
        self.paths.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Array2<f32>> {
        self.embed()?;
        let rows = self.features.len().checked_div(self.dimension).unwrap_or(0);
        Ok(Array2::from_shape_vec((rows, self.dimension), self.features).expect("rows of one length"))
    }
}

impl ShardFeatures {
    pub fn write(&self, path: &Path) -> Result<()> {
        let kept: Array1<i64> = self.kept.iter().map(|&position| position as i64).collect();
        // In memory first: an archive that cannot be written to disk would be finished once more when it is dropped.
        let archive = || {
            let mut writer = NpzWriter::new(Cursor::new(Vec::new()));
            writer.add_array("features", &self.features)?;
            writer.add_array("kept", &kept)?;
            Ok::<_, WriteNpzError>(writer.finish()?.into_inner())
        };
        atomic_file::write(path, |file| file.write_all(&archive().map_err(io::Error::other)?))
    }

    /// What [`write`](Self::write) wrote, if it is there and whole.
    pub fn read(path: &Path) -> Option<Self> {
        let mut reader = NpzReader::new(BufReader::new(regular_file::open(path).ok()?)).ok()?;
        let features: Array2<f32> = reader.by_name("features").ok()?;
        let kept: Array1<i64> = reader.by_name("kept").ok()?;
        let kept = kept.iter().map(|&position| usize::try_from(position).ok()).collect::<Option<_>>()?;
        Some(Self { kept, features })
    }
}
