//! The flags, prefs and environment a browser is launched with: what the catalogue's rules come to for one launch.

use super::{
    GpuMode,
    catalogue::{EngineEntry, GpuKind, Rule, System},
};
use crate::types::{Backend, Browser};
use std::collections::{BTreeMap, BTreeSet};

/// What the rules come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Recipe {
    pub args: Vec<String>,
    pub prefs: serde_json::Map<String, serde_json::Value>,
    pub env: BTreeMap<String, String>,
    pub without_env: Vec<String>,
}

/// What the rules ask about.
pub(super) struct Circumstances<'a> {
    pub browser: Browser,
    pub backends: &'a BTreeSet<Backend>,
    /// `Hardware` or `Software`.
    pub gpu: GpuMode,
    pub headless: bool,
    pub root: bool,
}

impl Recipe {
    /// Applies an engine's rules in their order, and the user's own arguments after them.
    pub fn new(engine: &EngineEntry, circumstances: &Circumstances<'_>, own_args: &[String]) -> Self {
        let mut recipe = Recipe::default();
        for rule in engine.rules.iter().filter(|rule| circumstances.meet(rule)) {
            recipe.args.extend(rule.args.iter().cloned());
            recipe.env.extend(rule.env.clone());
            recipe.without_env.extend(rule.without_env.iter().cloned());
            for (name, value) in &rule.prefs {
                recipe.prefs.insert(name.clone(), json(value));
            }
        }
        recipe.args.extend(own_args.iter().cloned());
        recipe.args = join_feature_lists(recipe.args);
        recipe
    }
}

impl Circumstances<'_> {
    fn meet(&self, rule: &Rule) -> bool {
        let when = &rule.when;
        let gpu = |kind| match kind {
            GpuKind::Hardware => self.gpu == GpuMode::Hardware,
            GpuKind::Software => self.gpu == GpuMode::Software,
        };
        when.browser.is_none_or(|browser| browser == self.browser)
            && when.backend.is_none_or(|backend| self.backends.contains(&backend))
            && when.gpu.is_none_or(gpu)
            && when.os.is_none_or(|os| os == System::HERE)
            && when.headless.is_none_or(|headless| headless == self.headless)
            && when.root.is_none_or(|root| root == self.root)
    }
}

/// Whether this process has the rights under which Chromium refuses its sandbox.
pub(super) fn runs_as_root() -> bool {
    #[cfg(unix)]
    return rustix::process::geteuid().is_root();
    #[cfg(not(unix))]
    return false;
}

/// Chromium heeds only the last `--enable-features=` and the last `--disable-features=`: one of each is made of all,
/// in the place of the first. Other arguments given twice are given once.
fn join_feature_lists(args: Vec<String>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::with_capacity(args.len());
    for arg in args {
        let list = ["--enable-features=", "--disable-features="].into_iter().find(|name| arg.starts_with(name));
        match list {
            Some(name) => match joined.iter_mut().find(|earlier| earlier.starts_with(name)) {
                Some(earlier) => {
                    earlier.push(',');
                    earlier.push_str(&arg[name.len()..]);
                }
                None => joined.push(arg),
            },
            None if joined.contains(&arg) => {}
            None => joined.push(arg),
        }
    }
    joined
}

fn json(value: &toml::Value) -> serde_json::Value {
    match value {
        toml::Value::Boolean(b) => (*b).into(),
        toml::Value::Integer(i) => (*i).into(),
        toml::Value::Float(f) => (*f).into(),
        toml::Value::String(s) => s.as_str().into(),
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Catalogue, *};

    fn args(browser: Browser, backends: &[Backend], gpu: GpuMode, own: &[&str]) -> Vec<String> {
        let catalogue = Catalogue::embedded().unwrap();
        let backends = backends.iter().copied().collect();
        let circumstances = Circumstances { browser, backends: &backends, gpu, headless: true, root: false };
        let own: Vec<String> = own.iter().map(|arg| (*arg).to_owned()).collect();
        Recipe::new(catalogue.entry(browser).unwrap().1, &circumstances, &own).args
    }

    #[test]
    fn software_adapters_are_asked_for_only_where_there_is_no_hardware() {
        let software =
            |gpu| args(Browser::Chrome, &[Backend::Webgpu], gpu, &[]).iter().any(|arg| arg.contains("swiftshader"));
        assert!(software(GpuMode::Software));
        assert!(!software(GpuMode::Hardware));
    }

    #[test]
    fn a_software_adapter_is_not_looked_for_among_the_gpus_drivers() {
        let catalogue = Catalogue::embedded().unwrap();
        let backends = BTreeSet::from([Backend::Webgpu]);
        let hidden = |gpu| {
            let circumstances =
                Circumstances { browser: Browser::Chrome, backends: &backends, gpu, headless: true, root: false };
            Recipe::new(catalogue.entry(Browser::Chrome).unwrap().1, &circumstances, &[]).without_env
        };
        assert_eq!(hidden(GpuMode::Software), ["VK_DRIVER_FILES"]);
        assert!(hidden(GpuMode::Hardware).is_empty());
    }

    #[test]
    fn a_backend_that_is_not_used_brings_no_flag() {
        let args = args(Browser::Chrome, &[Backend::Wasm], GpuMode::Software, &[]);
        assert!(!args.iter().any(|arg| arg.contains("webgpu") || arg.contains("MachineLearning")), "{args:?}");
    }

    #[test]
    fn feature_lists_are_joined_with_the_users_own() {
        let args = args(Browser::Edge, &[Backend::Webnn], GpuMode::Hardware, &["--enable-features=Mine", "--x=1"]);
        let lists: Vec<_> = args.iter().filter(|arg| arg.starts_with("--enable-features=")).collect();
        assert_eq!(lists, ["--enable-features=WebMachineLearningNeuralNetwork,Mine"]);
        assert_eq!(args.last().map(String::as_str), Some("--x=1"));
    }

    #[test]
    fn the_sandbox_is_given_up_only_by_root() {
        assert!(!args(Browser::Chrome, &[], GpuMode::Hardware, &[]).contains(&"--no-sandbox".to_owned()));
    }
}
