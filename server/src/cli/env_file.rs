//! Settings from the file `.env` in the working directory.

use crate::Error;
use std::{fs, io::ErrorKind};

const PATH: &str = ".env";

/// Adds the variables in `.env` to the environment, unless the file is missing. A variable that is set already keeps its
/// value. Call it before the first thread starts: other threads must not read the environment while it changes.
pub fn load() -> Result<(), Error> {
    let text = match fs::read_to_string(PATH) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::EnvFile(source)),
    };
    // No environment variable can hold NUL; setting one panics.
    if let Some(at) = text.find('\0') {
        return Err(Error::EnvFileLine(text[..at].matches('\n').count() + 1));
    }
    dotenvy::from_read(text.as_bytes()).map_err(|error| match error {
        dotenvy::Error::Io(source) => Error::EnvFile(source),
        // Not the error itself: it quotes what may be a secret.
        _ => Error::EnvFileLine(malformed_line(&text)),
    })
}

/// Returns the number, counted from 1, of the line on which the first malformed setting begins. dotenvy does not tell.
fn malformed_line(text: &str) -> usize {
    let text = text.trim_start_matches('\u{feff}');
    let good = good_settings(text);
    let ends = text.match_indices('\n').map(|(at, _)| at).chain([text.len()]);
    // A setting may span lines: the file cut off inside an earlier one has fewer good settings.
    let fails_there =
        |end| good_settings(&text[..end]) == good && parse(&text[..end]).any(|item| item.is_err());
    ends.into_iter().position(fails_there).unwrap_or_default() + 1
}

fn good_settings(text: &str) -> usize {
    parse(text).take_while(Result::is_ok).count()
}

fn parse(text: &str) -> dotenvy::Iter<&[u8]> {
    dotenvy::from_read_iter(text.as_bytes())
}
