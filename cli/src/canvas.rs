//! What figures are drawn on, and the PNG that comes of it.

use arcos::{Error, Result, files::atomic_file};
use image::{ImageFormat, Rgb, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::io;
use std::path::Path;

pub(super) const FONT: &str = "sans-serif";

/// Okabe and Ito's colours, which the colour-blind can tell apart, without the faint yellow.
pub(super) const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// A part of a figure.
pub(super) type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

pub(super) type DrawResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Draws with the program's own font, and writes the PNG `path`, whole or not at all.
pub(super) fn draw_file(path: &Path, draw: impl FnOnce() -> DrawResult<RgbImage>) -> Result<()> {
    register_fonts();
    let image = draw().map_err(|error| Error::io("draw", path, io::Error::other(error.to_string())))?;
    atomic_file::write(path, |file| image.write_to(file, ImageFormat::Png).map_err(io::Error::other))
}

/// Fonts are a program's own here: system fonts would need system libraries. Registering one twice does no harm.
pub(super) fn register_fonts() {
    let font = epaint_default_fonts::UBUNTU_LIGHT;
    register_font(FONT, FontStyle::Normal, font).unwrap_or_else(|_| unreachable!("the font is well-formed"));
}

/// A white canvas with what `draw` leaves on it.
pub(super) fn canvas((width, height): (u32, u32), draw: impl FnOnce(&Area) -> DrawResult) -> DrawResult<RgbImage> {
    let mut image = RgbImage::from_pixel(width, height, Rgb([255; 3]));
    let root = BitMapBackend::with_buffer(&mut image, (width, height)).into_drawing_area();
    draw(&root)?;
    root.present()?;
    drop(root);
    Ok(image)
}
