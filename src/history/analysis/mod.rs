//! What the recorded series say: [`stats`](crate::stats) applied to them, with provenance beside every finding.

mod correlations;
mod forecasts;
mod levels;
mod recommendations;
mod regressions;
mod rows;

pub use correlations::correlations;
pub use forecasts::{ForecastOptions, forecasts};
pub use levels::{anomalies, change_points, trends};
pub use recommendations::{family_recommendations, recommendations};
pub use regressions::{Windows, regressions};
pub use rows::series_rows;
