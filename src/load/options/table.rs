//! One row for each option of `parlor load`: its place in [`Options`], its values, and its help.

use super::parse::{most, pause, rate, share};
use super::server::SERVER;
use super::{CONNECTIONS_MAX, Options, RATE_MAX, SAID_MAX, SEND_RATE, SIZE_MAX, Scenario};
use crate::options::{
    Group, Positional, Table, count, count32, custom, help, hidden, parse_count, parse_duration,
    switch, time,
};
use std::path::PathBuf;

/// The options of the load tester.
pub(in crate::load) static TABLE: Table<Options> = Table {
    program: "parlor load",
    about: "a load tester for any WebSocket server that sends each message to all in its room",
    usage: "parlor load SCENARIO [OPTION]...",
    intro: "\
Scenarios
  idle    opens connections, holds them, answers pings
  chat    rooms in which some members send; every member must receive every message once
  churn   holds a number of connections of which some leave and others come all the time
  slow    chat in which a part of the members stops reading
  resume  all clients vanish, messages are said, and all return at once: each must receive exactly
          what it missed; parlor only
  history clients read a room page by page, from the newest to the oldest; parlor only

Durations are written 500ms, 25s or 2m; a plain number is seconds.
",
    outro: "\
Exit codes: 0 as expected, 1 not as expected or no connection was made, 2 a wrong option.
",
    positional: Some(Positional {
        name: "SCENARIO",
        values: &["idle", "chat", "churn", "slow", "resume", "history"],
        is_required: true,
    }),
    environment: None,
    defaults: || Options::new(Scenario::Chat),
    groups: &[
        SERVER,
        Group {
            title: "All scenarios",
            rows: &[
                count32(
                    "connect-rate",
                    (1, RATE_MAX),
                    "connections opened a second",
                    |o| &mut o.connect_rate,
                ),
                count32(
                    "sources",
                    (1, 250),
                    "connects from 127.0.0.1, 127.0.0.2 and so on in turns, for each has ports of \
                     its own; only to 127.0.0.0/8",
                    |o| &mut o.sources,
                ),
                count(
                    "processes",
                    (1, 1000),
                    "processes that share the work, for each has descriptors of its own; rooms \
                     are never split between them, so chat needs N rooms or more",
                    |o| &mut o.processes,
                ),
                time(
                    "duration",
                    1,
                    "how long it is measured; for idle: held",
                    |o| &mut o.duration,
                ),
                custom(
                    "warmup",
                    "TIME",
                    "how long before that, not counted; not for idle",
                    |o, value| {
                        o.warmup = pause(value)?;
                        Ok(())
                    },
                    |o| format!("{}s", o.warmup.as_secs()),
                ),
                custom(
                    "rest",
                    "TIME",
                    "how long no message is sent before the server's memory is read for the last \
                     time; not for idle",
                    |o, value| {
                        o.rest = pause(value)?;
                        Ok(())
                    },
                    |o| format!("{}s", o.rest.as_secs()),
                ),
            ],
        },
        Group {
            title: "idle, churn, resume and history",
            rows: &[
                count(
                    "connections",
                    (1, CONNECTIONS_MAX),
                    "at the same time; resume: that vanish and return",
                    |o| &mut o.connections,
                ),
                custom(
                    "slope-from",
                    "N",
                    "idle: the fewest connections at which memory is measured; bytes per \
                     connection are the slope from there on",
                    |o, value| {
                        o.slope_from = Some(parse_count(value, 0, CONNECTIONS_MAX)?);
                        Ok(())
                    },
                    |_| String::from("a tenth of --connections"),
                ),
                count32(
                    "churn-rate",
                    (1, RATE_MAX),
                    "churn: leaves and joins a second",
                    |o| &mut o.churn_rate,
                ),
            ],
        },
        Group {
            title: "chat and slow",
            rows: &[
                count(
                    "rooms",
                    (1, CONNECTIONS_MAX),
                    "rooms; the connections of other scenarios spread over them too",
                    |o| &mut o.rooms,
                ),
                count(
                    "members",
                    (1, CONNECTIONS_MAX),
                    "members of each room",
                    |o| &mut o.members,
                ),
                count(
                    "senders",
                    (1, CONNECTIONS_MAX),
                    "how many of them send",
                    |o| &mut o.senders,
                ),
                count(
                    "size",
                    (1, SIZE_MAX),
                    "bytes of a message, at least its marker",
                    |o| &mut o.size,
                ),
                custom(
                    "send-rate",
                    "N",
                    "messages a second from each sender, whatever the server does (open loop): the \
                     latency of a late message counts from the moment at which it was due",
                    |o, value| {
                        o.send_rate = Some(rate(value)?);
                        Ok(())
                    },
                    |o| o.send_rate.unwrap_or(SEND_RATE).to_string(),
                ),
                custom(
                    "window",
                    "N",
                    "instead: at most so many messages of a room under way, that is, not yet \
                     received by all members; senders take turns. The server's pace sets the \
                     sender's (closed loop), so the latency counts from sending and does not show \
                     how long a message would have waited",
                    |o, value| {
                        o.window = Some(parse_count(value, 1, 100_000)? as u32);
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "slow-members",
                    "N",
                    "slow: how many members of each room stop reading; no senders, and not counted \
                     in losses and latency",
                    |o, value| {
                        o.slow_members = Some(parse_count(value, 1, CONNECTIONS_MAX)?);
                        Ok(())
                    },
                    |_| String::from("a tenth of --members"),
                ),
            ],
        },
        Group {
            title: "resume and history",
            rows: &[
                count(
                    "missed",
                    (1, SAID_MAX),
                    "resume: messages said in each room while all are away; not more than the \
                     server's --catch-up-max",
                    |o| &mut o.missed,
                ),
                count32(
                    "return-rate",
                    (1, RATE_MAX),
                    "resume: connections opened a second when all return",
                    |o| &mut o.return_rate,
                ),
                switch(
                    "pause",
                    "resume: when all is said, print a line and wait for a line on standard input, \
                     so that the server can be restarted meanwhile; the line may state the new \
                     server's process, for --pid",
                    |o| &mut o.pause,
                ),
                count(
                    "fill",
                    (0, SAID_MAX),
                    "history: messages said in each room before it is read; 0: the room has its own",
                    |o| &mut o.fill,
                ),
                count(
                    "page",
                    (1, 100),
                    "history: entries asked for at once",
                    |o| &mut o.page,
                ),
            ],
        },
        Group {
            title: "Results",
            rows: &[
                custom(
                    "json",
                    "FILE",
                    "the figures as JSON; - is standard output",
                    |o, value| {
                        o.json = Some(PathBuf::from(value));
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "report",
                    "FILE",
                    "the figures as a page with plots",
                    |o, value| {
                        o.report = Some(PathBuf::from(value));
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "expect-loss",
                    "N",
                    "exit with 1 if more messages were lost, or came twice or late, or if with json more \
                     were not acknowledged or not numbered in order",
                    |o, value| {
                        o.expect.loss = Some(most(value)?);
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "expect-p99",
                    "TIME",
                    "... if the latency of one in a hundred messages, returns or pages, or in idle \
                     and churn connects, was longer; a message that never arrives is longer than any",
                    |o, value| {
                        o.expect.p99 = Some(parse_duration(value)?);
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "expect-failures",
                    "N",
                    "... if more connections could not be opened",
                    |o, value| {
                        o.expect.failures = Some(most(value)?);
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "expect-disconnects",
                    "N",
                    "... if the server ended more",
                    |o, value| {
                        o.expect.disconnects = Some(most(value)?);
                        Ok(())
                    },
                    none,
                ),
                custom(
                    "expect-bytes-per-connection",
                    "N",
                    "... if one took more of the server's memory; idle with --pid",
                    |o, value| {
                        o.expect.bytes_per_connection = Some(most(value)?);
                        Ok(())
                    },
                    none,
                ),
                hidden(custom(
                    "share",
                    "I/N",
                    "the part of the work of a process that the tester starts",
                    |o, value| {
                        o.share = Some(share(value)?);
                        Ok(())
                    },
                    none,
                )),
                help(),
            ],
        },
    ],
};

pub(super) fn none(_: &Options) -> String {
    String::from("none")
}
