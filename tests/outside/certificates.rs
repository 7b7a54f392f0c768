//! The commands of docs/certificates.md, with certbot, lego and Caddy against pebble, an ACME server
//! for tests, and a resolver that knows every name as one address. Paths and ports are replaced, and
//! what says that a certificate is not due for renewal yet, and nothing else.
//!
//! Everything listens on an address of 127.0.0.0/8 that belongs to one test, so that no port has to be
//! free.

use super::docs::blocks;
use super::hostile;
use super::support::{Server, command, contains, eventually, finish};
use super::unix::Folder;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

/// The name on the page.
const SITE: &str = "chat.example.org";

/// The programs of a page, and an authority that gives them certificates.
struct Authority {
    home: Folder,
    /// Where everything listens.
    address: String,
    programs: Vec<Child>,
}

impl Authority {
    fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = 64 + std::process::id() % 128;
        let mut authority = Self {
            home: Folder::new(&format!("certificates-{number}")),
            address: format!("127.{process}.255.{number}"),
            programs: Vec::new(),
        };
        authority.makes_own_certificate();
        authority.starts();
        authority.makes_programs();
        authority
    }

    fn path(&self, name: &str) -> String {
        self.home.path(name).display().to_string()
    }

    fn url(&self) -> String {
        format!("https://{}:14000/dir", self.address)
    }

    /// Of pebble itself, which the programs have to trust.
    fn makes_own_certificate(&self) {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]);
        openssl.args([
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-subj",
            "/CN=pebble",
        ]);
        openssl
            .arg("-addext")
            .arg(format!("subjectAltName=IP:{}", self.address));
        openssl.args([
            "-keyout",
            &self.path("acme.key"),
            "-out",
            &self.path("acme.pem"),
        ]);
        succeeds(&mut openssl);
    }

    fn starts(&mut self) {
        let at = &self.address;
        let settings = serde_json::json!({ "pebble": {
            "listenAddress": format!("{at}:14000"),
            "managementListenAddress": format!("{at}:15000"),
            "certificate": self.path("acme.pem"),
            "privateKey": self.path("acme.key"),
            "httpPort": 5002,
            "tlsPort": 5001,
        }});
        fs::write(self.path("pebble.json"), settings.to_string()).expect("a file");
        let mut names = Command::new("pebble-challtestsrv");
        names.args(["-defaultIPv4", at, "-defaultIPv6", ""]);
        names.args(["-dns01", &format!("{at}:8053")]);
        names.args(["-management", &format!("{at}:8055")]);
        names.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        let mut pebble = Command::new("pebble");
        pebble.args(["-config", &self.path("pebble.json")]);
        pebble.args(["-dnsserver", &format!("{at}:8053")]);
        // It waits and refuses at random otherwise, to find clients that cannot bear it.
        pebble.envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "0")]);
        let listening = [("names", &mut names, 8053), ("pebble", &mut pebble, 14000)];
        let listening = listening.map(|(name, command, port)| {
            let log = fs::File::create(self.path(&format!("{name}.log"))).expect("a file");
            let errors = log.try_clone().expect("a file");
            command.stdin(Stdio::null()).stdout(log).stderr(errors);
            let started = command.spawn();
            self.programs.push(started.expect("pebble is installed"));
            format!("{}:{port}", self.address)
        });
        for address in listening {
            eventually("pebble listens", || TcpStream::connect(&address).is_ok());
        }
    }

    /// certbot and lego with the options that the page has no need of.
    fn makes_programs(&self) {
        let (url, at, home) = (self.url(), &self.address, self.home.0.display());
        let certbot = format!(
            "case $1 in renew) set -- \"$@\" --force-renewal --no-random-sleep-on-renew;; esac\n\
             exec /usr/bin/certbot \"$@\" --non-interactive --server {url} --http-01-port 5002 \
             --http-01-address {at} --config-dir {home}/certbot --work-dir {home}/certbot/work \
             --logs-dir {home}/certbot/logs\n"
        );
        let lego = format!(
            "case $* in *\" renew \"*) set -- \"$@\" --days 9999 --no-random-sleep;; esac\n\
             exec /usr/bin/lego --server {url} --http.port {at}:5002 \"$@\"\n"
        );
        fs::create_dir_all(self.path("bin")).expect("a folder");
        for (name, script) in [("certbot", certbot), ("lego", lego)] {
            let path = self.path(&format!("bin/{name}"));
            fs::write(&path, format!("#!/bin/sh\n{script}")).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
        }
    }

    /// Runs the first command of the page with this in it.
    fn runs(&self, part: &str) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let page = fs::read_to_string(root.join("docs/certificates.md")).expect("the page");
        let mut lines = blocks(&page).into_iter().flatten();
        let line = lines.find(|line| line.contains(part));
        let line = line.unwrap_or_else(|| panic!("no command with {part}"));
        let home = self.home.0.display();
        let line = line
            .replace("/etc/", &format!("{home}/"))
            .replace("/var/lib/", &format!("{home}/"));
        let mut shell = Command::new("sh");
        shell.args(["-ec", &line]).current_dir(root);
        shell.env("PATH", format!("{home}/bin:/usr/local/bin:/usr/bin:/bin"));
        // Of requests, of Go's programs.
        shell.env("REQUESTS_CA_BUNDLE", self.path("acme.pem"));
        shell.env("LEGO_CA_CERTIFICATES", self.path("acme.pem"));
        succeeds(&mut shell);
    }

    /// The script of the page, which puts the files into a folder of the test instead.
    fn installs_the_script(&self) {
        fs::create_dir_all(self.path("parlor")).expect("a folder");
        self.runs("install ");
        let script = self.path("parlor/deploy");
        let text = fs::read_to_string(&script).expect("the script");
        let user = finish(Command::new("id").arg("-un")).1;
        let mut replaced = text.clone();
        for (from, to) in [
            (
                "to=/etc/parlor/tls",
                format!("to={}", self.path("parlor/tls")),
            ),
            ("owner=parlor", format!("owner={}", user.trim())),
        ] {
            contains(&text, from);
            replaced = replaced.replace(from, &to);
        }
        fs::write(&script, replaced).expect("the script");
    }

    /// The serial number of the certificate that is where parlor reads it, with its key.
    #[track_caller]
    fn deployed(&self) -> String {
        let (certificate, key) = (
            self.path("parlor/tls/site.pem"),
            self.path("parlor/tls/site.key"),
        );
        let mode = fs::metadata(&key).expect("a key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let of = |arguments: &[&str]| succeeds(Command::new("openssl").args(arguments));
        assert_eq!(
            of(&["x509", "-in", &certificate, "-noout", "-pubkey"]),
            of(&["pkey", "-in", &key, "-pubout"])
        );
        of(&["x509", "-in", &certificate, "-noout", "-serial"])
    }

    /// A server with the deployed certificate.
    fn server(&self) -> Server {
        let mut parlor = command();
        parlor.args(["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"]);
        parlor.args(["--tls-cert", &self.path("parlor/tls/site.pem")]);
        parlor.args(["--tls-key", &self.path("parlor/tls/site.key")]);
        Server::spawn(&mut parlor, 2)
    }

    /// The serial number of the certificate that a client gets, who trusts the authority's root alone
    /// and wants the name on the page.
    fn served(&self, server: &Server) -> String {
        let root = self.path("root.pem");
        let url = format!("https://{}:15000/roots/0", self.address);
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--cacert", &self.path("acme.pem"), "-o", &root, &url]);
        succeeds(&mut curl);
        let address = format!("127.0.0.1:{}", hostile::port(server));
        let mut client = Command::new("openssl");
        client.args(["s_client", "-connect", &address, "-servername", SITE]);
        client.args([
            "-verify_hostname",
            SITE,
            "-verify_return_error",
            "-CAfile",
            &root,
        ]);
        let sent = self.path("sent.pem");
        fs::write(&sent, succeeds(&mut client)).expect("a file");
        succeeds(Command::new("openssl").args(["x509", "-in", &sent, "-noout", "-serial"]))
    }

    /// Runs a command that renews the certificate that a server has: the server takes it over.
    fn renews(&self, command: &str) {
        let first = self.deployed();
        let server = self.server();
        assert_eq!(self.served(&server), first);
        self.runs(command);
        let second = self.deployed();
        assert_ne!(second, first);
        eventually("the server has the new certificate", || {
            self.served(&server) == second
        });
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        for program in &mut self.programs {
            // Fails if it has ended by itself.
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

/// What a command prints that must succeed.
#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let (status, output, errors) = finish(command);
    assert!(status.success(), "{command:?}\n{output}{errors}");
    output
}

#[test]
#[ignore = "needs certbot and pebble; tests/run runs it"]
fn certificates_of_certbot_are_deployed_and_renewed() {
    let authority = Authority::new();
    authority.installs_the_script();
    authority.runs("certbot certonly");
    authority.renews("certbot renew");
}

#[test]
#[ignore = "needs lego and pebble; tests/run runs it"]
fn certificates_of_lego_are_deployed_and_renewed() {
    let authority = Authority::new();
    authority.installs_the_script();
    authority.runs("--run-hook");
    authority.renews("--renew-hook");
}

#[test]
#[ignore = "needs Caddy and pebble; tests/run runs it"]
fn certificates_of_caddy_are_deployed() {
    let mut authority = Authority::new();
    authority.installs_the_script();
    let text = format!(
        "{{\n\tadmin off\n\thttp_port 5002\n\thttps_port 5001\n\tdefault_bind {}\n\tacme_ca {}\n\
         \tacme_ca_root {}\n}}\n{SITE} {{\n\trespond \"chat\" 200\n}}\n",
        authority.address,
        authority.url(),
        authority.path("acme.pem"),
    );
    let file = authority.path("Caddyfile");
    fs::write(&file, text).expect("a file");
    let log = fs::File::create(authority.path("caddy.log")).expect("a file");
    let mut caddy = Command::new("caddy");
    caddy.args(["run", "--adapter", "caddyfile", "--config", &file]);
    caddy
        .env("HOME", authority.path("caddy"))
        .env_remove("XDG_DATA_HOME");
    caddy.env_remove("XDG_CONFIG_HOME").stdin(Stdio::null());
    let started = caddy.stdout(Stdio::null()).stderr(log).spawn();
    authority
        .programs
        .push(started.expect("caddy is installed"));
    let folder = authority.path("caddy/.local/share/caddy/certificates");
    let has_certificate = || {
        let issuers = fs::read_dir(&folder).into_iter().flatten().flatten();
        let name = format!("{SITE}/{SITE}");
        let mut files = issuers.map(|issuer| issuer.path().join(&name));
        files.any(|file| {
            file.with_extension("org.crt").exists() && file.with_extension("org.key").exists()
        })
    };
    eventually("Caddy has a certificate", has_certificate);
    authority.runs("/var/lib/caddy");
    let serial = authority.deployed();
    assert_eq!(authority.served(&authority.server()), serial);
}
