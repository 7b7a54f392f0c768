//! Before the first turn: finds the Redis that several servers share, and the key of session tokens
//! that they have in common. Waits for the network, which nothing does afterwards.

use super::fill;
use parlor::config::{Config, EnginePlace};
use parlor::log::{EpochInfo, Keeping, Started, StoredRoom};
use parlor::net::Net;
use parlor::net::dial::Target;
use parlor::net::mio::{MioNet, Stream};
use parlor::redis::resp::{Replies, Value, command};
use parlor::redis::{Engine, Settings, desk};
use parlor::server::Links;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long Redis may take for each step of the start.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The key of session tokens: all servers take the one that the first has written.
const SESSION_KEY: &[u8] = b"p:session-key";
const KEY_BYTES: usize = 32;

/// What keeps the rooms of several servers, and the links to it.
pub(super) fn share(config: &Config, net: &MioNet) -> Result<(Keeping, Links<Stream>), String> {
    let place = &config.engine.place;
    let target = resolve(place)?;
    let settings = Settings {
        user: config.engine.user.clone(),
        password: config.engine.password.clone(),
        ..Settings::default()
    };
    let mut random = [0; 3 * KEY_BYTES];
    fill(&mut random)?;
    let (of_key, of_engine) = random.split_at(KEY_BYTES);
    let session_key =
        shared_key(&target, &settings, of_key).map_err(|why| format!("--engine {place}: {why}"))?;
    let mut seed = [0; 32];
    seed.copy_from_slice(&of_engine[..32]);
    let mut salt = [0; 4];
    salt.copy_from_slice(&of_engine[32..36]);
    // Tells the sessions of this start from those of other servers and starts.
    let mut start = [0; 4];
    start.copy_from_slice(&of_engine[36..40]);
    let epoch = EpochInfo {
        epoch: u32::from_le_bytes(start) | 1,
        salt: u32::from_le_bytes(salt),
    };
    let (store, counter) = desk();
    let keeping = Keeping {
        started: Started {
            epoch: epoch.epoch,
            epochs: vec![epoch],
            next_room: StoredRoom(1),
            session_key,
            registry: Default::default(),
        },
        store: Some(Box::new(store)),
        is_shared: true,
    };
    let engine = Engine::new(settings, seed, net.now());
    let links = Links::new(engine, counter, target, host_name());
    Ok((keeping, links))
}

/// What the machine is called, for operators; empty where the system does not say.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.unwrap_or_default().trim().to_owned()
}

fn resolve(place: &EnginePlace) -> Result<Target, String> {
    match place {
        EnginePlace::Local => Err(String::from(
            "--engine local is shared with no other server",
        )),
        EnginePlace::Unix(path) => Ok(Target::Unix(path.clone())),
        EnginePlace::Tcp { host, port } => {
            Target::resolve(host, *port).map_err(|error| format!("--engine {place}: {error}"))
        }
    }
}

/// The key that the first of the servers has written, or this one's if it is the first.
fn shared_key(
    target: &Target,
    settings: &Settings,
    mine: &[u8],
) -> Result<[u8; KEY_BYTES], String> {
    let mut socket = connect(target).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    if let Some(password) = &settings.password {
        let user = settings.user.as_deref().unwrap_or("default");
        command(&mut out, &[b"AUTH", user.as_bytes(), password.as_bytes()]);
    }
    command(&mut out, &[b"SET", SESSION_KEY, mine, b"NX"]);
    command(&mut out, &[b"GET", SESSION_KEY]);
    socket.write_all(&out).map_err(|error| error.to_string())?;
    let wanted = 2 + usize::from(settings.password.is_some());
    let mut replies = Replies::default();
    let mut count = 0;
    let mut buffer = [0; 1024];
    loop {
        let read = socket
            .read(&mut buffer)
            .map_err(|error| error.to_string())?;
        if read == 0 {
            return Err(String::from("it has closed the connection"));
        }
        replies.push(&buffer[..read]);
        while let Some(reply) = replies.take().map_err(|_| String::from("it is no Redis"))? {
            count += 1;
            if let Value::Error(text) = reply {
                return Err(String::from_utf8_lossy(text).into_owned());
            }
            if count == wanted {
                let key = reply.text().and_then(|text| text.try_into().ok());
                return key.ok_or_else(|| String::from("p:session-key there is none of parlor's"));
            }
        }
    }
}

/// A connection that waits.
trait Socket: Read + Write {}
impl Socket for TcpStream {}
impl Socket for UnixStream {}

fn connect(target: &Target) -> io::Result<Box<dyn Socket>> {
    match target {
        Target::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, TIMEOUT)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            Ok(Box::new(stream))
        }
        Target::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            Ok(Box::new(stream))
        }
    }
}
