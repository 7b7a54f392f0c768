"""Python's ssl against a running server with TLS: python tls.py https://localhost:PORT/ CERTIFICATE"""

import socket
import ssl
import sys

PORT = int(sys.argv[1].rstrip("/").rsplit(":", 1)[1])
CERTIFICATE = sys.argv[2]
WAIT = 20
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def context(version=None, alpn=()):
    made = ssl.create_default_context(cafile=CERTIFICATE)
    if version:
        made.minimum_version = made.maximum_version = version
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


def connect():
    return socket.create_connection(("127.0.0.1", PORT), timeout=WAIT)


def fetch(made, session=None, name="localhost", piece=None):
    """The whole answer, which must end with a close_notify, and the session."""
    with made.wrap_socket(connect(), server_hostname=name, session=session, suppress_ragged_eofs=False) as client:
        for begin in range(0, len(REQUEST), piece or len(REQUEST)):
            client.sendall(REQUEST[begin : begin + (piece or len(REQUEST))])
        answer = b""
        while part := client.recv(4096):
            answer += part
        assert answer.startswith(b"HTTP/1.1 200 OK"), answer
        return client.version(), client.selected_alpn_protocol(), client.session, client.session_reused


def fails(made, expected, name="localhost"):
    try:
        fetch(made, name=name)
    except ssl.SSLError as error:
        assert expected in str(error).lower().replace("_", " "), error
        return
    raise AssertionError(f"served instead of {expected}")


for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
    for piece in (None, 1, 7):
        fetch(context(version), piece=piece)
    made = context(version)
    _, _, session, reused = fetch(made)
    assert not reused
    assert fetch(made, session)[3], f"{version} is not resumed"

assert fetch(context())[0] == "TLSv1.3"
assert fetch(context(alpn=["h2", "http/1.1"]))[1] == "http/1.1"
assert fetch(context())[1] is None
fails(context(alpn=["h2"]), "no application protocol")
# The client refuses, by the name; the server goes on.
fails(context(), "certificate verify failed", name="elsewhere.example")

# A hello in pieces of one byte each.
made = context()
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
client = made.wrap_bio(incoming, outgoing, server_hostname="localhost")
raw = connect()
raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while True:
    try:
        client.do_handshake()
        done = True
    except ssl.SSLWantReadError:
        done = False
    for byte in outgoing.read():
        raw.sendall(bytes([byte]))
    if done:
        break
    incoming.write(raw.recv(4096))
client.write(REQUEST)
for byte in outgoing.read():
    raw.sendall(bytes([byte]))
answer = b""
while not answer.endswith(b"ok\n"):
    incoming.write(raw.recv(4096))
    try:
        answer += client.read(4096)
    except ssl.SSLWantReadError:
        pass
assert b"200 OK" in answer, answer
raw.close()

# A record that is no record: an alert, and the end.
raw = connect()
raw.sendall(b"\x16\x03\x01\xff\xff" + b"x" * 100)
answer = b""
while part := raw.recv(4096):
    answer += part
assert answer[:1] == b"\x15", answer
raw.close()
