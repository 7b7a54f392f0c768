//! Collects the files of the page: all of `src/page` but its Rust sources. Writes a table of them
//! for `src/page/mod.rs`, scripts and styles without their comments, and of each a copy in gzip
//! where that is shorter. Knows no HTTP but the types of files. A new file is served without being
//! named anywhere.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

const FOLDER: &str = "src/page";

fn main() {
    println!("cargo::rerun-if-changed={FOLDER}");
    #[expect(clippy::disallowed_methods, reason = "so cargo says where to write")]
    let variable = |name| PathBuf::from(env::var_os(name).expect("cargo sets it"));
    let out = variable("OUT_DIR");
    let mut paths: Vec<PathBuf> = fs::read_dir(variable("CARGO_MANIFEST_DIR").join(FOLDER))
        .expect("the folder of the page")
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.extension().is_none_or(|extension| extension != "rs"))
        .collect();
    paths.sort();
    let mut table = String::from("&[\n");
    for path in paths {
        write!(table, "{}", row(&path, &out)).expect("writing to a String does not fail");
    }
    table.push_str("]\n");
    write_file(&out.join("page_files.rs"), table.as_bytes());
}

/// The `File` of this path as an expression.
fn row(path: &Path, out: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.expect("the name of a file of the page is UTF-8");
    let content_type = content_type(path);
    let source = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = || str::from_utf8(&source).expect("a script is UTF-8");
    let body = match path.extension().and_then(|extension| extension.to_str()) {
        Some("js") => without_comments(text()).into_bytes(),
        Some("css") => without_spaces(&without_comments(text())).into_bytes(),
        _ => source,
    };
    let served = out.join(name);
    write_file(&served, &body);
    let etag = fnv_1a(&body);
    let short = gzip(&body);
    let gzip = if short.len() < body.len() {
        let copy = out.join(format!("{name}.gz"));
        write_file(&copy, &short);
        format!("Some(include_bytes!({copy:?}))")
    } else {
        String::from("None")
    };
    format!(
        "    File {{ name: {name:?}, content_type: {content_type:?}, etag: \"\\\"{etag:016x}\\\"\", \
         gzip_etag: \"\\\"{etag:016x}-gzip\\\"\", body: include_bytes!({served:?}), gzip: {gzip} }},\n"
    )
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
