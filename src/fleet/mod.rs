//! The coordinator: the public API and the one event loop that ties decisions to I/O.
