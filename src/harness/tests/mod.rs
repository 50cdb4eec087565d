//! Tests of the harness server.
