//! Values with a syntax of their own.

use super::{Protocol, Scenario, Share};
use crate::options::parse_duration;
use std::time::Duration;

/// The names of all scenarios, for people.
pub(super) fn scenarios() -> String {
    let names = Scenario::ALL.map(Scenario::name);
    let [first @ .., last] = &names;
    format!("{} or {last}", first.join(", "))
}

pub(super) fn scenario(value: &str) -> Result<Scenario, String> {
    let mut all = Scenario::ALL.into_iter();
    all.find(|scenario| scenario.name() == value)
        .ok_or_else(|| format!("there is no scenario {value:?}; it is {}", scenarios()))
}

pub(super) fn protocol(value: &str) -> Result<Protocol, String> {
    match value {
        "plain" => Ok(Protocol::Plain),
        "json" => Ok(Protocol::Json),
        _ => Err(String::from("expected plain or json")),
    }
}

/// Text for a line of the request, which must not end the line.
pub(super) fn line(value: &str) -> Result<String, String> {
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(String::from("expected text without line ends"));
    }
    Ok(value.to_owned())
}

pub(super) fn header(value: &str) -> Result<String, String> {
    match value.split_once(':') {
        Some((name, _)) if !name.is_empty() && !name.contains(' ') => line(value),
        Some(_) | None => Err(String::from("expected a line like 'Name: value'")),
    }
}

pub(super) fn rate(value: &str) -> Result<f64, String> {
    match value.parse::<f64>() {
        Ok(rate) if (0.001..=1e6).contains(&rate) => Ok(rate),
        Ok(_) | Err(_) => Err(String::from("expected a number from 0.001 to 1000000")),
    }
}

/// A duration that may be zero.
pub(super) fn pause(value: &str) -> Result<Duration, String> {
    if matches!(value, "0" | "0s" | "0ms") {
        return Ok(Duration::ZERO);
    }
    parse_duration(value)
}

pub(super) fn most(value: &str) -> Result<u64, String> {
    value
        .parse()
        .map_err(|_| String::from("expected a number, 0 or more"))
}

pub(super) fn share(value: &str) -> Result<Share, String> {
    let share = value.split_once('/').and_then(|(index, of)| {
        Some(Share {
            index: index.parse().ok()?,
            of: of.parse().ok()?,
        })
    });
    share
        .filter(|share| share.index < share.of)
        .ok_or_else(|| String::from("expected a part like 0/2"))
}
