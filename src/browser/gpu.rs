//! Whether a browser is asked for the machine's GPU or for an adapter that computes on the CPU.

use crate::types::names;
use std::path::Path;

/// Which GPU adapter a browser is launched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GpuMode {
    /// Hardware where the machine has a GPU device, software where it has none.
    #[default]
    Auto,
    /// The machine's GPU; never a software adapter's flags.
    Hardware,
    /// An adapter that computes on the CPU: SwiftShader, lavapipe.
    Software,
}
names!(GpuMode { Auto = "auto", Hardware = "hardware", Software = "software" });

impl GpuMode {
    /// `Hardware` or `Software`: what `Auto` means on this machine.
    ///
    /// Only Linux machines commonly lack a GPU and say so in `/dev`; elsewhere the browser is left to its own choice,
    /// which is `Hardware`.
    pub fn resolve(self) -> Self {
        match self {
            GpuMode::Auto if cfg!(target_os = "linux") && !linux_has_gpu_device() => GpuMode::Software,
            GpuMode::Auto => GpuMode::Hardware,
            chosen => chosen,
        }
    }
}

fn linux_has_gpu_device() -> bool {
    let render_node = |dir: std::fs::ReadDir| {
        dir.filter_map(Result::ok).any(|entry| entry.file_name().to_string_lossy().starts_with("renderD"))
    };
    Path::new("/dev/nvidia0").exists() || std::fs::read_dir("/dev/dri").is_ok_and(render_node)
}
