//! What a network would see of CUB-200-2011: a contact sheet of the photographs that are there, cut out and scaled, and how long
//! that takes on one core.
//!
//! ```sh
//! cargo run --release --example preprocess -- CUB_200_2011 sheet.png
//! ```

use arcos::data::cub;
use arcos::data::image::{Layout, Preprocessing, to_unit_range};
use image::{RgbImage, imageops};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::path::PathBuf;
use std::time::Instant;

const COLUMNS: u32 = 8;
const MOST: usize = 64;
/// Of which the median counts.
const ROUNDS: usize = 11;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [directory, sheet] = &arguments[..] else { return Err("usage: preprocess CUB_DIRECTORY SHEET.png".into()) };
    let preprocessing = Preprocessing::new(224, 224, Layout::Nchw);
    let set = cub::read(directory)?;
    let files = set.images.iter().map(|image| (set.root.join(&image.path), image.bounding_box));
    let files: Vec<_> = files.filter(|(path, _)| path.exists()).take(MOST).collect();

    // The first time round, files come from the disk and memory from the system.
    let mut crops = Vec::new();
    let mut milliseconds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        crops =
            files.iter().map(|(path, found)| preprocessing.read(path, *found)).collect::<arcos::Result<Vec<_>>>()?;
        milliseconds.push(start.elapsed().as_secs_f64() * 1e3 / files.len() as f64);
    }
    milliseconds.sort_by(f64::total_cmp);
    println!("{} photographs, {:.2} ms each", files.len(), milliseconds[ROUNDS / 2]);

    // Each with an augmented view below it.
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let rows = 2 * (crops.len() as u32).div_ceil(COLUMNS);
    let mut picture = RgbImage::new(COLUMNS * preprocessing.width, rows * preprocessing.height);
    for (number, crop) in (0..).zip(&crops) {
        let view = preprocessing.augmentation.draw(preprocessing.width, preprocessing.height, &mut rng);
        let view = view.of(to_unit_range(crop).view());
        let view = RgbImage::from_fn(preprocessing.width, preprocessing.height, |x, y| {
            image::Rgb([0, 1, 2].map(|channel| (255.0 * view[[y as usize, x as usize, channel]]).round() as u8))
        });
        let (column, row) = (number % COLUMNS, 2 * (number / COLUMNS));
        for (image, row) in [(crop, row), (&view, row + 1)] {
            let (x, y) = (column * preprocessing.width, row * preprocessing.height);
            imageops::replace(&mut picture, image, x.into(), y.into());
        }
    }
    picture.save(sheet)?;
    Ok(())
}
