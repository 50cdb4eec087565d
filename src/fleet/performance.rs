//! What the history says while the fleet records into it: this run so far, and all before it.

use super::{Fleet, FleetError, recording::HistoryQuestion};
use crate::{
    history::{
        Series, SeriesFilter,
        analysis::{self, Windows},
    },
    report::{Findings, RecommendationRow, RegressionRow},
    stats::regression::Severity,
};
use std::time::SystemTime;
use tokio::sync::oneshot;

impl Fleet {
    /// Every series that the history has, with what differs from earlier runs, where levels changed, where series are
    /// going, which runs stand out, and where models run best.
    ///
    /// # Errors
    /// [`FleetError::NoHistory`] for a fleet that records none, [`FleetError::Closed`], and what keeps the file from being
    /// read.
    pub async fn performance_report(&self) -> Result<Findings, FleetError> {
        let series = self.series(SeriesFilter::default()).await?;
        let mut findings = self.findings("report")?.with_series(analysis::series_rows(&series));
        tokio::task::spawn_blocking(move || {
            analysis::regressions(&series, &Windows::default(), &mut findings);
            analysis::change_points(&series, &mut findings);
            analysis::trends(&series, &mut findings);
            analysis::anomalies(&series, &mut findings);
            analysis::recommendations(&series, SystemTime::now(), &mut findings);
            findings
        })
        .await
        .map_err(|_| FleetError::Closed)
    }

    /// What is at least so much slower, or otherwise worse, in the newest run than in the ten before it, the worst first.
    ///
    /// # Errors
    /// As [`performance_report`](Self::performance_report).
    pub async fn detect_regressions(&self, at_least: Severity) -> Result<Vec<RegressionRow>, FleetError> {
        let series = self.series(SeriesFilter::default()).await?;
        let mut findings = self.findings("regressions")?;
        analysis::regressions(&series, &Windows { all: true, ..Windows::default() }, &mut findings);
        let bad_enough = |row: &RegressionRow| row.severity().is_some_and(|severity| severity >= at_least);
        Ok(findings.regressions.into_iter().filter(bad_enough).collect())
    }

    /// Where each model runs best, on this machine and on others of which the history knows.
    ///
    /// # Errors
    /// As [`performance_report`](Self::performance_report).
    pub async fn recommendations(&self) -> Result<Vec<RecommendationRow>, FleetError> {
        let series = self.series(SeriesFilter::default()).await?;
        let mut findings = self.findings("recommend")?;
        analysis::recommendations(&series, SystemTime::now(), &mut findings);
        Ok(findings.recommendations)
    }

    fn findings(&self, question: &str) -> Result<Findings, FleetError> {
        self.config().history.as_deref().map(|path| Findings::new(question, path)).ok_or(FleetError::NoHistory)
    }

    async fn series(&self, filter: SeriesFilter) -> Result<Vec<Series>, FleetError> {
        let questions = self.0.history.as_ref().ok_or(FleetError::NoHistory)?;
        let (reply, answer) = oneshot::channel();
        questions.send(HistoryQuestion { filter, reply }).map_err(|_| FleetError::Closed)?;
        Ok(answer.await.map_err(|_| FleetError::Closed)??)
    }
}
