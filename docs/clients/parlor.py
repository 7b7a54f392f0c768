"""A client of parlor.v1.json, with Python's websockets: it comes back and loses or repeats nothing.
`show` gets what the server sends, and {"type": "forget", "room", "above"}: remove what is shown of
a room above that number. `run` returns when there is no coming back."""
import asyncio, contextlib, json, random, re, websockets
FINAL = {1002, 1003, 1007, 1008, 1009, *range(4000, 5000)}

class Client:
    def __init__(self, url, rooms, show):
        self.url, self.show, self.socket, self.session, self.pause = url, show, None, None, 1
        self.positions = dict.fromkeys(rooms)  # Epoch and seq of each room.
        self.unacknowledged = {}  # Messages without an answer, by their key.

    async def run(self):
        while not self.socket or self.socket.close_code not in FINAL:
            with contextlib.suppress(OSError, TimeoutError, websockets.WebSocketException):
                self.socket = await websockets.connect(self.url, subprotocols=["parlor.v1.json"])
                async for message in self.socket:
                    await self.receive(json.loads(message))
            reason = self.socket and self.socket.close_reason or ""  # Of 1012: it starts again.
            asked = re.fullmatch(r'{"retry_ms":(\d+)}', reason)
            pause = self.pause * random.uniform(0.5, 1.5)
            await asyncio.sleep(pause + (int(asked[1]) / 1000 if asked else 0))
            self.pause = min(2 * self.pause, 60)

    async def send(self, room, text):  # Wait while limits.unacknowledged of them have no answer.
        key = f"{random.getrandbits(64):x}"
        self.unacknowledged[key] = dict(type="send", id=key, key=key, room=room, text=text)
        await self.request(self.unacknowledged[key])

    async def request(self, message, pause=0):
        await asyncio.sleep(pause)
        if self.socket and self.socket.state == websockets.State.OPEN:
            await self.socket.send(json.dumps(message))

    async def receive(self, event):
        kind, room, re = event["type"], event.get("room"), event.get("re")
        if kind == "hello":
            self.fresh, self.session = event["session"], self.session or event["session"]
            if self.session != self.fresh:
                await self.request(dict(type="resume", id="resume", session=self.session))
            for room, since in self.positions.items():
                await self.request(dict(type="join", id="join", room=room, since=since, history=50))
            for message in list(self.unacknowledged.values()):
                await self.request(message)
        elif re == "resume":
            self.session = event.get("session", self.fresh)
        elif kind in ("joined", "rewound"):
            if (above := event.get("rewound", event.get("to"))) is not None:
                self.show({"type": "forget", "room": room, "above": above})
            seq = event["after"] if kind == "joined" else min(above, self.positions[room]["seq"])
            self.positions[room], self.pause = {"epoch": event["epoch"], "seq": seq}, 1
        elif kind == "gap":
            self.positions[room]["seq"] = event["to"]
        elif (message := self.unacknowledged.pop(re, None)) and "retry_ms" in event:
            self.unacknowledged[re] = message
            asyncio.create_task(self.request(message, event["retry_ms"] / 1000))
        elif re == "join":
            await self.socket.close()  # The room cannot be joined at the moment.
        elif not re and "seq" in event:
            assert event["seq"] == self.positions[room]["seq"] + 1, event
            self.positions[room]["seq"] += 1
        self.show(event)
