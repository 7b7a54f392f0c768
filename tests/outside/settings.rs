//! Settings in a file, and the commands that show and check them.

use super::support::{Server, command, contains, finish};
use super::unix::Folder;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// A file with this text in a folder of its own.
fn file(folder: &Folder, text: &str) -> PathBuf {
    let path = folder.path("parlor.toml");
    fs::write(&path, text).expect("a file");
    path
}

/// A command with this configuration file.
fn with_file(path: &PathBuf, arguments: &[&str]) -> Command {
    let mut command = command();
    command.args(arguments).env("PARLOR_CONFIG", path);
    command
}

#[test]
fn server_is_set_up_by_a_file_below_environment_and_options() {
    let folder = Folder::new("settings");
    let text = "listen = \"127.0.0.1:0\"\nhistory-lines = 0\nmessage-burst = 1\n";
    let path = file(&folder, text);
    let mut start = command();
    start
        .arg("--config")
        .arg(&path)
        .env("PARLOR_MESSAGE_BURST", "2");
    let server = Server::spawn(&mut start, 1);
    let mut ann = server.join("ann");
    for words in ["one", "two", "three"] {
        ann.says(words);
    }
    ann.hears("ann: one");
    ann.hears("ann: two");
    contains(ann.line(), "slow down");
}

#[test]
fn file_of_the_user_is_found_where_the_environment_has_it() {
    let folder = Folder::new("settings-user");
    fs::create_dir_all(folder.path("parlor")).expect("a folder");
    let path = folder.path("parlor/parlor.toml");
    fs::write(&path, "listen = \"127.0.0.1:0\"\nhistory-lines = 7\n").expect("a file");
    let mut shown = command();
    shown
        .arg("config")
        .env_remove("PARLOR_CONFIG")
        .env("XDG_CONFIG_HOME", &folder.0);
    let (status, output, _) = finish(&mut shown);
    assert_eq!(status.code(), Some(0));
    let line = format!("history-lines = 7  # {}:2\n", path.display());
    contains(output, &line);
}

#[test]
fn server_with_a_wrong_file_does_not_start_and_says_where() {
    let folder = Folder::new("settings-wrong");
    let path = file(&folder, "listen = \"127.0.0.1:0\"\n\nbacklog = 0\n");
    let (status, output, errors) = finish(&mut with_file(&path, &[]));
    assert_eq!((status.code(), output.as_str()), (Some(2), ""));
    contains(
        errors,
        &format!(
            "{}:3: backlog \"0\": expected a number from 1",
            path.display()
        ),
    );
    let (status, _, errors) = finish(command().arg("--config").arg(folder.path("missing.toml")));
    assert_eq!(status.code(), Some(2));
    contains(errors, "missing.toml: No such file or directory");
}

#[test]
fn check_names_every_mistake_and_starts_nothing() {
    let folder = Folder::new("settings-check");
    let path = file(&folder, "backlog = 0\npong-after = \"1s\"\n");
    let (status, output, errors) = finish(&mut with_file(&path, &["check", "--message-rate", "x"]));
    assert_eq!((status.code(), output.as_str()), (Some(2), ""));
    let shown = path.display();
    for part in [
        format!("{shown}:1: backlog \"0\""),
        format!("{shown}:2: there is no setting \"pong-after\", but there is \"ping-after\""),
        String::from("--message-rate \"x\""),
    ] {
        assert!(errors.contains(&part), "{part}\n{errors}");
    }
    // Files that it names are read, too.
    let words = folder.path("words");
    let path = file(&folder, &format!("word-filter = {words:?}\n"));
    let (status, _, errors) = finish(&mut with_file(&path, &["check"]));
    assert_eq!(status.code(), Some(2));
    contains(errors, "--word-filter");
    fs::write(&words, "darn\n").expect("a file");
    let (status, output, errors) = finish(&mut with_file(&path, &["check"]));
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    contains(
        output,
        &format!("the settings are in order ({} was read)", path.display()),
    );
}

#[test]
fn commands_find_the_store_that_the_file_names() {
    let folder = Folder::new("settings-store");
    let store = folder.path("history");
    fs::create_dir(&store).expect("a folder");
    fs::set_permissions(&store, fs::Permissions::from_mode(0o700)).expect("permissions");
    let path = file(
        &folder,
        &format!("listen = \"127.0.0.1:0\"\nstore = {store:?}\n"),
    );
    let mut start = with_file(&path, &[]);
    let server = Server::spawn(start.env_remove("PARLOR_STORE").env("LC_ALL", "C"), 1);
    for arguments in [
        &["account", "list"][..],
        &["admin", "rooms"],
        &["sanctions"],
    ] {
        let mut command = with_file(&path, arguments);
        let (status, _, errors) = finish(command.env_remove("PARLOR_STORE"));
        assert_eq!(
            (status.code(), errors.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
    assert!(fs::read_dir(&store).expect("a folder").next().is_some());
    drop(server);
}
