//! What the history says while the fleet records into it: this run so far, and all before it.

use super::{Fleet, FleetError, recording::HistoryQuestion};
use crate::{
    history::{
        HistoryError, Series, SeriesFilter,
        analysis::{self, Windows},
    },
    report::{Findings, Question, RecommendationRow, RegressionRow},
    stats::regression::Severity,
};
use std::{panic, sync::Arc, time::SystemTime};
use tokio::{sync::oneshot, task::JoinError};

impl Fleet {
    /// Every series that the history has, with what differs from earlier runs, where levels changed, where series are
    /// going, which runs stand out, and where models run best. What was found is kept in the history, as
    /// `tabfleet history` keeps it.
    ///
    /// # Errors
    /// [`FleetError::NoHistory`] for a fleet that records none, [`FleetError::Closed`], and what keeps the file from being
    /// read.
    pub async fn performance_report(&self) -> Result<Findings, FleetError> {
        self.find(Question::Report, |series, findings| {
            analysis::regressions(series, &Windows::default(), findings);
            analysis::change_points(series, findings);
            analysis::trends(series, findings);
            analysis::anomalies(series, findings);
            analysis::recommendations(series, SystemTime::now(), findings);
        })
        .await
    }

    /// What is at least so much slower, or otherwise worse, in the newest run than in the ten before it, the worst first.
    /// What was found is kept in the history.
    ///
    /// # Errors
    /// As [`performance_report`](Self::performance_report).
    pub async fn detect_regressions(&self, at_least: Severity) -> Result<Vec<RegressionRow>, FleetError> {
        let windows = Windows { all: true, ..Windows::default() };
        let found = self.find(Question::Regressions, move |series, findings| {
            analysis::regressions(series, &windows, findings);
        });
        let bad_enough = |row: &RegressionRow| row.severity().is_some_and(|severity| severity >= at_least);
        Ok(found.await?.regressions.into_iter().filter(bad_enough).collect())
    }

    /// Where each model runs best, on this machine and on others of which the history knows. That is kept in the history.
    ///
    /// # Errors
    /// As [`performance_report`](Self::performance_report).
    pub async fn recommendations(&self) -> Result<Vec<RecommendationRow>, FleetError> {
        let found = self.find(Question::Recommend, |series, findings| {
            analysis::recommendations(series, SystemTime::now(), findings);
        });
        Ok(found.await?.recommendations)
    }

    /// Reads every series, has them analysed, and what was found kept.
    async fn find(
        &self,
        question: Question,
        analyse: impl FnOnce(&[Series], &mut Findings) + Send + 'static,
    ) -> Result<Findings, FleetError> {
        let path = self.config().history.as_deref().ok_or(FleetError::NoHistory)?;
        let findings = Findings::new(question, path);
        let series = self.ask_history(|reply| HistoryQuestion::Series(SeriesFilter::default(), reply)).await?;
        let analysed = tokio::task::spawn_blocking(move || {
            let mut findings = findings.with_series(analysis::series_rows(&series));
            analyse(&series, &mut findings);
            findings
        });
        let analysed = analysed.await.map_err(JoinError::try_into_panic);
        let findings = Arc::new(match analysed {
            Ok(findings) => findings,
            Err(Ok(panic)) => panic::resume_unwind(panic),
            Err(Err(_)) => return Err(FleetError::Closed),
        });
        // The answer is good without.
        if let Err(error) = self.ask_history(|reply| HistoryQuestion::Keep(Arc::clone(&findings), reply)).await {
            tracing::info!(%error, "what was found is not kept in the history");
        }
        Ok(Arc::unwrap_or_clone(findings))
    }

    async fn ask_history<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<Result<T, HistoryError>>) -> HistoryQuestion,
    ) -> Result<T, FleetError> {
        let questions = self.0.history.as_ref().ok_or(FleetError::NoHistory)?;
        let (reply, answer) = oneshot::channel();
        questions.send(question(reply)).map_err(|_| FleetError::Closed)?;
        Ok(answer.await.map_err(|_| FleetError::Closed)??)
    }
}
