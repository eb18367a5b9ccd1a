//! What figures are drawn on: SVG, and the PNG that is made of it.

use arcos::{Error, Result, files::atomic_file};
use image::{ImageFormat, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};
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
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(super) type DrawResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Draws with the program's own font, and writes the PNG `path`, whole or not at all.
pub(super) fn draw_file(path: &Path, draw: impl FnOnce() -> DrawResult<String>) -> Result<()> {
    let image = drawn(path, || pixels(&draw()?))?;
    atomic_file::write(path, |file| image.write_to(file, ImageFormat::Png).map_err(io::Error::other))
}

/// What `draw` makes with the program's own font, for the file `path`, which its errors name.
pub(super) fn drawn<T>(path: &Path, draw: impl FnOnce() -> DrawResult<T>) -> Result<T> {
    register_fonts();
    draw().map_err(|error| Error::io("draw", path, io::Error::other(error.to_string())))
}

/// Fonts are a program's own here: system fonts would need system libraries. Registering one twice does no harm.
pub(super) fn register_fonts() {
    let font = epaint_default_fonts::UBUNTU_LIGHT;
    register_font(FONT, FontStyle::Normal, font).unwrap_or_else(|_| unreachable!("the font is well-formed"));
}

/// The SVG of a white canvas with what `draw` leaves on it.
pub(super) fn canvas(size: (u32, u32), draw: impl FnOnce(&Area) -> DrawResult) -> DrawResult<String> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    draw(&root)?;
    root.present()?;
    drop(root);
    Ok(svg)
}

/// An opaque SVG as pixels, edges smooth.
fn pixels(svg: &str) -> DrawResult<RgbImage> {
    let mut options = Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    let family = fonts.faces().next().and_then(|face| face.families.first()).map(|(name, _)| name.clone());
    fonts.set_sans_serif_family(family.ok_or("the font has no name")?);
    let tree = Tree::from_str(svg, &options)?;
    let size = tree.size().to_int_size();
    let mut canvas = Pixmap::new(size.width(), size.height()).ok_or("the figure is too large")?;
    resvg::render(&tree, Transform::identity(), &mut canvas.as_mut());
    let colours = canvas.data().as_chunks().0.iter().flat_map(|&[red, green, blue, _]: &[u8; 4]| [red, green, blue]);
    Ok(RgbImage::from_raw(size.width(), size.height(), colours.collect()).expect("four bytes a pixel"))
}
