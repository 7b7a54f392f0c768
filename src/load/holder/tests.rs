//! Processes and listening sockets of this machine, and lines as the kernel writes them.

use super::*;
use std::net::TcpListener;
use std::process::{Command, Stdio};

fn local(listener: &TcpListener) -> Target {
    Target::Tcp(listener.local_addr().unwrap())
}

#[test]
fn process_that_listens_there_is_recognised() {
    let pid = std::process::id();
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).unwrap();
        assert_eq!(find(pid, &local(&listener)), Holder::Itself, "{address}");
    }
    let any = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = any.local_addr().unwrap().port();
    let target = Target::Tcp(SocketAddr::from(([127, 0, 0, 1], port)));
    assert_eq!(find(pid, &target), Holder::Itself);
}

#[test]
fn unix_socket_is_recognised_by_any_name_of_its_path() {
    let path = std::env::temp_dir().join(format!("parlor-holder-{}.sock", std::process::id()));
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let indirect = path
        .parent()
        .unwrap()
        .join(".")
        .join(path.file_name().unwrap());
    for name in [path.clone(), indirect] {
        let found = find(std::process::id(), &Target::Unix(name));
        assert_eq!(found, Holder::Itself);
    }
    drop(listener);
    fs::remove_file(path).unwrap();
}

#[test]
fn wrapper_is_no_server_and_the_server_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut wrapper = Command::new("sleep")
        .arg("60")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let found = find(wrapper.id(), &local(&listener));
    wrapper.kill().unwrap();
    wrapper.wait().unwrap();
    let Holder::NoServer(Some(process)) = &found else {
        panic!("{found:?}");
    };
    assert_eq!(process.pid, std::process::id());
    let Some(Remark::Error(sentence)) = found.remark(1, "ws://x/") else {
        panic!("no error");
    };
    let expected = format!("process {} ({}) does", process.pid, process.name);
    assert!(sentence.contains(&expected), "{sentence}");
}

#[test]
fn server_on_another_address_is_warned_of() {
    let own = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = own.local_addr().unwrap().port();
    let target = Target::Tcp(SocketAddr::from(([127, 9, 9, 9], port)));
    let found = find(std::process::id(), &target);
    assert_eq!(found, Holder::Elsewhere(None));
    assert!(matches!(found.remark(1, "x"), Some(Remark::Warning(_))));
    drop(own);
}

#[test]
fn process_that_does_not_exist_is_an_error() {
    let target = Target::Tcp(SocketAddr::from(([127, 0, 0, 1], 1)));
    let found = find(u32::MAX, &target);
    assert_eq!(found, Holder::NoProcess);
    assert!(matches!(found.remark(1, "x"), Some(Remark::Error(_))));
}

#[test]
fn lines_of_the_kernels_tables_are_understood() {
    let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 \
                 1000        0 4711 1 0000000000000000 100 0 0 10 0";
    let expected = (SocketAddr::from(([127, 0, 0, 1], 8080)), 4711);
    assert_eq!(tcp_listener(line), Some(expected));
    assert_eq!(tcp_listener(&line.replace(" 0A ", " 01 ")), None);
    let line = "   0: 00000000000000000000000001000000:0050 \
                 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 12 1";
    let expected = (SocketAddr::from((Ipv6Addr::LOCALHOST, 80)), 12);
    assert_eq!(tcp_listener(line), Some(expected));
    let line = "0000000000000000: 00000002 00000000 00010000 0001 01  815 /run/a b.sock";
    let expected = (String::from("/run/a b.sock"), 815);
    assert_eq!(unix_listener(line), Some(expected));
    assert_eq!(unix_listener(&line.replace("00010000", "00000000")), None);
}

#[test]
fn wildcard_listener_accepts_all_addresses_of_its_port() {
    let accepts =
        |listener: &str, target: &str| accepts(listener.parse().unwrap(), target.parse().unwrap());
    assert!(accepts("0.0.0.0:80", "127.0.0.1:80"));
    assert!(accepts("[::]:80", "127.0.0.1:80"));
    assert!(accepts("[::ffff:127.0.0.1]:80", "127.0.0.1:80"));
    assert!(!accepts("0.0.0.0:80", "127.0.0.1:81"));
    assert!(!accepts("127.0.0.2:80", "127.0.0.1:80"));
}
