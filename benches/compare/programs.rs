//! The figures of clients of `parlor.v1.json`, which only parlor has: what one costs, what it costs
//! that all return at once, what a page of history costs, and how late an acknowledgement is.

use super::figures::{DELIVERY_CPU, Goal, IDLE, Load, Measure, PLAIN, Pace, Setting};
use super::figures::{number, setting};

const PROGRAMS_IDLE: &[Measure] = &[
    Measure {
        goals: &[Goal::AtMost(300.0)],
        ..IDLE[0]
    },
    Measure {
        goals: &[],
        ..IDLE[1]
    },
];

const RESUME: &[Measure] = &[
    Measure {
        name: "CPU µs per return (accept + upgrade + resume + join + what was missed)",
        decimals: 1,
        read: |sample| number(&sample.result, "/resume/server_cpu_us"),
        ..PLAIN
    },
    Measure {
        name: "CPU of a return ÷ that of accept + upgrade + join in the same run",
        decimals: 2,
        read: |sample| {
            let join = number(&sample.result, "/connect_server_cpu_us").filter(|us| *us > 0.0)?;
            Some(number(&sample.result, "/resume/server_cpu_us")? / join)
        },
        ..PLAIN
    },
    Measure {
        name: "seconds until all are live",
        decimals: 2,
        read: |sample| number(&sample.result, "/resume/seconds"),
        alone_only: true,
        ..PLAIN
    },
    Measure {
        name: "peak of the server's resident memory, KiB",
        read: |sample| Some(number(&sample.result, "/server/resident_bytes_peak")? / 1024.0),
        ..PLAIN
    },
];

const HISTORY: &[Measure] = &[
    Measure {
        name: "CPU µs per page of 50",
        decimals: 1,
        read: |sample| number(&sample.result, "/history/server_cpu_us"),
        ..PLAIN
    },
    Measure {
        name: "pages per second (the tester bounds them too)",
        read: |sample| number(&sample.result, "/history/pages_per_second"),
        higher_is_better: true,
        alone_only: true,
        ..PLAIN
    },
    Measure {
        name: "p50 µs",
        read: |sample| number(&sample.result, "/history/latency_us/p50"),
        ..PLAIN
    },
    Measure {
        name: "p99 µs",
        read: |sample| number(&sample.result, "/history/latency_us/p99"),
        ..PLAIN
    },
];

const ACKS: &[Measure] = &[
    Measure {
        name: "acknowledged after, p50 µs",
        read: |sample| number(&sample.result, "/program/ack_latency_us/p50"),
        ..PLAIN
    },
    Measure {
        name: "acknowledged after, p99 µs",
        read: |sample| number(&sample.result, "/program/ack_latency_us/p99"),
        ..PLAIN
    },
    Measure {
        name: "CPU of the whole server, % of a core",
        decimals: 1,
        read: |sample| {
            let seconds = number(&sample.result, "/seconds").filter(|seconds| *seconds > 0.0)?;
            Some(number(&sample.result, "/server/cpu_seconds")? / seconds * 100.0)
        },
        ..PLAIN
    },
];

/// The same load by clients of `parlor.v1.json`.
fn by_programs(load: Load, is_stored: bool) -> Load {
    Load::Programs {
        load: Box::new(load),
        is_stored,
    }
}

pub(crate) fn settings(quick: bool) -> Vec<Setting> {
    let mut all = vec![idle(quick)];
    all.extend([1, 16].map(delivery));
    all.extend([false, true].map(|is_restarted| resume(is_restarted, quick)));
    all.extend([false, true].map(history));
    all.extend([100, 1_000, 10_000].map(acks));
    all
}

fn idle(quick: bool) -> Setting {
    let (slope_from, connections) = if quick {
        (1_000, 9_000)
    } else {
        (2_000, 18_000)
    };
    let load = Load::Idle {
        rooms: 1,
        connections,
        slope_from,
        connect_rate: 5_000,
        seconds: 0.5,
        watch: None,
    };
    Setting {
        measures: PROGRAMS_IDLE,
        ..setting(
            "programs",
            format!("{slope_from} to {connections} in one room"),
            by_programs(load, false),
        )
    }
}

fn delivery(window: u32) -> Setting {
    let load = Load::Chat {
        rooms: 1,
        members: 1_000,
        senders: 10,
        bytes: 64,
        pace: Pace::Window(window),
        seconds: 1.5,
        slow_members: None,
        rest_seconds: 0.0,
    };
    Setting {
        measures: const { &[DELIVERY_CPU] },
        quick: window == 1,
        ..setting(
            "programs",
            format!("1,000 receivers, 64 B, window {window}"),
            by_programs(load, false),
        )
    }
}

fn resume(is_restarted: bool, quick: bool) -> Setting {
    let connections = if quick { 2_000 } else { 10_000 };
    let load = Load::Resume {
        connections,
        missed: 50,
        is_restarted,
    };
    let from = if is_restarted {
        "from the store of a server that was killed"
    } else {
        "from memory"
    };
    Setting {
        measures: RESUME,
        ..setting(
            "resume",
            format!("{connections} × 50 missed, {from}"),
            by_programs(load, is_restarted),
        )
    }
}

fn history(is_stored: bool) -> Setting {
    let load = Load::History {
        connections: 100,
        fill: 10_000,
        seconds: 2.0,
    };
    let from = if is_stored {
        "with a store"
    } else {
        "from memory"
    };
    Setting {
        measures: HISTORY,
        quick: !is_stored,
        ..setting(
            "history",
            format!("100 clients, 10,000 entries, {from}"),
            by_programs(load, is_stored),
        )
    }
}

/// Ten senders, each alone in a room.
fn acks(per_second: u32) -> Setting {
    let load = Load::Chat {
        rooms: 10,
        members: 1,
        senders: 1,
        bytes: 64,
        pace: Pace::Each(per_second / 10),
        seconds: 5.0,
        slow_members: None,
        rest_seconds: 0.0,
    };
    Setting {
        measures: ACKS,
        quick: per_second == 1_000,
        ..setting(
            "acks",
            format!("{per_second} messages a second, stored"),
            by_programs(load, true),
        )
    }
}
