"""A member with Python's websockets that answers pings until the connection ends:
python stay.py http://HOST:PORT/ NICK"""

import asyncio
import sys

import websockets

URL = sys.argv[1].replace("http:", "ws:") + "ws?nick=" + sys.argv[2]


async def stay():
    # The library answers pings; ping_interval=None makes it send none.
    async with websockets.connect(URL, ping_interval=None) as client:
        async for _ in client:
            pass


asyncio.run(stay())
