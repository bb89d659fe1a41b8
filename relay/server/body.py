"""Reads and decompresses a request's body, within limits of time, of its own bytes, and of all bodies of its sender.

Small bodies arrive freely; the limit of connections bounds them. A large one first reserves its bytes, so that large
bodies wait for each other: small ones, and those of other senders, pass.

aiohttp could decompress by itself, but it rejects a body that it cannot decompress before relay can store it. So relay
decompresses, and keeps a body as it is if its Content-Encoding is wrong. (A proxy may have decompressed it and left the
header.)
"""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from relay.server.byte_budget import WAIT_SECONDS, ByteBudget, Reservation
from relay.server.connections import CONNECTIONS
from relay.server.lifecycle import is_cancelled
from relay.server.problem import Problem, unavailable

SMALL_BODY = 64 * 1024
"""Bytes up to which a body is small, compressed and decompressed. Nearly every share is."""

BUDGET = 16 * 1024 * 1024
"""Bytes of the large bodies that relay holds at a time for one sender; and as many of small ones that are complete."""

_COMPRESSED = {"gzip", "x-gzip", "deflate"}  # https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1
_MOST_CODINGS = 2
_MOST_MEMBERS = 100
"""Members of a gzip body. Each costs a copy of the rest; a sender that writes several writes a few."""

_GZIP = b"\x1f\x8b"
_WINDOWS = (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS)  # with a gzip or zlib header; raw deflate, also called "deflate"


class BodyReader:
    """Reads the bodies of one sender: the holders of one key, or Slack.

    A body may have `limit` bytes, before and after decompression, and must arrive within `within` seconds.
    """

    def __init__(self, *, limit: int, within: float, budget: int = BUDGET, wait_seconds: float = WAIT_SECONDS) -> None:
        self._limit = limit
        self._within = within
        self._large = ByteBudget(max(budget, limit), wait_seconds=wait_seconds)
        self._small = ByteBudget(max(budget, limit), wait_seconds=wait_seconds)

    @asynccontextmanager
    async def read(self, request: web.Request) -> AsyncIterator[bytes]:
        """Read and decompress the body of `request`; its bytes count until the block ends.

        Raises Problem: 413 as soon as the body is known to be too large; 400 if it ends too early; 503 if it does not
        arrive in time, relay stops, or too many others are in progress.
        """
        length = request.content_length or 0
        if length > self._limit:
            raise too_large(self._limit)
        compressed = _times_compressed(request)
        large, small = Reservation(self._large), Reservation(self._small)
        try:
            if length > SMALL_BODY:
                await large.take(self._limit if compressed else length)
            await _continue(request)
            body = await self._receive(request, large)
            for _ in range(compressed):
                body = await self._decompress(body, large)
            if large.size:
                large.shrink(len(body))
            else:
                await small.take(len(body))
            request.app[CONNECTIONS].received(request.protocol)
            yield body
        finally:
            large.shrink(0)
            small.shrink(0)

    async def _receive(self, request: web.Request, reservation: Reservation) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self._within):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > self._limit:
                        raise too_large(self._limit)
                    if len(body) > SMALL_BODY and not reservation.size:  # it came without its length
                        await reservation.take(self._limit)
        except TimeoutError:
            detail = f"The body did not arrive within {self._within:g} seconds."
            raise unavailable("too_slow", detail, close=True) from None
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            # aiohttp's server ends what it still reads when it stops, without cancelling the task.
            detail = (
                "Relay is stopping, and the body had not arrived completely. Nothing was stored; please send it again."
            )
            raise unavailable("stopping", detail, close=True) from None
        except (OSError, RequestPayloadError, RuntimeError) as error:
            # The client has disconnected (RuntimeError: before the first read), or its chunked encoding is invalid.
            # Only in the second case does anybody receive this response; neither is a failure of relay.
            raise Problem(HTTPStatus.BAD_REQUEST, "incomplete", "The body ended too early.", close=True) from error
        return bytes(body)

    async def _decompress(self, body: bytes, reservation: Reservation) -> bytes:
        """Decompress what stays small at once, and the rest in a thread: ten kilobytes can become ten megabytes."""
        if not reservation.size:
            with suppress(DecompressedTooLarge):
                return _or_raw(body, decompress(body, min(SMALL_BODY, self._limit)))
            await reservation.take(self._limit)
        try:
            return _or_raw(body, await asyncio.to_thread(decompress, body, self._limit))
        except DecompressedTooLarge:
            raise too_large(self._limit) from None


class DecompressedTooLarge(Exception):
    """Decompressed, the body has more bytes than it may have."""


def _or_raw(body: bytes, decompressed: bytes | None) -> bytes:
    """The body as it is where it is not compressed, whatever its header says."""
    return body if decompressed is None else decompressed


def decompress(data: bytes, limit: int) -> bytes | None:
    """Decompress gzip, zlib or raw deflate; None if it is none of them.

    Raises `DecompressedTooLarge` above `limit` bytes.
    """
    for window in _WINDOWS:
        with suppress(zlib.error):
            if (decompressed := _members(data, limit, window)) is not None:
                return decompressed
    return None


def _members(data: bytes, limit: int, window: int) -> bytes | None:
    """Decompress a stream. A gzip stream may have several members (RFC 1952 section 2.2), and zeros after the last."""
    decompressed = bytearray()
    for _ in range(_MOST_MEMBERS):
        stream = zlib.decompressobj(wbits=window)
        decompressed += stream.decompress(data, limit + 1 - len(decompressed))
        if len(decompressed) > limit:
            raise DecompressedTooLarge
        rest = stream.unused_data.lstrip(b"\0") if data.startswith(_GZIP) else stream.unused_data
        if not stream.eof or (rest and not (data.startswith(_GZIP) and rest.startswith(_GZIP))):
            return None
        if not rest:
            return bytes(decompressed)
        data = rest
    return None


def too_large(limit: int) -> Problem:
    """Return the response to a body that is too large, compressed or not."""
    detail = f"The body is larger than the limit of {limit} bytes."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail, close=True)


async def ignore_expect(_request: web.Request) -> None:
    """Do not answer `Expect: 100-continue` yet: a `BodyReader` does, after the key and the size were checked."""


def _times_compressed(request: web.Request) -> int:
    """How often to decompress. `identity` says nothing, and a body with an unknown coding is kept as it is.

    https://www.rfc-editor.org/rfc/rfc9110#section-8.4
    """
    listed = ",".join(request.headers.getall("Content-Encoding", [])).lower().split(",")
    codings = [coding for each in listed if (coding := each.strip()) not in {"", "identity"}]
    return len(codings) if len(codings) <= _MOST_CODINGS and _COMPRESSED.issuperset(codings) else 0


async def _continue(request: web.Request) -> None:
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # no part of the response itself has been sent yet
