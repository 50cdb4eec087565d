//! The module as its callers see it. Models are built here with tract's protobuf types, so that what is read is checked
//! against another's idea of the format.

mod batch_axis;
mod build;
mod compare;
mod inputs;
mod model;
mod native;
#[allow(dead_code)] // The benchmarks make more of them.
mod nets;
mod shards;
mod suite;
mod tensor_files;
