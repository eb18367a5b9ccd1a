//! Scalars for TensorBoard: an event file is a sequence of TFRecords, each a protobuf `Event`.

use crate::{Error, Result};
use prost::Message;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The part of TensorFlow's `event.proto` that scalars need.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// The part of TensorFlow's `summary.proto` that scalars need.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// An event file of its own in a directory that TensorBoard reads.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// Starts a new event file in `directory`, which is made if it is missing.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).map_err(|error| Error::io("create", directory, error))?;
        Self::begin(Self::name_now(directory))
    }

    /// The name of an event file that begins now. TensorBoard reads every file whose name holds "tfevents", in the order of their names.
    pub(super) fn name_now(directory: &Path) -> PathBuf {
        let now = since_epoch();
        directory.join(format!("events.out.tfevents.{:010}.{:09}.arcos", now as u64, (now.fract() * 1e9) as u64))
    }

    /// Starts the event file `path`.
    pub(super) fn begin(path: PathBuf) -> Result<Self> {
        let file = File::create_new(&path).map_err(|error| Error::io("create", &path, error))?;
        let mut writer = Self { path, file };
        let version =
            Event { wall_time: since_epoch(), file_version: Some("brain.Event:2".into()), ..Event::default() };
        writer.write(&version)?;
        Ok(writer)
    }

    /// Writes one value for each tag at `step`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn scalars(&mut self, step: usize, scalars: &[(&str, f64)]) -> Result<()> {
        let value = |&(tag, value): &(&str, f64)| Value { tag: tag.into(), simple_value: value as f32 };
        let summary = Some(Summary { value: scalars.iter().map(value).collect() });
        self.write(&Event { wall_time: since_epoch(), step: step as i64, summary, ..Event::default() })
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        self.file.write_all(&record(&event.encode_to_vec())).map_err(|error| Error::io("write", &self.path, error))
    }
}

/// A TFRecord: length, masked CRC of the length, data, masked CRC of the data; little-endian.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let parts: [&[u8]; 4] = [&length, &masked_crc(&length).to_le_bytes(), data, &masked_crc(data).to_le_bytes()];
    parts.concat()
}

/// The CRC-32C of `data`, rotated and offset: the format's guard against data that hold their own checksum.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn since_epoch() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_begins_with_its_version() {
        // Field 3 of event.proto, length-delimited: tag byte 0x1a, length 13.
        let event = Event { file_version: Some("brain.Event:2".into()), ..Event::default() };
        let record = record(&event.encode_to_vec());
        assert_eq!(record[..8], 15u64.to_le_bytes());
        assert_eq!(&record[12..27], b"\x1a\x0dbrain.Event:2");
        assert_eq!(record.len(), 8 + 4 + 15 + 4);
    }

    #[test]
    fn crc_is_castagnoli_masked() {
        // CRC-32C of "123456789" is 0xe3069283; masked by hand.
        assert_eq!(masked_crc(b"123456789"), 0xe306_9283u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }

    #[test]
    fn scalars_read_back() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let mut writer = EventWriter::create(directory.path()).expect("new directory");
        writer.scalars(3, &[("scale", 7.5), ("accuracy/test", 0.25)]).expect("writable");
        let bytes = fs::read(&writer.path).expect("written");
        let mut rest = &bytes[..];
        let mut events = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().expect("eight bytes")) as usize;
            assert_eq!(rest[8..12], masked_crc(&rest[..8]).to_le_bytes());
            let data = &rest[12..12 + length];
            assert_eq!(rest[12 + length..16 + length], masked_crc(data).to_le_bytes());
            events.push(Event::decode(data).expect("an event"));
            rest = &rest[16 + length..];
        }
        assert_eq!(events.len(), 2);
        let summary = events[1].summary.clone().expect("scalars");
        assert_eq!((events[1].step, summary.value[0].tag.as_str(), summary.value[1].simple_value), (3, "scale", 0.25));
    }
}
