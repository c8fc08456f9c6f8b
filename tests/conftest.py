"""What all tests share."""

import asyncio

import hypothesis

# pytest-asyncio asks for the current loop before an async test. Where a plain test ran first, asyncio makes
# one on the spot that nobody ever closes, and warnings are errors here.
asyncio.set_event_loop(None)

# How fast an example runs says something about the machine, not about the code.
hypothesis.settings.register_profile("tunnelpool", deadline=None)
hypothesis.settings.load_profile("tunnelpool")
