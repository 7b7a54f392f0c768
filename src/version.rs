//! Which parlor this is. What build.rs found out about the sources comes in as variables of the
//! compiler; no time and no place of the build.

/// The commit of the sources: twelve hexadecimal digits, and a plus sign if the sources had changes.
/// `None`: a build for development, or sources without a history.
pub const COMMIT: Option<&str> = option_env!("PARLOR_COMMIT");

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Both in the usual form: `0.1.0 (0123456789ab)`.
pub fn version() -> String {
    match COMMIT {
        Some(commit) => format!("{VERSION} ({commit})"),
        None => String::from(VERSION),
    }
}
