//! A small data set in the layout of CUB-200-2011, with photographs that are rendered here.

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use std::fs;
use std::path::Path;

/// What is written of an image.
pub struct Photograph {
    pub id: u32,
    pub file: &'static str,
    pub class: u32,
    pub is_train: bool,
    pub bounding_box: &'static str,
    pub size: (u32, u32),
    pub is_grey: bool,
}

const fn photograph(
    id: u32,
    file: &'static str,
    class: u32,
    is_train: bool,
    bounding_box: &'static str,
    size: (u32, u32),
    is_grey: bool,
) -> Photograph {
    Photograph { id, file, class, is_train, bounding_box, size, is_grey }
}

/// In the order of ids; odd sizes, grey ones, boxes past every edge.
pub const PHOTOGRAPHS: [Photograph; 7] = [
    photograph(1, "001.Albatross/Albatross_0001.jpg", 1, true, "3.0 4.0 30.0 20.0", (47, 33), false),
    photograph(2, "001.Albatross/Albatross_0002.jpg", 1, false, "-5.0 0.0 40.0 25.5", (61, 29), false),
    photograph(4, "002.Bunting/Bunting_0001.jpg", 2, true, "10.0 10.0 500.0 500.0", (33, 64), true),
    photograph(7, "002.Bunting/Bunting_0002.jpg", 2, false, "0.0 0.0 1.0 1.0", (17, 17), false),
    photograph(12, "003.Cuckoo/Cuckoo_0001.jpg", 3, true, "20.5 1.25 12.0 30.0", (40, 40), false),
    photograph(13, "003.Cuckoo/Cuckoo_0002.jpg", 3, true, "1.0 1.0 38.0 30.0", (39, 31), true),
    photograph(100, "003.Cuckoo/Cuckoo_0003.jpg", 3, false, "0.0 5.0 1.0 20.0", (5, 90), false),
];

/// Writes the data set into `directory`; lines come in another order in every file.
pub fn write(directory: &Path) {
    let lines = |line: fn(&Photograph) -> String, rotation: usize| {
        let mut lines: Vec<_> = PHOTOGRAPHS.iter().map(|photograph| line(photograph) + "\n").collect();
        lines.rotate_left(rotation);
        lines.concat()
    };
    let write = |name: &str, text: String| fs::write(directory.join(name), text).expect("writable");
    write("images.txt", lines(|photo| format!("{} {}", photo.id, photo.file), 3));
    write("image_class_labels.txt", lines(|photo| format!("{} {}", photo.id, photo.class), 1));
    write("train_test_split.txt", lines(|photo| format!("{} {}", photo.id, u8::from(photo.is_train)), 5));
    write("bounding_boxes.txt", lines(|photo| format!("{} {}", photo.id, photo.bounding_box), 2));
    write("classes.txt", "3 003.Cuckoo\n1 001.Albatross\n2 002.Bunting\n".into());
    for photo in &PHOTOGRAPHS {
        let path = directory.join("images").join(photo.file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        render(photo.size, photo.id, photo.is_grey).save_with_format(&path, ImageFormat::Jpeg).expect("writable");
    }
}

/// A picture that differs from number to number.
pub fn render((width, height): (u32, u32), number: u32, is_grey: bool) -> DynamicImage {
    let value = |x: u32, y: u32, channel: u32| ((x * (3 + channel) + y * (2 + number % 5) + 40 * number) % 256) as u8;
    match is_grey {
        true => GrayImage::from_fn(width, height, |x, y| image::Luma([value(x, y, 0)])).into(),
        false => RgbImage::from_fn(width, height, |x, y| image::Rgb([0, 1, 2].map(|c| value(x, y, c)))).into(),
    }
}
