"""The real process as a unit of systemd: it says when it is ready, reloads, is alive, and stops."""

import asyncio
import signal
import socket
from uuid import uuid4

from tests.support.relay_process import TIMEOUT, running

ROUTES = "version: 1\nroutes: [{name: all, post: [C0ALL00001]}]\n"
CHANNELS = {"C0ALL00001": "all"}
FAULTY = "version: 1\nroutes: [{name: all, post: 7}]\n"


async def test_systemd_learns_that_relay_is_ready_reloads_lives_and_stops(folder, slack):
    name = uuid4().hex
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        manager.settimeout(0)

        async def message():
            """The next message that is not the watchdog's."""
            async with asyncio.timeout(TIMEOUT):
                while True:
                    received = await asyncio.get_running_loop().sock_recv(manager, 4096)
                    if received != b"WATCHDOG=1":
                        return received.decode().split("\n")

        environment = {"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": "60000000"}
        async with running(folder, slack.url, **environment) as relay:
            ready, status = await message()
            assert ready == "READY=1"
            assert status.startswith("STATUS=accepts shares on 127.0.0.1 port ")
            assert (await relay.get("/healthz"))[0] == 200

            relay.process.send_signal(signal.SIGHUP)
            assert (await message())[0] == "RELOADING=1"
            assert await message() == [ready, status]

            (folder / "routes.yaml").write_text(FAULTY)
            relay.process.send_signal(signal.SIGHUP)
            assert (await message())[0] == "RELOADING=1"
            assert (await message())[1] == f"{status}; the files have 1 fault: see `relay check`"

            relay.process.send_signal(signal.SIGTERM)
            assert (await message())[0] == "STOPPING=1"
            await relay.line("stopped")
