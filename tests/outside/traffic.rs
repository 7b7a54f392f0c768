//! What programs and the server say to each other in `parlor.v1.json`, held to the schema: by a tap
//! in front of the server, or by a recording that scripts write. Knows no rule of the chat.

use super::framing::{self, ServerFrame};
use super::schema::Schema;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The variable that names the file of a recording.
const RECORDING: &str = "PARLOR_RECORDING";

/// What was found wrong, and how many messages were read.
#[derive(Default)]
struct Findings {
    wrong: Vec<String>,
    requests: usize,
    sent: usize,
}

impl Findings {
    fn read(&mut self, schema: &Schema, text: &str, is_request: bool) {
        let definition = if is_request {
            self.requests += 1;
            "request"
        } else {
            self.sent += 1;
            "sent"
        };
        self.wrong.extend(schema.find(text, definition).err());
    }

    /// All messages were as the schema has them, and there were some in each direction.
    #[track_caller]
    fn are_good(&self) {
        let mut report = String::new();
        for wrong in self.wrong.iter().take(10) {
            let _ = writeln!(report, "{wrong}");
        }
        assert!(report.is_empty(), "{} messages: {report}", self.wrong.len());
        assert!(
            self.requests > 0 && self.sent > 0,
            "nothing was read: {} requests, {} messages of the server",
            self.requests,
            self.sent
        );
    }
}

/// A proxy in front of a server that reads the frames of both sides. It passes on what it does not
/// understand, and the ends of both sides.
pub(crate) struct Tap {
    pub(crate) address: SocketAddr,
    findings: Arc<Mutex<Findings>>,
}

impl Tap {
    pub(crate) fn open(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let findings = Arc::default();
        let shared = Arc::clone(&findings);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a client connects");
                // Like a server that is not there.
                let Ok(server) = TcpStream::connect(server) else {
                    continue;
                };
                pass(&client, &server, true, &shared);
                pass(&server, &client, false, &shared);
            }
        });
        Self { address, findings }
    }

    /// See [`Findings::are_good`].
    #[track_caller]
    pub(crate) fn heard_only_what_the_schema_has(&self) {
        lock(&self.findings).are_good();
    }
}

fn lock(findings: &Mutex<Findings>) -> std::sync::MutexGuard<'_, Findings> {
    findings.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes on the bytes of one direction, on a thread of its own.
fn pass(from: &TcpStream, to: &TcpStream, is_request: bool, findings: &Arc<Mutex<Findings>>) {
    let copy = |stream: &TcpStream| stream.try_clone().expect("a descriptor is free");
    let (mut from, mut to, findings) = (copy(from), copy(to), Arc::clone(findings));
    let _ = to.set_nodelay(true);
    thread::spawn(move || {
        let schema = Schema::new();
        let mut listener = Listener::default();
        let mut bytes = [0; 16 * 1024];
        loop {
            match from.read(&mut bytes) {
                Ok(0) => {
                    let _ = to.shutdown(Shutdown::Write);
                    return;
                }
                Ok(count) => {
                    // Before the other side has it, so that all is read when a test ends.
                    listener.hear(&bytes[..count], is_request, |text| {
                        lock(&findings).read(&schema, text, is_request);
                    });
                    if to.write_all(&bytes[..count]).is_ok() {
                        continue;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => {}
            }
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    });
}

/// Finds the text messages of one side behind the head of its request or response.
#[derive(Default)]
struct Listener {
    received: Vec<u8>,
    is_behind_head: bool,
}

impl Listener {
    fn hear(&mut self, bytes: &[u8], is_client: bool, mut heard: impl FnMut(&str)) {
        self.received.extend_from_slice(bytes);
        if !self.is_behind_head {
            let end = self.received.windows(4).position(|end| end == b"\r\n\r\n");
            let Some(end) = end else {
                return;
            };
            self.received.drain(..end + 4);
            self.is_behind_head = true;
        }
        loop {
            let len = if is_client {
                framing::parse_client(&self.received).map(|(first, payload, len)| {
                    if first == 0x81 {
                        heard(&String::from_utf8_lossy(&payload));
                    }
                    len
                })
            } else {
                framing::parse(&self.received).map(|(frame, len)| {
                    if let ServerFrame::Text(text) = frame {
                        heard(text);
                    }
                    len
                })
            };
            let Some(len) = len else {
                return;
            };
            self.received.drain(..len);
        }
    }
}

/// A file into which a script writes the text messages of its clients: a line each, `request ` or
/// `sent ` and the text as a JSON string. Removed when dropped.
pub(crate) struct Recording(PathBuf);

impl Recording {
    /// A script that the command starts will write it.
    pub(crate) fn of(command: &mut Command, name: &str) -> Self {
        let file = format!("parlor-{name}-{}.recording", std::process::id());
        let path = std::env::temp_dir().join(file);
        command.env(RECORDING, &path);
        Self(path)
    }

    /// See [`Findings::are_good`].
    #[track_caller]
    pub(crate) fn has_only_what_the_schema_has(&self) {
        findings_in(&self.0).are_good();
    }
}

fn findings_in(recording: &Path) -> Findings {
    let schema = Schema::new();
    let mut findings = Findings::default();
    let text = std::fs::read_to_string(recording).expect("a recording");
    for line in text.lines() {
        let (direction, message) = line.split_once(' ').expect("a direction and a message");
        let message: String = serde_json::from_str(message).expect("a JSON string");
        findings.read(&schema, &message, direction == "request");
    }
    findings
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn message_that_is_not_in_the_schema_is_found_in_either_direction() {
        for (requests, sent, wrong) in [
            (json!({"type": "ping"}), json!({"type": "ok", "re": 1}), 0),
            (json!({"type": "ping", "no": 1}), json!({"type": "ok"}), 1),
            (json!({"type": "ping"}), json!({"type": "ok", "re": 1.5}), 1),
            (json!({"type": "ok"}), json!({"type": "ping"}), 2),
        ] {
            let bytes = |object: &Value| object.to_string().into_bytes();
            let (request, sent) = (bytes(&requests), bytes(&sent));
            let server = [&[0x81, sent.len() as u8][..], &sent].concat();
            let client = framing::encode(0x81, [1, 2, 3, 4], &request);
            let schema = Schema::new();
            let mut findings = Findings::default();
            for (bytes, is_client) in [(client, true), (server, false)] {
                let mut listener = Listener::default();
                // A ping, and each byte for itself.
                let ping = if is_client {
                    framing::encode(0x89, [0; 4], b"p")
                } else {
                    b"\x89\x01p".to_vec()
                };
                let bytes = [&b"GET or 101\r\n\r\n"[..], &ping, &bytes].concat();
                for byte in bytes {
                    let read = |text: &str| findings.read(&schema, text, is_client);
                    listener.hear(&[byte], is_client, read);
                }
            }
            assert_eq!((findings.requests, findings.sent), (1, 1));
            assert_eq!(findings.wrong.len(), wrong, "{:?}", findings.wrong);
        }
    }
}
