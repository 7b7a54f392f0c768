//! The configurations of docs/proxies in the proxies themselves: Caddy, nginx and HAProxy, each with
//! TLS in front of the real binary. Addresses, ports and paths are replaced, and nothing else.
//!
//! Everything listens on addresses of 127.0.0.0/8 that belong to one test, so that no port has to be
//! free. A client speaks TLS by `openssl s_client`, which a bridge connects to an ordinary [`Client`].

use super::program::Program;
use super::support::{Client, Server, command, contains, eventually, finish, upgrade_request};
use super::unix::Folder;
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

/// The name that the certificate is for.
const SITE: &str = "parlor.example:8443";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Caddy,
    Nginx,
    /// With the PROXY protocol.
    Haproxy,
    /// With X-Forwarded-For.
    HaproxyForwarding,
}

/// A proxy with a server behind it.
struct Site {
    kind: Kind,
    folder: Folder,
    /// The first three parts of its addresses.
    network: [u8; 3],
    proxy: Option<Child>,
}

impl Site {
    fn new(kind: Kind) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let site = Self {
            kind,
            folder: Folder::new(&format!("proxies-{number}")),
            network: [127, 64 + (process % 128) as u8, number],
            proxy: None,
        };
        site.makes_certificate();
        site
    }

    fn address(&self, host: u8, port: u16) -> SocketAddr {
        let [a, b, c] = self.network;
        SocketAddr::from((Ipv4Addr::new(a, b, c, host), port))
    }

    fn path(&self, name: &str) -> String {
        self.folder.path(name).display().to_string()
    }

    fn makes_certificate(&self) {
        let (key, certificate) = (self.path("key.pem"), self.path("cert.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]);
        openssl.args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj"]);
        openssl.args(["/CN=parlor.example", "-addext"]);
        openssl.args(["subjectAltName=DNS:parlor.example", "-keyout", &key]);
        let made = openssl.args(["-out", &certificate]).output();
        assert!(made.expect("openssl is installed").status.success());
        let both = [certificate, key].map(|path| fs::read(path).expect("a file"));
        fs::write(self.path("both.pem"), both.concat()).expect("a file");
    }

    /// The server, at the same address each time.
    fn server(&self, options: &[&str]) -> Server {
        let mut parlor = command();
        parlor.args(["--listen", &self.address(1, 8080).to_string()]);
        // All else in 127.0.0.0/8 are clients.
        parlor.args(["--trusted-proxy", "127.0.0.1"]);
        if self.kind == Kind::Haproxy {
            parlor.arg("--proxy-protocol");
        }
        Server::spawn(parlor.args(options), 1)
    }

    /// Starts the proxy, whose server need not be there.
    fn starts(&mut self) {
        let mut command = match self.kind {
            Kind::Caddy => self.caddy(),
            Kind::Nginx => self.nginx(),
            Kind::Haproxy | Kind::HaproxyForwarding => self.haproxy(),
        };
        let log = fs::File::create(self.path("log")).expect("a file");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let proxy = command.stderr(log).spawn();
        self.proxy = Some(proxy.unwrap_or_else(|error| panic!("{:?}: {error}", self.kind)));
        let address = self.address(2, 8443);
        eventually("the proxy listens", || TcpStream::connect(address).is_ok());
    }

    /// A file of docs/proxies with these parts replaced, each of which must be there.
    fn configuration(&self, name: &str, replaced: &[(&str, &str)]) -> String {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/proxies");
        let mut text = fs::read_to_string(source.join(name)).expect("a configuration");
        let server = self.address(1, 8080).to_string();
        for (from, to) in replaced
            .iter()
            .chain(&[("127.0.0.1:8080", server.as_str())])
        {
            contains(&*text, from);
            text = text.replace(from, to);
        }
        text
    }

    fn caddy(&self) -> Command {
        let bind = format!(
            "\nhttps://{SITE} {{\n\tbind {}\n\ttls {} {}\n",
            self.address(2, 8443).ip(),
            self.path("cert.pem"),
            self.path("key.pem")
        );
        let text = self.configuration("Caddyfile", &[("\nchat.example.org {\n", &bind)]);
        let global = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n";
        let file = self.path("Caddyfile");
        fs::write(&file, format!("{global}{text}")).expect("a file");
        let mut caddy = Command::new("caddy");
        caddy.args(["run", "--adapter", "caddyfile", "--config", &file]);
        for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            caddy.env(name, &self.folder.0);
        }
        caddy
    }

    fn nginx(&self) -> Command {
        let listen = format!("listen {} ssl", self.address(2, 8443));
        let replaced = [
            ("listen 443 ssl", &*listen),
            (
                "/etc/ssl/certs/chat.example.org.pem",
                &self.path("cert.pem"),
            ),
            (
                "/etc/ssl/private/chat.example.org.key",
                &self.path("key.pem"),
            ),
        ];
        let site = self.configuration("nginx.conf", &replaced);
        let folder = self.folder.0.display();
        let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let kept = kept.map(|name| format!("{name}_temp_path {folder}/{name};\n"));
        let main = format!(
            "daemon off;\nmaster_process off;\npid {folder}/pid;\nevents {{ }}\n\
             http {{\naccess_log off;\n{}{site}\n}}\n",
            kept.concat()
        );
        let file = self.path("nginx.conf");
        fs::write(&file, main).expect("a file");
        let mut nginx = Command::new("nginx");
        nginx.args(["-e", "stderr", "-p"]).arg(&self.folder.0);
        nginx.args(["-c", &file]);
        nginx
    }

    fn haproxy(&self) -> Command {
        let bind = format!(
            "bind {} ssl crt {}",
            self.address(2, 8443),
            self.path("both.pem")
        );
        let forwarding: &[_] = match self.kind {
            Kind::HaproxyForwarding => &[("#option forwardfor", "option forwardfor")],
            _ => &[],
        };
        let bind = [(
            "bind :443 ssl crt /etc/haproxy/chat.example.org.pem",
            &*bind,
        )];
        let mut text = self.configuration("haproxy.cfg", &[&bind, forwarding].concat());
        if self.kind == Kind::HaproxyForwarding {
            contains(&*text, " send-proxy-v2");
            text = text.replace(" send-proxy-v2\n", "\n");
        }
        let file = self.path("haproxy.cfg");
        fs::write(&file, text).expect("a file");
        let mut haproxy = Command::new("haproxy");
        haproxy.args(["-db", "-f", &file]);
        haproxy
    }

    /// A client with this address, through the proxy.
    fn client(&self, host: u8) -> Client {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-quiet", "-verify_return_error"]);
        openssl.args(["-servername", "parlor.example", "-CAfile"]);
        openssl.args([self.path("cert.pem"), "-connect".into()]);
        openssl.args([self.address(2, 8443).to_string(), "-bind".into()]);
        openssl.arg(self.address(host, 0).to_string());
        bridge(&mut openssl)
    }

    fn request(fields: &str, path: &str) -> Vec<u8> {
        let host = format!("{fields}Host: {SITE}\r\n");
        let request = upgrade_request(path).replace("Host: parlor.example\r\n", &host);
        request.into_bytes()
    }

    fn upgrade(&self, host: u8, fields: &str) -> (u16, Client) {
        let mut client = self.client(host);
        client.send(&Self::request(fields, "/ws"));
        (client.response().status, client)
    }

    fn join(&self, host: u8, nick: &str) -> Client {
        let mut client = self.client(host);
        client.send(&Self::request("", &format!("/ws?nick={nick}")));
        assert_eq!(client.response().status, 101);
        contains(client.line(), "* welcome to lobby, ");
        client
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(proxy) = &mut self.proxy {
            // It may have ended.
            let _ = proxy.kill();
            let _ = proxy.wait();
        }
        if thread::panicking() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            eprintln!("{:?}: {log}", self.kind);
        }
    }
}

/// A client whose bytes go through the standard input and output of a process.
fn bridge(command: &mut Command) -> Client {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let client = Client::connect(listener.local_addr().expect("an address"));
    let (stream, _) = listener.accept().expect("the client");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = piped.stderr(Stdio::null()).spawn().expect("openssl");
    let mut input = process.stdin.take().expect("a pipe");
    let mut output = process.stdout.take().expect("a pipe");
    let (mut from, mut to) = (stream.try_clone().expect("a copy"), stream);
    thread::spawn(move || {
        copy(&mut output, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        copy(&mut from, &mut input);
        let _ = process.kill();
        let _ = process.wait();
    });
    client
}

/// Until either side ends.
fn copy(from: &mut impl Read, to: &mut impl Write) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to
            .write_all(&bytes[..count])
            .and_then(|()| to.flush())
            .is_err()
        {
            return;
        }
    }
}

fn page_is_served(kind: Kind) {
    let mut site = Site::new(kind);
    let _server = site.server(&[]);
    site.starts();
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--fail",
        "--compressed",
        "--cacert",
        &site.path("cert.pem"),
    ]);
    let resolve = format!("{SITE}:{}", site.address(2, 0).ip());
    curl.args(["--resolve", &resolve, &format!("https://{SITE}/")]);
    let (status, page, _) = finish(&mut curl);
    assert!(status.success(), "{status}");
    contains(page, "<title>");
}

fn chat_goes_both_ways(kind: Kind) {
    let mut site = Site::new(kind);
    let _server = site.server(&[]);
    site.starts();
    let mut ann = site.join(10, "ann");
    let mut bob = site.join(11, "bob");
    ann.hears("* bob joined");
    ann.says("hello");
    bob.hears("ann: hello");
    ann.hears("ann: hello");
    bob.says(&"long ".repeat(800));
    contains(ann.line(), "long long");
    bob.leaves();
    ann.hears("* bob left");
}

fn client_counts_by_its_own_address(kind: Kind) {
    let mut site = Site::new(kind);
    let server = site.server(&["--max-connections-per-address", "1"]);
    site.starts();
    let (status, _first) = site.upgrade(10, "");
    assert_eq!(status, 101);
    let forged = "X-Forwarded-For: 203.0.113.7\r\n";
    assert_eq!(site.upgrade(10, "").0, 503);
    assert_eq!(site.upgrade(10, forged).0, 503);
    let (status, _other) = site.upgrade(11, forged);
    assert_eq!(status, 101);
    assert_eq!(server.counter("addresses"), 2);
}

fn page_of_another_site_is_refused(kind: Kind) {
    let mut site = Site::new(kind);
    let _server = site.server(&[]);
    site.starts();
    let (status, mut own) = site.upgrade(10, &format!("Origin: https://{SITE}\r\n"));
    assert_eq!(status, 101);
    contains(own.line(), "* welcome to lobby, ");
    let (status, mut foreign) = site.upgrade(10, "Origin: https://other.example\r\n");
    assert_eq!(status, 101, "a page sees no status");
    foreign.is_closed_with(4403);
}

/// While the server is away, a client may get an answer of the proxy's.
fn comes_back(site: &Site) -> Program {
    let mut program = None;
    eventually("the client is back", || {
        let mut client = site.client(10);
        let fields = "Sec-WebSocket-Protocol: parlor.v1.json\r\n";
        client.try_send(&Site::request(fields, "/ws?nick=ann"));
        let response = client.try_response();
        if response.is_some_and(|response| response.status == 101) {
            program = Some(Program::greeted(client));
        }
        program.is_some()
    });
    program.expect("it is back")
}

fn client_resumes_after_a_restart(kind: Kind) {
    let mut site = Site::new(kind);
    let store = site.path("store");
    let options = ["--store", &*store];
    let mut server = site.server(&options);
    site.starts();
    let mut ann = comes_back(&site);
    let session = ann.hello["session"].clone();
    let joined = ann.asks(json!({"type": "join", "room": "den"}));
    let epoch = joined["epoch"].clone();
    let said = ann.asks(json!({"type": "send", "room": "den", "text": "before"}));
    assert_eq!(said["type"], "ok", "{said}");
    server.signal("TERM");
    ann.is_closed_with(1012);
    assert!(server.exit_status().success());
    drop(server);
    let _server = site.server(&options);
    let mut ann = comes_back(&site);
    let resumed = ann.asks(json!({"type": "resume", "session": session}));
    assert_eq!(resumed["type"], "ok", "{resumed}");
    let since = json!({"epoch": epoch, "seq": 0});
    let joined = ann.asks(json!({"type": "join", "room": "den", "since": since}));
    assert_eq!(joined["recovered"], true, "{joined}");
    while ann.next()["text"] != "before" {}
}

macro_rules! behind {
    ($name:ident, $kind:expr) => {
        mod $name {
            use super::Kind;

            #[test]
            #[ignore = "needs the proxy and openssl; tests/run runs it"]
            fn page_is_served() {
                super::page_is_served($kind);
            }

            #[test]
            #[ignore = "needs the proxy and openssl; tests/run runs it"]
            fn chat_goes_both_ways() {
                super::chat_goes_both_ways($kind);
            }

            #[test]
            #[ignore = "needs the proxy and openssl; tests/run runs it"]
            fn client_counts_by_its_own_address() {
                super::client_counts_by_its_own_address($kind);
            }

            #[test]
            #[ignore = "needs the proxy and openssl; tests/run runs it"]
            fn page_of_another_site_is_refused() {
                super::page_of_another_site_is_refused($kind);
            }

            #[test]
            #[ignore = "needs the proxy and openssl; tests/run runs it"]
            fn client_resumes_after_a_restart() {
                super::client_resumes_after_a_restart($kind);
            }
        }
    };
}

behind!(caddy, Kind::Caddy);
behind!(nginx, Kind::Nginx);
behind!(haproxy, Kind::Haproxy);
behind!(haproxy_forwarding, Kind::HaproxyForwarding);
