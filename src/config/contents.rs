//! What is in the files that the settings name: operators, words, the key of tokens. Pure: the files
//! come in as a function.

use super::{Config, StorePlace};
use crate::chat::{Filter, Operator};
use crate::options::Change;
use crate::tls;
use crate::tls::{Identities, Identity};
use crate::token::{Key, Verifier};
use siphasher::sip::SipHasher13;
use std::fmt;
use std::hash::Hasher;
use std::io;
use std::path::{Path, PathBuf};

/// The longest file of these that is read, in bytes: a million words.
pub const CONTENTS_BYTES_MAX: u64 = 16 << 20;

/// Reads a file of the machine.
pub type ReadBytes<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// What was in the files, but for what is in the settings of the chat from here on.
#[derive(Debug, Default)]
pub struct Contents {
    pub verifier: Option<Verifier>,
    /// By which clients read the metrics.
    pub metrics_token: Option<String>,
    /// What TLS is spoken with; `None`: it is spoken nowhere.
    pub identities: Option<Identities>,
    pub digests: Digests,
}

/// By which a file is known that has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    operators: Option<u64>,
    words: Option<u64>,
    key: Option<u64>,
    /// Of all certificates and their keys.
    tls: Option<u64>,
}

impl Digests {
    /// `None`: TLS is spoken nowhere.
    pub(crate) const fn of_certificates(&self) -> Option<u64> {
        self.tls
    }
}

impl Config {
    /// Reads the files, and puts operators and words into the settings of the chat.
    ///
    /// # Errors
    /// A sentence about the first file that is wrong, with the line.
    pub fn read_contents(&mut self, read: ReadBytes<'_>) -> Result<Contents, String> {
        let mut contents = Contents::default();
        if let Some(path) = &self.operators {
            let (text, digest) = read_text("--operators", path, read)?;
            let operators = Operator::parse_list(&text);
            self.chat.operators = operators.map_err(wrong("--operators", path))?;
            contents.digests.operators = Some(digest);
        }
        if let Some(path) = &self.word_filter {
            let (text, digest) = read_text("--word-filter", path, read)?;
            let filter = Filter::parse(&text);
            self.chat.filter = Some(filter.map_err(wrong("--word-filter", path))?);
            contents.digests.words = Some(digest);
        }
        if let Some(path) = &self.token_key {
            let (key, digest) = read_key(path, read)?;
            contents.verifier = Some(Verifier::new(key, self.token_audience.clone()));
            contents.digests.key = Some(digest);
        }
        if let Some(path) = &self.metrics_token_file {
            contents.metrics_token = Some(read_metrics_token(path, read)?);
        }
        self.check_engine()?;
        if let Some(path) = &self.engine.password_file {
            self.engine.password = Some(read_engine_password(path, read)?);
        }
        self.check_tls()?;
        if !self.tls.listen.is_empty() {
            let (identities, digest) = read_identities(&self.tls, read)?;
            contents.identities = identities;
            contents.digests.tls = Some(digest);
        }
        Ok(contents)
    }

    /// What goes with an engine that several servers share. What is not offered with one yet is said
    /// here, not where it is missed.
    fn check_engine(&self) -> Result<(), String> {
        let engine = &self.engine;
        let is_named =
            engine.user.is_some() || engine.password.is_some() || engine.password_file.is_some();
        if !engine.is_shared() && self.net.reuse_port {
            return Err(String::from(
                "--reuse-port needs --engine redis://HOST: servers at one port must share their rooms",
            ));
        }
        if !engine.is_shared() {
            return if is_named {
                Err(String::from(
                    "--engine-user, --engine-password and --engine-password-file are of no use without \
                     --engine redis://HOST",
                ))
            } else {
                Ok(())
            };
        }
        if engine.password.is_some() && engine.password_file.is_some() {
            return Err(String::from(
                "--engine-password and --engine-password-file both give a password: name one",
            ));
        }
        if engine.user.is_some() && engine.password.is_none() && engine.password_file.is_none() {
            return Err(String::from(
                "--engine-user needs the password of that user",
            ));
        }
        if let StorePlace::Directory(_) = self.store_place {
            return Err(String::from(
                "--store is of no use with --engine: the history is in Redis",
            ));
        }
        let (store, default) = (&self.store, Self::default().store);
        let options = [
            ("--store-sync", store.sync != default.sync),
            ("--max-store-mib", store.max_bytes != default.max_bytes),
            (
                "--low-disk-mib",
                store.low_disk_bytes != default.low_disk_bytes,
            ),
            ("--keep-days", store.keep_days != default.keep_days),
            (
                "--keep-messages",
                store.keep_messages != default.keep_messages,
            ),
            ("--audit-days", store.audit_days != default.audit_days),
        ];
        match options.iter().find(|(_, is_set)| *is_set) {
            Some((option, _)) => Err(format!(
                "{option} is of no use with --engine: Redis keeps the newest messages of each room"
            )),
            None => Ok(()),
        }
    }

    /// Which files belong together.
    fn check_tls(&self) -> Result<(), String> {
        let tls = &self.tls;
        let (certs, keys) = (tls.certs.len(), tls.keys.len());
        if certs != keys {
            return Err(format!(
                "--tls-cert names {certs} files and --tls-key {keys}: each certificate needs its \
                 key, in the same order"
            ));
        }
        match (tls.listen.is_empty(), certs) {
            (false, 0) => Err(String::from(
                "--tls-listen needs a certificate and its key: --tls-cert FILE --tls-key FILE",
            )),
            (true, 1..) => Err(String::from(
                "--tls-cert is of no use without --tls-listen ADDR, where TLS is to be spoken",
            )),
            (false, 1..) | (true, 0) => Ok(()),
        }
    }

    /// The files that are the same as before and have something else in them.
    pub(crate) fn changed_contents(&self, old: &Digests, new: &Digests) -> Vec<Change> {
        let files = [
            ("operators", &self.operators, old.operators, new.operators),
            ("word-filter", &self.word_filter, old.words, new.words),
            ("token-key", &self.token_key, old.key, new.key),
            (
                "tls-cert",
                &self.tls.certs.first().cloned(),
                old.tls,
                new.tls,
            ),
        ];
        let changed = |(name, path, old, new): (_, &Option<PathBuf>, Option<u64>, Option<u64>)| {
            let path = path.as_deref()?.display();
            let is_other = old.is_some() && new.is_some() && old != new;
            is_other.then(|| Change {
                name,
                old: path.to_string(),
                new: format!("{path} as it is now"),
                is_reloadable: true,
            })
        };
        files.into_iter().filter_map(changed).collect()
    }
}

/// The certificates of TLS with their keys, and a digest of all files.
///
/// # Errors
/// A sentence about the first file that is wrong.
pub fn read_identities(
    settings: &tls::Settings,
    read: ReadBytes<'_>,
) -> Result<(Option<Identities>, u64), String> {
    let mut all = Vec::new();
    let mut bytes = Vec::new();
    for (cert, key) in settings.certs.iter().zip(&settings.keys) {
        let chain = read(cert).map_err(wrong("--tls-cert", cert))?;
        let secret = read(key).map_err(wrong("--tls-key", key))?;
        let identity = Identity::parse(&chain, &secret);
        all.push(identity.map_err(|why| match why.is_of_key() {
            true => wrong("--tls-key", key)(why),
            false => wrong("--tls-cert", cert)(why),
        })?);
        bytes.extend(chain);
        bytes.extend(secret);
    }
    Ok((Identities::new(all), digest(&bytes)))
}

/// The key of signed tokens.
///
/// # Errors
/// A sentence.
pub fn read_key(path: &Path, read: ReadBytes<'_>) -> Result<(Key, u64), String> {
    let bytes = read(path).map_err(wrong("--token-key", path))?;
    let key = Key::parse(&bytes).map_err(wrong("--token-key", path))?;
    Ok((key, digest(&bytes)))
}

/// What is shorter can be guessed.
const TOKEN_CHARS_MIN: usize = 16;

fn read_metrics_token(path: &Path, read: ReadBytes<'_>) -> Result<String, String> {
    const OPTION: &str = "--metrics-token-file";
    let (text, _) = read_text(OPTION, path, read)?;
    let token = text.trim();
    let is_token = token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.len() < TOKEN_CHARS_MIN || !is_token {
        return Err(wrong(OPTION, path)(format!(
            "expected one token of at least {TOKEN_CHARS_MIN} letters, digits and punctuation marks"
        )));
    }
    Ok(token.to_owned())
}

fn read_engine_password(path: &Path, read: ReadBytes<'_>) -> Result<String, String> {
    const OPTION: &str = "--engine-password-file";
    let (text, _) = read_text(OPTION, path, read)?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.contains('\n') {
        return Err(wrong(OPTION, path)("expected one line with the password"));
    }
    Ok(password.to_owned())
}

fn read_text(option: &str, path: &Path, read: ReadBytes<'_>) -> Result<(String, u64), String> {
    let bytes = read(path).map_err(wrong(option, path))?;
    let digest = digest(&bytes);
    let text = String::from_utf8(bytes).map_err(|_| wrong(option, path)("it is not UTF-8"))?;
    Ok((text, digest))
}

fn wrong<E: fmt::Display>(option: &str, path: &Path) -> impl Fn(E) -> String {
    move |why| format!("{option} {}: {why}", path.display())
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}
