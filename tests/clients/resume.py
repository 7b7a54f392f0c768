"""docs/clients/parlor.py with servers that it starts itself: python resume.py PARLOR FOLDER. Cuts,
restarts, a restored backup and a store that forgets; each message is shown once and in order, or is
taken back. What both sides send is validated."""

import asyncio
import atexit
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys

import websockets

import schema

PARLOR, FOLDER = sys.argv[1:]
WAIT = 20
path = pathlib.Path(__file__).parents[2] / "docs/clients/parlor.py"
spec = importlib.util.spec_from_file_location("parlor", path)
parlor = importlib.util.module_from_spec(spec)
spec.loader.exec_module(parlor)


class Server:
    """Listens on the same port after each start."""

    def __init__(self, store, options=(), port=0):
        self.store, self.port, self.options = store, port, options
        self.start()

    def start(self):
        keeps = ["--store", self.store] if self.store else []
        self.process = subprocess.Popen(
            [PARLOR, "--listen", f"127.0.0.1:{self.port}", *keeps, *self.options],
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self.process.kill)
        line = self.process.stdout.readline()
        assert line.startswith("parlor is listening on http://127.0.0.1:"), line
        self.port = int(line.strip().rstrip("/").rsplit(":", 1)[1])
        self.url = f"ws://127.0.0.1:{self.port}/ws"

    def kill(self):
        self.process.kill()
        self.process.wait()


class Checked(parlor.Client):
    """The client of the documentation, with a list of what a person would see of one room."""

    def __init__(self, url):
        super().__init__(url, ["den"], self.shows)
        self.visible, self.events, self.changed = {}, [], asyncio.Event()

    async def receive(self, event):
        schema.SENT.validate(event)
        self.pause = 0.05
        await super().receive(event)

    async def request(self, message, *after):
        # What is null counts as missing.
        schema.REQUEST.validate({name: value for name, value in message.items() if value is not None})
        await super().request(message, *after)

    def shows(self, event):
        self.events.append(event)
        if event["type"] == "forget":
            self.visible = {seq: text for seq, text in self.visible.items() if seq <= event["above"]}
        elif event["type"] == "message":
            assert event["seq"] not in self.visible, f"twice: {event}"
            self.visible[event["seq"]] = event["text"]
        self.changed.set()

    async def until(self, what, holds):
        async def wait():
            while not holds():
                self.changed.clear()
                await self.changed.wait()

        try:
            await asyncio.wait_for(wait(), WAIT)
        except TimeoutError:
            raise AssertionError(f"not in {WAIT} s: {what}: {self.events[-5:]}") from None

    async def joins(self, times=1):
        """Waits until it joined so many times, since it was made."""
        def joined():
            return [event for event in self.events if event["type"] == "joined"]

        await self.until("joined", lambda: len(joined()) >= times)
        return joined()[-1]

    async def sees(self, *texts):
        await self.until(f"sees {texts}", lambda: list(self.visible.values()) == list(texts))
        assert list(self.visible) == list(range(1, len(texts) + 1)), self.visible

    async def has_answers(self):
        await self.until("every message is acknowledged", lambda: not self.unacknowledged)

    def cut(self):
        self.socket.transport.abort()


class Other:
    """Another member, who is there while the client is not."""

    async def join(self, url):
        self.socket = await websockets.connect(url, subprotocols=["parlor.v1.json"])
        await self.ask(type="join", room="den")

    async def says(self, text):
        await self.ask(type="send", room="den", text=text)

    async def ask(self, **request):
        request["id"] = 1
        schema.REQUEST.validate(request)
        await self.socket.send(json.dumps(request))
        while True:
            event = json.loads(await asyncio.wait_for(self.socket.recv(), WAIT))
            schema.SENT.validate(event)
            if event.get("re") == 1:
                assert event["type"] != "error", event
                return event


async def begin(store):
    server, other = Server(store), Other()
    client = Checked(f"{server.url}?nick=ann")
    running = asyncio.create_task(client.run())
    await client.joins()
    await other.join(f"{server.url}?nick=bob")
    return server, client, running, other


async def end(server, client, running):
    running.cancel()
    await client.socket.close()
    server.kill()


async def cut_connection():
    server, client, running, other = await begin(f"{FOLDER}/cut")
    await other.says("one")
    await client.send("den", "two")
    await client.has_answers()
    await client.sees("one", "two")
    client.cut()
    for text in ["three", "four", "five"]:
        await other.says(text)
    joined = await client.joins(times=2)
    await client.sees("one", "two", "three", "four", "five")
    assert joined["recovered"] and "rewound" not in joined, joined
    # Whether the server had it or not before the cut, it is said once.
    await client.send("den", "six")
    client.cut()
    await client.has_answers()
    await client.sees("one", "two", "three", "four", "five", "six")
    await end(server, client, running)


async def killed_server():
    server, client, running, other = await begin(f"{FOLDER}/killed")
    await client.send("den", "one")
    await client.has_answers()
    await client.sees("one")
    server.kill()
    await client.send("den", "two")
    server.start()
    await client.has_answers()
    await other.join(f"{server.url}?nick=bob")
    await other.says("three")
    await client.sees("one", "two", "three")
    await end(server, client, running)


async def server_that_forgets():
    server, client, running, other = await begin("memory")
    for text in ["one", "two", "three"]:
        await other.says(text)
    await client.sees("one", "two", "three")
    server.kill()
    server.start()
    await client.until("what was seen is taken back", lambda: not client.visible)
    await other.join(f"{server.url}?nick=bob")
    await other.says("anew")
    await client.sees("anew")
    await end(server, client, running)


async def restored_backup():
    """The store has the epoch in which the client saw more than it has."""
    store, backup = pathlib.Path(FOLDER, "restored"), pathlib.Path(FOLDER, "backup.db")
    server, client, running, other = await begin(store)
    for text in ["one", "two"]:
        await other.says(text)
    command = [PARLOR, "backup", "--store", store, backup]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=WAIT)
    await client.send("den", "lost")
    await client.has_answers()
    await other.says("lost too")
    await client.sees("one", "two", "lost", "lost too")
    server.kill()
    await client.send("den", "three")
    for file in store.glob("parlor.db*"):
        file.unlink()
    backup.rename(store / "parlor.db")
    server.start()
    joined = await client.joins(times=2)
    assert joined["rewound"] == 2, joined
    await client.has_answers()
    await other.join(f"{server.url}?nick=bob")
    await other.says("four")
    await client.sees("one", "two", "three", "four")
    await end(server, client, running)


async def newer_connection_of_the_session():
    server, client, running, other = await begin(f"{FOLDER}/replaced")
    second = Checked(client.url)
    second.session = client.session
    running_second = asyncio.create_task(second.run())
    await asyncio.wait_for(running, WAIT)
    assert client.socket.close_code == 4001, client.socket.close_code
    await second.joins()
    who = await other.ask(type="who", room="den")
    assert who["members"] == ["ann", "bob"], who
    await end(server, second, running_second)


async def upgraded_over_tls():
    """Who is connected without TLS stays connected; who is with TLS comes back and loses nothing."""
    files = pathlib.Path(__file__).parents[1] / "tls"
    os.environ["SSL_CERT_FILE"] = str(files / "ca.pem")
    tls = ["--tls-listen", "127.0.0.1:0", "--tls-cert", files / "site.pem", "--tls-key", files / "site.key"]
    server, other = Server(f"{FOLDER}/upgraded", tls), Other()
    line = server.process.stdout.readline()
    assert line.startswith("parlor is listening on https://127.0.0.1:"), line
    client = Checked(f"wss://localhost:{line.strip().rstrip('/').rsplit(':', 1)[1]}/ws?nick=ann")
    running = asyncio.create_task(client.run())
    await client.joins()
    await other.join(f"{server.url}?nick=bob")
    texts = []
    for number in range(3):
        await other.says(f"before {number}")
        socket = client.socket
        server.process.send_signal(signal.SIGUSR2)
        await other.says(f"meanwhile {number}")
        await asyncio.wait_for(socket.wait_closed(), WAIT)
        assert socket.close_code == 1012, socket.close_code
        await client.send("den", f"after {number}")
        await client.has_answers()
        texts += [f"before {number}", f"meanwhile {number}", f"after {number}"]
        await client.sees(*texts)
    await end(server, client, running)


async def killed_servers_of_one_port():
    """Two servers share their rooms. Whichever is killed, its clients go on at the other."""
    folder = pathlib.Path(FOLDER, "redis")
    folder.mkdir()
    redis = ["redis-server", "--port", "0", "--unixsocket", folder / "socket", "--dir", folder, "--save", ""]
    process = subprocess.Popen(redis, stdout=subprocess.DEVNULL)
    atexit.register(process.kill)
    while not (folder / "socket").exists():
        await asyncio.sleep(0.01)
    options = ["--engine", f"redis+unix:{folder / 'socket'}", "--reuse-port"]
    servers = [Server(None, options)]
    servers.append(Server(None, options, servers[0].port))
    client = Checked(f"{servers[0].url}?nick=ann")
    running = asyncio.create_task(client.run())
    await client.joins()
    texts = []
    for number in range(4):
        server = servers[number % 2]
        server.kill()
        await client.send("den", f"said {number}")
        await client.has_answers()
        other = Other()
        await other.join(f"{server.url}?nick=bob{number}")
        await other.says(f"answer {number}")
        texts += [f"said {number}", f"answer {number}"]
        await client.sees(*texts)
        server.start()
    assert "forget" not in [event["type"] for event in client.events], client.events
    await end(servers[0], client, running)
    servers[1].kill()
    process.kill()


async def main():
    schema.check()
    for scenario in [
        cut_connection,
        killed_server,
        server_that_forgets,
        restored_backup,
        newer_connection_of_the_session,
        upgraded_over_tls,
        killed_servers_of_one_port,
    ]:
        print(scenario.__name__, flush=True)
        await asyncio.wait_for(scenario(), 60)


asyncio.run(main())
