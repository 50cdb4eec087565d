//! What a fleet is made of.

use super::{AlertConfig, Canary, Fleet, FleetError, coordinator};
use crate::{
    browser::{Catalogue, GpuMode, Overrides},
    harness::WebnnDevice,
    history::{HistoryMode, RunInfo},
    schedule::{Fallback, Policy, PolicyError},
    types::{Backend, Browser, Target},
};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

/// Everything that decides how a fleet works.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// The targets, in no order.
    pub targets: BTreeSet<Target>,
    /// What the scheduler decides by.
    pub policy: Policy,
    /// A job's deadline unless it has its own, counted from the call.
    pub job_deadline: Duration,
    /// A job's attempts unless it has its own.
    pub attempts: u32,
    /// How long a tab keeps the state of a session that no call comes for, unless the call before says otherwise: long
    /// enough for a person to answer, and no longer, since the memory is the tab's.
    pub session_time_to_live: Duration,
    /// How long a job may wait for its turn unless it has a time of its own: for room in the queue, for its model's
    /// limit, and for a tab. Without it, as long as its deadline.
    pub queue_timeout: Option<Duration>,
    /// How many jobs of a model may be under way at once, of a model that [says nothing](super::ModelSpec::concurrency);
    /// without it, as many as there is room for.
    pub model_concurrency: Option<usize>,
    /// What becomes of a job that no target can take. It is meant for jobs that may run anywhere: one that is pinned to
    /// targets, and a model in stages, does not fall back.
    pub fallback: Fallback,
    /// Jobs that may be under way, waiting or running; further calls wait until there is room, in the order that the
    /// queue has. Jobs of low priority may fill four fifths of it and are refused beyond, those of normal priority nine
    /// tenths, of high nineteen twentieths. A model in stages has one job under way for each call.
    pub queue_limit: usize,
    /// Bytes of inputs of jobs under way, shared out likewise.
    pub queue_bytes: u64,
    /// The largest message between the fleet and a tab, in bytes, and so how large a job's inputs may be together, and its
    /// outputs: what is larger ends the job with `bad-input`. With 1 GiB the memory of a tab, which ends at 4 GiB, has
    /// room for both and for the model.
    pub max_frame_bytes: usize,
    /// Which binaries, arguments and endpoints the user named.
    pub overrides: Overrides,
    /// A catalogue that replaces the built-in one.
    pub browsers_file: Option<PathBuf>,
    /// Which GPU adapter the browsers are launched for.
    pub gpu: GpuMode,
    /// Whether browsers show no window.
    pub headless: bool,
    /// How long a browser may take until it can be driven.
    pub launch_timeout: Duration,
    /// How long one command to a browser or its driver may take.
    pub command_timeout: Duration,
    /// The WebNN device type asked for.
    pub webnn_device: WebnnDevice,
    /// WASM threads per tab; 0 leaves it to the runtime.
    pub threads: u32,
    /// The harness server's port; 0 is any free one.
    pub port: u16,
    /// A runtime module in the place of ONNX Runtime Web.
    pub custom_runtime: Option<PathBuf>,
    /// What tabs are checked by. Without one it is [`Canary::builtin`], unless a custom runtime loads the models, which
    /// may not understand it: then there are no checks of answers.
    pub canary: Option<Canary>,
    /// Where performance is recorded.
    pub history: Option<PathBuf>,
    /// What is done when another process has that file open.
    pub history_mode: HistoryMode,
    /// What the history calls this run.
    pub run: RunInfo,
    /// Whether other programs of the same user find the fleet and can ask it how it is, as `tabfleet health` does.
    pub announce: bool,
    /// Where the fleet's metrics are served over HTTP, for Prometheus to scrape.
    pub metrics: Option<SocketAddr>,
    /// What an operator is told of, and how.
    pub alerts: Option<AlertConfig>,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            targets: BTreeSet::new(),
            policy: Policy::default(),
            job_deadline: Duration::from_secs(60),
            attempts: 3,
            session_time_to_live: Duration::from_secs(300),
            queue_timeout: None,
            model_concurrency: None,
            fallback: Fallback::Off,
            queue_limit: 10_000,
            queue_bytes: 1 << 30,
            max_frame_bytes: 1 << 30,
            overrides: Overrides::default().from_env(),
            browsers_file: None,
            gpu: GpuMode::Auto,
            headless: true,
            launch_timeout: Duration::from_secs(30),
            command_timeout: Duration::from_secs(10),
            webnn_device: WebnnDevice::Cpu,
            threads: 0,
            port: 0,
            custom_runtime: None,
            canary: None,
            history: None,
            history_mode: HistoryMode::Direct,
            run: RunInfo::detect("library"),
            announce: false,
            metrics: None,
            alerts: None,
        }
    }
}

impl FleetConfig {
    pub(super) fn canary(&self) -> Option<Canary> {
        self.canary.clone().or_else(|| if self.custom_runtime.is_none() { Canary::builtin() } else { None })
    }

    pub(super) fn catalogue(&self) -> Result<Catalogue, FleetError> {
        Ok(match &self.browsers_file {
            Some(file) => Catalogue::from_file(file)?,
            None => Catalogue::embedded()?,
        })
    }
}

/// Builds a [`Fleet`].
#[derive(Clone, Debug, Default)]
pub struct FleetBuilder {
    config: FleetConfig,
    /// What was asked for, where it is none.
    no_range: Option<RangeInclusive<usize>>,
}

impl FleetBuilder {
    /// Adds browsers: each with WASM, and with WebGPU before it where the machine has a GPU. What else there is (WebNN, and
    /// WebGPU in software) is added by name, with [`targets`](Self::targets).
    pub fn browsers(self, browsers: impl IntoIterator<Item = Browser>) -> Self {
        let backends: &[Backend] = match self.config.gpu.resolve() {
            GpuMode::Software => &[Backend::Wasm],
            _ => &[Backend::Webgpu, Backend::Wasm],
        };
        let pairs = browsers.into_iter().flat_map(|browser| backends.iter().map(move |b| Target::new(browser, *b)));
        self.targets(pairs)
    }

    /// Adds targets.
    pub fn targets(mut self, targets: impl IntoIterator<Item = Target>) -> Self {
        self.config.targets.extend(targets);
        self
    }

    /// How many tabs each browser keeps open for each of its targets.
    pub fn tabs_per_browser(mut self, tabs: usize) -> Self {
        self.config.policy.tabs_per_target = tabs;
        self
    }

    /// What becomes of a job that no target can take. With [`Fallback::Native`] it runs in this process, and the fleet
    /// launches also where no browser works.
    pub fn fallback(mut self, fallback: Fallback) -> Self {
        self.config.fallback = fallback;
        self
    }

    /// How many tabs each browser keeps open for each of its targets: the first number always, and up to the last while
    /// jobs wait and a further tab is measured to get more done. What it goes by is in
    /// [`Scaling`](crate::schedule::Scaling).
    pub fn tabs(mut self, tabs: RangeInclusive<usize>) -> Self {
        self.config.policy.scaling.max_tabs = *tabs.end();
        self.no_range = Some(tabs.clone()).filter(RangeInclusive::is_empty);
        self.tabs_per_browser(*tabs.start())
    }

    /// Records every attempt in this DuckDB file.
    pub fn history(mut self, path: impl AsRef<Path>) -> Self {
        self.config.history = Some(path.as_ref().to_owned());
        self
    }

    /// Tells an operator when attempts fail too often, a circuit breaker opens, or a target is given up.
    pub fn alerts(mut self, alerts: AlertConfig) -> Self {
        self.config.alerts = Some(alerts);
        self
    }

    /// Loads models with this module in the place of ONNX Runtime Web.
    pub fn custom_runtime(mut self, module: impl AsRef<Path>) -> Self {
        self.config.custom_runtime = Some(module.as_ref().to_owned());
        self
    }

    /// Checks tabs by this model instead of the built-in one.
    pub fn canary(mut self, canary: Canary) -> Self {
        self.config.canary = Some(canary);
        self
    }

    /// Changes any other part of the configuration.
    pub fn configure(mut self, change: impl FnOnce(&mut FleetConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Launches the browsers and returns when every target works or is known not to. The fleet works in the tokio runtime
    /// that this is called in, which needs I/O and time, and ends with it.
    ///
    /// # Errors
    /// [`FleetError::NoTargets`] when none was named, [`FleetError::Policy`] for a number out of range,
    /// [`FleetError::NothingWorks`] with each target's reason when none works here and there is no fallback, [`FleetError::Alerts`] for alerts
    /// that cannot be, and what keeps the harness server or the history from opening.
    pub async fn launch(self) -> Result<Fleet, FleetError> {
        if let Some(tabs) = self.no_range {
            let (value, range) = (format!("{tabs:?}"), "from the fewest to the most, as in 1..=4");
            return Err(PolicyError { field: "tabs".into(), value, range: range.into(), bound: None }.into());
        }
        coordinator::launch(self.config).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn numbers_of_tabs_that_cannot_be_are_refused_before_anything_is_launched() {
        let builder = || Fleet::builder().targets([Target::new(Browser::Chrome, Backend::Wasm)]);
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
        for (builder, said) in [
            (builder().tabs(4..=1), "tabs is 4..=1, but must be from the fewest to the most, as in 1..=4"),
            (builder().tabs(0..=2), "tabs_per_target is 0, but must be at least 1"),
            (builder().tabs_per_browser(0), "tabs_per_target is 0, but must be at least 1"),
        ] {
            let Err(FleetError::Policy(error)) = builder.launch().await else { panic!("{said}") };
            assert_eq!(error.to_string(), said);
        }
    }
}
