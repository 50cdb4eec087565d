//! One tab's WebSocket, from the upgrade to its close.

use super::{
    bundle::{self, Bundler},
    frame::FrameError,
    link::TabLink,
    message::{self, FromTab},
    tabs::{Ending, Place, Reporter, TabSignalKind},
};
use crate::types::{Cause, Failure};
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::Bytes;
use futures::{
    Sink, SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use std::{error::Error, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_tungstenite::tungstenite;

/// The close code for a peer that speaks another version of the protocol.
const OTHER_VERSION: u16 = 4001;

/// What a tab closes with where a server would with 1002: pages may not use that one.
const BROKEN_BY_US: u16 = 4002;

/// How long a tab that is told to go may take to answer; a worker stuck in a model never does.
pub(super) const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// How a connection ended: what the fleet is told, and what the tab is.
struct End {
    failure: Failure,
    farewell: Farewell,
}

/// What the tab is told when the fleet's side ends.
enum Farewell {
    /// A close frame with this code.
    Code(u16),
    /// Nothing: the socket is dropped as it is.
    None,
}

impl End {
    fn closed(message: impl Into<String>) -> Self {
        Self { failure: Failure::new(Cause::SocketClosed, message), farewell: Farewell::Code(close_code::AWAY) }
    }

    fn cut() -> Self {
        let failure = Failure::new(Cause::SocketClosed, "the socket was cut on purpose");
        Self { failure, farewell: Farewell::None }
    }

    fn broken(error: &FrameError) -> Self {
        let code = if matches!(error, FrameError::Version { .. }) { OTHER_VERSION } else { close_code::PROTOCOL };
        let message = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Self { failure: Failure::new(Cause::BadFrame, message), farewell: Farewell::Code(code) }
    }

    /// The tab closed the socket, and may have said why.
    fn by_tab(frame: Option<CloseFrame>) -> Self {
        let Some(CloseFrame { code, reason }) = frame else {
            return Self::closed("the tab closed its socket");
        };
        let message = format!("the tab closed its socket with code {code} ({reason})");
        match code {
            close_code::PROTOCOL | OTHER_VERSION | BROKEN_BY_US => {
                Self { failure: Failure::new(Cause::BadFrame, message), farewell: Farewell::Code(code) }
            }
            _ => Self::closed(message),
        }
    }

    fn by_error(error: axum::Error) -> Self {
        use tungstenite::{Error as Ws, error::ProtocolError};
        let error = error.into_inner();
        match error.downcast_ref() {
            Some(Ws::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                Self::closed("the tab's end of the socket is gone")
            }
            Some(Ws::Protocol(_) | Ws::Capacity(_) | Ws::Utf8(_)) => {
                Self::broken(&FrameError::WebSocket { what: error.to_string() })
            }
            _ => Self::closed(format!("the tab's socket failed: {error}")),
        }
    }
}

/// Serves one socket until either side ends it.
///
/// Reading and writing are one task: both halves of a WebSocket share one lock, so two tasks would only wait for each
/// other; and whichever of the two stands still (a tab that does not read) does not hold up the other.
pub(super) async fn serve(
    socket: WebSocket,
    place: Place,
    origin: Arc<str>,
    max_frame_bytes: usize,
    mut closing: watch::Receiver<bool>,
) {
    let (end, reporter) = place.split();
    let (mut sink, mut stream) = socket.split();
    let (queue, frames) = mpsc::unbounded_channel();
    let link = TabLink::new(origin, max_frame_bytes, queue);
    let end = tokio::select! {
        biased;
        end = asked_to_end(end) => end,
        _ = closing.wait_for(|closing| *closing) => End::closed("the fleet's server was closed"),
        end = receive(&mut stream, &reporter, link) => end,
        // Gone with this block: from here on, links say that they are closed.
        end = transmit(&mut sink, frames) => end,
    };
    match end.failure.cause {
        Cause::BadFrame => tracing::warn!("{reporter} broke the harness protocol: {}", end.failure),
        _ => tracing::debug!("{reporter} ended: {}", end.failure),
    }
    let farewell = match end.farewell {
        Farewell::Code(code) => Some(CloseFrame { code, reason: shortened(&end.failure.message).into() }),
        Farewell::None => None,
    };
    reporter.report(TabSignalKind::Disconnected(end.failure));
    let Some(farewell) = farewell else { return };
    // Reading on until the tab hangs up keeps the close frame from being lost in a reset; a tab that does not is cut off.
    let goodbye = async {
        if sink.send(Message::Close(Some(farewell))).await.is_ok() {
            while let Some(Ok(_)) = stream.next().await {}
        }
    };
    let _ = tokio::time::timeout(CLOSE_GRACE, goodbye).await;
}

async fn asked_to_end(end: oneshot::Receiver<Ending>) -> End {
    match end.await {
        Ok(Ending::Cut) => End::cut(),
        Ok(Ending::Replaced) => End::closed("a newer socket of the same tab replaced it"),
        Err(_) => End::closed("the fleet no longer needs this tab"),
    }
}

/// Reports what the tab says, until it says no more or something that makes no sense.
async fn receive(stream: &mut SplitStream<WebSocket>, reporter: &Reporter, link: TabLink) -> End {
    let mut unintroduced = Some(link);
    loop {
        let message = match stream.next().await {
            Some(Ok(Message::Binary(message))) => message,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Text(_))) => return End::broken(&FrameError::Text),
            Some(Ok(Message::Close(frame))) => return End::by_tab(frame),
            Some(Err(error)) => return End::by_error(error),
            None => return End::by_tab(None),
        };
        let frames = match bundle::split(message) {
            Ok(frames) => frames,
            Err(error) => return End::broken(&error),
        };
        for frame in frames {
            let kind = match (message::decode(frame), unintroduced.take()) {
                (Ok(FromTab::Hello(hello)), Some(link)) => TabSignalKind::Connected { hello, link },
                (Ok(FromTab::Message(message)), None) => TabSignalKind::Message(message),
                (Ok(FromTab::Message(message)), Some(_)) => {
                    return End::broken(&FrameError::HelloExpected { given: message.kind().to_owned() });
                }
                (Ok(FromTab::Hello(_)), None) => return End::broken(&FrameError::SecondHello),
                (Err(error), _) => return End::broken(&error),
            };
            reporter.report(kind);
        }
    }
}

/// Writes the queued frames. Whatever is queued at once goes at once: a burst of small frames in one message.
async fn transmit(sink: &mut SplitSink<WebSocket, Message>, mut frames: mpsc::UnboundedReceiver<Bytes>) -> End {
    let failed = loop {
        let Some(frame) = frames.recv().await else {
            // Nobody holds a link any more, but the tab may still have something to say.
            return std::future::pending().await;
        };
        if let Err(error) = feed_all(sink, frame, &mut frames).await {
            break error;
        }
    };
    End::by_error(failed)
}

async fn feed_all<S: Sink<Message> + Unpin>(
    sink: &mut S,
    first: Bytes,
    frames: &mut mpsc::UnboundedReceiver<Bytes>,
) -> Result<(), S::Error> {
    let mut bundler = Bundler::default();
    bundler.push(first);
    while let Ok(frame) = frames.try_recv() {
        if !bundler.has_room_for(&frame) {
            sink.feed(Message::Binary(bundler.take())).await?;
        }
        bundler.push(frame);
    }
    sink.send(Message::Binary(bundler.take())).await
}

/// A close reason has 123 bytes at most.
fn shortened(message: &str) -> &str {
    &message[..message.floor_char_boundary(123)]
}
