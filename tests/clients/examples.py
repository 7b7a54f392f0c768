"""Every request of docs/protocol.md against a running server, each over a connection of its own:
python examples.py http://HOST:PORT/. It must be answered as the page says, and what the server sends
must be in the schema."""

import asyncio
import json
import sys

import websockets

import schema

URL = sys.argv[1].replace("http:", "ws:") + "ws"
WAIT = 10
# The secret of the page is of another server. Nor is there an operator, a message, an account that
# is entered, or a key of tokens.
ERRORS = {
    "resume": "no_such_session",
    "op": "login_failed",
    **dict.fromkeys(["edit", "delete", "report"], "no_such_message"),
    **dict.fromkeys(["logout", "password", "unregister", "account"], "login_required"),
    **dict.fromkeys(["kick", "topic", "ban", "unban", "mute", "unmute", "sanctions"], "not_allowed"),
    **dict.fromkeys(["role", "room", "close_room", "audit", "purge"], "not_allowed"),
}
NEEDS_NO_ROOM = {"resume", "join", "nick", "op", "rooms", "ping"}


async def answer(socket, re):
    while True:
        event = json.loads(await asyncio.wait_for(socket.recv(), WAIT))
        schema.SENT.validate(event)
        if event.get("re") == re:
            return event


def error_of(request):
    if request["type"] == "login" and "token" in request:
        return "not_allowed"
    if request.get("room", "").startswith("@"):
        return "no_such_member"  # The other of the conversation is not here.
    if request["type"] == "room" and request.keys() == {"type", "id", "room"}:
        return None  # Only asks.
    return ERRORS.get(request["type"])


async def ask(request, expected):
    async with websockets.connect(URL, subprotocols=["parlor.v1.json"]) as socket:
        assert socket.subprotocol == "parlor.v1.json"
        hello = json.loads(await asyncio.wait_for(socket.recv(), WAIT))
        schema.SENT.validate(hello)
        assert hello["type"] == "hello", hello
        if request["type"] not in NEEDS_NO_ROOM:
            await socket.send('{"type":"join","id":"first","room":"den"}')
            assert (await answer(socket, "first"))["type"] == "joined"
        await socket.send(json.dumps(request))
        if "id" not in request:
            # Answered only if it is wrong.
            await socket.send('{"type":"ping","id":"last"}')
            assert (await answer(socket, "last"))["type"] == "ok"
            return
        result = await answer(socket, request["id"])
        code = error_of(request)
        assert result.get("code") == code, (request, result)
        if code is None:
            assert result["type"] in expected, (request, result)


async def key_names_one_message_in_whichever_room():
    async with websockets.connect(URL, subprotocols=["parlor.v1.json"]) as socket:
        for room in ["first-room", "second-room"]:
            await socket.send(json.dumps({"type": "join", "id": room, "room": room}))
            await answer(socket, room)
        for room in ["first-room", "second-room"]:
            send = {"type": "send", "id": f"to-{room}", "room": room, "text": "hi", "key": "k"}
            await socket.send(json.dumps(send))
        first = await answer(socket, "to-first-room")
        again = await answer(socket, "to-second-room")
        assert again.pop("duplicate"), again
        assert (again["room"], again["seq"]) == (first["room"], first["seq"]), (first, again)


async def main():
    await key_names_one_message_in_whichever_room()
    # The answer of an example is the next object with its id; what has none is answered by `joined`
    # or `ok`.
    examples = [(kind is schema.REQUEST, example) for kind, example in schema.examples()]
    # Examples of different parts may have the same id.
    answers = {}
    for is_request, example in examples:
        if "re" in example:
            answers.setdefault(example["re"], set()).add(example["type"])
    asked = 0
    for is_request, example in examples:
        if is_request:
            default = {"joined" if example["type"] == "join" else "ok"}
            await ask(example, answers.get(example.get("id"), set()) | default)
            asked += 1
    assert asked > 10, asked


asyncio.run(asyncio.wait_for(main(), 60))
