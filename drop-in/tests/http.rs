//! An HTTP server (axum) and client (hyper) on tokio.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::Sse;
use axum::response::sse::Event;
use axum::routing::get;
use drop_in::on_tokio;
use futures_util::{SinkExt, StreamExt, stream};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::{Barrier, Notify, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

const CLIENTS: usize = 1_000;

/// What the handlers wait for.
struct Gates {
    /// Answers nobody until this many ask at once.
    crowd: Barrier,
    /// A slow request has arrived, and may be answered.
    arrived: Notify,
    answer: Notify,
}

struct Server {
    address: SocketAddr,
    gates: Arc<Gates>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn serve() -> Server {
    let gates = Arc::new(Gates {
        crowd: Barrier::new(CLIENTS),
        arrived: Notify::new(),
        answer: Notify::new(),
    });
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/crowd", get(crowd))
        .route("/slow", get(slow))
        .route("/events", get(events))
        .route("/socket", get(|upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(echo) }))
        .with_state(gates.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let shutdown = async { stopped.await.unwrap_or_default() };
        axum::serve(listener, router).with_graceful_shutdown(shutdown).await.unwrap();
    });
    Server { address, gates, stop, task }
}

async fn crowd(State(gates): State<Arc<Gates>>) -> &'static str {
    gates.crowd.wait().await;
    "all here"
}

async fn slow(State(gates): State<Arc<Gates>>) -> &'static str {
    gates.arrived.notify_one();
    gates.answer.notified().await;
    "at last"
}

async fn events() -> Sse<impl stream::Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::iter(0..5).then(|number| async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(Event::default().data(number.to_string()))
    }))
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

type HttpClient =
    Client<hyper_util::client::legacy::connect::HttpConnector, Empty<axum::body::Bytes>>;

fn client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// A page's text.
async fn fetch(client: &HttpClient, address: SocketAddr, path: &str) -> String {
    let uri = format!("http://{address}{path}").parse().unwrap();
    let response = client.get(uri).await.unwrap();
    assert!(response.status().is_success(), "{}", response.status());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn a_thousand_concurrent_requests() {
    // Two descriptors for each.
    rlimit::increase_nofile_limit(4 * CLIENTS as u64).unwrap();
    on_tokio(|| async {
        let server = serve().await;
        let client = client();
        let requests: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (client, address) = (client.clone(), server.address);
                // None is answered before all have arrived, each over a connection of its own.
                tokio::spawn(async move { fetch(&client, address, "/crowd").await })
            })
            .collect();
        for request in requests {
            assert_eq!(request.await.unwrap(), "all here");
        }
        // The connections are kept, and serve again.
        for _ in 0..10 {
            assert_eq!(fetch(&client, server.address, "/").await, "hello");
        }
    });
}

#[test]
fn server_sent_events() {
    on_tokio(|| async {
        let server = serve().await;
        let text = fetch(&client(), server.address, "/events").await;
        let data: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(data, ["0", "1", "2", "3", "4"]);
    });
}

#[test]
fn websockets() {
    on_tokio(|| async {
        let server = serve().await;
        let clients: Vec<_> = (0..20)
            .map(|number: usize| {
                let url = format!("ws://{}/socket", server.address);
                tokio::spawn(async move {
                    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
                    // From a few bytes to more than the sockets' buffers hold.
                    for length in [1, 1_000, 100_000, 5_000_000 / (number + 1)] {
                        let message = Message::binary(vec![number as u8; length]);
                        socket.send(message.clone()).await.unwrap();
                        assert_eq!(socket.next().await.unwrap().unwrap(), message);
                    }
                    socket.close(None).await.unwrap();
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    });
}

#[test]
fn graceful_shutdown() {
    on_tokio(|| async {
        let server = serve().await;
        let (client, address) = (client(), server.address);
        let request = tokio::spawn(async move { fetch(&client, address, "/slow").await });
        server.gates.arrived.notified().await;
        server.stop.send(()).unwrap();
        // Whoever is in is served, and nobody else comes in.
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!server.task.is_finished());
        server.gates.answer.notify_one();
        assert_eq!(request.await.unwrap(), "at last");
        server.task.await.unwrap();
    });
}
