//! Models: reading them, suites of cases, comparing outputs.
