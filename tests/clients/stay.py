"""Python's websockets as somebody who stays, and answers pings, until the connection ends:
python stay.py http://HOST:PORT/ NICK"""

import asyncio
import sys

import websockets

URL = sys.argv[1].replace("http:", "ws:") + "ws?nick=" + sys.argv[2]


async def stay():
    # It answers pings by itself, and sends none.
    async with websockets.connect(URL, ping_interval=None) as client:
        async for _ in client:
            pass


asyncio.run(stay())
