//! The suite inside the program, and where it is put so that its models have paths like any other.

use super::{case::NamedTensor, suite::SuiteError, tensor_proto::tensor_from_proto};
use bytes::Bytes;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};
use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
};

/// The built-in suite's name.
pub(super) const NAME: &str = "builtin";

#[derive(RustEmbed)]
#[folder = "benchmarks/models/suite"]
struct Files;

/// Writes to the user's cache what is not yet there, or is not as it should be, and returns the folder.
pub(super) fn unpack() -> Result<PathBuf, SuiteError> {
    unpack_into(&cache_folder().join("tabfleet"))
}

/// The case that every tab is checked by: its model, its inputs, and the outputs expected.
pub fn canary_case() -> Option<(Bytes, Vec<NamedTensor>, Vec<NamedTensor>)> {
    let file = |name: &str| Files::get(&format!("mlp/{name}"));
    let tensor = |name: &str| tensor_from_proto(&file(&format!("test_data_set_0/{name}"))?.data).ok();
    let model = Bytes::from(file("model.onnx")?.data.into_owned());
    Some((model, vec![tensor("input_0.pb")?], vec![tensor("output_0.pb")?]))
}

fn unpack_into(cache: &Path) -> Result<PathBuf, SuiteError> {
    let files: Vec<_> = Files::iter().filter_map(|name| Files::get(&name).map(|file| (name, file))).collect();
    // One folder for each content: the cases of another version of the suite must not be found in it.
    let mut content = Sha256::new();
    for (name, file) in &files {
        content.update(name.as_bytes());
        content.update(file.metadata.sha256_hash());
    }
    let content: String = content.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let root = cache.join(format!("suite-{content}"));
    for (name, file) in files {
        let path = root.join(&*name);
        if fs::read(&path).is_ok_and(|bytes| bytes == *file.data) {
            continue;
        }
        write(&path, &file.data).map_err(SuiteError::io(&path))?;
    }
    fs::create_dir_all(&root).map_err(SuiteError::io(&root))?;
    Ok(root)
}

/// Writes a file at once: another process that unpacks at the same time never sees half of it.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

pub(super) fn cache_folder() -> PathBuf {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(env::temp_dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::Suite;

    #[test]
    fn every_case_of_the_builtin_suite_can_be_run() {
        let cache = tempfile::tempdir().unwrap();
        let suite = Suite::open(&unpack_into(cache.path()).unwrap()).unwrap();
        for case in &suite.cases {
            let loaded = case.load().unwrap_or_else(|error| panic!("{}: {error}", case.name));
            assert!(loaded.model.family.is_some(), "{} does not say its family", case.name);
        }
    }

    #[test]
    fn the_canary_is_whole() {
        let (model, inputs, expected) = canary_case().expect("it is built in");
        assert!(!model.is_empty());
        assert!(inputs.iter().chain(&expected).all(|(name, tensor)| !name.is_empty() && !tensor.shape().is_empty()));
    }

    #[test]
    fn what_was_changed_or_lost_is_put_right() {
        let cache = tempfile::tempdir().unwrap();
        let root = unpack_into(cache.path()).unwrap();
        let models: Vec<_> = Suite::open(&root).unwrap().cases.into_iter().map(|case| case.model).take(2).collect();
        let whole: Vec<_> = models.iter().map(|model| fs::read(model).unwrap()).collect();
        fs::write(&models[0], b"changed").unwrap();
        fs::remove_file(&models[1]).unwrap();
        assert_eq!(unpack_into(cache.path()).unwrap(), root);
        assert!(models.iter().zip(whole).all(|(model, whole)| fs::read(model).unwrap() == whole));
    }
}
