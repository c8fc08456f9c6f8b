"""Settings of these tests."""

import asyncio

# pytest-asyncio asks for the current loop before an async test. Without this line, if a plain test ran first,
# asyncio makes one on the spot that nobody ever closes, and warnings are errors here.
asyncio.set_event_loop(None)
