//! A plain client that speaks the tab's side of the protocol.

use crate::{
    harness::{
        Invitation, Server, ServerConfig, TabLink, TabSignal, TabSignalKind, TensorBatch, bundle, frame, frame::Frame,
    },
    types::TabId,
};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::VecDeque;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::{HeaderValue, header},
        protocol::WebSocketConfig,
    },
};

pub(super) type Signals = mpsc::UnboundedReceiver<TabSignal>;

/// A server, one invitation, and what its tab signals.
pub(super) async fn invited() -> (Server, Invitation, Signals) {
    let server = Server::start(ServerConfig::default()).await.unwrap();
    let (sender, signals) = mpsc::unbounded_channel();
    let invitation = server.invite(TabId(7), sender);
    (server, invitation, signals)
}

pub(super) fn token(invitation: &Invitation) -> String {
    invitation.url().split_once("token=").unwrap().1.to_owned()
}

/// The tab's end of a socket.
pub(super) struct Tab {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Frames of a message that are not heard yet.
    heard: VecDeque<Bytes>,
}

impl Tab {
    pub(super) async fn connect(server: &Server, invitation: &Invitation) -> Self {
        Self::try_connect(server, &token(invitation), server.origin()).await.unwrap()
    }

    pub(super) async fn try_connect(server: &Server, token: &str, origin: &str) -> Result<Self, u16> {
        let address = server.origin().strip_prefix("http://").unwrap();
        let mut request = format!("ws://{address}/socket?token={token}").into_client_request().unwrap();
        request.headers_mut().insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        match tokio_tungstenite::connect_async_with_config(request, Some(config), true).await {
            Ok((socket, _)) => Ok(Self { socket, heard: VecDeque::new() }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits until the socket ends without a word.
    pub(super) async fn cut_off(&mut self) {
        match self.socket.next().await {
            None | Some(Err(_)) => {}
            Some(Ok(message)) => panic!("{message:?} came over a socket that was cut"),
        }
    }

    /// Connects and says hello; returns the fleet's end as well.
    pub(super) async fn introduce(server: &Server, invitation: &Invitation, signals: &mut Signals) -> (Self, TabLink) {
        let mut tab = Self::connect(server, invitation).await;
        tab.say(hello()).await;
        match signals.recv().await.unwrap().kind {
            TabSignalKind::Connected { link, .. } => (tab, link),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn say(&mut self, header: Value) {
        self.send(Message::Binary(frame::join(&header, &[]))).await;
    }

    pub(super) async fn say_with(&mut self, header: Value, tensors: &TensorBatch) {
        self.send(Message::Binary(frame::join(&header, tensors.body()))).await;
    }

    pub(super) async fn send(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// The next frame, as it came.
    pub(super) async fn hear(&mut self) -> Bytes {
        if let Some(frame) = self.heard.pop_front() {
            return frame;
        }
        match self.socket.next().await {
            Some(Ok(Message::Binary(message))) => self.heard.extend(bundle::split(message).unwrap()),
            other => panic!("{other:?}"),
        }
        self.heard.pop_front().unwrap()
    }

    /// The header of the next frame.
    pub(super) async fn hear_header(&mut self) -> Value {
        Frame::split(self.hear().await).unwrap().parse().unwrap()
    }

    /// Waits until the server closes the socket, and returns its code and reason.
    pub(super) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
                Some(Ok(Message::Binary(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(super) async fn close(mut self) {
        self.socket.close(None).await.unwrap();
    }
}

pub(super) fn hello() -> Value {
    json!({"type": "hello", "user_agent": "a protocol test", "cross_origin_isolated": true, "hardware_concurrency": 2,
           "worker": 1})
}

/// An HTTP response, its head in lower case.
pub(super) struct Answer {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// One GET request, with its `Host` and further header lines.
pub(super) async fn get(server: &Server, path: &str, host: &str, lines: &str) -> Answer {
    let address = server.origin().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    Answer { head: String::from_utf8(answer).unwrap().to_lowercase(), body }
}

/// One GET request as a browser would make it.
pub(super) async fn fetch(server: &Server, path: &str) -> Answer {
    let host = server.origin().strip_prefix("http://").unwrap().to_owned();
    get(server, path, &host, "").await
}
