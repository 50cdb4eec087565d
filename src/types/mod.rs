//! The words of the fleet as plain types: no I/O, no clock, no runtime. Every other module may use them.

mod byte_size;
mod caller;
mod event;
mod failure;
mod failure_mode;
mod health;
mod id;
mod isolation;
mod kept;
mod placement;
mod priority;
mod provenance;
mod session;
mod target;
mod tensor;
mod timing;
mod verdict;

pub use byte_size::ByteSize;
pub use caller::Caller;
pub use event::{BatchShare, Event, EventKind, ModelTag};
pub use failure::{Category, Cause, Failure, Severity};
pub use failure_mode::FailureMode;
pub use health::{
    BreakerHealth, BreakerState, BrowserHealth, FleetHealth, HealthLevel, HealthScore, HealthTerm, HealthTrend,
    ModelHealth, Strategy, StrategyRecord, TabHealth, TabStage, TargetHealth,
};
pub use id::{BrowserId, HandoverId, JobId, ModelId, PipelineId, SessionId, TabId};
pub use isolation::Isolation;
pub use kept::{KeptLocation, KeptTensor};
pub use placement::{Basis, Placement};
pub use priority::Priority;
pub use provenance::{Adapter, BrowserRun, Identity, NativeRun, Provenance, RuntimeInfo, TargetInfo};
pub use session::SessionEnd;
pub(crate) use target::names;
pub use target::{Backend, Browser, Family, ParseTargetError, Target};
pub use tensor::{Dtype, Element, Tensor, TensorData, TensorError, TensorInfo};
pub use timing::Timings;
pub use verdict::Verdict;
