//! The scripts of the engine in Rust, line for line what they do in Lua.

use super::model::{Bytes, Op, Redis, Reply, Stream};
use parlor::redis::scripts::Script;

pub(super) fn run(
    redis: &mut Redis,
    script: Script,
    keys: &[Bytes],
    arguments: &[Bytes],
) -> Result<Reply, String> {
    let call = Call { keys, arguments };
    match script {
        Script::Open => open(redis, &call),
        Script::Change => make_change(redis, &call),
        Script::Say => say(redis, &call),
        Script::Page => Ok(page(redis, &call)),
        Script::Tops => Ok(tops(redis, &call)),
        Script::Beat => beat(redis, &call),
        Script::Claim => claim(redis, &call),
        Script::Sweep => sweep(redis, &call),
        Script::Present => present(redis, &call),
        Script::See => see(redis, &call),
    }
}

struct Call<'a> {
    keys: &'a [Bytes],
    arguments: &'a [Bytes],
}

impl Call<'_> {
    fn text(&self, place: usize) -> &str {
        str::from_utf8(&self.arguments[place - 1]).expect("text")
    }

    fn number(&self, place: usize) -> u64 {
        self.text(place).parse().expect("a number")
    }
}

/// What the room's hash has: newest number, its time, run id, current epoch.
struct Meta {
    head: u64,
    at: u64,
    run: Option<String>,
    current: String,
}

fn field(redis: &Redis, key: &[u8], name: &str) -> Option<String> {
    let value = redis.data.hash(key)?.get(name.as_bytes())?;
    Some(String::from_utf8(value.clone()).expect("text"))
}

/// A log: its hash, its stream, its channel.
#[derive(Clone, Copy)]
struct Log<'a> {
    meta: &'a Bytes,
    stream: &'a Bytes,
    channel: &'a Bytes,
}

impl<'a> Call<'a> {
    fn log(&self) -> Log<'a> {
        Log {
            meta: &self.keys[0],
            stream: &self.keys[1],
            channel: &self.arguments[3],
        }
    }
}

fn read(redis: &Redis, log: Log<'_>) -> Meta {
    let key = log.meta;
    let number = |name| field(redis, key, name).map_or(0, |text| text.parse().expect("a number"));
    Meta {
        head: number("h"),
        at: number("t"),
        run: field(redis, key, "i"),
        current: field(redis, key, "c").unwrap_or_default(),
    }
}

fn oldest(redis: &Redis, stream: &[u8], head: u64) -> u64 {
    let stream = redis.data.stream(stream);
    let first = stream.and_then(|stream| stream.entries.first_key_value());
    first.map_or(head + 1, |(id, _)| *id)
}

fn pair(name: &str, value: impl ToString) -> (Bytes, Bytes) {
    (name.as_bytes().to_vec(), value.to_string().into_bytes())
}

fn begin(
    redis: &mut Redis,
    call: &Call<'_>,
    log: Log<'_>,
    meta: &mut Meta,
) -> Result<String, String> {
    let last = redis
        .data
        .stream(log.stream)
        .map_or(0, |stream| stream.last);
    meta.head = meta.head.max(last);
    let mut number = (redis.now_ms / 1000).max(call.number(3) + 1);
    let before = field(redis, log.meta, "e").unwrap_or_default();
    let mut eras = Vec::new();
    for era in before.split(' ').filter(|era| !era.is_empty()) {
        let parts: Vec<&str> = era.split('-').collect();
        let [epoch, salt, first] = parts[..] else {
            panic!("an era is {era}");
        };
        number = number.max(epoch.parse::<u64>().expect("a number") + 1);
        let first: u64 = first.parse().expect("a number");
        eras.push(format!("{epoch}-{salt}-{}", first.min(meta.head + 1)));
    }
    meta.current = format!("{number}-{}", call.text(2));
    eras.push(format!("{}-{}", meta.current, meta.head + 1));
    let eras = eras[eras.len().saturating_sub(16)..].join(" ");
    redis.script_writes(Op::HashSet(
        log.meta.clone(),
        vec![
            pair("h", meta.head),
            pair("t", meta.at),
            pair("i", call.text(1)),
            pair("c", &meta.current),
            pair("e", &eras),
        ],
    ))?;
    let oldest = oldest(redis, log.stream, meta.head);
    let message = format!("N{} {oldest} {eras}", meta.head);
    redis.publish(log.channel, message.into_bytes());
    Ok(eras)
}

fn open(redis: &mut Redis, call: &Call<'_>) -> Result<Reply, String> {
    let mut meta = read(redis, call.log());
    let has_seen_more = meta.current == call.text(5) && meta.head < call.number(6);
    let eras = if meta.run.as_deref() != Some(call.text(1)) || has_seen_more {
        begin(redis, call, call.log(), &mut meta)?
    } else {
        field(redis, &call.keys[0], "e").unwrap_or_default()
    };
    let oldest = oldest(redis, &call.keys[1], meta.head);
    Ok(Reply::Array(vec![
        Reply::text(meta.head.to_string()),
        Reply::text(meta.at.to_string()),
        Reply::text(oldest.to_string()),
        Reply::text(eras),
    ]))
}

fn is_there(redis: &Redis, log: Log<'_>, seq: u64, head: u64, word: &Bytes) -> bool {
    if seq > head {
        return false;
    }
    let stream = redis.data.stream(log.stream);
    let Some(fields) = stream.and_then(|stream| stream.entries.get(&seq)) else {
        return seq < oldest(redis, log.stream, head);
    };
    let key = fields.iter().find(|(name, _)| name == b"k");
    key.is_some_and(|(_, key)| key == word)
}

fn two(text: &[u8]) -> (u64, u64) {
    let text = str::from_utf8(text).expect("text");
    let (seq, at) = text.split_once(' ').expect("two numbers");
    (
        seq.parse().expect("a number"),
        at.parse().expect("a number"),
    )
}

fn trim_keys(redis: &mut Redis, key: &Bytes, now: u64) -> Result<(), String> {
    let all = redis.data.hash(key).into_iter().flatten();
    let mut sorted: Vec<(u64, u64, Bytes)> = all
        .map(|(name, value)| {
            let (seq, at) = two(value);
            (at, seq, name.clone())
        })
        .collect();
    sorted.sort_by(|a, b| b.cmp(a));
    for (place, (at, _, name)) in sorted.into_iter().enumerate().skip(64) {
        if place >= 16_384 || at + 60_000 < now {
            redis.script_writes(Op::HashRemove(key.clone(), name))?;
        }
    }
    Ok(())
}

fn change(redis: &mut Redis, call: &Call<'_>, seq: u64) -> Result<(), String> {
    let (key, of) = (&call.keys[2], &call.arguments[9]);
    let before = redis.data.hash(key).and_then(|hash| hash.get(of));
    if before.is_none_or(|before| before[0] == b'e') {
        let mut value = format!("{}{seq} ", call.text(11)).into_bytes();
        value.extend_from_slice(&call.arguments[11]);
        redis.script_writes(Op::HashSet(key.clone(), vec![(of.clone(), value)]))?;
    }
    if seq.is_multiple_of(256) {
        let first = oldest(redis, &call.keys[1], seq);
        let all = redis.data.hash(key).into_iter().flatten();
        let old = all.filter(|(_, value)| {
            let by = value
                .iter()
                .skip(1)
                .take_while(|byte| byte.is_ascii_digit());
            let by = by.fold(0, |by, digit| by * 10 + u64::from(digit - b'0'));
            by < first
        });
        let old: Vec<Bytes> = old.map(|(name, _)| name.clone()).collect();
        for name in old {
            redis.script_writes(Op::HashRemove(key.clone(), name))?;
        }
    }
    Ok(())
}

fn said(current: &str, seq: u64, at: u64, is_duplicate: i64) -> Reply {
    Reply::Array(vec![
        Reply::text(current),
        Reply::text(seq.to_string()),
        Reply::text(at.to_string()),
        Reply::Integer(is_duplicate),
    ])
}

/// The room of `p:{NAME}:m`.
fn room_name(key: &Bytes) -> &[u8] {
    &key[3..key.len() - 3]
}

fn say(redis: &mut Redis, call: &Call<'_>) -> Result<Reply, String> {
    let mut meta = read(redis, call.log());
    if meta.run.as_deref() != Some(call.text(1)) {
        begin(redis, call, call.log(), &mut meta)?;
    }
    let name = room_name(&call.keys[0]);
    let in_stream = &call.arguments[5];
    let colon = in_stream.iter().position(|byte| *byte == b':');
    let word = &in_stream[colon.expect("a session") + 1..];
    let word = [name, b"\0", word].concat();
    let keys = &call.keys[3];
    if let Some(known) = redis.data.hash(keys).and_then(|hash| hash.get(&word)) {
        let (seq, at) = two(known);
        if is_there(redis, call.log(), seq, meta.head, in_stream) {
            return Ok(said(&meta.current, seq, at, 1));
        }
    }
    let seq = meta.head + 1;
    if seq > u64::from(u32::MAX) {
        return Err(String::from("ROOMFULL the room has no more numbers"));
    }
    if is_late(redis, call, 9)? {
        return Err(String::from("LATE the message came too late"));
    }
    let mut registry = None;
    if call.keys.len() > 5 {
        let log = Log {
            meta: &call.keys[5],
            stream: &call.keys[6],
            channel: &call.arguments[12],
        };
        let changes = current(redis, call, log)?;
        if is_stale(redis, call, log, &changes.current, 14) {
            return Err(format!("STALE {} {}", changes.current, changes.head));
        }
        registry = Some((log, changes));
    }
    let at = meta.at.max(redis.now_ms);
    let mut entry = format!("{at} ").into_bytes();
    entry.extend_from_slice(&call.arguments[4]);
    let mut fields = vec![
        (b"d".to_vec(), entry.clone()),
        (b"k".to_vec(), in_stream.clone()),
        // Of Redis it is in the id of the entry.
        (b"epoch".to_vec(), meta.current.clone().into_bytes()),
    ];
    let value = format!("{seq} {at}").into_bytes();
    redis.script_writes(Op::HashSet(keys.clone(), vec![(word, value)]))?;
    let until = redis.now_ms + call.number(7);
    redis.script_writes(Op::Expire(keys.clone(), until))?;
    let count = redis.data.hash(keys).map_or(0, |hash| hash.len());
    let pause = if count > 2048 { 1024 } else { 64 };
    if count > 96 && count % pause == 33 {
        trim_keys(redis, keys, at)?;
    }
    if let Some((log, changes)) = registry.filter(|_| call.arguments.len() > 17) {
        let place = (&call.keys[7], 14, call.number(8));
        make(redis, call, log, &changes, place)?;
    }
    let changes = call.arguments.get(9).is_some_and(|of| !of.is_empty());
    if changes {
        fields.push((b"a".to_vec(), call.arguments[9].clone()));
    }
    redis.script_writes(Op::Add {
        key: call.keys[1].clone(),
        id: seq,
        fields,
        entries_max: call.number(8),
    })?;
    let pairs = vec![pair("h", seq), pair("t", at)];
    redis.script_writes(Op::HashSet(call.keys[0].clone(), pairs))?;
    if changes {
        change(redis, call, seq)?;
    }
    let mut message = format!("E{} {seq} ", meta.current).into_bytes();
    message.extend_from_slice(&entry);
    redis.publish(&call.arguments[3], message);
    if name.starts_with(b"@") {
        let hint = [format!("{seq} ").as_bytes(), name].concat();
        redis.publish(b"p:direct", hint);
    }
    Ok(said(&meta.current, seq, at, 0))
}

fn page(redis: &Redis, call: &Call<'_>) -> Reply {
    let key = &call.keys[0];
    let head = field(redis, key, "h").map_or(0, |text| text.parse().expect("a number"));
    let mut page = vec![
        Reply::text(field(redis, key, "c").unwrap_or_default()),
        Reply::text(head.to_string()),
        Reply::text(oldest(redis, &call.keys[1], head).to_string()),
    ];
    let none = Stream::default();
    let stream = redis.data.stream(&call.keys[1]).unwrap_or(&none);
    let (first, last) = (call.number(1), call.number(2));
    let range = stream
        .entries
        .iter()
        .filter(|(id, _)| (first..=last).contains(*id));
    let mut bytes = 0;
    for (id, fields) in range.take(call.number(3) as usize) {
        let find = |wanted: &[u8]| {
            let found = fields.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone())
        };
        let text = find(b"d").unwrap_or_default();
        bytes += text.len() as u64;
        if bytes > call.number(4) && page.len() > 3 {
            break;
        }
        let changes = find(b"a").unwrap_or_else(|| id.to_string().into_bytes());
        let change = redis
            .data
            .hash(&call.keys[2])
            .and_then(|hash| hash.get(&changes));
        page.push(Reply::text(id.to_string()));
        page.push(Reply::Bulk(text));
        page.push(Reply::Bulk(change.cloned().unwrap_or_default()));
    }
    Reply::Array(page)
}

fn tops(redis: &Redis, call: &Call<'_>) -> Reply {
    let top = |key: &Bytes| {
        let current = field(redis, key, "c").unwrap_or_default();
        let head = field(redis, key, "h").unwrap_or_else(|| String::from("0"));
        Reply::text(format!("{current} {head}"))
    };
    Reply::Array(call.keys.iter().map(top).collect())
}

fn is_late(redis: &mut Redis, call: &Call<'_>, deadline: usize) -> Result<bool, String> {
    let key = &call.keys[4];
    if redis.now_ms <= call.number(deadline) && redis.data.hash(key).is_none() {
        return Ok(false);
    }
    redis.script_writes(Op::HashSet(key.clone(), vec![pair("late", 1)]))?;
    redis.script_writes(Op::Expire(key.clone(), redis.now_ms + 3_600_000))?;
    Ok(true)
}

// Changes of the registry

/// What the log has, in a new epoch if this is another process.
fn current(redis: &mut Redis, call: &Call<'_>, log: Log<'_>) -> Result<Meta, String> {
    let mut meta = read(redis, log);
    if meta.run.as_deref() != Some(call.text(1)) {
        begin(redis, call, log, &mut meta)?;
    }
    Ok(meta)
}

/// The last change that touched something, of which node it is, and the last of another before.
fn touched(redis: &Redis, log: Log<'_>, letter: char) -> Option<(u64, String, u64)> {
    let known = field(redis, log.meta, &letter.to_string())?;
    let parts: Vec<&str> = known.split(' ').collect();
    let number = |text: &str| text.parse().expect("a number");
    Some((number(parts[0]), parts[1].to_owned(), number(parts[2])))
}

fn is_stale(redis: &Redis, call: &Call<'_>, log: Log<'_>, current: &str, first: usize) -> bool {
    let letters = call.text(first + 3);
    if !letters.is_empty() && call.text(first + 1) != current {
        return true;
    }
    letters.chars().any(|letter| {
        let last = touched(redis, log, letter).map_or(0, |(last, by, before)| {
            let is_own = by == call.text(first) && !matches!(letter, 'R' | 'B');
            if is_own { before } else { last }
        });
        last > call.number(first + 2)
    })
}

fn make(
    redis: &mut Redis,
    call: &Call<'_>,
    log: Log<'_>,
    meta: &Meta,
    (facts, first, entries_max): (&Bytes, usize, u64),
) -> Result<(u64, u64), String> {
    let (number, node) = (meta.head + 1, call.text(first).to_owned());
    let at = meta.at.max(redis.now_ms);
    let mut text = format!("{at} {node} ").into_bytes();
    text.extend_from_slice(&call.arguments[first + 4]);
    redis.script_writes(Op::Add {
        key: log.stream.clone(),
        id: number,
        fields: vec![
            (b"d".to_vec(), text.clone()),
            (b"k".to_vec(), call.arguments[first + 5].clone()),
        ],
        entries_max,
    })?;
    let pairs = vec![pair("h", number), pair("t", at)];
    redis.script_writes(Op::HashSet(log.meta.clone(), pairs))?;
    for letter in call.text(first + 4).to_owned().chars() {
        let before = touched(redis, log, letter).map_or(
            0,
            |(last, by, before)| {
                if by == node { before } else { last }
            },
        );
        let pairs = vec![pair(
            &letter.to_string(),
            format!("{number} {node} {before}"),
        )];
        redis.script_writes(Op::HashSet(log.meta.clone(), pairs))?;
    }
    let largest = call.text(first + 7);
    if !largest.is_empty() {
        let known = field(redis, facts, "").map_or(0, |text| text.parse().expect("a number"));
        if call.number(first + 7) > known {
            redis.script_writes(Op::HashSet(facts.clone(), vec![pair("", largest)]))?;
        }
    }
    let rest = &call.arguments[first + 9..];
    let (forgets, rest) = rest.split_at(call.number(first + 8) as usize);
    let (ends, puts) = rest.split_at(call.number(first + 9) as usize);
    for key in forgets {
        redis.script_writes(Op::HashRemove(facts.clone(), key.clone()))?;
    }
    for name in ends {
        let log = [&b"p:{"[..], name, b"}:"].concat();
        for what in [b"m", b"s", b"x"] {
            redis.script_writes(Op::Remove([&log[..], what].concat()))?;
        }
    }
    for fact in puts.chunks(2) {
        let pairs = vec![(fact[0].clone(), fact[1].clone())];
        redis.script_writes(Op::HashSet(facts.clone(), pairs))?;
    }
    let mut message = format!("E{} {number} ", meta.current).into_bytes();
    message.extend_from_slice(&text);
    redis.publish(log.channel, message);
    Ok((number, at))
}

fn make_change(redis: &mut Redis, call: &Call<'_>) -> Result<Reply, String> {
    let log = call.log();
    let meta = current(redis, call, log)?;
    let (keys, word) = (&call.keys[3], &call.arguments[13]);
    let known = redis.data.hash(keys).and_then(|hash| hash.get(word));
    let known = known.map(|known| str::from_utf8(known).expect("text").parse());
    if let Some(Ok(known)) = known
        && is_there(redis, log, known, meta.head, word)
    {
        return Ok(said(&meta.current, known, 0, 1));
    }
    if is_late(redis, call, 7)? {
        return Err(String::from("LATE the change came too late"));
    }
    if is_stale(redis, call, log, &meta.current, 8) {
        return Err(format!("STALE {} {}", meta.current, meta.head));
    }
    let pairs = vec![(word.clone(), (meta.head + 1).to_string().into_bytes())];
    redis.script_writes(Op::HashSet(keys.clone(), pairs))?;
    let until = redis.now_ms + call.number(5);
    redis.script_writes(Op::Expire(keys.clone(), until))?;
    let place = (&call.keys[2], 8, call.number(6));
    let (number, at) = make(redis, call, log, &meta, place)?;
    Ok(said(&meta.current, number, at, 0))
}

fn beat(redis: &mut Redis, call: &Call<'_>) -> Result<Reply, String> {
    let [leases, infos, run, grace] = call.keys else {
        panic!("four keys");
    };
    let node = &call.arguments[1];
    let flag = |is: bool| Reply::text(if is { "1" } else { "0" });
    if call.text(4).is_empty() {
        redis.script_writes(Op::SortedRemove(leases.clone(), node.clone()))?;
        redis.script_writes(Op::HashRemove(infos.clone(), node.clone()))?;
        return Ok(Reply::Array(vec![flag(true), flag(false)]));
    }
    let now = redis.now_ms;
    let till = now.saturating_add_signed(call.text(4).parse().expect("a number"));
    let sorted = redis.data.sorted(leases);
    let before = sorted.and_then(|sorted| sorted.get(node).copied());
    redis.script_writes(Op::SortedAdd(leases.clone(), node.clone(), till))?;
    let pair = vec![(node.clone(), call.arguments[2].clone())];
    redis.script_writes(Op::HashSet(infos.clone(), pair))?;
    if redis.data.text(run) != Some(&call.arguments[0]) {
        redis.script_writes(Op::Set(run.clone(), call.arguments[0].clone()))?;
        redis.script_writes(Op::Set(grace.clone(), till.to_string().into_bytes()))?;
    }
    let until = redis.data.text(grace).map_or(0, |until| {
        let until = str::from_utf8(until).expect("text");
        until.parse().expect("a number")
    });
    let sorted = redis.data.sorted(leases).into_iter().flatten();
    let mut nodes: Vec<(u64, Bytes)> = sorted.map(|(node, till)| (*till, node.clone())).collect();
    nodes.sort();
    if now >= until {
        let over = nodes.iter().take_while(|(till, _)| *till <= now).count();
        for (_, node) in nodes.drain(..over) {
            redis.script_writes(Op::SortedRemove(leases.clone(), node.clone()))?;
            redis.script_writes(Op::HashRemove(infos.clone(), node))?;
        }
    }
    let was_held = before.is_some_and(|before| before > now || now < until);
    let mut answer = vec![flag(was_held), flag(now < until)];
    answer.extend(nodes.into_iter().map(|(_, node)| Reply::Bulk(node)));
    Ok(Reply::Array(answer))
}

/// The nodes that hold a lease; `None`: all, for the grace of Redis lasts.
fn live(redis: &Redis, call: &Call<'_>) -> Option<Vec<Bytes>> {
    let until = redis.data.text(&call.keys[2]).map_or(0, |until| {
        let until = str::from_utf8(until).expect("text");
        until.parse().expect("a number")
    });
    let sorted = redis.data.sorted(&call.keys[1]).into_iter().flatten();
    (redis.now_ms >= until).then(|| sorted.map(|(node, _)| node.clone()).collect())
}

/// The node that holds a key, and the session for which it does.
fn holder<'a>(redis: &'a Redis, call: &Call<'_>, key: &Bytes) -> Option<(&'a [u8], &'a [u8])> {
    Some(redis.data.hash(&call.keys[0])?.get(key)?.split_at(16))
}

fn claim(redis: &mut Redis, call: &Call<'_>) -> Result<Reply, String> {
    let node = &call.arguments[0];
    let live = live(redis, call);
    let is_other = |holder: &[u8]| {
        holder != node
            && live
                .as_ref()
                .is_none_or(|live| live.iter().any(|one| one == holder))
    };
    let (released, mut rest) = call.arguments[3..].split_at(call.number(3) as usize);
    for key in released {
        if holder(redis, call, key).is_some_and(|(holder, _)| holder == node) {
            redis.script_writes(Op::HashRemove(call.keys[0].clone(), key.clone()))?;
        }
    }
    let mut answer = Vec::new();
    while let [session, earlier, count, more @ ..] = rest {
        let count = str::from_utf8(count).expect("text");
        let (keys, after) = more.split_at(count.parse().expect("a number"));
        let mut holders = keys.iter().filter_map(|key| holder(redis, call, key));
        let is_free = !holders.any(|(holder, of)| {
            let is_same = !earlier.is_empty() && of == session;
            !is_same && is_other(holder)
        });
        for key in keys.iter().filter(|_| is_free) {
            let held = [&node[..], session].concat();
            let pair = vec![(key.clone(), held)];
            redis.script_writes(Op::HashSet(call.keys[0].clone(), pair))?;
        }
        if !earlier.is_empty() {
            redis.publish(
                &call.arguments[1],
                [b"S", &session[..], b" ", earlier].concat(),
            );
        }
        answer.push(Reply::text(if is_free { "1" } else { "0" }));
        rest = after;
    }
    Ok(Reply::Array(answer))
}

/// In one step, as Redis does where there are few.
fn sweep(redis: &mut Redis, call: &Call<'_>) -> Result<Reply, String> {
    let node = &call.arguments[0];
    let live = live(redis, call);
    let all = redis.data.hash(&call.keys[0]).cloned().unwrap_or_default();
    let mut answer = vec![Reply::text("0")];
    for (key, holder) in all {
        let holder = &holder[..16];
        if holder == node {
            answer.push(Reply::Bulk(key));
        } else if live
            .as_ref()
            .is_some_and(|live| live.iter().all(|one| one != holder))
        {
            redis.script_writes(Op::HashRemove(call.keys[0].clone(), key))?;
        }
    }
    Ok(Reply::Array(answer))
}

fn present(redis: &mut Redis, call: &Call<'_>) -> Result<Reply, String> {
    let [members, servers] = [&call.keys[0], &call.keys[1]];
    let arguments = call.arguments;
    if call.text(4) == "1" {
        redis.script_writes(Op::Remove(members.clone()))?;
    }
    let (left, came) = arguments[6..].split_at(call.number(6) as usize);
    for nick in left {
        redis.script_writes(Op::HashRemove(members.clone(), nick.clone()))?;
    }
    if !came.is_empty() {
        let pairs = came.chunks(2);
        let pairs = pairs.map(|pair| (pair[0].clone(), pair[1].clone()));
        redis.script_writes(Op::HashSet(members.clone(), pairs.collect()))?;
    }
    let op = if redis.data.hash(members).is_some() {
        Op::HashSet(
            servers.clone(),
            vec![(arguments[0].clone(), arguments[4].clone())],
        )
    } else {
        Op::HashRemove(servers.clone(), arguments[0].clone())
    };
    redis.script_writes(op)?;
    redis.publish(&arguments[1], arguments[2].clone());
    Ok(Reply::Integer(1))
}

/// Each hash is read whole, as Redis reads one of few fields.
fn see(redis: &mut Redis, call: &Call<'_>) -> Result<Reply, String> {
    let [servers, leases, run, grace] = call.keys else {
        panic!("four keys");
    };
    let now = redis.now_ms;
    let until = redis.data.text(grace).map_or(0, |until| {
        let until = str::from_utf8(until).expect("text");
        until.parse().expect("a number")
    });
    let has_grace = redis.data.text(run) != Some(&call.arguments[4]) || now < until;
    let told = redis.data.hash(servers).cloned().unwrap_or_default();
    let flag = if has_grace { "1" } else { "0" };
    let mut page = vec![Reply::text(""), Reply::text("0"), Reply::text(flag)];
    let mut count = 0;
    for (name, run) in told {
        let key = [&servers[..], b":", &name[..]].concat();
        let lease = redis.data.sorted(leases).and_then(|all| all.get(&name));
        let is_dead = !has_grace && lease.is_none_or(|till| *till <= now);
        if is_dead || run != call.arguments[4] {
            redis.script_writes(Op::Remove(key))?;
            redis.script_writes(Op::HashRemove(servers.clone(), name))?;
            continue;
        }
        if name == call.arguments[0] || name < call.arguments[1] {
            continue;
        }
        if count >= call.number(4) {
            page[0] = Reply::text(&name);
            return Ok(Reply::Array(page));
        }
        let members = redis.data.hash(&key).into_iter().flatten();
        let pairs = members.flat_map(|(nick, flag)| [nick.clone(), flag.clone()]);
        let pairs: Vec<Reply> = pairs.map(Reply::Bulk).collect();
        count += pairs.len() as u64 / 2;
        page.push(Reply::text(&name));
        page.push(Reply::Array(pairs));
    }
    Ok(Reply::Array(page))
}
