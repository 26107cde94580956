//! Prepares pictures: upright, square, resized, without metadata.

use super::{
    Error, MAX_PICTURE_BYTES, Result, refused,
    slots::{PerTenant, acquire},
};
use image::{
    DynamicImage, GenericImageView, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits,
    codecs::jpeg::JpegEncoder,
    error::{LimitError, LimitErrorKind},
    imageops::FilterType,
};
use std::{io::Cursor, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};

/// The sides of what is made, in pixels: for a person's page, and for lists.
const LARGE: u32 = 512;
const SMALL: u32 = 96;

/// A small file can unfold to very many pixels: what it takes in memory is known from its head, before it is decoded.
/// 40 megapixels of four bytes each.
const MAX_PIXELS: u64 = 40_000_000;
const MAX_SIDE: u32 = 30_000;
const MAX_DECODED_BYTES: u64 = 4 * MAX_PIXELS;

/// A progressive JPEG is decoded once over for each of its scans, of which cameras make a dozen: pixels times scans.
const MAX_JPEG_WORK: u64 = 15 * MAX_PIXELS;

/// How many pictures are decoded at a time. A decoder cannot be stopped, so one church has one of them at most.
const DECODERS: usize = 2;

/// How many pictures may wait for a decoder or be in it, over all churches, and for how long.
const QUEUE: usize = 32;
const WAIT: Duration = Duration::from_secs(15);

pub const TOO_LARGE: &str = "The picture has more than 10 MB. Make it smaller, or choose another one.";
pub const NOT_A_PICTURE: &str = "This is not a picture we can read. Choose a JPEG, PNG or WebP file.";
pub const EMPTY: &str = "Choose a picture first.";
pub const INCOMPLETE: &str = "The picture did not arrive completely. Check your connection and try again.";
const TOO_MANY_PIXELS: &str = "The picture has more pixels or colours than we can prepare (at most 40 megapixels). Make it smaller, or choose another one.";

/// Both as JPEG.
pub struct Picture {
    pub large: Vec<u8>,
    pub small: Vec<u8>,
}

/// Decodes pictures, fairly: a church that sends many waits for its own, and delays another by one picture at most.
#[derive(Clone)]
pub struct Decoders {
    tenants: PerTenant,
    decoders: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl Decoders {
    pub fn new() -> Self {
        Self {
            tenants: PerTenant::new(1),
            decoders: Arc::new(Semaphore::new(DECODERS)),
            queue: Arc::new(Semaphore::new(QUEUE)),
        }
    }

    /// Decodes and resizes a picture. Loads it only once a permit is free, so that waiting takes no memory.
    pub async fn make(
        &self,
        tenant_id: &str,
        load: impl Future<Output = Result<Vec<u8>>>,
    ) -> Result<Picture> {
        let queued = self.queue.clone().try_acquire_owned().map_err(|_| Error::Busy)?;
        let turn = async {
            let tenant = self.tenants.acquire(tenant_id).await;
            (tenant, acquire(self.decoders.clone()).await)
        };
        let turn = timeout(WAIT, turn).await.map_err(|_| Error::Busy)?;
        let sent = load.await?;
        if sent.is_empty() {
            return refused("photo", EMPTY);
        }
        if sent.len() > MAX_PICTURE_BYTES {
            return refused("photo", TOO_LARGE);
        }
        // The task holds the permits: it continues when the request is cancelled.
        let made = tokio::task::spawn_blocking(move || {
            let _held = (queued, turn);
            make(&sent)
        });
        // A decoder that panics was given what is no picture.
        made.await.unwrap_or_else(|_| Err(unsupported())).map_err(|error| {
            let message =
                if matches!(error, ImageError::Limits(_)) { TOO_MANY_PIXELS } else { NOT_A_PICTURE };
            Error::Refused { field: "photo", message: message.to_owned() }
        })
    }
}

fn make(sent: &[u8]) -> image::ImageResult<Picture> {
    let mut reader = ImageReader::new(Cursor::new(sent)).with_guessed_format()?;
    let is_jpeg = reader.format() == Some(ImageFormat::Jpeg);
    if !matches!(reader.format(), Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP)) {
        return Err(unsupported());
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS || decoder.total_bytes() > MAX_DECODED_BYTES {
        return Err(ImageError::Limits(LimitError::from_kind(LimitErrorKind::InsufficientMemory)));
    }
    if is_jpeg && u64::from(width) * u64::from(height) * jpeg_scans(sent) > MAX_JPEG_WORK {
        return Err(unsupported());
    }
    let orientation = decoder.orientation()?;
    let middle = middle_of(DynamicImage::from_decoder(decoder)?);
    let side = LARGE.min(middle.width());
    let mut large = on_white(middle.resize_exact(side, side, FilterType::Triangle));
    large.apply_orientation(orientation);
    let small = large.resize_exact(SMALL, SMALL, FilterType::Triangle);
    Ok(Picture { large: jpeg(&large)?, small: jpeg(&small)? })
}

/// How often a JPEG's pixels are gone through: its scans, up to its end. What follows there is not decoded.
fn jpeg_scans(bytes: &[u8]) -> u64 {
    const END: u8 = 0xd9;
    const SCAN: u8 = 0xda;
    let (mut at, mut scans) = (2, 0);
    while let Some([first, marker]) = bytes.get(at..at + 2) {
        at += match (*first, *marker) {
            (0xff, END) => break,
            // Data of a scan and what stands between segments: the next marker is looked for, as decoders do.
            (0xff, 0x00 | 0x01 | 0xd0..=0xd8 | 0xff) | (..=0xfe, _) => 1,
            (0xff, marker) => {
                scans += u64::from(marker == SCAN);
                let length =
                    bytes.get(at + 2..at + 4).map_or(0, |two| usize::from(two[0]) << 8 | usize::from(two[1]));
                2 + length
            }
        };
    }
    scans
}

/// The square in the middle, made small first where it is large: the better filter takes 16 bytes a pixel.
fn middle_of(mut picture: DynamicImage) -> DynamicImage {
    const ENOUGH: u32 = 2 * LARGE;
    let shortest = picture.width().min(picture.height());
    if shortest > ENOUGH {
        let scaled = |side: u32| (u64::from(side) * u64::from(ENOUGH) / u64::from(shortest)) as u32;
        picture = picture.thumbnail_exact(scaled(picture.width()), scaled(picture.height()));
    }
    let (width, height) = picture.dimensions();
    let side = width.min(height);
    if width == height {
        return picture;
    }
    picture.crop_imm((width - side) / 2, (height - side) / 2, side, side)
}

/// JPEG knows nothing of what shines through.
fn on_white(picture: DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8().into();
    }
    let rgba = picture.into_rgba8();
    let blended = image::RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [red, green, blue, alpha] = rgba.get_pixel(x, y).0.map(u16::from);
        let on_white = |part: u16| ((part * alpha + 255 * (255 - alpha)) / 255) as u8;
        image::Rgb([on_white(red), on_white(green), on_white(blue)])
    });
    blended.into()
}

fn jpeg(picture: &DynamicImage) -> image::ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 85))?;
    Ok(bytes)
}

fn unsupported() -> ImageError {
    ImageError::Unsupported(image::error::ImageFormatHint::Unknown.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_of_a_jpeg_are_counted() {
        let picture = jpeg(&image::RgbImage::new(40, 40).into()).expect("it is written");
        assert_eq!(jpeg_scans(&picture), 1);
        let (whole, end) = picture.split_at(picture.len() - 2);
        let scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0x12, 0xff, 0, 0x34];
        let many = [whole, &scan.repeat(60), end].concat();
        assert_eq!(jpeg_scans(&many), 61);
        // A film that a telephone has put behind the picture.
        assert_eq!(jpeg_scans(&[&many, &scan.repeat(60)[..]].concat()), 61);
    }

    #[test]
    fn what_is_decoded_too_often_is_refused() {
        let sent = jpeg(&image::RgbImage::new(4000, 4000).into()).expect("it is written");
        let (whole, end) = sent.split_at(sent.len() - 2);
        let scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0x12];
        let many = [whole, &scan.repeat(60), end].concat();
        assert!(matches!(make(&many), Err(ImageError::Unsupported(_))));
    }
}
