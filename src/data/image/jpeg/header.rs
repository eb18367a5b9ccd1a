//! What the markers of a JPEG file say before its pixels.

use memchr::memchr;

/// Sequential and progressive frames of Huffman codes, the kinds that are read.
const BASELINE: u8 = 0xC0;
const EXTENDED_SEQUENTIAL: u8 = 0xC1;
const PROGRESSIVE: u8 = 0xC2;
const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;
const JFIF: u8 = 0xE0;
const ADOBE: u8 = 0xEE;

/// What components are, by libjpeg's rules, which those of Pillow are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    YCbCr,
    Rgb,
    /// Of inks, inverted.
    Cmyk,
    /// CMYK, inverted, whose first three are YCbCr.
    Ycck,
}

/// A component of the frame: its identifier, and its samples across and down a unit of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub id: u8,
    pub across: u8,
    pub down: u8,
}

/// What is known of a file before its pixels are decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub is_progressive: bool,
    pub bits: u8,
    pub components: Vec<Component>,
    /// How many components the first scan has.
    pub in_first_scan: usize,
    is_jfif: bool,
    /// The transform of colours that Adobe's marker names.
    adobe: Option<u8>,
}

impl Header {
    /// # Errors
    /// What is wrong with a file without frame or scan, or with a frame of another kind: lossless, hierarchical, of arithmetic codes.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut frame = None;
        let (mut is_jfif, mut adobe) = (false, None);
        for (marker, segment) in segments(bytes) {
            match marker {
                BASELINE | EXTENDED_SEQUENTIAL | PROGRESSIVE if frame.is_none() => frame = Some((marker, segment)),
                // Three numbers among those of frames are those of tables.
                0xC0..=0xCF if ![0xC4, 0xC8, 0xCC].contains(&marker) => {
                    return Err("it is a lossless, hierarchical or arithmetic-coded JPEG, or has several frames".into());
                }
                JFIF if segment.len() >= 14 && segment.starts_with(b"JFIF\0") => is_jfif = true,
                ADOBE if segment.starts_with(b"Adobe") => adobe = segment.get(11).copied().or(adobe),
                START_OF_SCAN => {
                    let (marker, frame) = frame.ok_or("it has a scan before its frame")?;
                    let bits = *frame.first().ok_or("its frame is too short")?;
                    let (components, _) = frame.get(6..).unwrap_or_default().as_chunks();
                    let component =
                        |&[id, samples, _]: &[u8; 3]| Component { id, across: samples >> 4, down: samples & 15 };
                    return Ok(Self {
                        is_progressive: marker == PROGRESSIVE,
                        bits,
                        components: components.iter().map(component).collect(),
                        in_first_scan: segment.first().copied().unwrap_or_default().into(),
                        is_jfif,
                        adobe,
                    });
                }
                _ => {}
            }
        }
        Err("it has no scan".into())
    }

    /// `None` for another number of components than 1, 3 and 4.
    pub fn colours(&self) -> Option<Colours> {
        match (self.components.len(), self.adobe) {
            (1, _) => Some(Colours::Grey),
            (3, _) if self.is_jfif => Some(Colours::YCbCr),
            (3, Some(0)) => Some(Colours::Rgb),
            (3, None) if self.is_named_rgb() => Some(Colours::Rgb),
            (3, _) => Some(Colours::YCbCr),
            (4, None | Some(0)) => Some(Colours::Cmyk),
            (4, _) => Some(Colours::Ycck),
            _ => None,
        }
    }

    /// Whether nothing says that components are red, green and blue, not even what something else overrules.
    pub fn is_ycbcr_by_every_sign(&self) -> bool {
        self.components.len() == 3 && self.adobe != Some(0) && !self.is_named_rgb()
    }

    fn is_named_rgb(&self) -> bool {
        self.components.iter().map(|component| component.id).eq(*b"RGB")
    }

    /// The largest numbers of samples that a component has across and down.
    pub fn largest(&self) -> (u8, u8) {
        let largest = |samples: fn(&Component) -> u8| self.components.iter().map(samples).max().unwrap_or(0);
        (largest(|component| component.across), largest(|component| component.down))
    }
}

/// Whether the image's end is there.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    segments(bytes).any(|(marker, _)| marker == END_OF_IMAGE)
}

/// The markers of a file with their segments, in order. What follows the end of the image, another image or a film, is left out.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes;
    let mut is_ended = false;
    std::iter::from_fn(move || {
        while let (Some(at), false) = (memchr(0xFF, rest), is_ended) {
            rest = &rest[at + 1..];
            match rest.first().copied() {
                // Pixels hold no marker: after 0xFF they have a zero or a restart marker. Any number of 0xFF may go before one.
                None | Some(0x00 | 0xFF | 0xD0..=0xD7 | START_OF_IMAGE) => {}
                Some(END_OF_IMAGE) => {
                    is_ended = true;
                    return Some((END_OF_IMAGE, &[][..]));
                }
                // The length of the segment after its marker; a thumbnail's markers are inside.
                Some(marker) => {
                    let length = rest.get(1..3).map_or(0, |length| u16::from_be_bytes([length[0], length[1]]));
                    let segment = rest.get(3..1 + usize::from(length)).unwrap_or_default();
                    rest = rest.get(1 + usize::from(length)..).unwrap_or_default();
                    return Some((marker, segment));
                }
            }
        }
        None
    })
}
