//! Results as a terminal table, JSON, JUnit and HTML.
