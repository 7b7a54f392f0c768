//! TLS in front of clients that speak none: what a client says to the relay goes on over TLS, and
//! back. So every client of these tests can be one of TLS.

use super::tls::trusting;
use rustix::event::{PollFd, PollFlags, poll};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// A relay to a server of TLS with this certificate: where it listens.
pub(crate) fn relay_to(server: SocketAddr, pair: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            // Whatever ends one side ends the other.
            thread::spawn(move || relay(client, server, pair));
        }
    });
    address
}

fn relay(mut client: TcpStream, server: SocketAddr, pair: &str) -> io::Result<()> {
    let mut server = TcpStream::connect(server)?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").expect("a name");
    let mut tls = ClientConnection::new(trusting(pair), name).expect("a client");
    let mut has_ended = false;
    let mut bytes = [0; 16 * 1024];
    loop {
        while tls.wants_write() {
            tls.write_tls(&mut server)?;
        }
        let (is_said, is_answered) = {
            let of_client = if has_ended {
                PollFlags::empty()
            } else {
                PollFlags::IN
            };
            let mut waiting = [
                PollFd::new(&client, of_client),
                PollFd::new(&server, PollFlags::IN),
            ];
            poll(&mut waiting, None)?;
            let [said, answered] = waiting.map(|socket| !socket.revents().is_empty());
            (said && !has_ended, answered)
        };
        if is_said {
            match client.read(&mut bytes)? {
                0 => {
                    has_ended = true;
                    tls.send_close_notify();
                }
                count => tls.writer().write_all(&bytes[..count])?,
            }
        }
        if is_answered {
            let is_over = tls.read_tls(&mut server)? == 0;
            tls.process_new_packets().map_err(io::Error::other)?;
            loop {
                match tls.reader().read(&mut bytes) {
                    Ok(0) => return client.shutdown(Shutdown::Write),
                    Ok(count) => client.write_all(&bytes[..count])?,
                    Err(error) if error.kind() == ErrorKind::WouldBlock && !is_over => break,
                    Err(error) => return Err(error),
                }
            }
        }
    }
}
