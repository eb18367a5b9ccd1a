//! Rows that a head takes for another class than theirs, with their photographs where those are known.

use arcos::data::Dataset;
use arcos::data::image::{Interpolation, PixelBox, decode, resize_with_padding};
use arcos::files::stays_inside;
use arcos::ops::IGNORE_LABEL;
use arcos::train::Model;
use arcos::{Error, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::ImageFormat;
use std::io::{self, Cursor};
use std::path::Path;

/// Rows on a page.
const MOST: usize = 100;

/// Pixels of a picture's sides.
const SIDE: u32 = 96;

/// A row that is taken for a class which is not its own.
pub(crate) struct MistakenRow {
    /// Its number in the file of features.
    pub number: usize,
    pub class: usize,
    pub predicted: usize,
    pub probability: f64,
    pub photograph: Option<String>,
    /// The photograph, small, as an address that holds it.
    pub picture: Option<String>,
}

impl MistakenRow {
    /// Names the photograph and makes the picture of it, in `directory`.
    ///
    /// # Errors
    /// Those of [`decode`]; [`Error::BadImage`] for a photograph that would not be in it.
    pub fn show(&mut self, photograph: &str, directory: Option<&Path>) -> Result<()> {
        self.photograph = Some(photograph.to_owned());
        let Some(directory) = directory else { return Ok(()) };
        if !stays_inside(Path::new(photograph)) {
            let expected = "a path inside the directory of photographs".into();
            return Err(Error::BadImage {
                path: photograph.into(),
                found: "the path leads elsewhere".into(),
                expected,
            });
        }
        self.picture = Some(picture(&directory.join(photograph))?);
        Ok(())
    }
}

/// The labelled rows that `model` is surest of and wrong, and how many it has wrong in all.
///
/// # Errors
/// Those of [`Model::for_likeliest`] and [`Dataset::labels_as`].
pub(crate) fn mistaken_rows(model: &Model, data: &Dataset) -> Result<(Vec<MistakenRow>, usize)> {
    let labels = data.labels_as(&model.class_table)?;
    let mut rows = Vec::new();
    model.for_likeliest(&data.features, 1, |first, likeliest| {
        for ((place, &predicted), &probability) in likeliest.classes.iter().enumerate().zip(&likeliest.probabilities) {
            let number = first + place;
            let class = labels[number];
            if class != IGNORE_LABEL && class as usize != predicted {
                let class = class as usize;
                rows.push(MistakenRow { number, class, predicted, probability, photograph: None, picture: None });
            }
        }
        Ok(())
    })?;
    let all = rows.len();
    rows.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    rows.truncate(MOST);
    Ok((rows, all))
}

fn picture(path: &Path) -> Result<String> {
    let photograph = decode(path)?;
    let (width, height) = photograph.dimensions();
    let small = resize_with_padding(&photograph, PixelBox::whole(width, height), (SIDE, SIDE), Interpolation::Bilinear);
    let mut jpeg = Cursor::new(Vec::new());
    let written = small.write_to(&mut jpeg, ImageFormat::Jpeg);
    written.map_err(|error| Error::io("draw", path, io::Error::other(error)))?;
    Ok(format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(jpeg.into_inner())))
}
