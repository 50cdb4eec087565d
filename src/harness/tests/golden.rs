//! The frames of harness-pages/golden, which the TypeScript side is checked against as well.

use crate::{
    harness::{
        CpuFallback, Direct, HandOn, ModelFiles, RunRequest, StateCall, TabLink, TabMessage, TensorBatch,
        bundle::{self, Bundler},
        frame::{self, Frame, FrameError},
        message::{self, FromTab},
    },
    types::{Dtype, HandoverId, KeptLocation, KeptTensor, SessionId, TabId, Tensor, TensorInfo},
};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::{fs, path::PathBuf, sync::Arc};
use tokio::sync::mpsc;

fn golden(file: &str) -> Bytes {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("harness-pages/golden").join(file);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

fn manifest(list: &str) -> Vec<Value> {
    let manifest: Value = serde_json::from_slice(&golden("frames.json")).unwrap();
    manifest[list].as_array().unwrap().clone()
}

/// What the decoder makes of a frame of either direction.
fn decode(message: Bytes) -> Result<(Value, TensorBatch), FrameError> {
    let frame = Frame::split(message)?;
    let field = match &*frame.kind()? {
        "run" => "inputs",
        "result" | "fetched" => "outputs",
        _ => "",
    };
    let header: Value = frame.parse()?;
    let infos =
        header.get(field).map_or(Ok(Vec::new()), |infos| serde_json::from_value::<Vec<TensorInfo>>(infos.clone()));
    let batch = frame.tensors(infos.map_err(|error| FrameError::Header { what: error.to_string() })?)?;
    Ok((header, batch))
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn golden_frames_decode_to_their_header_and_tensors_and_encode_to_the_same_bytes() {
    let frames = manifest("frames");
    assert!(frames.len() >= 8, "the manifest lost frames");
    for golden_frame in frames {
        let file = golden_frame["file"].as_str().unwrap();
        let bytes = golden(file);
        let (header, batch) = decode(bytes.clone()).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(header, golden_frame["header"], "{file}");

        let tensors = batch.tensors().unwrap();
        let expected = golden_frame["tensors"].as_array().unwrap();
        assert_eq!(tensors.len(), expected.len(), "{file}");
        for ((name, tensor), expected) in tensors.iter().zip(expected) {
            assert_eq!(name, &expected["name"], "{file}");
            assert_eq!(tensor.dtype().name(), expected["dtype"], "{file}");
            assert_eq!(serde_json::to_value(tensor.shape()).unwrap(), expected["shape"], "{file}");
            assert_eq!(tensor.bytes(), unhex(expected["data"].as_str().unwrap()), "{file}");
            if let Some(strings) = expected.get("strings") {
                assert_eq!(&serde_json::to_value(tensor.to_strings().unwrap()).unwrap(), strings, "{file}");
            }
        }

        let mut unversioned = header.as_object().unwrap().clone();
        unversioned.shift_remove("v");
        let again = TensorBatch::encode(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)));
        assert_eq!(frame::join(&unversioned, again.body()), bytes, "{file}");
    }
}

#[test]
fn golden_bundles_are_their_frames() {
    let bundles = manifest("bundles");
    assert!(bundles.len() >= 2, "the manifest lost bundles");
    for golden_bundle in bundles {
        let bytes = golden(golden_bundle["file"].as_str().unwrap());
        let frames: Vec<Bytes> =
            golden_bundle["frames"].as_array().unwrap().iter().map(|file| golden(file.as_str().unwrap())).collect();
        assert_eq!(bundle::split(bytes.clone()).unwrap(), frames);
        if frames.len() > 1 {
            let mut bundler = Bundler::default();
            frames.into_iter().for_each(|frame| bundler.push(frame));
            assert_eq!(bundler.take(), bytes);
        }
    }
}

#[test]
fn golden_replies_are_messages() {
    for golden_frame in manifest("frames") {
        if matches!(golden_frame["header"]["type"].as_str(), Some("result" | "failed" | "met" | "fetched")) {
            let file = golden_frame["file"].as_str().unwrap();
            message::decode(golden(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
    }
}

#[test]
fn broken_golden_frames_are_refused_for_what_is_wrong_with_them() {
    let broken = manifest("broken");
    assert!(broken.len() >= 18, "the manifest lost frames");
    for golden_frame in broken {
        let file = golden_frame["file"].as_str().unwrap();
        let split = bundle::split(golden(file));
        let decoded = split.clone().and_then(|frames| frames.into_iter().try_for_each(|frame| decode(frame).map(drop)));
        let error = decoded.expect_err(file);
        let kind = match &error {
            FrameError::Bundle { .. } => "bundle",
            FrameError::HeaderCut { .. } => "header-length",
            // What serde finds wrong with a description is told as the header's fault.
            FrameError::Header { .. } if golden_frame["error"] == "tensor" => "tensor",
            FrameError::Header { .. } => "header",
            FrameError::Version { .. } => "version",
            FrameError::Tensor { .. } => "tensor",
            FrameError::Length { described, actual } if *described > *actual as u64 => "short",
            FrameError::Length { .. } => "long",
            other => panic!("{file}: {other}"),
        };
        assert_eq!(kind, golden_frame["error"], "{file}: {error}");
        for frame in split.unwrap_or_default() {
            assert!(message::decode(frame).is_err(), "{file}");
        }
    }
}

#[test]
fn a_link_writes_the_golden_requests() {
    let (queue, mut frames) = mpsc::unbounded_channel();
    let link = TabLink::new("http://127.0.0.1:1".into(), 1 << 30, queue);
    let state = StateCall { session: SessionId(3), call: 1, keep: vec![("present".to_owned(), "past".to_owned())] };
    let (to, outputs) = (Some(TabId(6)), vec!["hidden".to_owned()]);
    let hand_on = HandOn { handover: HandoverId(42), to, outputs, at_least: 65_536 };
    let handed = Direct { handed: Some(HandoverId(41)), hand_on: Some(hand_on) };
    let runs = [
        ("run-mixed.bin", None, Direct::default()),
        ("run-state.bin", Some(state), Direct::default()),
        ("run-handed.bin", None, handed),
    ];
    for (file, state, direct) in runs {
        let (header, batch) = decode(golden(file)).unwrap();
        let tensors = batch.tensors().unwrap();
        let inputs =
            TensorBatch::encode(tensors.iter().map(|(name, tensor): &(String, Tensor)| (name.as_str(), tensor)));
        let model = Arc::new(ModelFiles {
            key: header["model"].as_str().unwrap().to_owned(),
            name: "any".to_owned(),
            files: Vec::new(),
            cpu_fallback: CpuFallback::Record,
            session_options: Map::new(),
        });
        let id = header["id"].as_u64().unwrap();
        let run = RunRequest { inputs, outputs: None, release: false, state };
        link.run_directly(id, &model, &run, &direct).unwrap();
        let declaration = frames.try_recv().unwrap();
        assert_eq!(Frame::split(declaration).unwrap().kind().unwrap(), "model");
        assert_eq!(frames.try_recv().unwrap(), golden(file), "{file}");
    }
    link.forget(9, SessionId(3)).unwrap();
    link.meet(11, TabId(6), "4.1-6.1").unwrap();
    link.fetch(12, HandoverId(42)).unwrap();
    link.drop_handover(13, HandoverId(42)).unwrap();
    for file in ["forget.bin", "meet.bin", "fetch.bin", "drop.bin"] {
        assert_eq!(frames.try_recv().unwrap(), golden(file), "{file}");
    }
}

#[test]
fn what_a_tab_keeps_is_described_in_its_result() {
    let result = message::decode(golden("result-kept.bin")).unwrap();
    let FromTab::Message(TabMessage::Result { id: 8, result }) = result else { panic!("{result:?}") };
    let info = TensorInfo { name: "present".to_owned(), dtype: Dtype::Float32, shape: vec![1, 2, 9, 4], bytes: 288 };
    assert_eq!(result.kept, [KeptTensor { info, location: KeptLocation::Gpu }]);
    assert_eq!(result.outputs.infos().len(), 1);
}

#[test]
fn what_goes_on_is_described_in_its_result() {
    let result = message::decode(golden("result-handed-on.bin")).unwrap();
    let FromTab::Message(TabMessage::Result { id: 10, result }) = result else { panic!("{result:?}") };
    let info =
        TensorInfo { name: "hidden".to_owned(), dtype: Dtype::Float32, shape: vec![1, 256, 768], bytes: 786_432 };
    assert_eq!((result.handed_on, result.outputs.infos().len()), (vec![info], 1));
    let fetched = message::decode(golden("fetched.bin")).unwrap();
    let FromTab::Message(TabMessage::Fetched { id: 12, tensors }) = fetched else { panic!("{fetched:?}") };
    assert_eq!(tensors.infos().len(), 1);
}
