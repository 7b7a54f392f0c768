//! A chat over tokio-tungstenite as in its `server` example: a map of unbounded channels behind a
//! mutex, and one task per client that forwards its channel to its socket. The path names the room.
//! Usage: tokio_tungstenite PORT

use futures_util::{StreamExt as _, TryStreamExt as _, future, pin_mut};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

type Room = HashMap<SocketAddr, UnboundedSender<Message>>;
type Rooms = Arc<Mutex<HashMap<String, Arc<Mutex<Room>>>>>;

async fn serve(rooms: Rooms, stream: TcpStream, address: SocketAddr) {
    let mut path = String::new();
    #[expect(clippy::result_large_err, reason = "the library's signature")]
    let take_path = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        request.uri().path().clone_into(&mut path);
        Ok(response)
    };
    let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, take_path).await else {
        return;
    };
    let room = {
        let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(rooms.entry(path).or_default())
    };
    let (sender, receiver) = unbounded_channel();
    room.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(address, sender);

    let (outgoing, incoming) = socket.split();
    let broadcast = incoming.try_for_each(|message| {
        if message.is_text() || message.is_binary() {
            let members = room.lock().unwrap_or_else(PoisonError::into_inner);
            for member in members.values() {
                // The task of that client has ended and is about to remove the channel.
                let _ = member.send(message.clone());
            }
        }
        future::ok(())
    });
    let receiver = futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|message| (message, receiver))
    });
    let forward = receiver.map(Ok).forward(outgoing);
    pin_mut!(broadcast, forward);
    future::select(broadcast, forward).await;
    room.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(&address);
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| String::from("0"));
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on {}", listener.local_addr()?.port());
    let rooms = Rooms::default();
    loop {
        let (stream, address) = listener.accept().await?;
        tokio::spawn(serve(Arc::clone(&rooms), stream, address));
    }
}
