//! Runs that were ended go on, and what is done is not done again.

use super::{Workplace, fixture, means, model, options};
use arcos::Error;
use arcos::data::Split;
use arcos::data::image::ChannelOrder;
use arcos::extract::{Event, Options, extract};
use ndarray::{ArrayView4, Axis};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn what_is_there_already_is_not_done_again() {
    let place = Workplace::new();
    assert_eq!(place.extract_counting(&options()).1, 7);
    let before = place.files();
    assert_eq!(place.extract_counting(&options()).1, 0);
    assert_eq!(place.files(), before);
    fs::remove_file(place.out().join("test_labels.npy")).expect("there");
    assert_eq!(place.extract_counting(&options()).1, 3);
    assert_eq!(place.files(), before);
    // An image with another label makes its split anew.
    let mut relabelled = Workplace { set: place.set.clone(), ..place };
    relabelled.set.images[0].label = 2;
    assert_eq!(relabelled.extract_counting(&options()).1, 4);
    assert_eq!(relabelled.labels("train"), ndarray::array![2, 1, 2, 2]);
    let place = relabelled;
    // So does a photograph that has changed.
    let before = place.files();
    let photograph = place.photograph("001.Albatross/Albatross_0001.jpg");
    fixture::render((20, 20), 50, false).save(photograph).expect("writable");
    assert_eq!(place.extract_counting(&options()).1, 4);
    assert_ne!(place.files(), before);
}

#[test]
fn arrays_that_are_damaged_are_made_anew() {
    let place = Workplace::new();
    let (result, images) = place.extract_counting(&options());
    result.expect("whole");
    for name in ["train_features.npy", "test_labels.npy"] {
        let file = place.out().join(name);
        let whole = fs::read(&file).expect("written");
        let mut changed = whole.clone();
        *changed.last_mut().expect("bytes") ^= 1;
        for damaged in [&whole[..whole.len() - 1], &[], &changed] {
            fs::write(&file, damaged).expect("writable");
            let (result, again) = place.extract_counting(&options());
            result.expect("whole");
            assert!((1..images).contains(&again), "one split of two");
            assert_eq!(fs::read(&file).expect("written"), whole);
        }
    }
}

#[test]
fn a_run_that_ended_goes_on_where_it_was() {
    let place = Workplace::with_shards();
    let images = place.set.images.len();
    place.extract(&options()).expect("well-formed");
    let whole = place.files();
    fs::remove_dir_all(place.out()).expect("there");

    let count = AtomicUsize::new(0);
    let fails_in_the_third_shard = |batch: ArrayView4<f32>| {
        if count.fetch_add(batch.len_of(Axis(0)), Ordering::Relaxed) > 140 {
            return Err(Error::Setting { name: "power", value: "off".into(), expected: "on".into() });
        }
        means(batch)
    };
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let ended = one_thread
        .install(|| extract(&place.set, &options(), &model(), &fails_in_the_third_shard, &place.out(), &|_| {}));
    ended.expect_err("power is off");
    assert!(place.files().is_empty(), "no array that is not whole");
    let partial = fs::read_dir(place.out().join(".arcos-partial")).expect("there");
    let shards: Vec<_> = partial.map(|entry| entry.expect("readable").path()).collect();
    assert_eq!(shards.len(), 2);

    // In one of the finished shards a feature has changed.
    let mut bytes = fs::read(&shards[0]).expect("there");
    bytes[200] ^= 1;
    fs::write(&shards[0], bytes).expect("writable");
    let resumed = AtomicUsize::new(0);
    let on_event = |event: Event| {
        if let Event::Start { resumed: images, .. } = event {
            resumed.store(images, Ordering::Relaxed);
        }
    };
    let count = AtomicUsize::new(0);
    let counts = |batch: ArrayView4<f32>| {
        count.fetch_add(batch.len_of(Axis(0)), Ordering::Relaxed);
        means(batch)
    };
    extract(&place.set, &options(), &model(), &counts, &place.out(), &on_event).expect("well-formed");
    assert_eq!((resumed.into_inner(), count.into_inner()), (66, images - 66));
    assert_eq!(place.files(), whole, "interrupted and whole runs end with the same bytes");
}

#[test]
fn a_run_that_fails_before_any_shard_leaves_nothing() {
    let place = Workplace::new();
    let failing = |_: ArrayView4<f32>| Err(Error::Empty { what: "images", found: vec![0] });
    let attempt =
        |out: &Path| extract(&place.set, &options(), &model(), &failing, out, &|_| {}).expect_err("as it says");
    attempt(&place.out().join("below"));
    assert!(!place.out().exists());
    fs::create_dir_all(place.out()).expect("writable");
    attempt(&place.out());
    assert_eq!(fs::read_dir(place.out()).expect("it was there").count(), 0);
}

#[test]
fn shards_of_another_run_that_ended_stay() {
    let place = Workplace::with_shards();
    let fails = |_: ArrayView4<f32>| Err(Error::Setting { name: "power", value: "off".into(), expected: "on".into() });
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let count = AtomicUsize::new(0);
    let fails_later = |batch: ArrayView4<f32>| {
        if count.fetch_add(1, Ordering::Relaxed) > 30 { fails(batch) } else { means(batch) }
    };
    one_thread
        .install(|| extract(&place.set, &options(), &model(), &fails_later, &place.out(), &|_| {}))
        .expect_err("power is off");
    place.extract(&Options { splits: vec![Split::Test], ..options() }).expect("the test images");
    let (result, images) = place.extract_counting(&options());
    result.expect("well-formed");
    assert_eq!(images, 164 - 66, "one shard of training images was done");
}

#[test]
fn shards_that_nothing_will_take_up_go() {
    let place = Workplace::with_shards();
    let count = AtomicUsize::new(0);
    let fails_later = |batch: ArrayView4<f32>| {
        if count.fetch_add(1, Ordering::Relaxed) > 30 {
            return Err(Error::Setting { name: "power", value: "off".into(), expected: "on".into() });
        }
        means(batch)
    };
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let another_kind = |mut options: Options| {
        options.preprocessing.channel_order = ChannelOrder::Bgr;
        options
    };
    let views = Options { views: Some(2), ..options() };
    for options in [another_kind(options()), views] {
        count.store(0, Ordering::Relaxed);
        one_thread
            .install(|| extract(&place.set, &options, &model(), &fails_later, &place.out(), &|_| {}))
            .expect_err("power is off");
    }
    let partial = place.out().join(".arcos-partial");
    let shards = || fs::read_dir(&partial).map_or(0, |entries| entries.count());
    let of_both = shards();
    assert!(of_both >= 2, "{of_both}");
    // Training images are not done yet: views of them may go on.
    place.extract(&Options { splits: vec![Split::Test], ..options() }).expect("the test images");
    assert!((1..of_both).contains(&shards()), "{} of {of_both}", shards());
    place.extract(&options()).expect("well-formed");
    assert!(!partial.exists());
}

#[cfg(unix)]
#[test]
fn a_second_run_in_the_same_place_is_refused() {
    let place = Workplace::new();
    let second = std::sync::Mutex::new(None);
    let embed = |batch: ArrayView4<f32>| {
        let mut second = second.lock().expect("not poisoned");
        if second.is_none() {
            *second = place.extract(&options()).err().map(|error| error.to_string());
        }
        means(batch)
    };
    extract(&place.set, &options(), &model(), &embed, &place.out(), &|_| {}).expect("the first goes on");
    let message = second.into_inner().expect("not poisoned").expect("refused");
    assert!(message.ends_with("another run is writing here; expected one at a time"), "{message}");
}
