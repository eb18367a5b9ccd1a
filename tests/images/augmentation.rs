//! Properties of the augmentations.

use arcos::data::image::{Augmentation, PixelBox, View, colour, geometry};
use ndarray::{Array3, ArrayView3};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn images() -> impl Strategy<Value = Array3<f32>> {
    (1..20usize, 1..20usize).prop_flat_map(|(height, width)| {
        // Exact black, white and grey are likely in photographs.
        let value = prop_oneof![4 => 0.0..=1.0f32, 1 => Just(0.0f32), 1 => Just(1.0f32), 1 => Just(0.5f32)];
        prop::collection::vec(value, height * width * 3)
            .prop_map(move |values| Array3::from_shape_vec((height, width, 3), values).expect("of this size"))
    })
}

fn sides(image: &Array3<f32>) -> (u32, u32) {
    (image.dim().1 as u32, image.dim().0 as u32)
}

/// Same size, values in [0, 1] but for rounding.
fn is_image(found: &Array3<f32>, like: &Array3<f32>) -> bool {
    found.dim() == like.dim() && found.iter().all(|value| (-1e-6..=1.0 + 1e-6).contains(value))
}

fn distance(a: ArrayView3<f32>, b: ArrayView3<f32>) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

proptest! {
    #[test]
    fn identity_parameters_return_the_image(image in images()) {
        let (width, height) = sides(&image);
        prop_assert_eq!(&colour::brightness(image.view(), 0.0), &image);
        prop_assert_eq!(&colour::hue(image.view(), 0.0), &image);
        prop_assert_eq!(&colour::saturation(image.view(), 1.0), &image);
        prop_assert_eq!(&geometry::rotate(image.view(), 0.0), &image);
        prop_assert_eq!(&geometry::crop(image.view(), PixelBox::whole(width, height)), &image);
        prop_assert_eq!(&View::identity(width, height).of(image.view()), &image);
    }

    #[test]
    fn a_flip_twice_is_the_image(image in images()) {
        let flipped = geometry::flip_horizontal(image.view());
        prop_assert_eq!(image[[0, 0, 1]], flipped[[0, image.dim().1 - 1, 1]]);
        prop_assert_eq!(geometry::flip_horizontal(flipped.view()), image);
    }

    #[test]
    fn sizes_and_value_ranges_hold(
        image in images(),
        delta in -2.0..2.0f32,
        factor in 0.0..50.0f32,
        angle in -7.0..7.0f32,
        seed: u64,
    ) {
        prop_assert!(is_image(&colour::brightness(image.view(), delta), &image));
        prop_assert!(is_image(&colour::hue(image.view(), delta), &image));
        prop_assert!(is_image(&colour::saturation(image.view(), factor), &image));
        prop_assert!(is_image(&geometry::rotate(image.view(), angle), &image));
        let augmentation = Augmentation { brightness: (-0.5, 0.5), hue: 0.5, saturation: (0.0, 4.0), rotation: 3.0, smallest_crop: 0.1, ..Default::default() };
        let (width, height) = sides(&image);
        let view = augmentation.draw(width, height, &mut ChaCha8Rng::seed_from_u64(seed));
        prop_assert!(is_image(&view.of(image.view()), &image));
    }

    #[test]
    fn hue_and_saturation_keep_what_they_should(image in images(), delta in -1.0..1.0f32, factor in 0.0..3.0f32) {
        let turned = colour::hue(image.view(), delta);
        let there_and_back = colour::hue(turned.view(), -delta);
        prop_assert!(distance(there_and_back.view(), image.view()) < 1e-4);
        for (before, (turned, saturated)) in image.lanes(ndarray::Axis(2)).into_iter().zip(
            turned.lanes(ndarray::Axis(2)).into_iter().zip(colour::saturation(image.view(), factor).lanes(ndarray::Axis(2))),
        ) {
            let extremes = |pixel: ndarray::ArrayView1<f32>| {
                let sorted = |f: fn(f32, f32) -> f32| pixel.iter().copied().reduce(f).expect("three channels");
                (sorted(f32::min), sorted(f32::max))
            };
            let ((low, high), (low_turned, high_turned)) = (extremes(before), extremes(turned));
            prop_assert!((low - low_turned).abs() < 1e-6 && (high - high_turned).abs() < 1e-6, "value and saturation stay");
            prop_assert!((extremes(saturated).1 - high).abs() < 1e-6, "the value stays");
        }
        let greys = colour::saturation(image.view(), 0.0);
        let is_grey = |pixel: ndarray::ArrayView1<f32>| (pixel[0] - pixel[1]).abs() < 1e-6 && (pixel[1] - pixel[2]).abs() < 1e-6;
        prop_assert!(greys.lanes(ndarray::Axis(2)).into_iter().all(is_grey));
    }

    #[test]
    fn four_quarter_turns_of_a_square_are_the_image(image in images(), size in 1..12usize) {
        let square = Array3::from_shape_fn((size, size, 3), |(y, x, c)| image[[y % image.dim().0, x % image.dim().1, c]]);
        let turn = |image: &Array3<f32>| geometry::rotate(image.view(), std::f32::consts::FRAC_PI_2);
        let once = turn(&square);
        // The corner at the right goes up to the left.
        prop_assert!((once[[0, 0, 0]] - square[[0, size - 1, 0]]).abs() < 1e-4);
        prop_assert!(distance(turn(&turn(&turn(&once))).view(), square.view()) < 1e-4);
    }

    #[test]
    fn the_same_seed_gives_the_same_pixels_and_another_does_not(seed: u64) {
        let image = Array3::from_shape_fn((24, 30, 3), |(y, x, c)| ((7 * y + 3 * x + 11 * c) % 32) as f32 / 31.0);
        let view = |seed| Augmentation::default().draw(30, 24, &mut ChaCha8Rng::seed_from_u64(seed));
        prop_assert_eq!(view(seed).of(image.view()), view(seed).of(image.view()));
        prop_assert_ne!(view(seed).of(image.view()), view(seed.wrapping_add(1)).of(image.view()));
    }

    #[test]
    fn parameters_are_drawn_from_their_ranges(width in 1..300u32, height in 1..300u32, seed: u64) {
        let augmentation = Augmentation::default();
        let view = augmentation.draw(width, height, &mut ChaCha8Rng::seed_from_u64(seed));
        prop_assert!((0.5 / 255.0..=1.0 / 255.0).contains(&view.brightness_delta));
        prop_assert!(view.hue_delta.abs() <= 0.01);
        prop_assert!((0.9..=1.1).contains(&view.saturation_factor));
        prop_assert!(view.angle.abs() <= std::f32::consts::PI / 8.0);
        let PixelBox { left, top, width: crop_width, height: crop_height } = view.region;
        prop_assert!(f64::from(crop_width) >= 0.8 * f64::from(width) - 1e-4 && left + crop_width <= width);
        prop_assert!(f64::from(crop_height) >= 0.8 * f64::from(height) - 1e-4 && top + crop_height <= height);
    }
}

#[test]
fn draws_spread_over_their_ranges() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let views: Vec<View> = (0..2000).map(|_| Augmentation::default().draw(100, 100, &mut rng)).collect();
    let share = |is: fn(&View) -> bool| views.iter().filter(|view| is(view)).count() as f64 / views.len() as f64;
    for (name, share) in [
        ("flips", share(|view| view.flip)),
        ("to the left", share(|view| view.angle > 0.0)),
        ("redder", share(|view| view.hue_delta > 0.0)),
        ("paler", share(|view| view.saturation_factor < 1.0)),
        ("small", share(|view| view.region.width < 91)),
        ("bright", share(|view| view.brightness_delta > 0.75 / 255.0)),
    ] {
        assert!((0.45..0.55).contains(&share), "{name}: {share}");
    }
    for (smallest, largest, of) in [
        (80, 100, (|view| view.region.width) as fn(&View) -> u32),
        (0, 20, |view| view.region.left),
        (0, 20, |view| view.region.top),
    ] {
        let reached = (views.iter().map(of).min(), views.iter().map(of).max());
        let (Some(low), Some(high)) = reached else { panic!("views") };
        assert!(low <= smallest + 1 && high + 1 >= largest, "{low} to {high}");
    }
}
