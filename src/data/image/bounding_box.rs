//! Where in a photograph its subject is.

use serde::{Deserialize, Serialize};

/// A rectangle in pixels of the upright image, as CUB-200-2011 gives it; it may reach past the image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// From left to right.
    pub width: f64,
    /// From top to bottom.
    pub height: f64,
}

/// A rectangle of whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelBox {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl PixelBox {
    /// All of an image.
    pub fn whole(width: u32, height: u32) -> Self {
        Self { left: 0, top: 0, width, height }
    }

    /// The part of it inside an image of this size, if there is one.
    pub fn inside(self, width: u32, height: u32) -> Option<Self> {
        let part = |start: u32, length: u32, size: u32| {
            let length = length.min(size.saturating_sub(start));
            (length > 0).then_some(length)
        };
        let (width, height) = (part(self.left, self.width, width)?, part(self.top, self.height, height)?);
        Some(Self { width, height, ..self })
    }
}

impl BoundingBox {
    /// The pixels of an image (`width`, `height`) that it touches; `None` if it touches none.
    pub fn pixels(&self, width: u32, height: u32) -> Option<PixelBox> {
        let touched = |start: f64, length: f64, size: u32| {
            let first = start.floor().clamp(0.0, size.into());
            let end = (start + length).ceil().clamp(0.0, size.into());
            (length > 0.0 && end > first).then_some((first as u32, (end - first) as u32))
        };
        let (left, width) = touched(self.x, self.width, width)?;
        let (top, height) = touched(self.y, self.height, height)?;
        Some(PixelBox { left, top, width, height })
    }
}

impl std::fmt::Display for BoundingBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "x {} y {} width {} height {}", self.x, self.y, self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(x: f64, y: f64, width: f64, height: f64) -> Option<(u32, u32, u32, u32)> {
        let PixelBox { left, top, width, height } = BoundingBox { x, y, width, height }.pixels(100, 50)?;
        Some((left, top, width, height))
    }

    #[test]
    fn boxes_are_cut_at_the_image_and_widened_to_whole_pixels() {
        assert_eq!(pixels(10.0, 5.0, 30.0, 20.0), Some((10, 5, 30, 20)));
        assert_eq!(pixels(10.5, 5.25, 30.0, 20.0), Some((10, 5, 31, 21)));
        assert_eq!(pixels(-4.0, 40.0, 30.0, 32.0), Some((0, 40, 26, 10)));
        assert_eq!(pixels(99.5, 0.0, 1e12, 1e12), Some((99, 0, 1, 50)));
    }

    #[test]
    fn pixel_boxes_are_cut_at_the_image() {
        let pixel_box = |left, top, width, height| PixelBox { left, top, width, height };
        assert_eq!(pixel_box(3, 4, 5, 6).inside(10, 10), Some(pixel_box(3, 4, 5, 6)));
        assert_eq!(pixel_box(3, 4, u32::MAX, 6).inside(10, 5), Some(pixel_box(3, 4, 7, 1)));
        assert_eq!(pixel_box(10, 0, 5, 5).inside(10, 10), None);
        assert_eq!(pixel_box(0, 0, 5, 5).inside(10, 0), None);
    }

    #[test]
    fn boxes_without_a_pixel_are_none() {
        for (x, width) in [(100.0, 5.0), (-5.0, 5.0), (3.0, 0.0), (3.0, -1.0), (f64::NAN, 5.0), (3.0, f64::NAN)] {
            assert_eq!(pixels(x, 0.0, width, 10.0), None, "{x} {width}");
        }
    }
}
