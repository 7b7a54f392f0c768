"""Handshakes and records that no client should send, by hand and by tlslite-ng.

hostile.py HOST PORT: plays every attack in its turn and prints what the server did that it should
not have. An attack ends with an alert of the right kind or with the end of the connection, within
PATIENCE seconds; afterwards an ordinary client is served as ever.
"""

import os
import socket
import ssl
import struct
import sys

from tlslite.api import HandshakeSettings, TLSConnection
from tlslite.constants import ContentType
from tlslite.errors import TLSAbruptCloseError, TLSRemoteAlert
from tlslite.messages import Message

PATIENCE = 15
HANDSHAKE, ALERT, CHANGE, DATA, HEARTBEAT = 22, 21, 20, 23, 24
# RFC 8446 section 6; 120: RFC 7301.
UNEXPECTED_MESSAGE, BAD_RECORD_MAC, RECORD_OVERFLOW, HANDSHAKE_FAILURE = 10, 20, 22, 40
ILLEGAL_PARAMETER, DECODE_ERROR, PROTOCOL_VERSION, MISSING_EXTENSION = 47, 50, 70, 109
NO_RENEGOTIATION, NO_APPLICATION_PROTOCOL = 100, 120
ANY = set(range(256))
# Outcomes besides alerts.
END, SERVED = "the end of the connection", "an answer"

CIPHERS = [0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F]
GROUPS = [0x001D]
SCHEMES = [0x0403, 0x0804, 0x0807]

attacks = []


def attack(*expected):
    """An attack that ends with one of these: numbers of alerts, or END or SERVED."""

    def keep(play):
        allowed = set().union(*(each if isinstance(each, set) else {each} for each in expected))
        attacks.append((play, allowed))
        return play

    return keep


def vector(size, content):
    return len(content).to_bytes(size, "big") + content


def words(numbers):
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def record(kind, content, version=0x0301):
    return struct.pack("!BHH", kind, version, len(content)) + content


def extension(kind, content):
    return struct.pack("!H", kind) + vector(2, content)


def extensions(versions=(0x0304, 0x0303), groups=GROUPS, schemes=SCHEMES, share=True, protocols=()):
    all_of_them = [
        extension(0, vector(2, b"\0" + vector(2, b"localhost"))),
        extension(10, vector(2, words(groups))),
        extension(11, b"\1\0"),
        extension(13, vector(2, words(schemes))),
    ]
    if versions:
        all_of_them.append(extension(43, vector(1, words(versions))))
    if share:
        all_of_them.append(extension(51, vector(2, words([0x001D]) + vector(2, os.urandom(32)))))
    if protocols:
        names = b"".join(vector(1, name) for name in protocols)
        all_of_them.append(extension(16, vector(2, names)))
    return all_of_them


def hello(version=0x0303, ciphers=CIPHERS, session=b"s" * 32, compressions=b"\0", more=b"", **options):
    added = options.pop("added", [])
    body = struct.pack("!H", version) + os.urandom(32) + vector(1, session)
    body += vector(2, words(ciphers)) + vector(1, compressions)
    if version > 0x0300:
        body += vector(2, b"".join(extensions(**options) + added))
    return b"\1" + vector(3, body + more)


def connect():
    stream = socket.create_connection(SERVER, timeout=PATIENCE)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


def outcome(stream):
    """The first fatal alert in the clear; else END when the connection has ended. Behind a hello of
    TLS 1.3 alerts are encrypted, and all that is seen of them is the end."""
    received = b""
    try:
        while piece := stream.recv(65536):
            received += piece
    except ConnectionError:
        pass
    except TimeoutError:
        return f"nothing within {PATIENCE} s"
    while len(received) >= 5:
        kind, _, length = struct.unpack("!BHH", received[:5])
        content, received = received[5 : 5 + length], received[5 + length :]
        if kind == ALERT and length == 2:
            return content[1]
    return END


def raw(*pieces):
    """Sends bytes. What the server does not take any more is left out."""
    with connect() as stream:
        try:
            for piece in pieces:
                stream.sendall(piece)
        except ConnectionError:
            pass
        return outcome(stream)


# Before there are keys.


@attack(PROTOCOL_VERSION, HANDSHAKE_FAILURE)
def hello_of_ssl_3():
    return raw(record(HANDSHAKE, hello(version=0x0300), version=0x0300))


@attack(PROTOCOL_VERSION)
def hello_of_tls_1_0():
    return raw(record(HANDSHAKE, hello(version=0x0301, versions=())))


@attack(PROTOCOL_VERSION)
def hello_of_tls_1_1():
    return raw(record(HANDSHAKE, hello(version=0x0302, versions=())))


@attack(PROTOCOL_VERSION)
def hello_with_versions_of_drafts_alone():
    return raw(record(HANDSHAKE, hello(versions=(0x7F1C, 0x7F17))))


@attack(END)
def hello_of_ssl_2():
    body = b"\1\0\2" + struct.pack("!HHH", 9, 0, 16) + b"\1\0\x80\2\0\x80\3\0\x80" + b"c" * 16
    return raw(struct.pack("!H", 0x8000 | len(body)) + body)


@attack(HANDSHAKE_FAILURE)
def no_cipher_in_common():
    # RC4 with SHA-1, and the NULL ciphers.
    return raw(record(HANDSHAKE, hello(ciphers=[0x0005, 0xC007, 0x003B, 0x0001])))


@attack(HANDSHAKE_FAILURE)
def no_group_in_common():
    return raw(record(HANDSHAKE, hello(groups=[0x0100], share=False, added=[extension(51, vector(2, b""))])))


@attack(HANDSHAKE_FAILURE, END)
def no_signature_in_common():
    return raw(record(HANDSHAKE, hello(schemes=[0x0201, 0x0203])))


@attack(NO_APPLICATION_PROTOCOL, END)
def http_2_alone():
    return raw(record(HANDSHAKE, hello(protocols=[b"h2"])))


@attack(NO_APPLICATION_PROTOCOL)
def http_2_alone_in_tls_1_2():
    return raw(record(HANDSHAKE, hello(versions=(0x0303,), protocols=[b"h2"])))


@attack(ILLEGAL_PARAMETER, DECODE_ERROR)
def protocol_without_a_name():
    return raw(record(HANDSHAKE, hello(protocols=[b""])))


@attack(ILLEGAL_PARAMETER, DECODE_ERROR)
def extension_twice():
    return raw(record(HANDSHAKE, hello(added=[extension(10, vector(2, words(GROUPS)))])))


@attack(ILLEGAL_PARAMETER, DECODE_ERROR, HANDSHAKE_FAILURE)
def compression_alone():
    return raw(record(HANDSHAKE, hello(compressions=b"\1")))


@attack(ILLEGAL_PARAMETER, DECODE_ERROR)
def session_of_33_bytes():
    return raw(record(HANDSHAKE, hello(session=b"s" * 33)))


@attack(ILLEGAL_PARAMETER, DECODE_ERROR, HANDSHAKE_FAILURE)
def share_that_is_no_point():
    # All zeros: the shared secret would be zero (RFC 7748 section 6.1).
    share = extension(51, vector(2, words([0x001D]) + vector(2, bytes(32))))
    return raw(record(HANDSHAKE, hello(share=False, added=[share])))


@attack(DECODE_ERROR, ILLEGAL_PARAMETER)
def hello_with_more_behind_it():
    return raw(record(HANDSHAKE, hello(more=b"more")))


@attack(ANY, END)
def hello_of_130_kilobytes():
    # As long as its extensions can be, and as much again behind them.
    long = hello(added=[extension(21, bytes(65_000))], more=bytes(65_000))
    return raw(*(record(HANDSHAKE, long[at : at + 16_000]) for at in range(0, len(long), 16_000)))


@attack(ANY, END)
def hello_that_says_16_megabytes():
    return raw(record(HANDSHAKE, b"\1\xff\xff\xff" + bytes(12_000)), *[record(HANDSHAKE, bytes(16_000))] * 1_000)


@attack(RECORD_OVERFLOW, DECODE_ERROR)
def record_of_18_433_bytes():
    return raw(record(HANDSHAKE, bytes(18_433)))


@attack(ANY, END)
def records_without_a_byte():
    return raw(*[record(HANDSHAKE, b"")] * 10_000)


@attack(END, ANY)
def half_a_hello():
    return raw(record(HANDSHAKE, hello()[:100]))


@attack(END, ANY)
def one_byte():
    return raw(b"\x16")


@attack(UNEXPECTED_MESSAGE, END)
def heartbeat_first():
    # As Heartbleed began: it says 16,384 bytes and has none.
    return raw(record(HEARTBEAT, b"\1\x40\0"))


@attack(UNEXPECTED_MESSAGE, END)
def heartbeat_in_the_handshake():
    return raw(record(HANDSHAKE, hello()), record(HEARTBEAT, b"\1\x40\0"))


@attack(END, ANY)
def data_first():
    return raw(record(DATA, bytes(100)))


@attack(UNEXPECTED_MESSAGE, BAD_RECORD_MAC, ILLEGAL_PARAMETER, END)
def hello_twice():
    return raw(record(HANDSHAKE, hello()) * 2)


@attack(UNEXPECTED_MESSAGE, ILLEGAL_PARAMETER, END)
def changes_of_cipher_without_end():
    return raw(record(HANDSHAKE, hello()), *[record(CHANGE, b"\1")] * 10_000)


@attack(BAD_RECORD_MAC, END)
def finished_of_random_bytes():
    return raw(record(HANDSHAKE, hello()), record(CHANGE, b"\1"), record(DATA, os.urandom(53)))


@attack(ANY, END)
def warnings_without_end():
    return raw(record(HANDSHAKE, hello()), *[record(ALERT, b"\1\x5a")] * 10_000)


@attack(ANY, END)
def early_data_without_a_session():
    psk = vector(2, vector(2, os.urandom(100)) + bytes(4)) + vector(2, vector(1, os.urandom(32)))
    added = [extension(45, b"\1\1"), extension(42, b""), extension(41, psk)]
    get = record(DATA, os.urandom(400))
    return raw(record(HANDSHAKE, hello(added=added)), record(CHANGE, b"\1"), *[get] * 100)


@attack(UNEXPECTED_MESSAGE, END)
def certificate_that_was_not_asked_for():
    return raw(record(HANDSHAKE, hello(versions=(0x0303,))), record(HANDSHAKE, b"\x0b" + vector(3, bytes(3)), 0x0303))


# With keys.


def shaken(version):
    """A connection of tlslite-ng on which the handshake is over."""
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = version
    connection = TLSConnection(connect())
    connection.handshakeClientCert(serverName="localhost", settings=settings, alpn=[b"http/1.1"])
    return connection


def send(connection, kind, content):
    for _ in connection._sendMsg(Message(kind, bytearray(content)), randomizeFirstBlock=False):
        pass


def after(connection):
    """What has become of it: an alert, an answer, or the end."""
    try:
        if connection.read(max=1, min=1):
            return SERVED
        return END
    except TLSRemoteAlert as alert:
        return alert.description
    except (TLSAbruptCloseError, ConnectionError):
        return END
    except TimeoutError:
        return f"nothing within {PATIENCE} s"


def with_keys(version, play):
    connection = shaken(version)
    try:
        play(connection)
    except ConnectionError:
        pass
    return after(connection)


GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
TLS_1_2, TLS_1_3 = (3, 3), (3, 4)


@attack(BAD_RECORD_MAC)
def record_with_a_wrong_mac_in_tls_1_3():
    return with_keys(TLS_1_3, lambda c: c.sock.sendall(record(DATA, os.urandom(60), 0x0303)))


@attack(BAD_RECORD_MAC)
def record_with_a_wrong_mac_in_tls_1_2():
    return with_keys(TLS_1_2, lambda c: c.sock.sendall(record(DATA, os.urandom(60), 0x0303)))


@attack(ANY - {0})
def record_without_encryption_in_tls_1_3():
    return with_keys(TLS_1_3, lambda c: c.sock.sendall(record(HANDSHAKE, hello(), 0x0303)))


@attack(RECORD_OVERFLOW, DECODE_ERROR, BAD_RECORD_MAC)
def record_of_16_641_bytes_in_tls_1_3():
    return with_keys(TLS_1_3, lambda c: c.sock.sendall(record(DATA, os.urandom(16_641), 0x0303)))


@attack(NO_RENEGOTIATION, UNEXPECTED_MESSAGE, HANDSHAKE_FAILURE, END)
def renegotiation_in_tls_1_2():
    return with_keys(TLS_1_2, lambda c: send(c, ContentType.handshake, hello(versions=(0x0303,))))


@attack(UNEXPECTED_MESSAGE)
def hello_after_the_handshake_in_tls_1_3():
    return with_keys(TLS_1_3, lambda c: send(c, ContentType.handshake, hello()))


@attack(UNEXPECTED_MESSAGE, DECODE_ERROR)
def unknown_message_after_the_handshake():
    return with_keys(TLS_1_3, lambda c: send(c, ContentType.handshake, b"\xfa\0\0\0"))


@attack(UNEXPECTED_MESSAGE, DECODE_ERROR)
def heartbeat_after_the_handshake():
    return with_keys(TLS_1_2, lambda c: send(c, HEARTBEAT, b"\1\x40\0"))


@attack(DECODE_ERROR, ILLEGAL_PARAMETER, UNEXPECTED_MESSAGE)
def key_update_that_asks_for_nonsense():
    return with_keys(TLS_1_3, lambda c: send(c, ContentType.handshake, b"\x18\0\0\1\7"))


@attack(UNEXPECTED_MESSAGE, END)
def key_updates_without_end():
    def play(connection):
        for _ in range(500):
            for _ in connection.send_keyupdate_request(1):
                pass

    return with_keys(TLS_1_3, play)


@attack(SERVED)
def one_key_update():
    def play(connection):
        for _ in connection.send_keyupdate_request(1):
            pass
        connection.write(GET)

    return with_keys(TLS_1_3, play)


@attack(SERVED)
def request_in_records_of_one_byte():
    def play(connection):
        for byte in GET:
            connection.write(bytes([byte]))

    return with_keys(TLS_1_3, play)


@attack(SERVED, UNEXPECTED_MESSAGE, END)
def data_of_no_bytes_without_end():
    def play(connection):
        for _ in range(500):
            send(connection, ContentType.application_data, b"")
        connection.write(GET)

    return with_keys(TLS_1_3, play)


@attack(END, 0)
def half_a_request_and_the_end():
    def play(connection):
        connection.write(GET[:20])
        connection.sock.shutdown(socket.SHUT_WR)

    return with_keys(TLS_1_3, play)


@attack(END, 0)
def request_behind_close_notify():
    def play(connection):
        send(connection, ContentType.alert, b"\1\0")
        connection.write(GET)

    return with_keys(TLS_1_3, play)


# And the others.


def is_served():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(connect(), server_hostname="localhost") as stream:
        stream.sendall(GET)
        return stream.recv(12) == b"HTTP/1.1 200"


def main():
    wrong = []
    only = sys.argv[3:]
    for play, allowed in attacks:
        if only and play.__name__ not in only:
            continue
        found = play()
        if "PARLOR_TRACE" in os.environ:
            print(play.__name__, found, flush=True)
        if found not in allowed:
            wrong.append(f"{play.__name__}: {found}")
        if not is_served():
            wrong.append(f"{play.__name__}: afterwards an ordinary client is not served")
    print(f"{len(attacks)} attacks")
    if wrong:
        sys.exit("\n".join(wrong))


SERVER = (sys.argv[1], int(sys.argv[2]))
main()
