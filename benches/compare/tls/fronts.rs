//! What stands between the tester and parlor, and how it is started: nothing, TLS of parlor's own, or
//! a proxy with its file of docs/proxies, in which addresses, ports, paths and limits are replaced.

use super::super::now;
use super::super::place::{CORE_OF_SERVER, Place};
use super::super::servers::{Heartbeat, Running, Server};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// The longest time until a proxy listens.
const START_MAX: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// Without TLS.
    None,
    Parlor,
    Haproxy,
    Nginx,
    Caddy,
}

impl Front {
    pub(crate) const ALL: [Self; 5] = [
        Self::None,
        Self::Parlor,
        Self::Haproxy,
        Self::Nginx,
        Self::Caddy,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Parlor => "parlor",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
        }
    }

    pub(crate) fn is_installed(self) -> bool {
        let arguments = match self {
            Self::None | Self::Parlor => return true,
            Self::Haproxy | Self::Nginx => "-v",
            Self::Caddy => "version",
        };
        let mut program = Command::new(self.name());
        program.arg(arguments);
        program.stdout(Stdio::null()).stderr(Stdio::null());
        let is_there = program.status().is_ok_and(|status| status.success());
        if !is_there {
            println!("without {}: it is not installed", self.name());
        }
        is_there
    }
}

/// A file of tests/tls.
pub(crate) fn certificate(name: &str) -> String {
    format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A server and what is in front of it. Both are killed when this is dropped.
pub(crate) struct Site {
    front: Front,
    parlor: Running,
    proxy: Option<Child>,
    /// Where clients connect to.
    port: u16,
}

impl Site {
    pub(crate) fn start(front: Front, place: &Place) -> Result<Self, String> {
        let port = free_port()?;
        let own = if front == Front::Parlor {
            vec![
                format!("--tls-listen=127.0.0.1:{port}"),
                format!("--tls-cert={}", certificate("site.pem")),
                format!("--tls-key={}", certificate("site.key")),
            ]
        } else {
            Vec::new()
        };
        let parlor = Server::Parlor.start_with(place, Heartbeat::Usual, 0, &own)?;
        let mut site = Self {
            front,
            port,
            parlor,
            proxy: None,
        };
        match front {
            Front::None => site.port = site.parlor.port,
            Front::Parlor => {}
            Front::Haproxy | Front::Nginx | Front::Caddy => {
                site.proxy = Some(site.start_proxy(place)?);
            }
        }
        site.wait()?;
        Ok(site)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    pub(crate) fn url(&self) -> String {
        let scheme = match self.front {
            Front::None => "ws",
            _ => "wss",
        };
        let port = self.port;
        format!("{scheme}://127.0.0.1:{port}/ws/{{room}}?nick={{nick}}")
    }

    /// First what clients connect to.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let proxy = self.proxy.iter().map(Child::id);
        proxy.chain([self.parlor.pid()]).collect()
    }

    fn start_proxy(&self, place: &Place) -> Result<Child, String> {
        let folder = place.scratch(&format!("{}-folder", self.front.name()));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let words = match self.front {
            Front::None | Front::Parlor => return Err(String::from("it needs no proxy")),
            Front::Haproxy => self.haproxy(place, &folder),
            Front::Nginx => self.nginx(place, &folder),
            Front::Caddy => self.caddy(place, &folder),
        }?;
        let log = place.scratch(&format!("{}.log", self.front.name()));
        let log = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut command = place.pinned(CORE_OF_SERVER, &words);
        for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(name, &folder);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(log).spawn();
        child.map_err(|error| format!("it cannot be started: {error}"))
    }

    fn wait(&mut self) -> Result<(), String> {
        let end = now() + START_MAX;
        while TcpStream::connect(self.address()).is_err() {
            let ended = self.proxy.as_mut().map(Child::try_wait);
            if let Some(Ok(Some(status))) = ended {
                return Err(format!("the proxy ended with {status}"));
            }
            if now() > end {
                return Err(String::from("nothing listens there"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// A file of docs/proxies with these parts replaced, each of which must be there.
    fn text(&self, place: &Place, name: &str, replaced: &[(&str, &str)]) -> Result<String, String> {
        let path = place.root.join("docs/proxies").join(name);
        let mut text =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let parlor = format!("127.0.0.1:{}", self.parlor.port);
        for (from, to) in replaced
            .iter()
            .chain(&[("127.0.0.1:8080", parlor.as_str())])
        {
            if !text.contains(from) {
                return Err(format!("{} has no {from:?}", path.display()));
            }
            text = text.replace(from, to);
        }
        Ok(text)
    }

    fn haproxy(&self, place: &Place, folder: &Path) -> Result<Vec<String>, String> {
        let both = folder.join("both.pem");
        let files = ["site.pem", "site.key"].map(|name| fs::read(certificate(name)));
        let [Ok(certificate), Ok(key)] = files else {
            return Err(String::from("tests/tls cannot be read"));
        };
        write(&both, &[certificate, key].concat())?;
        let bind = format!("bind 127.0.0.1:{} ssl crt {}", self.port, both.display());
        let from = "bind :443 ssl crt /etc/haproxy/chat.example.org.pem";
        let text = self.text(
            place,
            "haproxy.cfg",
            &[(from, &bind), (" send-proxy-v2", "")],
        )?;
        let file = folder.join("haproxy.cfg");
        // It has one core here.
        let global = "global\n    nbthread 1\n";
        write(&file, format!("{global}{text}").as_bytes())?;
        Ok(words(&["haproxy", "-db", "-f"], &file))
    }

    fn nginx(&self, place: &Place, folder: &Path) -> Result<Vec<String>, String> {
        let listen = format!("listen 127.0.0.1:{} ssl", self.port);
        let (certificate, key) = (certificate("site.pem"), certificate("site.key"));
        let replaced = [
            ("listen 443 ssl", &*listen),
            ("/etc/ssl/certs/chat.example.org.pem", &*certificate),
            ("/etc/ssl/private/chat.example.org.key", &*key),
        ];
        let site = self.text(place, "nginx.conf", &replaced)?;
        let at = folder.display();
        let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let kept = kept.map(|name| format!("{name}_temp_path {at}/{name};\n"));
        let main = format!(
            "daemon off;\nmaster_process off;\npid {at}/pid;\n\
             events {{ worker_connections 20000; }}\n\
             http {{\naccess_log off;\n{}{site}\n}}\n",
            kept.concat()
        );
        let file = folder.join("nginx.conf");
        write(&file, main.as_bytes())?;
        let folder = folder.display().to_string();
        Ok(words(
            &["nginx", "-e", "stderr", "-p", &folder, "-c"],
            &file,
        ))
    }

    fn caddy(&self, place: &Place, folder: &Path) -> Result<Vec<String>, String> {
        let site = format!(
            "\nhttps://127.0.0.1:{}, https://localhost:{} {{\n\ttls {} {}\n",
            self.port,
            self.port,
            certificate("site.pem"),
            certificate("site.key")
        );
        let text = self.text(place, "Caddyfile", &[("\nchat.example.org {\n", &site)])?;
        let file = folder.join("Caddyfile");
        // A client that connects to an address names no host.
        let global = "{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_sni localhost\n}\n";
        write(&file, format!("{global}{text}").as_bytes())?;
        Ok(words(
            &["caddy", "run", "--adapter", "caddyfile", "--config"],
            &file,
        ))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(proxy) = &mut self.proxy {
            // Fails if it has ended by itself.
            let _ = proxy.kill();
            let _ = proxy.wait();
        }
    }
}

fn words(command: &[&str], file: &Path) -> Vec<String> {
    let file = file.display().to_string();
    let words = command.iter().map(|word| (*word).to_owned());
    words.chain([file]).collect()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// A port for a program that cannot be asked which one it has chosen.
fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}
