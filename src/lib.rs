//! tabfleet turns real, installed browsers into a fault-tolerant fleet that runs ONNX models on WebGPU, WebNN and WASM.

pub mod bench;
pub mod browser;
pub mod cli;
pub mod fleet;
pub mod harness;
pub mod history;
pub mod host;
pub mod matrix;
pub mod onnx;
pub mod report;
pub mod schedule;
pub mod types;
