//! Report files that are whole at every moment, whenever the run is killed and whatever the disk does.

use super::{ReportError, TargetBuild};
use serde::{Serialize, Serializer};
use std::{
    ffi::OsString,
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};
use time::{OffsetDateTime, format_description::well_known};

/// Replaces the file in one step: it is written under another name beside it, and renamed when it is whole.
pub(super) fn replace(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), ReportError> {
    let unfinished = beside(path, ".tmp");
    let written = write_whole(&unfinished, content).and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // On a full disk this gives back what the attempt took.
        let _ = fs::remove_file(&unfinished);
    }
    written.map_err(ReportError::write(path))
}

fn write_whole(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = BufWriter::with_capacity(1 << 16, fs::File::create(path)?);
    content(&mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(())
}

/// Replaces the file with the value's JSON.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ReportError> {
    replace(path, |mut out| {
        serde_json::to_writer_pretty(&mut out, value)?;
        writeln!(out)
    })
}

/// The path with something added to the file's whole name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A target as part of a file's name: `chrome-wasm`, `chrome-beta-webgpu`.
pub(super) fn name_of(column: TargetBuild<'_>) -> String {
    let safe = |character: char| if character.is_alphanumeric() || character == '.' { character } else { '-' };
    column.to_string().chars().map(safe).collect()
}

/// A time as RFC 3339 text, or null.
pub(super) struct Rfc3339(pub(super) Option<OffsetDateTime>);

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => serializer.serialize_none(),
            Some(at) => serializer.serialize_str(&at.format(&well_known::Rfc3339).map_err(serde::ser::Error::custom)?),
        }
    }
}
