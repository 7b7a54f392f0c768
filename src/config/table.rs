//! One row for each option of the server. The help text, the environment, the completions and the
//! manual page come from here as well; the defaults come from each module's settings.

use super::Config;
use crate::chat::RoomName;
use crate::logging::parse_filters;
use crate::net::parse_mode;
use crate::options::{
    Group, Table, count, count32, custom, help, hidden, list, outside_files, parse_count,
    reloadable, secret, switch, time, version,
};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Bounds that keep sums of lengths far away from an overflow.
const COUNT_MAX: usize = 10_000_000;
const COUNT32_MAX: u32 = 10_000_000;
const BYTES_MAX: usize = 64 << 20;
/// Times are kept in ticks, and a shorter one would be longer than it says.
const TICK_MILLIS: u32 = 100;
/// Where nothing has a meaning of its own.
const NONE_MILLIS: u32 = 0;
/// A deadline may come up to a tick early, so one of a single tick might come at once.
const DEADLINE_MILLIS: u32 = 2 * TICK_MILLIS;
/// Rates count in tenths of a message, in 32 bits.
const RATE_MAX: u32 = 10_000;
/// A hundred years.
const DAYS_MAX: u32 = 36_500;
const TAIL_BYTES_MAX: usize = 4 << 30;
/// What comes before the present must not keep a newcomer from it.
const HISTORY_LINES_MAX: u32 = 1000;

/// What the help shows for paths that follow from the environment.
const FILE_DEFAULT: &str = "/etc/parlor/parlor.toml, else $XDG_CONFIG_HOME/parlor/parlor.toml, else \
     ~/.config/parlor/parlor.toml";
pub(super) const STORE_DEFAULT: &str =
    "$STATE_DIRECTORY, else $XDG_STATE_HOME/parlor, else ~/.local/state/parlor";
pub(super) const ADMIN_SOCKET_DEFAULT: &str =
    "admin.sock in $RUNTIME_DIRECTORY, else in the directory of the history";

/// The options of the server.
pub static TABLE: Table<Config> = Table {
    program: "parlor",
    about: "a WebSocket chat server for one small VPS",
    usage: "parlor [OPTION]...
parlor load SCENARIO [OPTION]...   a load tester: see parlor load --help
parlor backup FILE [OPTION]...     copies the history; see parlor backup --help
parlor export ROOM [OPTION]...     writes a room's history as JSON lines
parlor audit [ROOM]                what was done to keep order, as JSON lines
parlor store check [FILE]          looks for damage in the history or a backup
parlor account WHAT [NAME]         list, add, password, role, delete or sessions of accounts
parlor ban|mute|kick|purge|...     keeps order on a running server: see parlor ban --help
parlor token --sub WHO [OPTION]... signs a token; see parlor token --help
parlor reload                      has a running server read its settings again
parlor admin WHAT                  connections, rooms, members and more of a running server
parlor drain [OPTION]...           sends members away, a few at a time, and ends the server
parlor config [OPTION]...          the settings, and where each comes from
parlor check [OPTION]...           looks for mistakes in the settings, without starting
parlor health [alive] [OPTION]...  exit code 0 if the server of these settings is ready
parlor completions SHELL           a script for bash, elvish, fish, powershell or zsh
parlor man [COMMAND]               the manual page, for man -l -",
    intro: "\
Without options it serves http://127.0.0.1:8080/ - open it in a browser and talk.
Durations are written 500ms, 25s or 2m; a plain number is seconds. They are rounded up to 100ms.
Every option can be set in the environment too: --ping-after as PARLOR_PING_AFTER, a list separated
by commas or spaces, an option without a value as on or off; and in a file, with its own name, in
TOML. An option wins over its variable, a variable over the file.
",
    outro: "\
Signals: SIGTERM and SIGINT close every connection with 1001 and exit, a second one exits at once;
SIGHUP reads file and environment again, as parlor reload does: what is not marked (restart) is
taken over; SIGUSR1 writes a line of counters to stderr.
",
    positional: None,
    environment: Some("PARLOR_"),
    defaults: Config::default,
    groups: &[
        Group {
            title: "Where to listen",
            rows: &[
                list(
                    "listen",
                    "ADDR",
                    "IP:PORT, [IPv6]:PORT or unix:PATH; may be given several times; port 0 takes a \
                     free one and prints it. [::] serves IPv6 alone: add 0.0.0.0 for IPv4",
                    |c| c.net.listen.clear(),
                    |c, value| {
                        c.net.listen.push(value.parse()?);
                        Ok(())
                    },
                    |c| words(&c.net.listen),
                ),
                list(
                    "tls-listen",
                    "ADDR",
                    "IP:PORT or [IPv6]:PORT where TLS is spoken, for https:// and wss://; may be \
                     given several times",
                    |c| c.tls.listen.clear(),
                    |c, value| {
                        if value != "none" {
                            c.tls.listen.push(parse_socket(value)?);
                        }
                        Ok(())
                    },
                    |c| words(&c.tls.listen),
                ),
                reloadable(list(
                    "tls-cert",
                    "FILE",
                    "the certificate in PEM, with the intermediate ones behind it (fullchain.pem); \
                     several are chosen from by the name that the client asks for (SNI), the first \
                     is for all others. Read again when it changes",
                    |c| c.tls.certs.clear(),
                    |c, value| add_path(&mut c.tls.certs, value),
                    |c| paths(&c.tls.certs),
                )),
                reloadable(list(
                    "tls-key",
                    "FILE",
                    "its private key in PEM, without a passphrase; one for each certificate, in the \
                     same order",
                    |c| c.tls.keys.clear(),
                    |c, value| add_path(&mut c.tls.keys, value),
                    |c| paths(&c.tls.keys),
                )),
                custom(
                    "unix-mode",
                    "MODE",
                    "permissions of a Unix socket, in octal; who may write may connect",
                    |c, value| {
                        c.net.unix_mode = parse_mode(value)?;
                        Ok(())
                    },
                    |c| format!("{:04o}", c.net.unix_mode),
                ),
                custom(
                    "unix-group",
                    "GROUP",
                    "group of a Unix socket, by name or number, like the group of the proxy",
                    |c, value| {
                        if value.is_empty() {
                            return Err(String::from("expected a name or a number"));
                        }
                        c.net.unix_group = Some(value.to_owned());
                        Ok(())
                    },
                    |_| String::from("the server's own"),
                ),
                count32(
                    "backlog",
                    (1, 65_535),
                    "connections that may wait to be accepted",
                    |c| &mut c.net.backlog,
                ),
                switch(
                    "reuse-port",
                    "other servers with the same --engine listen at the same ports: a server for each                      core of a machine",
                    |c| &mut c.net.reuse_port,
                ),
            ],
        },
        Group {
            title: "Who may connect",
            rows: &[
                reloadable(custom(
                    "max-connections",
                    "N",
                    "connections at the same time",
                    |c, value| {
                        c.max_connections = Some(parse_count(value, 1, COUNT_MAX)?);
                        Ok(())
                    },
                    |c| match c.max_connections {
                        Some(count) => count.to_string(),
                        None => String::from("what the descriptor limit allows"),
                    },
                )),
                reloadable(count32(
                    "max-connections-per-address",
                    (0, COUNT32_MAX),
                    "connections from one address; 0: no limit",
                    |c| &mut c.max_connections_per_address,
                )),
                reloadable(list(
                    "trusted-proxy",
                    "WHO",
                    "the proxies whose X-Forwarded-For is believed: ADDRESS, ADDRESS/BITS, unix or \
                     none; may be given several times. A connection from a trusted proxy counts \
                     for the address it names",
                    |c| c.http.trusted_proxies.clear(),
                    |c, value| {
                        if value != "none" {
                            c.http.trusted_proxies.push(value.parse()?);
                        }
                        Ok(())
                    },
                    |c| words(&c.http.trusted_proxies),
                )),
                reloadable(switch(
                    "proxy-protocol",
                    "every connection must come from a trusted proxy and begin with a header of the \
                     PROXY protocol, version 1 or 2, that names the client",
                    |c| &mut c.http.proxy_protocol,
                )),
                reloadable(list(
                    "allow-origin",
                    "ORIGIN",
                    "a web page's origin that may connect besides the server's own, like \
                     https://example.org; null and file:// are pages opened from a file, of any \
                     computer (null is a sandboxed frame of any site too); * for all; may be given \
                     several times",
                    |c| c.http.allow_origins.clear(),
                    |c, value| {
                        if value != "none" {
                            c.http.allow_origins.push(value.parse()?);
                        }
                        Ok(())
                    },
                    |_| String::from("none"),
                )),
                reloadable(list(
                    "frame-ancestor",
                    "ORIGIN",
                    "a site that may show the chat page in a frame, like https://example.org or \
                     https://*.example.org; * for all; may be given several times",
                    |c| c.page.frame_ancestors.clear(),
                    |c, value| {
                        if value != "none" {
                            c.page.frame_ancestors.push(value.parse()?);
                        }
                        Ok(())
                    },
                    |_| String::from("none"),
                )),
                reloadable(switch(
                    "require-origin",
                    "refuse clients that send no Origin (those that are no browsers)",
                    |c| &mut c.http.require_origin,
                )),
            ],
        },
        Group {
            title: "Deadlines",
            rows: &[
                reloadable(time(
                    "handshake-timeout",
                    DEADLINE_MILLIS,
                    "from accept to the end of the request's head",
                    |c| &mut c.conn.handshake_timeout,
                )),
                reloadable(time(
                    "ping-after",
                    TICK_MILLIS,
                    "silence after which a ping is sent",
                    |c| &mut c.conn.ping_after,
                )),
                reloadable(time(
                    "silent-timeout",
                    DEADLINE_MILLIS,
                    "silence after which a connection is closed",
                    |c| &mut c.conn.silent_timeout,
                )),
                reloadable(time(
                    "stall-timeout",
                    DEADLINE_MILLIS,
                    "how long a client may accept no bytes",
                    |c| &mut c.conn.stall_timeout,
                )),
                reloadable(time(
                    "message-timeout",
                    DEADLINE_MILLIS,
                    "from the first to the last byte of a message",
                    |c| &mut c.conn.message_timeout,
                )),
                reloadable(time(
                    "close-timeout",
                    DEADLINE_MILLIS,
                    "how long the server waits for the answer to its close frame",
                    |c| &mut c.conn.close_timeout,
                )),
                reloadable(time(
                    "grace-timeout",
                    DEADLINE_MILLIS,
                    "from the signal to stop to the exit",
                    |c| &mut c.grace_timeout,
                )),
                reloadable(time(
                    "drain-timeout",
                    DEADLINE_MILLIS,
                    "from parlor drain to the exit",
                    |c| &mut c.drain_timeout,
                )),
            ],
        },
        Group {
            title: "Limits of one connection",
            rows: &[
                reloadable(count(
                    "max-head-bytes",
                    (1024, 256 * 1024),
                    "the longest head of a request: its first line, fields and cookies",
                    |c| &mut c.http.max_head_bytes,
                )),
                reloadable(count(
                    "max-message-bytes",
                    (1, BYTES_MAX),
                    "the longest message a client may send",
                    |c| &mut c.ws.max_message_bytes,
                )),
                reloadable(count32(
                    "max-fragments",
                    (1, COUNT32_MAX),
                    "fragments one message may come in",
                    |c| &mut c.ws.max_fragments,
                )),
                reloadable(count(
                    "outbox-frames",
                    (1, 65_535),
                    "frames that may wait to be sent; a client for which more would wait gets them \
                     later, from the history",
                    |c| &mut c.conn.outbox.frames_max,
                )),
                reloadable(count(
                    "outbox-bytes",
                    (1, BYTES_MAX),
                    "bytes that may wait to be sent",
                    |c| &mut c.conn.outbox.bytes_max,
                )),
                count(
                    "send-buffer-bytes",
                    (2048, BYTES_MAX),
                    "what the kernel may hold as well",
                    |c| &mut c.net.send_buffer_bytes,
                ),
                reloadable(count32(
                    "message-rate",
                    (0, RATE_MAX),
                    "messages a second; 0: no limit",
                    |c| &mut c.chat.message_rate,
                )),
                reloadable(count32(
                    "message-burst",
                    (1, RATE_MAX),
                    "messages that may come at once before the rate counts",
                    |c| &mut c.chat.message_burst,
                )),
                reloadable(count32(
                    "joins-per-minute",
                    (0, RATE_MAX),
                    "rooms joined; 0: no limit. As many may come at once, here and below",
                    |c| &mut c.budget.joins_per_minute,
                )),
                reloadable(count32(
                    "nicks-per-minute",
                    (0, RATE_MAX),
                    "other nicks asked for; 0: no limit",
                    |c| &mut c.budget.nicks_per_minute,
                )),
                reloadable(count32(
                    "reads-per-minute",
                    (0, RATE_MAX),
                    "pages of history read; 0: no limit",
                    |c| &mut c.budget.reads_per_minute,
                )),
                reloadable(count32(
                    "searches-per-minute",
                    (0, RATE_MAX),
                    "searches; 0: no limit",
                    |c| &mut c.budget.searches_per_minute,
                )),
                reloadable(count32(
                    "directs-per-minute",
                    (0, RATE_MAX),
                    "direct messages, of which a third may come at once; 0: no limit",
                    |c| &mut c.budget.directs_per_minute,
                )),
                reloadable(count32(
                    "reports-per-minute",
                    (0, RATE_MAX),
                    "messages reported to moderators; 0: no limit",
                    |c| &mut c.budget.reports_per_minute,
                )),
                reloadable(count32(
                    "address-factor",
                    (0, RATE_MAX),
                    "all connections of one address (IPv6: of a /64) may together do as much of \
                     each, messages too, as so many; 0: no limit",
                    |c| &mut c.budget.address_factor,
                )),
            ],
        },
        Group {
            title: "Rooms",
            rows: &[
                reloadable(count(
                    "notice-members",
                    (0, COUNT_MAX),
                    "up to this many members, each join and leave is announced; above it they are \
                     summed up",
                    |c| &mut c.chat.notice_members,
                )),
                reloadable(time(
                    "notice-interval",
                    TICK_MILLIS,
                    "how often they are summed up",
                    |c| &mut c.chat.notice_interval,
                )),
                reloadable(time(
                    "edit-window",
                    NONE_MILLIS,
                    "for how long members may edit and delete what they said; 0: never",
                    |c| &mut c.chat.edit_window,
                )),
                reloadable(count(
                    "rooms-per-connection",
                    (1, 1000),
                    "rooms that one connection may be in",
                    |c| &mut c.chat.rooms_per_connection,
                )),
                reloadable(custom(
                    "rooms",
                    "WHO",
                    "open: any user makes a room by joining it; listed: only operators and moderators \
                     of the server do",
                    |c, value| {
                        c.chat.rooms = value.parse()?;
                        Ok(())
                    },
                    |c| c.chat.rooms.name().to_owned(),
                )),
                reloadable(list(
                    "listed-room",
                    "NAME",
                    "a room that is there without being made, and that belongs to the operators, \
                     as the lobby; may be given several times",
                    |c| c.chat.listed_rooms.clear(),
                    |c, value| {
                        if value != "none" {
                            let name = RoomName::parse(value).map_err(|why| why.to_string())?;
                            c.chat.listed_rooms.push(name);
                        }
                        Ok(())
                    },
                    |_| String::from("none"),
                )),
                reloadable(count32(
                    "max-rooms",
                    (1, COUNT32_MAX),
                    "rooms that may be in use at the same time, and rooms that may have an owner",
                    |c| &mut c.log.rooms_max,
                )),
                reloadable(count32(
                    "rooms-per-address-hour",
                    (0, RATE_MAX),
                    "rooms that all connections of one address may make in an hour; 0: no limit. As \
                     many may come at once",
                    |c| &mut c.budget.rooms_per_address_hour,
                )),
                reloadable(secret(custom(
                    "operator-token",
                    "TOKEN",
                    "makes /op TOKEN work, and then /kick; better set in the environment, because \
                     every user of the machine can read a command line",
                    |c, value| {
                        if value.is_empty() {
                            return Err(String::from("the operator token must not be empty"));
                        }
                        c.chat.operator_token = Some(value.to_owned());
                        Ok(())
                    },
                    |_| String::from("none"),
                ))),
                reloadable(custom(
                    "operators",
                    "FILE",
                    "the tokens of several operators, one a line: a NAME, which the audit log has, \
                     and a TOKEN",
                    |c, value| {
                        c.operators = Some(path(value)?);
                        Ok(())
                    },
                    |_| String::from("none"),
                )),
                reloadable(custom(
                    "word-filter",
                    "FILE",
                    "words that members do not say, one a line; * before or after one means longer \
                     words too",
                    |c, value| {
                        c.word_filter = Some(path(value)?);
                        Ok(())
                    },
                    |_| String::from("none"),
                )),
                reloadable(custom(
                    "word-filter-mode",
                    "HOW",
                    "replace: such a word is said as asterisks; refuse: the message is not said",
                    |c, value| {
                        c.chat.filtering = value.parse()?;
                        Ok(())
                    },
                    |c| c.chat.filtering.to_string(),
                )),
            ],
        },
        Group {
            title: "Accounts",
            rows: &[
                reloadable(custom(
                    "accounts",
                    "WHO",
                    "open: guests may register; closed: operators and tokens make accounts; \
                     required: as open, and guests may do nothing but register and log in",
                    |c, value| {
                        c.chat.accounts = value.parse()?;
                        Ok(())
                    },
                    |c| c.chat.accounts.name().to_owned(),
                )),
                reloadable(count(
                    "max-accounts",
                    (0, COUNT_MAX),
                    "accounts in all; each takes some 500 bytes of memory",
                    |c| &mut c.chat.accounts_max,
                )),
                reloadable(custom(
                    "token-key",
                    "FILE",
                    "accepts signed tokens (JSON Web Tokens): a secret of at least 32 bytes for \
                     HS256, or an Ed25519 key in PEM for EdDSA; see parlor token --help",
                    |c, value| {
                        c.token_key = Some(path(value)?);
                        Ok(())
                    },
                    |_| String::from("none"),
                )),
                reloadable(custom(
                    "token-audience",
                    "NAME",
                    "the audience (aud) that tokens must have; without it, tokens must have none",
                    |c, value| {
                        c.token_audience = (!value.is_empty()).then(|| value.to_owned());
                        Ok(())
                    },
                    |_| String::from("none"),
                )),
            ],
        },
        Group {
            title: "Several servers",
            rows: &[
                custom(
                    "engine",
                    "WHERE",
                    "what orders the rooms: local, this server alone; or a Redis or Valkey that several \
                     servers share, as redis://HOST[:PORT] or redis+unix:PATH",
                    |c, value| {
                        c.engine.place = value.parse()?;
                        Ok(())
                    },
                    |c| c.engine.place.to_string(),
                ),
                custom(
                    "engine-user",
                    "NAME",
                    "as which user of its access list this server comes to it",
                    |c, value| {
                        c.engine.user = Some(text(value)?);
                        Ok(())
                    },
                    |_| String::from("none"),
                ),
                secret(custom(
                    "engine-password",
                    "WORD",
                    "its password; better set in the environment, because every user of the machine \
                     can read a command line",
                    |c, value| {
                        c.engine.password = Some(text(value)?);
                        Ok(())
                    },
                    |_| String::from("none"),
                )),
                custom(
                    "engine-password-file",
                    "FILE",
                    "a file with the password instead",
                    |c, value| {
                        c.engine.password_file = Some(path(value)?);
                        Ok(())
                    },
                    |_| String::from("none"),
                ),
            ],
        },
        Group {
            title: "History",
            rows: &[
                custom(
                    "store",
                    "PATH",
                    "the directory of the rooms' history; memory: only the newest messages are \
                     kept, while the server runs",
                    |c, value| {
                        c.store_place = value.parse()?;
                        Ok(())
                    },
                    |_| String::from(STORE_DEFAULT),
                ),
                custom(
                    "store-sync",
                    "HOW",
                    "full: what was acknowledged survives a power cut; normal: only the end of the \
                     server, for less work of the disk",
                    |c, value| {
                        c.store.sync = value.parse()?;
                        Ok(())
                    },
                    |c| c.store.sync.to_string(),
                ),
                reloadable(custom(
                    "max-store-mib",
                    "N",
                    "MiB that the history may take on the disk: beyond it the oldest messages of \
                     the largest room are removed; 0: no limit",
                    |c, value| {
                        c.store.max_bytes = parse_mib(value)?;
                        Ok(())
                    },
                    |c| mib(c.store.max_bytes),
                )),
                reloadable(custom(
                    "low-disk-mib",
                    "N",
                    "MiB that are free on that disk below which the log has a warning; 0: never",
                    |c, value| {
                        c.store.low_disk_bytes = parse_mib(value)?;
                        Ok(())
                    },
                    |c| mib(c.store.low_disk_bytes),
                )),
                reloadable(count32(
                    "keep-days",
                    (0, DAYS_MAX),
                    "days for which messages are kept, unless a room has a time of its own; 0: for \
                     ever",
                    |c| &mut c.store.keep_days,
                )),
                reloadable(count32(
                    "keep-messages",
                    (0, u32::MAX),
                    "messages that are kept of each room; 0: all",
                    |c| &mut c.store.keep_messages,
                )),
                reloadable(count32(
                    "audit-days",
                    (0, DAYS_MAX),
                    "days for which the audit log has what was done to keep order; 0: for ever",
                    |c| &mut c.store.audit_days,
                )),
                count(
                    "tail-bytes",
                    (4096, TAIL_BYTES_MAX),
                    "memory for the newest messages of all rooms",
                    |c| &mut c.log.tail_bytes,
                ),
                reloadable(count32(
                    "catch-up-max",
                    (2, COUNT32_MAX),
                    "messages that a client which was slow or away gets by itself; beyond that it \
                     is informed of a gap",
                    |c| &mut c.log.catch_up_max,
                )),
                reloadable(count32(
                    "history-lines",
                    (0, HISTORY_LINES_MAX),
                    "earlier messages that a newcomer who speaks plain text gets, unless ?history=N \
                     asks for another number",
                    |c| &mut c.log.history_lines,
                )),
            ],
        },
        Group {
            title: "Other",
            rows: &[
                outside_files(custom(
                    "config",
                    "FILE",
                    "the configuration file; none: there is none",
                    |_, _| Ok(()),
                    |_| String::from(FILE_DEFAULT),
                )),
                custom(
                    "admin-socket",
                    "PATH",
                    "the Unix socket for parlor backup, export, audit and store check on a running \
                     server; none: there is none",
                    |c, value| {
                        c.admin_socket = value.parse()?;
                        Ok(())
                    },
                    |_| String::from(ADMIN_SOCKET_DEFAULT),
                ),
                custom(
                    "metrics-listen",
                    "ADDR",
                    "IP:PORT where a monitor reads /metrics, /healthz and /readyz, and nothing else: \
                     an address of this machine or of a private network, for no token is asked; \
                     none: nowhere",
                    |c, value| {
                        c.metrics_listen = match value {
                            "none" => None,
                            address => Some(parse_socket(address)?),
                        };
                        Ok(())
                    },
                    |_| String::from("none"),
                ),
                custom(
                    "metrics-token-file",
                    "FILE",
                    "a file with a token of at least 16 characters: who shows it, as Authorization: \
                     Bearer TOKEN, reads /metrics where clients connect",
                    |c, value| {
                        c.metrics_token_file = Some(path(value)?);
                        Ok(())
                    },
                    |_| String::from("none"),
                ),
                reloadable(custom(
                    "log",
                    "FILTER",
                    "error, warn, info, debug or off, also by target, as in \
                     warn,parlor::connection=debug",
                    |c, value| {
                        c.log_filters = parse_filters(value)?;
                        Ok(())
                    },
                    |c| c.log_filters.clone(),
                )),
                reloadable(custom(
                    "log-format",
                    "FORM",
                    "text: lines for people, and with priorities for the journal of systemd; json: \
                     an object a line",
                    |c, value| {
                        c.log_format = value.parse()?;
                        Ok(())
                    },
                    |c| c.log_format.to_string(),
                )),
                hidden(switch(
                    "echo",
                    "send every message back to its sender: for conformance suites",
                    |c| &mut c.echo,
                )),
                help(),
                version(),
            ],
        },
    ],
};

fn text(value: &str) -> Result<String, String> {
    if value.is_empty() {
        return Err(String::from("expected at least one character"));
    }
    Ok(value.to_owned())
}

pub(super) fn path(value: &str) -> Result<PathBuf, String> {
    if value.is_empty() {
        return Err(String::from("expected a path"));
    }
    Ok(PathBuf::from(value))
}

fn add_path(paths: &mut Vec<PathBuf>, value: &str) -> Result<(), String> {
    if value != "none" {
        paths.push(path(value)?);
    }
    Ok(())
}

fn paths(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    words(&shown)
}

fn parse_socket(value: &str) -> Result<SocketAddr, String> {
    let wrong = "expected an address like 127.0.0.1:9090 or [::1]:9090";
    value.parse().map_err(|_| String::from(wrong))
}

fn parse_mib(value: &str) -> Result<u64, String> {
    let mib = parse_count(value, 0, COUNT_MAX)?;
    Ok((mib as u64) << 20)
}

fn mib(bytes: u64) -> String {
    (bytes >> 20).to_string()
}

/// The elements of a list, or `none`.
fn words(elements: &[impl ToString]) -> String {
    let words: Vec<String> = elements.iter().map(ToString::to_string).collect();
    if words.is_empty() {
        String::from("none")
    } else {
        words.join(" ")
    }
}
