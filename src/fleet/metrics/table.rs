//! The one list of metrics: what each is called, what it counts, in which unit, and by what it is told apart.

/// What a metric's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts how many were at most so large.
    Histogram,
}

impl MetricKind {
    /// As Prometheus calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Makes the metrics' type from lines of the form `/// help` `Name: Kind "prometheus_name" [labels];`.
macro_rules! metrics {
    ($(#[doc = $help:literal] $name:ident: $kind:ident $text:literal [$($label:literal),*];)+) => {
        /// A metric. `docs/METRICS.md` lists them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum MetricName { $(#[doc = $help] $name),+ }

        impl MetricName {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name in Prometheus, which ends in its unit (or in `_total` for counters).
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// What its value is.
            pub const fn kind(self) -> MetricKind {
                match self { $(Self::$name => MetricKind::$kind),+ }
            }

            /// What its samples are told apart by.
            pub const fn labels(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($label),*]),+ }
            }

            /// What it tells.
            pub fn help(self) -> &'static str {
                match self { $(Self::$name => $help.trim_ascii()),+ }
            }
        }
    };
}

metrics! {
    /// Jobs taken into the queue
    JobsSubmitted: Counter "tabfleet_jobs_submitted_total" [];
    /// Jobs that ended: with a `result`, or with a failure of a category
    JobsEnded: Counter "tabfleet_jobs_ended_total" ["outcome"];
    /// Jobs for which the queue had no room: none that they could wait for, or none for as long as they did
    JobsRefused: Counter "tabfleet_jobs_refused_total" ["priority"];
    /// Attempts that tabs were given
    AttemptsStarted: Counter "tabfleet_attempts_started_total" ["target"];
    /// Attempts that brought a result
    AttemptsSucceeded: Counter "tabfleet_attempts_succeeded_total" ["target"];
    /// Attempts that failed
    AttemptsFailed: Counter "tabfleet_attempts_failed_total" ["target", "cause"];
    /// Time that tabs worked for results: loading, running and reading back
    Busy: Counter "tabfleet_busy_seconds_total" ["target"];
    /// Jobs that no target could take and that ran in the fleet's own process: with a `result`, or with a failure of a category
    NativeRuns: Counter "tabfleet_native_runs_total" ["outcome"];
    /// Results of sessions of which some nodes ran on the CPU although the target is a GPU or NPU
    CpuFallbacks: Counter "tabfleet_cpu_fallbacks_total" ["target"];
    /// Sessions that were created for results
    ModelsLoaded: Counter "tabfleet_models_loaded_total" ["target"];
    /// Browsers that came up
    BrowsersStarted: Counter "tabfleet_browsers_started_total" ["browser"];
    /// Browsers that did not come up
    BrowsersFailed: Counter "tabfleet_browsers_failed_total" ["browser"];
    /// Browsers that ended, `told` to or `unexpected`
    BrowsersEnded: Counter "tabfleet_browsers_ended_total" ["how"];
    /// Times that a tab became ready, also with a fresh worker
    TabsReady: Counter "tabfleet_tabs_ready_total" ["target"];
    /// Tabs that were lost
    TabsLost: Counter "tabfleet_tabs_lost_total" ["target", "cause"];
    /// Times that a target was to have one tab more or fewer: `up` or `down`
    Scalings: Counter "tabfleet_scalings_total" ["target", "direction"];
    /// Sessions whose first call succeeded in a tab, those that were rebuilt there included
    SessionsBegun: Counter "tabfleet_sessions_begun_total" ["target"];
    /// Sessions whose state is no more, and why: `closed`, `expired`, `lost`, `given-up`, `worn-out`
    SessionsEnded: Counter "tabfleet_sessions_ended_total" ["target", "why"];
    /// Sessions whose state was gone and was made anew from recorded calls
    SessionsRebuilt: Counter "tabfleet_sessions_rebuilt_total" [];
    /// Sockets of tabs that were closed
    TabsDisconnected: Counter "tabfleet_tabs_disconnected_total" ["target"];
    /// Targets found not to work
    TargetsUnavailable: Counter "tabfleet_targets_unavailable_total" ["target"];
    /// Changes of circuit breakers, those of single models included
    BreakerChanges: Counter "tabfleet_breaker_changes_total" ["target", "to"];
    /// Health checks of tabs, `passed` or `failed`
    HealthChecks: Counter "tabfleet_health_checks_total" ["target", "outcome"];
    /// What was done about failures, and whether it `helped` or `failed`
    Recoveries: Counter "tabfleet_recoveries_total" ["strategy", "outcome"];
    /// Events that came too fast to be counted here
    EventsMissed: Counter "tabfleet_events_missed_total" [];
    /// Of jobs with a result, from the call until a tab took the job for the attempt that brought it; what failed before is within
    QueueWait: Histogram "tabfleet_queue_wait_seconds" [];
    /// Of jobs with a result, from the call to the answer
    JobTime: Histogram "tabfleet_job_seconds" [];
    /// The model's run
    Run: Histogram "tabfleet_run_seconds" ["target"];
    /// An attempt less what the worker measured: framing, sockets, waiting in the tab
    Wire: Histogram "tabfleet_wire_seconds" ["target"];
    /// Fetching a model's files
    Download: Histogram "tabfleet_model_download_seconds" ["target"];
    /// Creating a model's session
    Create: Histogram "tabfleet_model_create_seconds" ["target"];
    /// From a failure until what was done about it had helped
    RecoveryTime: Histogram "tabfleet_recovery_seconds" ["strategy"];
    /// How many jobs ran together, of models whose jobs may
    BatchJobs: Histogram "tabfleet_batch_jobs" ["target"];
    /// Runs of several jobs that failed for what may be one job's doing, and were halved
    BatchSplits: Counter "tabfleet_batch_splits_total" ["target", "cause"];
    /// Models whose jobs were to run together and run alone instead, because their rows depend on each other or are none
    BatchingRefused: Counter "tabfleet_batching_refused_total" ["target"];
    /// How many times as long jobs that ran together would have taken one by one, as a moving average over some fifty runs; of runs of which every job has a result, and a job of as many rows was run alone there before
    BatchEfficiency: Gauge "tabfleet_batch_efficiency_ratio" ["target"];
    /// The run, as a moving average over some fifty results
    RunAverage: Gauge "tabfleet_run_average_seconds" ["target"];
    /// `tabfleet_queue_wait_seconds` as a moving average over some fifty results
    QueueWaitAverage: Gauge "tabfleet_queue_wait_average_seconds" [];
    /// Results a second, as a moving average over half a minute
    Throughput: Gauge "tabfleet_throughput_results_per_second" ["target"];
    /// Jobs that wait: for a tab, for others to run with, or until they are tried again
    JobsWaiting: Gauge "tabfleet_jobs_waiting" [];
    /// Jobs that tabs hold; health checks and models that are loaded for later are none
    JobsInFlight: Gauge "tabfleet_jobs_in_flight" [];
    /// Jobs that hold room in the queue, waiting or running
    JobsUnderWay: Gauge "tabfleet_jobs_under_way" [];
    /// Bytes of inputs of jobs under way
    InputBytes: Gauge "tabfleet_input_bytes" [];
    /// How long a job of normal priority that is taken in now would wait; absent until a job has ended
    ExpectedWait: Gauge "tabfleet_expected_wait_seconds" [];
    /// Tabs by the stage of their life
    Tabs: Gauge "tabfleet_tabs" ["target", "stage"];
    /// Tabs that a target is to have; absent until that number changes
    TabsWanted: Gauge "tabfleet_tabs_wanted" ["target"];
    /// The part of a target's ready tabs that hold a job
    Utilization: Gauge "tabfleet_utilization_ratio" ["target"];
    /// The score of a target's health, from 0 to 100
    Health: Gauge "tabfleet_health_score" ["target"];
    /// A target's circuit breaker: 0 closed, 1 half-open, 2 open
    Breaker: Gauge "tabfleet_breaker_state" ["target"];
    /// Memory of a browser's processes; absent until it was read
    BrowserMemory: Gauge "tabfleet_browser_memory_bytes" ["browser"];
    /// How long a browser took to answer the last heartbeat
    BrowserHeartbeat: Gauge "tabfleet_browser_heartbeat_seconds" ["browser"];
    /// Sessions that have a state in a target's tabs
    Sessions: Gauge "tabfleet_sessions" ["target"];
    /// What a target's tabs keep for sessions
    SessionsKept: Gauge "tabfleet_sessions_kept_bytes" ["target"];
    /// WASM memory of a target's workers, all together; absent until one said
    Heap: Gauge "tabfleet_heap_bytes" ["target"];
}
