//! What is known of each target, for provenance and for people.

use crate::{
    harness::Ready,
    types::{Backend, Browser, Failure, Identity, Target, TargetInfo},
};
use std::{collections::BTreeMap, sync::Arc};

/// What is known of each target of a fleet.
#[derive(Debug, Default)]
pub(super) struct Targets {
    identities: BTreeMap<Browser, Identity>,
    infos: BTreeMap<Target, Arc<TargetInfo>>,
}

impl Targets {
    pub fn new(targets: impl IntoIterator<Item = Target>) -> Self {
        let infos = targets.into_iter().map(|target| (target, Arc::new(unknown(target)))).collect();
        Self { identities: BTreeMap::new(), infos }
    }

    pub fn identified(&mut self, identity: Identity) {
        self.identities.insert(identity.browser, identity);
    }

    /// A tab's backend started: the target works, and this is what it is.
    pub fn ready(&mut self, target: Target, ready: Ready) -> Arc<TargetInfo> {
        self.set(TargetInfo {
            target,
            identity: self.identities.get(&target.browser).cloned(),
            available: true,
            reason: None,
            adapter: ready.adapter,
            webnn_device: ready.webnn_device,
            runtime: Some(ready.runtime),
            threads: ready.threads,
        })
    }

    /// The target does not work.
    pub fn unavailable(&mut self, target: Target, failure: &Failure) -> Arc<TargetInfo> {
        let before = self.infos.get(&target).map_or_else(|| unknown(target), |info| TargetInfo::clone(info));
        self.set(TargetInfo {
            identity: self.identities.get(&target.browser).cloned(),
            available: false,
            reason: Some(failure.message.clone()),
            ..before
        })
    }

    pub fn all(&self) -> Vec<Arc<TargetInfo>> {
        self.infos.values().cloned().collect()
    }

    fn set(&mut self, info: TargetInfo) -> Arc<TargetInfo> {
        let info = Arc::new(info);
        self.infos.insert(info.target, info.clone());
        info
    }
}

fn unknown(target: Target) -> TargetInfo {
    TargetInfo {
        target,
        identity: None,
        available: false,
        reason: None,
        adapter: None,
        webnn_device: None,
        runtime: None,
        threads: None,
    }
}

/// Whether a started backend computes on the CPU what is meant for a GPU.
pub(super) fn computes_in_software(ready: &Ready) -> bool {
    ready.backend == Backend::Webgpu && ready.adapter.as_ref().and_then(|adapter| adapter.software) == Some(true)
}
