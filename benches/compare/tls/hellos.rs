//! Clients that begin a handshake and go away: a process of its own at the lowest priority, which
//! connects at a rate, sends a ClientHello and resets the connection when it is answered. Every
//! ClientHello is valid, so that the server has to compute keys and a signature.

use super::super::now;
use super::super::place::{CORE_OF_TESTER, Place};
use parlor::net::mio::raise_descriptor_limit;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::{Value, json};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The first argument of the process.
pub(crate) const ROLE: &str = "hellos";
/// A connection that is not answered for so long is reset.
const PATIENCE: Duration = Duration::from_secs(1);
/// Connections at the same time.
const OPEN_MAX: usize = 10_000;
/// Connections that are asked for an answer in one pass.
const LOOKED_AT_MAX: usize = 256;

/// The process, which is killed when this is dropped.
pub(crate) struct Flood(Child);

impl Flood {
    pub(crate) fn start(
        place: &Place,
        server: SocketAddr,
        per_second: u32,
        most: Duration,
    ) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let words = [
            "nice",
            "-n",
            "19",
            &own.display().to_string(),
            ROLE,
            &server.to_string(),
            &per_second.to_string(),
            &most.as_millis().to_string(),
        ]
        .map(String::from);
        let mut command = place.pinned(CORE_OF_TESTER, &words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn();
        child
            .map(Self)
            .map_err(|error| format!("the flood cannot be started: {error}"))
    }

    /// Ends the flood, which has lasted so long.
    pub(crate) fn end(mut self, lasted: Duration) -> Result<Value, String> {
        // The end of its input is the sign.
        drop(self.0.stdin.take());
        let output = self.0.stdout.take().ok_or("the flood has no output")?;
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .map_err(|error| error.to_string())?;
        let numbers: Vec<f64> = line
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [sent, answered] = numbers[..] else {
            return Err(format!("the flood said {line:?}"));
        };
        let seconds = lasted.as_secs_f64();
        Ok(json!({
            "sent_per_second": sent / seconds,
            "answered_per_second": answered / seconds,
        }))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        // Fails if it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One connection under way.
struct Hello {
    socket: Socket,
    begun: Instant,
    is_sent: bool,
}

/// Floods until standard input ends, and prints how many ClientHellos were sent and answered.
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    let [server, per_second, millis] = words else {
        return Err(String::from("SERVER PER_SECOND MILLIS are needed"));
    };
    let server: SocketAddr = server.parse().map_err(|_| "no address")?;
    let per_second: f64 = per_second.parse().map_err(|_| "no rate")?;
    let most = Duration::from_millis(millis.parse().map_err(|_| "no number of milliseconds")?);
    let hello = client_hello()?;
    raise_descriptor_limit();
    let input = thread::spawn(|| std::io::stdin().lock().read_to_end(&mut Vec::new()));
    let (mut sent, mut answered) = (0_u64, 0_u64);
    let mut open: VecDeque<Hello> = VecDeque::new();
    let (begun, mut connected) = (now(), 0_u64);
    while !input.is_finished() && begun.elapsed() < most {
        let due = (begun.elapsed().as_secs_f64() * per_second) as u64;
        while connected < due && open.len() < OPEN_MAX {
            connected += 1;
            let Some(mut connection) = connect(server) else {
                continue;
            };
            sent += connection.send(&hello);
            open.push_back(connection);
        }
        // What the server did not take in time is not made up for.
        connected = connected.max(due.saturating_sub(OPEN_MAX as u64));
        // The oldest are answered first.
        let mut looked_at = 0;
        open.retain_mut(|connection| {
            looked_at += 1;
            if looked_at > LOOKED_AT_MAX {
                return true;
            }
            sent += connection.send(&hello);
            if connection.is_sent && is_answered(&connection.socket) {
                answered += 1;
                return false;
            }
            connection.begun.elapsed() < PATIENCE
        });
        thread::sleep(Duration::from_millis(1));
    }
    println!("{sent} {answered}");
    Ok(())
}

impl Hello {
    /// How many ClientHellos were sent.
    fn send(&mut self, hello: &[u8]) -> u64 {
        // The system may not have connected yet.
        let is_sent = !self.is_sent && self.socket.write(hello).is_ok();
        self.is_sent |= is_sent;
        u64::from(is_sent)
    }
}

fn connect(server: SocketAddr) -> Option<Hello> {
    let domain = Domain::for_address(server);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).ok()?;
    socket.set_nonblocking(true).ok()?;
    // A reset leaves no port in TIME-WAIT.
    socket.set_linger(Some(Duration::ZERO)).ok()?;
    match socket.connect(&server.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(_) => return None,
    }
    Some(Hello {
        socket,
        begun: now(),
        is_sent: false,
    })
}

/// Bytes or the end of the connection.
fn is_answered(mut socket: &Socket) -> bool {
    let waits = |error: &std::io::Error| {
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
    };
    let outcome = socket.read(&mut [0; 4096]);
    !outcome.as_ref().is_err_and(waits)
}

/// The bytes of one ClientHello; a server cannot see that it is not the only one of its kind.
fn client_hello() -> Result<Vec<u8>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
    let mut client =
        ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    client
        .write_tls(&mut bytes)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}
