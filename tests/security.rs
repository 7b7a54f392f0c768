//! SECURITY.md against the sources: each threat lists tests, each listed test and file exists, and
//! each threat has a planted bug. That tests fail by that bug is shown by `tests/planted/run`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A heading of the last section of SECURITY.md, and the tests below it, as they stand there:
/// `outside limits::NAME`, `simulation scene::NAME`, `tree NAME` or the path of a unit test.
struct Threat {
    name: String,
    tests: Vec<String>,
}

fn threats(text: &str) -> Vec<Threat> {
    let (_, list) = text
        .split_once("\n## Threats\n")
        .expect("a list of threats");
    let parse = |section: &str| {
        let (name, rest) = section.split_once('\n').expect("a heading and its text");
        let tests = rest.lines().filter_map(|line| line.strip_prefix("- "));
        Threat {
            name: name.to_owned(),
            tests: tests.map(|test| test.replace('`', "")).collect(),
        }
    };
    list.split("\n### ").skip(1).map(parse).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The paths of the tests in one file that is the module `module`. Knows modules in braces at the
/// start of a line, as `mod tests` is.
fn tests_in(module: &[&str], source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inner = None;
    let mut is_test = false;
    for line in source.lines() {
        let code = line.trim_start();
        if let Some(name) = line.strip_prefix("mod ").and_then(|m| m.strip_suffix(" {")) {
            inner = Some(name);
        } else if line == "}" {
            inner = None;
        } else if code == "#[test]" {
            is_test = true;
        } else if let Some(rest) = code.strip_prefix("fn ")
            && is_test
        {
            is_test = false;
            let name = rest.split('(').next().expect("a name");
            let path: Vec<&str> = module.iter().copied().chain(inner).chain([name]).collect();
            found.push(path.join("::"));
        }
    }
    found
}

/// All tests below `folder`, each with `prefix` before its path.
fn tests_below(folder: &str, prefix: &str) -> Vec<String> {
    let folder = root().join(folder);
    let mut files = Vec::new();
    sources(&folder, &mut files);
    let mut found = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&folder).expect("below the folder");
        let relative = relative.with_extension("");
        let mut module: Vec<&str> = relative.iter().filter_map(|name| name.to_str()).collect();
        if matches!(module.last(), Some(&("mod" | "main" | "lib"))) {
            module.pop();
        }
        let tests = tests_in(&module, &read(&file));
        found.extend(tests.into_iter().map(|test| format!("{prefix}{test}")));
    }
    found
}

fn all_tests() -> BTreeSet<String> {
    let tree = tests_in(&[], &read(&root().join("tests/tree.rs")));
    tests_below("src", "")
        .into_iter()
        .chain(tests_below("tests/outside", "outside "))
        .chain(tests_below("tests/simulation", "simulation "))
        .chain(tests_below("tests/store", "store "))
        .chain(tree.into_iter().map(|test| format!("tree {test}")))
        .collect()
}

#[test]
fn each_threat_lists_tests_that_exist() {
    let existing = all_tests();
    assert!(existing.len() > 200, "the tests are not where they were");
    let mut wrong = Vec::new();
    let threats = threats(&read(&root().join("SECURITY.md")));
    for threat in &threats {
        if threat.tests.is_empty() {
            wrong.push(format!("{}: no test", threat.name));
        }
        for test in &threat.tests {
            if !existing.contains(test) {
                wrong.push(format!("{}: there is no test {test}", threat.name));
            }
        }
    }
    assert!(threats.len() > 15, "the list of threats is not read");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A patch of tests/planted: the threat whose defence it removes, and the tests that then fail.
struct Planted {
    name: String,
    threat: String,
    fails: Vec<String>,
}

fn planted() -> Vec<Planted> {
    let mut patches = Vec::new();
    for entry in fs::read_dir(root().join("tests/planted")).expect("a folder of patches") {
        let path = entry.expect("an entry").path();
        if path
            .extension()
            .is_none_or(|extension| extension != "patch")
        {
            continue;
        }
        let text = read(&path);
        let (header, _) = text
            .split_once("\ndiff --git ")
            .expect("a header and a diff");
        let all = |field: &str| -> Vec<String> {
            let values = header.lines().filter_map(|line| line.strip_prefix(field));
            values.map(str::to_owned).collect()
        };
        let [threat] = &all("Threat: ")[..] else {
            panic!("{}: expected one Threat", path.display());
        };
        patches.push(Planted {
            name: path.file_name().expect("a name").display().to_string(),
            threat: threat.clone(),
            fails: all("Fails: "),
        });
    }
    patches
}

#[test]
fn each_threat_has_a_planted_bug() {
    let threats = threats(&read(&root().join("SECURITY.md")));
    let existing = all_tests();
    let planted = planted();
    let mut wrong = Vec::new();
    for patch in &planted {
        let (name, threat) = (&patch.name, &patch.threat);
        if !threats.iter().any(|listed| listed.name == *threat) {
            wrong.push(format!("{name}: there is no threat {threat:?}"));
        }
        if patch.fails.is_empty() {
            wrong.push(format!("{name}: no test"));
        }
        let missing = patch.fails.iter().filter(|test| !existing.contains(*test));
        wrong.extend(missing.map(|test| format!("{name}: there is no test {test}")));
    }
    for threat in &threats {
        if !planted.iter().any(|patch| patch.threat == threat.name) {
            wrong.push(format!("{}: no patch", threat.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn files_named_in_the_page_exist() {
    let text = read(&root().join("SECURITY.md"));
    let quoted = text.split('`').skip(1).step_by(2);
    let is_file = |word: &&str| word.contains('/') && !word.starts_with('/');
    for name in quoted.filter(is_file) {
        assert!(
            root().join("src").join(name).exists() || root().join(name).exists(),
            "{name} is neither in src nor in the root"
        );
    }
}

#[test]
fn tests_are_found_with_the_path_of_their_module() {
    let source = "//! x\nfn f() {}\n#[test]\n#[ignore = \"y\"]\nfn a() {\n}\n\n\
                  mod tests {\n    #[test]\n    fn b() {\n    }\n    fn c() {}\n}\n#[test]\nfn d() {\n";
    assert_eq!(tests_in(&["m"], source), ["m::a", "m::tests::b", "m::d"]);
}
