//! Collects the files of the page: all of `src/page` but its Rust sources. Writes a table of them
//! for `src/page/mod.rs`, and of each a copy in gzip where that is shorter. The modules of scripts
//! are put into one file, `main.js`, and scripts and styles lose their comments: a first visit
//! fetches few files and few bytes. Knows no HTTP but the types of files. A new file is served
//! without being named anywhere.
//!
//! A release also knows the commit that it was built from. No time and no place of the build gets
//! in, so that the same sources make the same binary.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const FOLDER: &str = "src/page";
/// The module that the page loads, and that imports the others.
const MAIN: &str = "main.js";

fn main() {
    println!("cargo::rerun-if-changed={FOLDER}");
    #[expect(clippy::disallowed_methods, reason = "so cargo says where to write")]
    let variable = |name| PathBuf::from(env::var_os(name).expect("cargo sets it"));
    let out = variable("OUT_DIR");
    let root = variable("CARGO_MANIFEST_DIR");
    // Without it in builds for development, which a commit would make anew.
    if variable("PROFILE").ends_with("release")
        && let Some(commit) = commit(&root)
    {
        println!("cargo::rustc-env=PARLOR_COMMIT={commit}");
    }
    let mut paths: Vec<PathBuf> = fs::read_dir(root.join(FOLDER))
        .expect("the folder of the page")
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.extension().is_none_or(|extension| extension != "rs"))
        .collect();
    paths.sort();
    let is_module = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "js");
    let modules: BTreeMap<String, String> = paths
        .iter()
        .filter(is_module)
        .map(|path| (name_of(path), text_of(path)))
        .collect();
    let mut table = String::from("&[\n");
    for path in paths {
        let name = name_of(&path);
        let body = match path.extension().and_then(|extension| extension.to_str()) {
            Some("js") if name != MAIN => continue,
            Some("js") => bundle(&modules).into_bytes(),
            Some("css") => without_spaces(&without_comments(&text_of(&path))).into_bytes(),
            _ => fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        };
        let row = row(&name, content_type(&path), &body, &out);
        write!(table, "{row}").expect("writing to a String does not fail");
    }
    table.push_str("]\n");
    write_file(&out.join("page_files.rs"), table.as_bytes());
}

/// What `cargo package` writes into a package: `"sha1": "…"` among other things.
const PACKAGED: &str = ".cargo_vcs_info.json";

/// How many hexadecimal digits of a commit's name are shown.
const COMMIT_DIGITS: usize = 12;

/// The commit of the sources, with a plus sign if they were changed since. `None`: they come neither
/// from `cargo package` nor from a clone, or git is not installed.
fn commit(root: &Path) -> Option<String> {
    let packaged = root.join(PACKAGED);
    if packaged.exists() {
        println!("cargo::rerun-if-changed={PACKAGED}");
        let text = text_of(&packaged);
        let (_, after) = text.split_once("\"sha1\"")?;
        let digits = after.trim_start_matches([':', ' ', '"']);
        let mark = if text.contains("\"dirty\": true") {
            "+"
        } else {
            ""
        };
        return Some(format!("{}{mark}", digits.get(..COMMIT_DIGITS)?));
    }
    // The sources may lie in a clone of something else.
    if !root.join(".git").exists() {
        return None;
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .current_dir(root)
            .args(arguments)
            .output();
        let output = output.ok().filter(|output| output.status.success())?;
        let text = String::from_utf8(output.stdout).ok()?;
        Some(String::from(text.trim_end()))
    };
    let commit = git(&["rev-parse", "HEAD"])?;
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        if root.join(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let built = ["src", "Cargo.toml", "Cargo.lock", "build.rs"];
    for path in built {
        println!("cargo::rerun-if-changed={path}");
    }
    let mut status = vec!["--no-optional-locks", "status", "--porcelain", "--"];
    status.extend(built);
    let is_changed = !git(&status)?.is_empty();
    let mark = if is_changed { "+" } else { "" };
    Some(format!("{}{mark}", commit.get(..COMMIT_DIGITS)?))
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str());
    String::from(name.expect("the name of a file of the page is UTF-8"))
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The `File` of this name as an expression. Paths are relative to the table, so that a folder of
/// builds can be moved or copied, and the place of a build is not part of it.
fn row(name: &str, content_type: &str, body: &[u8], out: &Path) -> String {
    write_file(&out.join(name), body);
    let etag = fnv_1a(body);
    let short = gzip(body);
    let gzip = if short.len() < body.len() {
        let copy = format!("{name}.gz");
        write_file(&out.join(&copy), &short);
        format!("Some(include_bytes!({copy:?}))")
    } else {
        String::from("None")
    };
    format!(
        "    File {{ name: {name:?}, content_type: {content_type:?}, etag: \"\\\"{etag:016x}\\\"\", \
         gzip_etag: \"\\\"{etag:016x}-gzip\\\"\", body: include_bytes!({name:?}), gzip: {gzip} }},\n"
    )
}

/// All modules as one: each is a function that returns what it exports, before those that import
/// it. Compressed together they are an eighth shorter than one by one, and the browser need not
/// fetch a module to learn which others it needs. Each `import` and `export` of the page has the
/// form of one line that is known here; any other stops the build.
fn bundle(modules: &BTreeMap<String, String>) -> String {
    let mut whole = String::new();
    let mut begun = Vec::new();
    add_module(MAIN, modules, &mut begun, &mut whole);
    assert_eq!(
        begun.len(),
        modules.len(),
        "a module of the page is not used: {begun:?}"
    );
    whole
}

fn add_module(
    name: &str,
    modules: &BTreeMap<String, String>,
    begun: &mut Vec<String>,
    whole: &mut String,
) {
    if begun.iter().any(|one| one == name) {
        return;
    }
    begun.push(String::from(name));
    let source = modules
        .get(name)
        .unwrap_or_else(|| panic!("there is no module {name}"));
    let mut code = String::new();
    let mut exports = Vec::new();
    for line in without_comments(source).lines() {
        if let Some(import) = line.strip_prefix("import ") {
            let (names, from) = import
                .strip_suffix("\";")
                .and_then(|import| import.split_once(" from \"./"))
                .unwrap_or_else(|| panic!("{name}: an import of an unknown form: {line}"));
            add_module(from, modules, begun, whole);
            let names = match names.strip_prefix("* as ") {
                Some(all) => String::from(all),
                None if names.starts_with('{') => names.replace(" as ", ": "),
                None => format!("{{ default: {names} }}"),
            };
            code.push_str(&format!("const {names} = {};\n", variable(from)));
        } else if let Some(value) = line.strip_prefix("export default ") {
            exports.push(String::from("default: preset"));
            code.push_str(&format!("const preset = {value}\n"));
        } else if let Some(item) = line.strip_prefix("export ") {
            let mut words = item.split(|c: char| !c.is_alphanumeric() && c != '_');
            let is_kind = |word: &&str| matches!(*word, "const" | "function" | "async");
            assert!(
                words.clone().next().as_ref().is_some_and(is_kind),
                "{name}: {line}"
            );
            let exported = words
                .find(|word| !is_kind(word))
                .expect("what is exported has a name");
            exports.push(String::from(exported));
            code.push_str(&format!("{item}\n"));
        } else {
            code.push_str(&format!("{line}\n"));
        }
    }
    if name == MAIN {
        whole.push_str(&code);
    } else {
        let exports = exports.join(", ");
        let module = variable(name);
        whole.push_str(&format!(
            "const {module} = (() => {{\n{code}return {{ {exports} }};\n}})();\n"
        ));
    }
}

/// The name that a module has in the bundle.
fn variable(name: &str) -> String {
    format!("in_{}", name.trim_end_matches(".js"))
}

/// A script or a style without comments and indentation, which are for readers of the source and
/// were a fifth of what is sent. A comment is one that begins its line, or ends it and has no
/// quotation mark and no slash: such a text cannot be within a literal that ends on its line. No
/// literal of the page is longer than a line (tests/page/sources.mjs).
fn without_comments(source: &str) -> String {
    let mut short = String::new();
    let mut is_within = false;
    for line in source.lines().map(str::trim) {
        if is_within || line.starts_with("/*") {
            is_within = !line.ends_with("*/");
            continue;
        }
        let code = match line.rsplit_once(" // ") {
            Some((code, comment)) if !comment.contains(['"', '\'', '`', '/']) => code.trim_end(),
            _ => line,
        };
        if !code.is_empty() && !code.starts_with("//") {
            short.push_str(code);
            short.push('\n');
        }
    }
    short
}

/// A style without the spaces that only its readers need.
fn without_spaces(style: &str) -> String {
    let pairs = [(": ", ":"), (" {", "{"), ("{ ", "{"), ("; ", ";")];
    pairs
        .iter()
        .fold(String::from(style), |style, (long, short)| {
            style.replace(long, short)
        })
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("txt") => "text/plain; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webmanifest") => "application/manifest+json",
        _ => panic!(
            "{}: the type of this file is not known; name it in build.rs, or move the file out of \
             {FOLDER}, all of which is served",
            path.display()
        ),
    }
}

/// The time and the name of the file, which gzip has fields for, are left out: the same files make
/// the same bytes.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(body)
        .expect("writing to a Vec does not fail");
    encoder.finish().expect("writing to a Vec does not fail")
}

/// The files come with the source, so no attacker chooses them, and a hash that distinguishes
/// versions is enough.
fn fnv_1a(content: &[u8]) -> u64 {
    content.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn write_file(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
