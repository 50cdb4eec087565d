//! Targets as a report tells of them, and builds of one browser side by side.

use crate::types::{Adapter, Backend, Browser, RuntimeInfo, Target, TargetInfo};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A column of a matrix: a target, in one of several builds of its browser where there are several. Written
/// `chrome/webgpu`, and `chrome@beta/webgpu` with a build's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetBuild<'a> {
    /// The target.
    pub target: Target,
    /// The build's name; `None` for the one that is found without naming any.
    pub build: Option<&'a str>,
}

impl From<Target> for TargetBuild<'_> {
    fn from(target: Target) -> Self {
        Self { target, build: None }
    }
}

impl fmt::Display for TargetBuild<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Target { browser, backend } = self.target;
        match self.build {
            Some(build) => f.pad(&format!("{browser}@{build}/{backend}")),
            None => self.target.fmt(f),
        }
    }
}

/// A target as it was found to be on this machine, with all that says where its numbers come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRow {
    /// The target.
    pub target: Target,
    /// The slot.
    pub browser: Browser,
    /// What executes the models.
    pub backend: Backend,
    /// The name of the browser's build, where there are several side by side; `None` for the one that is found without
    /// naming any.
    #[serde(default)]
    pub build: Option<String>,
    /// The product in the slot, as it names itself; `None` when it could not be launched.
    pub product: Option<String>,
    /// Its full version.
    pub version: Option<String>,
    /// How it is driven.
    pub driver: Option<String>,
    /// Whether it runs without a window.
    pub headless: Option<bool>,
    /// Whether another product than the slot is named for is in it.
    pub stand_in: bool,
    /// The GPU adapter, for WebGPU.
    pub adapter: Option<Adapter>,
    /// Whether that adapter computes on the CPU; `None` where nothing tells.
    pub software: Option<bool>,
    /// The device type a WebNN context was given: `cpu`, `gpu` or `npu`.
    pub webnn_device: Option<String>,
    /// The runtime that loads the models.
    pub runtime: Option<RuntimeInfo>,
    /// WASM threads in use.
    pub threads: Option<u32>,
    /// Whether models can run on it.
    pub available: bool,
    /// Why not, when they cannot; with what would help.
    pub reason: Option<String>,
}

impl TargetRow {
    /// The column of its results.
    pub fn column(&self) -> TargetBuild<'_> {
        TargetBuild { target: self.target, build: self.build.as_deref() }
    }
}

impl From<&TargetInfo> for TargetRow {
    fn from(info: &TargetInfo) -> Self {
        let identity = info.identity.as_ref();
        Self {
            target: info.target,
            browser: info.target.browser,
            backend: info.target.backend,
            build: None,
            product: identity.map(|i| i.product.clone()),
            version: identity.map(|i| i.version.clone()),
            driver: identity.map(|i| i.driver.clone()),
            headless: identity.map(|i| i.headless),
            stand_in: identity.is_some_and(|i| i.stand_in),
            adapter: info.adapter.clone(),
            software: info.adapter.as_ref().and_then(|adapter| adapter.software),
            webnn_device: info.webnn_device.clone(),
            runtime: info.runtime.clone(),
            threads: info.threads,
            available: info.available,
            reason: info.reason.clone(),
        }
    }
}
