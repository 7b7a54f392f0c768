//! What is measured: the settings of each figure, the load of each setting, what is read from the
//! tester's answer, and the goals for parlor. Knows no process and no table.

use super::programs;
use super::servers::{Heartbeat, Server};
use serde_json::Value;

/// How fast messages are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Closed loop: so many messages of a room are in flight.
    Window(u32),
    /// Open loop: so many messages a second from each sender.
    Each(u32),
    /// Open loop: this share of the deliveries per second that a floor made in the same round.
    Share { of: Server, share: f64 },
}

/// A span of the time for which connections are held, in which the server's CPU time is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Watch {
    /// From the last connection, so that no server is still busy with the connects.
    pub(crate) after_seconds: f64,
    pub(crate) seconds: f64,
}

/// What the tester does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Load {
    Idle {
        rooms: u32,
        connections: u32,
        slope_from: u32,
        connect_rate: u32,
        seconds: f64,
        watch: Option<Watch>,
    },
    Chat {
        rooms: u32,
        members: u32,
        senders: u32,
        bytes: u32,
        pace: Pace,
        seconds: f64,
        /// Members that stop reading.
        slow_members: Option<u32>,
        /// Silence after the messages, before memory is read.
        rest_seconds: f64,
    },
    /// All clients vanish, miss messages and return at once.
    Resume {
        connections: u32,
        missed: u32,
        /// The server is killed and started again before they return.
        is_restarted: bool,
    },
    /// Clients read a room page by page.
    History {
        connections: u32,
        fill: u32,
        seconds: f64,
    },
    /// A load by clients of `parlor.v1.json`.
    Programs {
        load: Box<Self>,
        /// The server keeps its history in a directory, not in memory.
        is_stored: bool,
    },
}

/// One row of a figure's tables.
pub(crate) struct Setting {
    pub(crate) figure: &'static str,
    pub(crate) name: String,
    /// The floor that the servers are compared with.
    pub(crate) floor: Server,
    pub(crate) load: Load,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) measures: &'static [Measure],
    pub(crate) quick: bool,
    /// Memory is a slope: a fifth of the rooms is measured as well, and the same connections
    /// without any message.
    pub(crate) with_slope: bool,
    /// Only parlor, the floors and uWebSockets: the others differ too much to be worth the time.
    pub(crate) close_only: bool,
}

/// One run of the tester.
pub(crate) struct Sample {
    /// The tester's answer.
    pub(crate) result: Value,
    /// If the setting needs the slope: the answers for a fifth of the rooms, and for the same
    /// connections without any message. Null otherwise.
    pub(crate) fifth: Value,
    pub(crate) silent: Value,
}

impl Sample {
    pub(crate) const fn without_slope(result: Value) -> Self {
        Self {
            result,
            fifth: Value::Null,
            silent: Value::Null,
        }
    }

    /// The memory that the server holds for each connection at the end.
    fn per_connection(&self) -> Option<f64> {
        let read = |path| number(&self.result, path);
        let bytes = read("/server/user_bytes_end")? - read("/server/user_bytes_start")?;
        Some(bytes / read("/connected").filter(|count| *count > 0.0)?)
    }

    /// Bytes per connection after the messages, by slope: what a server needs once cancels out.
    fn slope_after(&self) -> Option<f64> {
        let bytes = |result: &Value| number(result, "/server/user_bytes_end");
        let connected = |result: &Value| number(result, "/connected");
        let connections = connected(&self.result)? - connected(&self.fifth)?;
        let more = bytes(&self.result)? - bytes(&self.fifth)?;
        (connections > 0.0).then(|| more / connections)
    }

    fn slope_before(&self) -> Option<f64> {
        number(&self.silent, "/server/user_bytes_per_connection")
    }

    /// What makes the figures of this run less reliable than they look.
    pub(crate) fn blemishes(&self) -> Vec<String> {
        [
            ("/failed", "connections failed"),
            ("/disconnects", "were disconnected"),
            ("/lost", "deliveries lost"),
            ("/doubled", "doubled"),
            ("/reordered", "out of order"),
        ]
        .into_iter()
        .filter_map(|(path, what)| {
            let count = number(&self.result, path).filter(|count| *count > 0.0)?;
            Some(format!("{count} {what}"))
        })
        .chain(self.silent_members())
        .collect()
    }

    /// The figure is memory after every member has sent a message, and some have sent none.
    fn silent_members(&self) -> Option<String> {
        let connected = number(&self.silent, "/connected")?;
        let sent = number(&self.result, "/sent")?;
        (sent < connected).then(|| format!("only {sent} of {connected} members sent a message"))
    }

    /// The tester's warnings that it, not the server, is the limit. They concern latencies: what a
    /// server costs is its own, and how much it delivers is bounded by the tester by design.
    pub(crate) fn tester_limits(&self) -> Vec<String> {
        let warnings = self.result.pointer("/tester/warnings");
        let warnings = warnings.and_then(Value::as_array);
        let texts = warnings.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }
}

/// The number at a JSON pointer (RFC 6901) like `/server/cpu_seconds`.
pub(crate) fn number(result: &Value, pointer: &str) -> Option<f64> {
    result.pointer(pointer)?.as_f64()
}

/// What parlor should reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// At most so many times the floor's, within each round.
    FloorTimes(f64),
    /// Not above uWebSockets', within each round.
    BelowUws,
    /// Below that of every other server.
    BelowPeers,
    AtMost(f64),
}

/// One figure that is read from a run.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) decimals: usize,
    pub(crate) read: fn(&Sample) -> Option<f64>,
    pub(crate) goals: &'static [Goal],
    /// Higher values are better: a goal is then a lower bound.
    pub(crate) higher_is_better: bool,
    /// What a build is whose value is higher than the base's.
    pub(crate) worse: &'static str,
    /// The table shows how much the settings differ.
    pub(crate) flatness: bool,
    /// Meaningless when other servers run at the same time.
    pub(crate) alone_only: bool,
}

pub(super) const PLAIN: Measure = Measure {
    name: "",
    decimals: 0,
    read: |_| None,
    goals: &[],
    higher_is_better: false,
    worse: "slower",
    flatness: false,
    alone_only: false,
};

pub(super) const IDLE: &[Measure] = &[
    Measure {
        name: "user-space bytes per connection (slope)",
        read: |sample| number(&sample.result, "/server/user_bytes_per_connection"),
        goals: &[Goal::AtMost(300.0), Goal::BelowUws],
        ..PLAIN
    },
    Measure {
        name: "CPU µs per accept + upgrade + join",
        decimals: 2,
        read: |sample| number(&sample.result, "/connect_server_cpu_us"),
        goals: &[Goal::FloorTimes(1.2), Goal::BelowUws],
        ..PLAIN
    },
    Measure {
        name: "kernel bytes per connection (slope; both ends, and all else on the machine)",
        read: |sample| number(&sample.result, "/server/kernel_bytes_per_connection"),
        alone_only: true,
        ..PLAIN
    },
];

/// Of [`IDLE`], what is the server's own.
const PAIRED_IDLE: &[Measure] = &[
    Measure {
        goals: &[],
        worse: "larger",
        ..IDLE[0]
    },
    Measure {
        goals: &[],
        ..IDLE[1]
    },
];

const PAIRED_CONNECT: &[Measure] = &[Measure {
    goals: &[],
    ..IDLE[1]
}];

const CONNECTS: &[Measure] = &[
    Measure {
        name: "connects per second, as fast as they go",
        read: |sample| number(&sample.result, "/connects_per_second"),
        higher_is_better: true,
        alone_only: true,
        ..PLAIN
    },
    Measure {
        name: "CPU µs per accept + upgrade + join, as fast as they go",
        decimals: 2,
        read: |sample| number(&sample.result, "/connect_server_cpu_us"),
        ..PLAIN
    },
];

const BURST: &[Measure] = &[
    Measure {
        name: "user-space bytes per connection before (slope)",
        read: Sample::slope_before,
        ..PLAIN
    },
    Measure {
        name: "user-space bytes per connection after (slope)",
        read: Sample::slope_after,
        ..PLAIN
    },
    Measure {
        name: "after ÷ before",
        decimals: 2,
        read: |sample| {
            let before = sample.slope_before().filter(|bytes| *bytes > 0.0)?;
            Some(sample.slope_after()? / before)
        },
        goals: &[Goal::AtMost(1.10)],
        ..PLAIN
    },
];

pub(super) const DELIVERY_CPU: Measure = Measure {
    name: "CPU µs per delivery",
    decimals: 3,
    read: |sample| number(&sample.result, "/server/cpu_us_per_delivery"),
    ..PLAIN
};

const DELIVERY_RATE: Measure = Measure {
    name: "deliveries per second (the tester bounds them too)",
    read: |sample| number(&sample.result, "/deliveries_per_second"),
    higher_is_better: true,
    alone_only: true,
    ..PLAIN
};

const DELIVERY: &[Measure] = &[
    Measure {
        goals: &[Goal::FloorTimes(1.08), Goal::BelowUws],
        ..DELIVERY_CPU
    },
    DELIVERY_RATE,
];

const DELIVERY_FAR: &[Measure] = &[
    Measure {
        goals: &[Goal::BelowPeers],
        ..DELIVERY_CPU
    },
    DELIVERY_RATE,
];

const P50: Measure = Measure {
    name: "p50 µs",
    read: |sample| number(&sample.result, "/latency_us/p50"),
    ..PLAIN
};
const P99: Measure = Measure {
    name: "p99 µs",
    read: |sample| number(&sample.result, "/latency_us/p99"),
    ..PLAIN
};
const P999: Measure = Measure {
    name: "p99.9 µs",
    read: |sample| number(&sample.result, "/latency_us/p999"),
    ..PLAIN
};

const LATENCY: &[Measure] = &[
    P50,
    Measure {
        goals: &[Goal::FloorTimes(1.5)],
        ..P99
    },
    P999,
    DELIVERY_RATE,
];

const SLOW: &[Measure] = &[
    DELIVERY_RATE,
    P50,
    P99,
    Measure {
        name: "peak of the server's memory, KiB more than empty",
        read: |sample| {
            let peak = number(&sample.result, "/server/user_bytes_peak")?;
            Some((peak - number(&sample.result, "/server/user_bytes_start")?) / 1024.0)
        },
        ..PLAIN
    },
];

const HEARTBEAT: &[Measure] = &[
    Measure {
        name: "CPU ms per minute",
        decimals: 1,
        read: |sample| {
            let seconds = number(&sample.result, "/watched/seconds")?;
            Some(number(&sample.result, "/watched/cpu_seconds")? / seconds * 60_000.0)
        },
        ..PLAIN
    },
    Measure {
        name: "CPU µs per ping and pong",
        decimals: 2,
        read: |sample| {
            let pings = number(&sample.result, "/watched/pings")?;
            Some(number(&sample.result, "/watched/cpu_seconds")? / pings * 1e6)
        },
        goals: &[Goal::FloorTimes(1.3)],
        ..PLAIN
    },
];

const GROWTH: &[Measure] = &[
    Measure {
        flatness: true,
        ..DELIVERY_CPU
    },
    Measure {
        name: "user-space bytes per connection, all that the server grew by",
        read: Sample::per_connection,
        flatness: true,
        ..PLAIN
    },
];

impl Setting {
    /// Latencies are measured.
    pub(crate) const fn is_open_loop(&self) -> bool {
        matches!(
            self.load,
            Load::Chat {
                pace: Pace::Share { .. },
                ..
            }
        )
    }

    /// Whether servers can be measured at the same time: something that is read is a server's own.
    pub(crate) fn can_be_shared(&self) -> bool {
        !self.is_open_loop() && !self.with_slope && self.measures.iter().any(|m| !m.alone_only)
    }
}

impl Load {
    /// The same connections in the same rooms without any message.
    pub(crate) fn without_words(&self) -> Self {
        match *self {
            Self::Chat { rooms, members, .. } => Self::Idle {
                rooms,
                connections: rooms * members,
                slope_from: rooms * members / 5,
                connect_rate: 10_000,
                seconds: 0.5,
                watch: None,
            },
            Self::Idle { .. }
            | Self::Resume { .. }
            | Self::History { .. }
            | Self::Programs { .. } => self.clone(),
        }
    }

    /// For servers that share a core: together they get as many connections a second as a single
    /// one otherwise, and the time is twice as long, since at its ends not all of them are loaded.
    pub(crate) fn shared_by(&self, count: u32) -> Self {
        let mut shared = self.clone();
        match &mut shared {
            Self::Idle { connect_rate, .. } => *connect_rate = (*connect_rate / count).max(1),
            Self::Chat { seconds, .. } | Self::History { seconds, .. } => *seconds *= 2.0,
            Self::Programs { load, .. } => **load = load.shared_by(count),
            Self::Resume { .. } => {}
        }
        shared
    }

    /// Only parlor speaks the protocol of these clients.
    pub(crate) const fn is_for_programs(&self) -> bool {
        matches!(self, Self::Programs { .. })
    }

    /// A fifth of the rooms.
    pub(crate) fn fifth(&self) -> Self {
        let mut fifth = self.clone();
        if let Self::Chat { rooms, .. } | Self::Idle { rooms, .. } = &mut fifth {
            *rooms /= 5;
        }
        fifth
    }
}

/// Seconds of silence before a ping in the heartbeat figure.
pub(crate) const PING_SECONDS: u32 = 8;

/// The room from which the floors' rates are taken.
pub(crate) fn rate_load(seconds: f64) -> Load {
    Load::Chat {
        rooms: 1,
        members: 1_000,
        senders: 10,
        bytes: 64,
        pace: Pace::Window(16),
        seconds,
        slow_members: None,
        rest_seconds: 0.0,
    }
}

/// All settings in the order in which they are measured. `quick`: fewer and shorter ones.
pub(crate) fn settings(quick: bool) -> Vec<Setting> {
    let mut all = Vec::new();
    all.extend(idle(quick));
    all.extend(burst(quick));
    all.extend(delivery(if quick { 1.0 } else { 1.5 }));
    all.extend(latency(if quick { 2.0 } else { 3.0 }));
    all.extend(slow(if quick { 2.0 } else { 3.0 }));
    all.push(heartbeat(quick));
    all.extend(programs::settings(quick));
    all.extend(growth());
    all.retain(|setting| setting.quick || !quick);
    all
}

pub(super) fn setting(figure: &'static str, name: String, load: Load) -> Setting {
    Setting {
        figure,
        name,
        floor: Server::Floor,
        load,
        heartbeat: Heartbeat::Usual,
        measures: &[],
        quick: true,
        with_slope: false,
        close_only: false,
    }
}

/// The settings for two builds of parlor: short, since every figure is a ratio of many rounds, and
/// the cost of a single message or connect, which batching cannot hide.
pub(crate) fn paired_settings() -> Vec<Setting> {
    let [slope, _] = idle(false);
    let idle = Setting {
        measures: PAIRED_IDLE,
        ..slope
    };
    vec![idle, fan_out(100, 1), fan_out(1_000, 1)]
}

/// The settings for the same build with its history in a directory and in memory.
pub(crate) fn store_settings() -> Vec<Setting> {
    let [slope, _] = idle(false);
    let mut all = vec![Setting {
        measures: PAIRED_CONNECT,
        ..slope
    }];
    for members in [100, 1_000, 5_000] {
        all.extend([1, 16].map(|window| fan_out(members, window)));
    }
    all
}

fn fan_out(members: u32, window: u32) -> Setting {
    Setting {
        measures: &[DELIVERY_CPU],
        ..setting(
            "fan-out",
            format!("{members} receivers, 64 B, window {window}"),
            Load::Chat {
                rooms: 1,
                members,
                senders: 10,
                bytes: 64,
                pace: Pace::Window(window),
                seconds: 1.5,
                slow_members: None,
                rest_seconds: 0.0,
            },
        )
    }
}

fn idle(quick: bool) -> [Setting; 2] {
    let (slope_from, connections) = if quick {
        (1_000, 9_000)
    } else {
        (2_000, 18_000)
    };
    let slope = Load::Idle {
        rooms: 1,
        connections,
        slope_from,
        connect_rate: 5_000,
        seconds: 0.5,
        watch: None,
    };
    let flood = Load::Idle {
        rooms: 1,
        connections: 4_000,
        slope_from: 3_999,
        connect_rate: 100_000,
        seconds: 0.5,
        watch: None,
    };
    [
        Setting {
            measures: IDLE,
            ..setting(
                "idle",
                format!("{slope_from} to {connections} in one room"),
                slope,
            )
        },
        Setting {
            measures: CONNECTS,
            ..setting("idle", String::from("4,000 at once"), flood)
        },
    ]
}

/// Rooms of 10, in which every member sends messages and receives all.
fn burst(quick: bool) -> [Setting; 2] {
    [1_024, 16_384].map(|bytes| Setting {
        measures: BURST,
        with_slope: true,
        ..setting(
            "burst",
            format!("{bytes} B"),
            Load::Chat {
                rooms: if quick { 400 } else { 1_000 },
                members: 10,
                senders: 10,
                bytes,
                pace: Pace::Window(1),
                seconds: if bytes > 1_024 { 4.0 } else { 2.0 },
                slow_members: None,
                rest_seconds: 7.0,
            },
        )
    })
}

fn delivery(seconds: f64) -> Vec<Setting> {
    let mut all = Vec::new();
    let rooms = [(1, 100), (1, 1_000), (1, 5_000), (100, 10)];
    for (rooms, members) in rooms {
        for bytes in [64, 1_024] {
            for window in [1, 16] {
                let is_one = rooms == 1;
                let name = if is_one {
                    format!("{members} receivers, {bytes} B, window {window}")
                } else {
                    format!("{rooms} rooms of {members}, {bytes} B, window {window}")
                };
                let load = Load::Chat {
                    rooms,
                    members,
                    senders: 10,
                    bytes,
                    pace: Pace::Window(window),
                    seconds,
                    slow_members: None,
                    rest_seconds: 0.0,
                };
                all.push(Setting {
                    floor: if window == 1 {
                        Server::Floor
                    } else {
                        Server::FloorCoalescing
                    },
                    measures: if is_one && bytes == 64 {
                        DELIVERY
                    } else {
                        DELIVERY_FAR
                    },
                    quick: members == 1_000 && bytes == 64 || !is_one && bytes == 64 && window == 1,
                    ..setting("delivery", name, load)
                });
            }
        }
    }
    all
}

fn latency(seconds: f64) -> [Setting; 2] {
    [Server::Floor, Server::FloorCoalescing].map(|floor| Setting {
        floor,
        measures: LATENCY,
        quick: floor == Server::Floor,
        ..setting(
            "latency",
            format!(
                "1,000 receivers, 64 B, 70 % of the rate of {}",
                floor.name()
            ),
            Load::Chat {
                rooms: 1,
                members: 1_000,
                senders: 10,
                bytes: 64,
                pace: Pace::Share {
                    of: floor,
                    share: 0.7,
                },
                seconds,
                slow_members: None,
                rest_seconds: 0.0,
            },
        )
    })
}

fn slow(seconds: f64) -> [Setting; 2] {
    [None, Some(1)].map(|slow_members| Setting {
        measures: SLOW,
        ..setting(
            "slow",
            String::from(match slow_members {
                None => "1,000 receivers, 1 KiB, none of them slow",
                Some(_) => "1,000 receivers, 1 KiB, one of them stops reading",
            }),
            Load::Chat {
                rooms: 1,
                members: 1_000,
                senders: 10,
                bytes: 1_024,
                pace: Pace::Share {
                    of: Server::Floor,
                    share: 0.4,
                },
                seconds,
                slow_members,
                rest_seconds: 0.0,
            },
        )
    })
}

fn heartbeat(quick: bool) -> Setting {
    let connections = if quick { 5_000 } else { 15_000 };
    // The last first ping has been answered when the watch begins; it covers whole intervals of
    // the servers that ping all connections at once.
    let watch = Watch {
        after_seconds: f64::from(PING_SECONDS) * 1.25 + 1.0,
        seconds: f64::from(PING_SECONDS) * 2.0,
    };
    Setting {
        heartbeat: Heartbeat::Seconds(PING_SECONDS),
        measures: HEARTBEAT,
        ..setting(
            "heartbeat",
            format!("{connections} idle connections, pings after about {PING_SECONDS} s"),
            Load::Idle {
                rooms: 1,
                connections,
                slope_from: connections - 1,
                connect_rate: 5_000,
                seconds: watch.after_seconds + watch.seconds + 2.0,
                watch: Some(watch),
            },
        )
    }
}

fn growth() -> [Setting; 4] {
    [1_000, 4_000, 9_000, 18_000].map(|members| Setting {
        measures: GROWTH,
        quick: false,
        close_only: true,
        ..setting(
            "growth",
            format!("{members} in one room, 64 B, window 1"),
            Load::Chat {
                rooms: 1,
                members,
                senders: 10,
                bytes: 64,
                pace: Pace::Window(1),
                seconds: 2.0,
                slow_members: None,
                rest_seconds: 0.0,
            },
        )
    })
}
