//! Tests of the harness's wire format and of its server, which is spoken to by a plain WebSocket and HTTP client: they
//! are about the protocol, not about what a browser makes of it.

mod client;
mod golden;
mod http;
mod round_trip;
mod sockets;
