//! DuckDB: schema and migrations, recording, and what the recorded data say.
