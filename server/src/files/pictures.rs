//! What is made of a picture that somebody sends: upright, square, small, and nothing of what a camera writes beside it.

use super::{Error, LARGEST_PICTURE, Result, refused};
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits,
    codecs::jpeg::JpegEncoder,
    error::{LimitError, LimitErrorKind},
    imageops::FilterType,
};
use std::io::Cursor;
use tokio::sync::Semaphore;

/// The sides of what is made, in pixels: for a person's page, and for lists.
const LARGE: u32 = 512;
const SMALL: u32 = 96;

/// More than any camera makes. A small file can unfold to very many pixels.
const WIDEST: u32 = 12_000;
const MEMORY: u64 = 200 * 1024 * 1024;

/// Pictures are unfolded one at a time: each takes memory.
static TURN: Semaphore = Semaphore::const_new(1);

pub const TOO_LARGE: &str = "The picture has more than 10 MB. Make it smaller, or choose another one.";
pub const NOT_A_PICTURE: &str = "This is not a picture we can read. Choose a JPEG, PNG or WebP file.";
pub const EMPTY: &str = "Choose a picture first.";
const TOO_WIDE: &str = "The picture has too many pixels. Make it smaller, or choose another one.";

/// Both as JPEG.
pub struct Picture {
    pub large: Vec<u8>,
    pub small: Vec<u8>,
}

pub async fn made_of(sent: Vec<u8>) -> Result<Picture> {
    if sent.is_empty() {
        return refused("photo", EMPTY);
    }
    if sent.len() > LARGEST_PICTURE {
        return refused("photo", TOO_LARGE);
    }
    let turn = TURN.acquire().await;
    let made = tokio::task::spawn_blocking(move || make(&sent)).await;
    drop(turn);
    // A decoder that panics was given what is no picture.
    let made = made.unwrap_or_else(|_| Err(unsupported()));
    made.map_err(|error| {
        let message = if matches!(error, ImageError::Limits(_)) { TOO_WIDE } else { NOT_A_PICTURE };
        Error::Refused { field: "photo", message: message.to_owned() }
    })
}

fn make(sent: &[u8]) -> image::ImageResult<Picture> {
    let mut reader = ImageReader::new(Cursor::new(sent)).with_guessed_format()?;
    if !matches!(reader.format(), Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP)) {
        return Err(unsupported());
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(WIDEST);
    limits.max_image_height = Some(WIDEST);
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    if decoder.total_bytes() > MEMORY {
        return Err(ImageError::Limits(LimitError::from_kind(LimitErrorKind::InsufficientMemory)));
    }
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    let side = LARGE.min(picture.width().min(picture.height()));
    let large = on_white(picture.resize_to_fill(side, side, FilterType::Triangle));
    let small = large.resize_to_fill(SMALL, SMALL, FilterType::Triangle);
    Ok(Picture { large: jpeg(&large)?, small: jpeg(&small)? })
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
