//! The options that say where the server is, how it is reached, and what it speaks.

use super::parse::{header, line, protocol};
use super::table::none;
use super::{Options, Protocol};
use crate::load::url::Url;
use crate::options::{Group, custom, list, parse_count, switch};
use std::path::PathBuf;

pub(super) const SERVER: Group<Options> = Group {
    title: "The server",
    rows: &[
        custom(
            "protocol",
            "NAME",
            "plain: text messages in the room of the URL; json: parlor.v1.json, rooms joined \
             by requests, and the server's acknowledgements counted. resume and history are \
             json",
            |o, value| {
                o.protocol = protocol(value)?;
                Ok(())
            },
            |o| {
                String::from(match o.protocol {
                    Protocol::Plain => "plain",
                    Protocol::Json => "json",
                })
            },
        ),
        custom(
            "url",
            "URL",
            "ws://HOST:PORT/PATH, wss://HOST:PORT/PATH or ws+unix:SOCKET:/PATH; {room}, {nick} \
             and {n}, the number of the connection, are filled in",
            |o, value| {
                o.url = Url::parse(value)?;
                Ok(())
            },
            |_| String::from("ws://127.0.0.1:8080/ws/{room}?nick={nick}"),
        ),
        custom(
            "ca",
            "FILE",
            "wss: the certificates that are trusted, in PEM; the server's must be signed by one of \
             them and be for the host of the URL",
            |o, value| {
                o.ca = PathBuf::from(value);
                Ok(())
            },
            |o| o.ca.display().to_string(),
        ),
        switch(
            "insecure",
            "wss: accept any certificate, also one that has expired or is for another host",
            |o| &mut o.insecure,
        ),
        switch(
            "tls-resume",
            "wss: connections resume the session of an earlier one as soon as there is one; without \
             it each handshake is a full one",
            |o| &mut o.tls_resume,
        ),
        custom(
            "subprotocol",
            "NAME",
            "offered in the request",
            |o, value| {
                o.subprotocol = Some(line(value)?);
                Ok(())
            },
            none,
        ),
        list(
            "header",
            "LINE",
            "a line for the request like 'Origin: https://example.org'; may be given \
             several times",
            |o| o.headers.clear(),
            |o, value| {
                o.headers.push(header(value)?);
                Ok(())
            },
            none,
        ),
        custom(
            "join",
            "TEXT",
            "sent as the first message of each connection, filled in like the URL",
            |o, value| {
                o.join = Some(value.to_owned());
                Ok(())
            },
            none,
        ),
        list(
            "pid",
            "PID",
            "the server's process, which listens where the URL points: its memory and CPU time \
             are reported; given several times, the sums of all, of which the first listens there \
             and the others are servers behind it",
            |o| o.pids.clear(),
            |o, value| {
                o.pids
                    .push(parse_count(value, 1, i32::MAX as usize)? as u32);
                Ok(())
            },
            none,
        ),
    ],
};
