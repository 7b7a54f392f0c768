//! The crates in the lock file: each has a licence on the allow-list, and none is there in two
//! versions but those that are listed. Runs `cargo tree`, which needs no network for it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Licences that require no more than that their text is kept.
const ALLOWED: [&str; 6] = [
    "MIT",
    "Apache-2.0",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
];

/// Crates that are in the tree twice, and why. ring 0.17 is not built with getrandom 0.4 yet.
const DOUBLED: [&str; 1] = ["getrandom"];

/// Each part of an expression joined by AND must offer one allowed licence. Parentheses are expected
/// around alternatives only; another use makes the licence refused, not allowed.
fn is_allowed(licence: &str) -> bool {
    let is_one_allowed = |part: &str| {
        part.split(" OR ")
            .flat_map(|choice| choice.split('/'))
            .any(|choice| ALLOWED.contains(&choice.trim_matches(['(', ')', ' '])))
    };
    licence.split(" AND ").all(is_one_allowed)
}

/// Name, version and licence of each crate.
fn crates() -> BTreeSet<(String, String, String)> {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--offline", "--locked", "--prefix", "none"])
        .args(["--edges", "normal,build,dev", "--no-dedupe"])
        .args(["--format", "{p}|{l}"])
        .output()
        .expect("cargo is there");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).expect("text");
    let parse = |line: &str| {
        let (package, licence) = line.split_once('|').expect("a crate and its licence");
        let mut words = package.split(' ');
        let mut word = || words.next().expect("a name and a version").to_owned();
        (word(), word(), licence.to_owned())
    };
    text.lines().map(parse).collect()
}

#[test]
fn every_crate_has_an_allowed_licence() {
    let crates = crates();
    assert!(crates.len() > 20, "the tree is not what it was");
    let wrong: Vec<_> = crates.iter().filter(|(_, _, l)| !is_allowed(l)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_crate_is_in_the_tree_in_two_versions() {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, version, _) in crates() {
        versions.entry(name).or_default().push(version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let doubled: Vec<&String> = versions.keys().collect();
    assert_eq!(doubled, DOUBLED, "{versions:#?}");
}

#[test]
fn licence_off_the_list_is_refused() {
    for licence in ["GPL-3.0", "MIT AND GPL-3.0", "", "MPL-2.0 OR GPL-2.0"] {
        assert!(!is_allowed(licence), "{licence}");
    }
    for licence in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-2.0 OR MIT",
        "(MIT OR X) AND Unicode-3.0",
    ] {
        assert!(is_allowed(licence), "{licence}");
    }
}
