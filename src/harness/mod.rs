//! The fleet's side of the harness page: HTTP and WebSocket server, wire format, tab connection.
