//! The schema's versions, and getting a file from one to the next.

use super::{HistoryError, database::Database};
use duckdb::params;

/// Each takes the schema one version further; the first makes version 1. Never change one that was released.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_performance_results.sql"),
    include_str!("migrations/0002_browser_events.sql"),
    include_str!("migrations/0003_health.sql"),
    include_str!("migrations/0004_analysis.sql"),
    include_str!("migrations/0005_browser_health.sql"),
    include_str!("migrations/0006_provenance.sql"),
];

/// The version this tabfleet writes.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// The file's schema version; 0 where there is no table yet.
pub(super) fn version(database: &Database) -> Result<u32, HistoryError> {
    let path = || database.path().to_owned();
    let count = |sql: &str| database.connection().query_row(sql, [], |row| row.get::<_, u32>(0));
    let tables = count("SELECT count(*) FROM duckdb_tables()").map_err(database.failed("read"))?;
    if tables == 0 {
        return Ok(0);
    }
    let ours = "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'schema_version' AND column_name = 'tabfleet'";
    if count(ours).map_err(database.failed("read"))? == 0 {
        return Err(HistoryError::Foreign { path: path(), what: "another program's database" });
    }
    let version = count("SELECT coalesce(max(version), 0) FROM schema_version").map_err(database.failed("read"))?;
    if version > VERSION {
        return Err(HistoryError::Newer { path: path(), version, known: VERSION });
    }
    Ok(version)
}

/// Brings the file to [`VERSION`]: each step is one transaction, so that a crash leaves a whole version.
pub(super) fn migrate(database: &Database) -> Result<(), HistoryError> {
    migrate_to(database, VERSION)
}

/// Brings the file to `target`, for a test of an older file; everybody else wants [`migrate`].
pub(super) fn migrate_to(database: &Database, target: u32) -> Result<(), HistoryError> {
    let present = version(database)?;
    for (step, sql) in (1..=target).zip(MIGRATIONS).skip(present as usize) {
        let apply = || {
            let transaction = database.connection().unchecked_transaction()?;
            transaction.execute_batch(sql)?;
            transaction.execute(
                "INSERT INTO schema_version VALUES (?, CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP), ?)",
                params![step, env!("CARGO_PKG_VERSION")],
            )?;
            transaction.commit()
        };
        apply().map_err(database.failed(format!("migrated to version {step}")))?;
    }
    Ok(())
}
