//! The model files the server offers, under their SHA-256.

use super::error::HarnessError;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fmt::Write as _,
    fs, io,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

/// How much of a file is read at a time, in bytes.
const READ_SIZE: usize = 1 << 20;

/// The model files tabs can fetch. A clone is another handle to the same store.
#[derive(Clone, Default)]
pub struct ModelStore(Arc<Inner>);

#[derive(Default)]
struct Inner {
    published: Mutex<HashMap<String, Published>>,
    /// What files were found to be, so that a suite run twice is hashed once.
    hashes: Mutex<HashMap<PathBuf, (Stamp, String)>>,
}

/// A file's content, and how often it was asked to be there.
struct Published {
    count: usize,
    bytes: u64,
    /// Where it can be had; the same content may have been published from several files.
    sources: Vec<Source>,
}

/// Where a published content lies.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// In a file, as long as it is still what was hashed.
    File(PathBuf, Stamp),
    /// In memory.
    Memory(Bytes),
}

/// What changes when a file does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The length in bytes.
    pub(super) bytes: u64,
    /// `None` where the file system does not tell.
    modified: Option<SystemTime>,
}

impl Stamp {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        Self { bytes: metadata.len(), modified: metadata.modified().ok() }
    }
}

impl ModelStore {
    /// Offers a file, and returns its SHA-256 (lower-case hexadecimal) and its length in bytes. The file is read once to
    /// hash it, on a thread that may block, unless it was hashed before and has not changed since; when a tab fetches
    /// it, it is streamed from the disk.
    ///
    /// # Errors
    /// [`HarnessError::ModelFile`] when it cannot be read, [`HarnessError::ModelFileChanged`] when it changes meanwhile.
    pub async fn publish_file(&self, path: &Path) -> Result<(String, u64), HarnessError> {
        let (store, given) = (self.clone(), path.to_owned());
        let hashing = tokio::task::spawn_blocking(move || store.hash_file(&given));
        let (path, stamp, sha256) = hashing
            .await
            .map_err(|error| HarnessError::ModelFile { path: path.to_owned(), source: io::Error::other(error) })??;
        self.publish(&sha256, stamp.bytes, Source::File(path, stamp));
        Ok((sha256, stamp.bytes))
    }

    /// Offers bytes in memory, and returns their SHA-256 (lower-case hexadecimal) and their length.
    pub fn publish_bytes(&self, bytes: Bytes) -> (String, u64) {
        let (sha256, length) = (hexadecimal(&Sha256::digest(&bytes)), bytes.len() as u64);
        self.publish(&sha256, length, Source::Memory(bytes));
        (sha256, length)
    }

    /// Takes back one offer. What was offered twice is gone when it is taken back twice; an unknown hash is no error.
    pub fn withdraw(&self, sha256: &str) {
        let mut published = lock(&self.0.published);
        if let Some(entry) = published.get_mut(sha256) {
            entry.count -= 1;
            if entry.count == 0 {
                published.remove(sha256);
            }
        }
    }

    /// Where a content can be had, and its length in bytes.
    pub(super) fn sources(&self, sha256: &str) -> Option<(Vec<Source>, u64)> {
        lock(&self.0.published).get(sha256).map(|entry| (entry.sources.clone(), entry.bytes))
    }

    fn publish(&self, sha256: &str, bytes: u64, source: Source) {
        let mut published = lock(&self.0.published);
        let entry =
            published.entry(sha256.to_owned()).or_insert_with(|| Published { count: 0, bytes, sources: Vec::new() });
        entry.count += 1;
        if !entry.sources.contains(&source) {
            entry.sources.push(source);
        }
    }

    fn hash_file(&self, given: &Path) -> Result<(PathBuf, Stamp, String), HarnessError> {
        let unreadable = |source| HarnessError::ModelFile { path: given.to_owned(), source };
        // The absolute path, because the working directory may be another one by the time a tab asks.
        let path = fs::canonicalize(given).map_err(unreadable)?;
        let mut file = fs::File::open(&path).map_err(unreadable)?;
        let stamp = Stamp::of(&file.metadata().map_err(unreadable)?);
        if let Some((known, sha256)) = lock(&self.0.hashes).get(&path)
            && *known == stamp
        {
            return Ok((path, stamp, sha256.clone()));
        }
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; READ_SIZE];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => hasher.update(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(error)),
            }
        }
        if Stamp::of(&file.metadata().map_err(unreadable)?) != stamp {
            return Err(HarnessError::ModelFileChanged { path });
        }
        let sha256 = hexadecimal(&hasher.finalize());
        lock(&self.0.hashes).insert(path.clone(), (stamp, sha256.clone()));
        Ok((path, stamp, sha256))
    }
}

impl std::fmt::Debug for ModelStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelStore").field("published", &lock(&self.0.published).len()).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
