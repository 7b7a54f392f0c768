//! A chat over axum as in its `chat` example: a tokio broadcast channel of 100 messages per room,
//! and for each client a task that sends and one that receives. The path names the room.
//! Usage: axum PORT

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::any;
use futures_util::{SinkExt as _, StreamExt as _};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;

type Rooms = Arc<Mutex<HashMap<String, broadcast::Sender<Message>>>>;

/// As in the example.
const CHANNEL_MESSAGES: usize = 100;

async fn upgrade(upgrade: WebSocketUpgrade, uri: Uri, State(rooms): State<Rooms>) -> Response {
    let room = {
        let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms
            .entry(uri.path().to_owned())
            .or_insert_with(|| broadcast::channel(CHANNEL_MESSAGES).0)
            .clone()
    };
    upgrade.on_upgrade(|socket| serve(socket, room))
}

async fn serve(socket: WebSocket, room: broadcast::Sender<Message>) {
    let (mut outgoing, mut incoming) = socket.split();
    let mut receiver = room.subscribe();
    let mut send = tokio::spawn(async move {
        loop {
            match receiver.recv().await {
                Ok(message) => {
                    if outgoing.send(message).await.is_err() {
                        return;
                    }
                }
                // A slow client misses messages and stays connected.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    });
    let mut receive = tokio::spawn(async move {
        while let Some(Ok(message)) = incoming.next().await {
            if matches!(message, Message::Text(_) | Message::Binary(_)) {
                // Fails only without receivers, and the sender is one.
                let _ = room.send(message);
            }
        }
    });
    tokio::select! {
        _ = &mut send => receive.abort(),
        _ = &mut receive => send.abort(),
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| String::from("0"));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on {}", listener.local_addr()?.port());
    let app = Router::new()
        .fallback(any(upgrade))
        .with_state(Rooms::default());
    axum::serve(listener, app).await
}
