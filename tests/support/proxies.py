"""The real proxies of `deploy/proxy`, started with the files that operators get. Debian's packages have them."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from packaging.version import Version

from tests.support.relay_process import TIMEOUT

FILES = Path(__file__).resolve().parents[2] / "deploy" / "proxy"

OLDEST_CADDY = Version("2.11.1")
"""Older ones send a request the second time without its body."""


def find_program(name: str) -> str | None:
    """A program beside Python (from PyPI), or one of the system; that of an administrator, too."""
    return shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"]))


def missing(name: str) -> str:
    """Why this machine has no such proxy; empty if it has one."""
    program = find_program(name)
    if program is None:
        return f"{name} is not installed"
    if name == "caddy":
        version = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout.split()[0]
        if Version(version.removeprefix("v")) < OLDEST_CADDY:
            return f"this Caddy is {version}, and relay needs {OLDEST_CADDY}"
    return ""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def replaced(text: str, changes: dict[str, str]) -> str:
    """The text with all changes; each must have something to change."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in the file any more"
        text = text.replace(old, new)
    return text


def caddy_command(folder: Path, port: int, relay: int, *, quick: bool) -> tuple[list[str], dict[str, str]]:
    """Caddy with a certificate of its own, which listens on this port alone."""
    changes = {"lb_try_duration 45s": "lb_try_duration 2s"} if quick else {}
    text = replaced((FILES / "Caddyfile").read_text(), changes)
    (folder / "Caddyfile").write_text(
        "{\nadmin off\nauto_https disable_redirects\nskip_install_trust\nlocal_certs\n}\n" + text
    )
    environment = {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "RELAY_HOST": f"https://localhost:{port}",
        "RELAY_UPSTREAM": f"127.0.0.1:{relay}",
    }
    return [str(find_program("caddy")), "run", "--config", "Caddyfile"], environment


def nginx_command(folder: Path, port: int, relay: int, *, quick: bool) -> tuple[list[str], dict[str, str]]:
    """Make nginx's own configuration around the file, and a certificate."""
    new_key = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    files = ("-keyout", "key.pem", "-out", "certificate.pem", "-subj", "/CN=localhost", "-days", "2")
    subprocess.run([*new_key, *files], cwd=folder, check=True, capture_output=True)
    changes = {
        "    listen [::]:443 ssl;\n": "",
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        "server 127.0.0.1:8080 ": f"server 127.0.0.1:{relay} ",
        "127.0.0.1:8079": f"127.0.0.1:{free_port()}",
        "/etc/letsencrypt/live/relay.example.com/fullchain.pem": f"{folder}/certificate.pem",
        "/etc/letsencrypt/live/relay.example.com/privkey.pem": f"{folder}/key.pem",
        **({"proxy_read_timeout 3s": "proxy_read_timeout 200ms"} if quick else {}),
    }
    (folder / "relay.conf").write_text(replaced((FILES / "nginx.conf").read_text(), changes))
    user = "user root;\n" if os.geteuid() == 0 else ""  # the folder is the tests' own
    own = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
        f"events {{ worker_connections 2048; }}\n"
        f"http {{\naccess_log off;\n{own}include {folder}/relay.conf;\n}}\n"
    )
    return [
        str(find_program("nginx")),
        "-p",
        str(folder),
        "-e",
        f"{folder}/error.log",
        "-c",
        f"{folder}/nginx.conf",
    ], {}


COMMANDS: dict[str, Callable[..., tuple[list[str], dict[str, str]]]] = {
    "caddy": caddy_command,
    "nginx": nginx_command,
}


@asynccontextmanager
async def proxy(name: str, folder: Path, relay: int, *, quick: bool = False) -> AsyncIterator[str]:
    """Run a proxy for the relay on this port; yield the proxy's address.

    A `quick` one is less patient: it tries again sooner, and gives up after two seconds.
    """
    port = free_port()
    command, environment = COMMANDS[name](folder, port, relay, quick=quick)
    with (folder / "output").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env={"PATH": os.environ["PATH"], **environment}, stdout=output, stderr=output
        )
    try:
        async with asyncio.timeout(TIMEOUT):
            while not await _answers(port):
                assert process.returncode is None, (folder / "output").read_text()
                await asyncio.sleep(0.05)
        yield f"https://localhost:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(TIMEOUT):
            await process.wait()


async def _answers(port: int) -> bool:
    """Whether the proxy listens, and has its certificate."""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    try:
        _, writer = await asyncio.open_connection("localhost", port, ssl=anybody)
    except OSError:
        return False
    writer.close()
    return True
