"""Python's websockets against a running server: python talk.py http://HOST:PORT/"""

import asyncio
import sys

import websockets

URL = sys.argv[1].replace("http", "ws", 1) + "ws"
WAIT = 10


async def hears(client, expected):
    line = await asyncio.wait_for(client.recv(), WAIT)
    assert line == expected, f"heard {line!r} instead of {expected!r}"


async def talk():
    async with websockets.connect(f"{URL}?nick=ann") as ann, websockets.connect(f"{URL}?nick=bob") as bob:
        await hears(ann, "* welcome to lobby, ann. Nobody else is here")
        await hears(bob, "* welcome to lobby, bob. Here: ann")
        await hears(ann, "* bob joined")
        await ann.send("héllo 👋")
        await hears(ann, "ann: héllo 👋")
        await hears(bob, "ann: héllo 👋")
        await bob.send(["in ", "three ", "parts"])
        await hears(ann, "bob: in three parts")
        await hears(bob, "bob: in three parts")
        pong = await ann.ping(b"payload")
        await asyncio.wait_for(pong, WAIT)
        await ann.send("x" * 16384)
        await hears(ann, "ann: " + "x" * 16384)
        await hears(bob, "ann: " + "x" * 16384)
        assert ann.protocol.extensions == [], "compression is declined"
        await bob.close(1000, "bye")
        assert (bob.close_code, bob.close_reason) == (1000, ""), (bob.close_code, bob.close_reason)
        await hears(ann, "* bob left")
        await ann.send(b"binary")
        try:
            await asyncio.wait_for(ann.recv(), WAIT)
            raise AssertionError("binary was not refused")
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd.code == 1003, closed

    async with websockets.connect(URL + "?history=0") as cat:
        await asyncio.wait_for(cat.recv(), WAIT)
        await cat.send("y" * 16385)
        try:
            await asyncio.wait_for(cat.recv(), WAIT)
            raise AssertionError("a message above the limit was not refused")
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd.code == 1009, closed

    try:
        await websockets.connect(URL.replace("/ws", "/nowhere"))
        raise AssertionError("a wrong path was upgraded")
    except websockets.InvalidStatus as refused:
        assert refused.response.status_code == 404, refused


asyncio.run(asyncio.wait_for(talk(), 60))
