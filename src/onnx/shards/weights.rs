//! Initializers on their way into a stage's file, or into the file beside it.

use super::{
    error::ShardError,
    graph::{INITIALIZER, ModelGraph},
    wire,
};
use crate::onnx::ModelError;
use bytes::Bytes;
use prost::Message;
use std::{
    fs,
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
};
use tract_onnx::pb::{StringStringEntryProto, tensor_proto::DataLocation};

/// Field numbers of `TensorProto`.
const RAW_DATA: u32 = 9;
const EXTERNAL_DATA: u32 = 13;
const DATA_LOCATION: u32 = 14;

/// A part of a file beside the model.
pub(super) struct Outside {
    file: PathBuf,
    offset: u64,
    length: u64,
}

/// The file beside a stage that its weights go to.
pub(super) struct Beside {
    path: PathBuf,
    file: fs::File,
    length: u64,
}

impl Beside {
    pub fn create(path: PathBuf) -> Result<Self, ShardError> {
        match fs::File::create(&path) {
            Ok(file) => Ok(Self { path, file, length: 0 }),
            Err(source) => Err(ShardError::Write { path, source }),
        }
    }

    /// Appends data at a multiple of a page, as memory mapping wants it, and tells where.
    fn append(&mut self, mut data: impl Read) -> io::Result<(u64, u64)> {
        const PAGE: u64 = 4096;
        let offset = self.length.next_multiple_of(PAGE);
        self.file.seek(SeekFrom::Start(offset))?;
        let length = io::copy(&mut data, &mut self.file)?;
        self.length = offset + length;
        Ok((offset, length))
    }
}

impl ModelGraph {
    /// Appends an initializer, with its data within, or beside where there is a file for that.
    pub(super) fn put_weight(
        &self,
        content: &Bytes,
        beside: Option<&mut Beside>,
        graph: &mut Vec<u8>,
    ) -> Result<(), ShardError> {
        let fields = wire::fields(content, &self.path)?;
        let outside = self.outside(content)?;
        let mut tensor = Vec::new();
        let mut raw = Bytes::new();
        for field in &fields {
            match field.number {
                RAW_DATA => raw = field.content.clone(),
                EXTERNAL_DATA | DATA_LOCATION => {}
                _ => tensor.extend_from_slice(&field.whole),
            }
        }
        match beside {
            Some(beside) if outside.is_some() || !raw.is_empty() => {
                let at = match outside {
                    Some(outside) => outside.open().and_then(|data| beside.append(data)),
                    None => beside.append(&raw[..]),
                };
                let (offset, length) = at.map_err(|source| ShardError::Write { path: beside.path.clone(), source })?;
                let name = beside.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let entries = [("location", name), ("offset", offset.to_string()), ("length", length.to_string())];
                for (key, value) in entries {
                    let entry = StringStringEntryProto { key: key.to_owned(), value };
                    wire::put(&mut tensor, EXTERNAL_DATA, &entry.encode_to_vec());
                }
                prost::encoding::int32::encode(DATA_LOCATION, &(DataLocation::External as i32), &mut tensor);
            }
            _ => {
                if let Some(outside) = outside {
                    let mut data = Vec::new();
                    let read = outside.open().and_then(|mut file| file.read_to_end(&mut data));
                    read.map_err(|source| ModelError::Io { path: outside.file.clone(), source })?;
                    raw = data.into();
                }
                if !raw.is_empty() {
                    wire::put(&mut tensor, RAW_DATA, &raw);
                }
            }
        }
        wire::put(graph, INITIALIZER, &tensor);
        Ok(())
    }

    /// Where a tensor's data lie, when they are outside the model's file.
    fn outside(&self, content: &Bytes) -> Result<Option<Outside>, ShardError> {
        #[derive(Clone, PartialEq, Message)]
        struct Location {
            #[prost(message, repeated, tag = "13")]
            external_data: Vec<StringStringEntryProto>,
            #[prost(int32, tag = "14")]
            data_location: i32,
        }
        let broken = |what: &str| ShardError::broken(&self.path, what);
        let at = Location::decode(content.clone()).map_err(|error| broken(&error.to_string()))?;
        if at.data_location != DataLocation::External as i32 {
            return Ok(None);
        }
        let entry = |key: &str| at.external_data.iter().find(|e| e.key == key).map(|e| e.value.trim());
        let number =
            |key: &str| entry(key).map(|text| text.parse().map_err(|_| broken("an external offset is no number")));
        let location = entry("location").unwrap_or_default();
        let external = self.file.external.iter().find(|external| external.path == location);
        let external = external.ok_or_else(|| broken("it names an external file that is not there"))?;
        let offset = number("offset").transpose()?.unwrap_or(0);
        let length = number("length").transpose()?.unwrap_or(external.bytes.saturating_sub(offset));
        Ok(Some(Outside { file: external.file.clone(), offset, length }))
    }
}

impl Outside {
    fn open(&self) -> io::Result<io::Take<fs::File>> {
        let mut file = fs::File::open(&self.file)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(file.take(self.length))
    }
}
