"""The real process as a unit of systemd: it says when it is ready, reloads, is alive, and stops."""

import asyncio
import signal
import socket
import sys
from uuid import uuid4

import aiohttp
import pytest

from tests.support.relay_process import KEY, SERVE, TIMEOUT, running

ROUTES = "version: 1\nroutes: [{name: all, post: [C0ALL00001]}]\n"
CHANNELS = {"C0ALL00001": "all"}
WITH_SOCKET = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""A program that runs a command as systemd does, with an open file as the socket of its unit."""
FAULTY = "version: 1\nroutes: [{name: all, post: 7}]\n"


async def test_relay_notifies_systemd_that_it_is_ready_reloads_is_alive_and_stops(folder, slack):
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


@pytest.mark.soak
async def test_shares_wait_in_the_socket_of_systemd_while_relay_restarts(folder, slack):
    with socket.create_server(("127.0.0.1", 0), backlog=128) as kept:
        command = (sys.executable, "-c", WITH_SOCKET, str(kept.fileno()), *SERVE)
        as_unit = {"command": command, "pass_fds": [kept.fileno()]}

        async def share(number):
            body = {"incident": {"id": f"i{number}", "status": "critical"}}
            async with (
                aiohttp.ClientSession(headers={"X-Relay-Key": KEY}) as sender,
                sender.post(f"http://127.0.0.1:{kept.getsockname()[1]}/shares", json=body) as answer,
            ):
                return answer.status

        async with running(folder, slack.url, **as_unit, RELAY_LISTEN="192.0.2.1:1") as relay:
            assert (await relay.line("serving"))["port"] == kept.getsockname()[1]
            assert await share(0) == 202
            assert await relay.stop() == 0
        waiting = [asyncio.create_task(share(number)) for number in range(1, 50)]
        async with running(folder, slack.url, **as_unit):
            assert await asyncio.gather(*waiting) == [202] * 49
