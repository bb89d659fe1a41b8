"""The door to BigPanda's API: each verb is one HTTP request, and whatever comes of it is returned as a `Ruling`.

It translates and decides nothing. It never repeats a request, never paces, never sleeps, and raises nothing but
`CancelledError`; `ruling` judges.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from yarl import URL

from relay.bigpanda.calls import BigPandaCall
from relay.bigpanda.classify import classify
from relay.bigpanda.outcomes import TaskOutcome
from relay.bigpanda.webhook.lenient_json import parse_json
from relay.http.outcome import Failure, HttpResponse
from relay.http.session import checked_base_url, failure_from, proxy_for, watch_connection
from relay.model.errors import NotJson, SettingsError
from relay.model.json_types import JSON

BASE_URL = "https://api.bigpanda.io"
TIMEOUT = 10.0
"""Seconds that one call may take in all, from the wait for a connection to the last byte of the answer."""

_LARGEST_ANSWER = 32 * 1024**2
"""Bytes. An incident with its 300 alerts, each with tags of 30 values of 512 characters, is smaller."""
_ACTIVITIES_A_PAGE = 99
"""The most that a client was seen to ask for (https://github.com/cloin/bigpanda-demo)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BigPandaRequest:
    """One request. `path` holds words of the API and ids alike, each still to be quoted; `secrets` beside the key."""

    call: BigPandaCall
    verb: str
    path: tuple[str, ...]
    query: Mapping[str, str] = field(default_factory=dict)
    body: JSON = None
    secrets: tuple[str, ...] = ()


class BigPandaClient:
    """One organisation's API, by one User API Key. Any number of tasks may share it.

    `environment` and `incident` are BigPanda's ids; every action on an incident needs both. Its answers mean no more
    than that BigPanda took it: a resolution is done some time after, and told by the next share.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        key: str,
        *,
        base_url: str = BASE_URL,
        timeout: float = TIMEOUT,
    ) -> None:
        """Take a session that outlives this (one of `relay.http.session.make_session`), inside the running loop.

        Raises `SettingsError` where `base_url` is no http or https address, and where no header can hold the key.
        """
        if not (key and key.isascii() and key.isprintable()):
            raise SettingsError(
                "BIGPANDA_API_KEY must be a User API Key as BigPanda shows it, on one line and in ASCII"
            )
        self._session = session
        self._key = key
        self._base_url = checked_base_url(base_url, "BIGPANDA_API_URL", BASE_URL).rstrip("/")
        self._deadline = timeout
        self._proxy = proxy_for(base_url)

    async def callback(self, incident: str, app_key: str) -> TaskOutcome:
        """Tell BigPanda that the incident's card exists, so that it lets go of the updates that it holds back.

        `app_key` is the integration's (https://docs.bigpanda.io/en/bigpanda-callback-service.html).
        """
        body = {"event_type": "incident#new", "incident_id": incident, "app_key": app_key}
        path = ("resources", "v2.1", "outbound", "callback")
        return await self._send(
            BigPandaRequest(call=BigPandaCall.CALLBACK, verb="POST", path=path, body=body, secrets=(app_key,))
        )

    async def incident(self, environment: str, incident: str) -> TaskOutcome:
        """Read an incident with its alerts; what it tells is for `relay.bigpanda.webhook.from_api`.

        https://api-docs.bigpanda.io/retrieve-incident-by-id-37770095e0.
        """
        path = _of(environment, incident)
        return await self._send(
            BigPandaRequest(call=BigPandaCall.INCIDENT, verb="GET", path=path, query={"expand": "alerts"})
        )

    async def resolve(self, environment: str, incident: str, comments: str) -> TaskOutcome:
        """Close the incident and all of its alerts, for good; `comments` may not be empty.

        https://api-docs.bigpanda.io/resolve-incident-37770104e0.
        """
        return await self._act(
            BigPandaCall.RESOLVE, "POST", _of(environment, incident, "resolve"), {"comments": comments}
        )

    async def comment(self, environment: str, incident: str, text: str) -> TaskOutcome:
        """Add a comment. There is no key by which BigPanda would know a repeated one: twice sent is twice there.

        https://api-docs.bigpanda.io/comment-on-incident-37770099e0.
        """
        return await self._act(BigPandaCall.COMMENT, "POST", _of(environment, incident, "comments"), {"comment": text})

    async def assign(self, environment: str, incident: str, user_id: str) -> TaskOutcome:
        """Make a BigPanda user responsible, by the id.

        https://api-docs.bigpanda.io/assign-incident-37770102e0.
        """
        return await self._act(
            BigPandaCall.ASSIGN, "PUT", _of(environment, incident, "assignment"), {"assignee": user_id}
        )

    async def unassign(self, environment: str, incident: str) -> TaskOutcome:
        """Make nobody responsible (https://api-docs.bigpanda.io/unassign-incident-37770103e0)."""
        return await self._act(BigPandaCall.UNASSIGN, "DELETE", _of(environment, incident, "assignment"))

    async def snooze(
        self,
        environment: str,
        incident: str,
        end_time: int,
        comment: str | None = None,
        *,
        cancel_on_updates: bool = False,
    ) -> TaskOutcome:
        """Put the incident to sleep until `end_time` (Unix seconds, at most about 90 days ahead).

        `cancel_on_updates`: a new alert, a rise of severity or a reopening wakes it before that.
        https://api-docs.bigpanda.io/snooze-incident-37770100e0.
        """
        body: dict[str, JSON] = {"end_time": end_time}
        if comment is not None:
            body["comment"] = comment
        if cancel_on_updates:
            body["cancel_on_incident_updates"] = True
        return await self._act(BigPandaCall.SNOOZE, "PUT", _of(environment, incident, "snooze"), body)

    async def unsnooze(self, environment: str, incident: str) -> TaskOutcome:
        """Wake the incident (https://api-docs.bigpanda.io/unsnooze-incident-37770101e0)."""
        return await self._act(BigPandaCall.UNSNOOZE, "DELETE", _of(environment, incident, "snooze"))

    async def tag(self, environment: str, incident: str, tag_id: str, value: str) -> TaskOutcome:
        """Set an incident tag; the value of a tag with a fixed list is written in brackets, `[value]`.

        https://api-docs.bigpanda.io/add-an-incident-tag-to-an-incident-37770107e0.
        """
        return await self._act(
            BigPandaCall.TAG, "POST", _of(environment, incident, "tags", tag_id), {"tag_value": value}
        )

    async def tag_definitions(self) -> TaskOutcome:
        """Read all tag definitions, for `relay.bigpanda.definitions_of`.

        https://api-docs.bigpanda.io/get-all-incident-tags-definitions-37770112e0.
        """
        path = ("resources", "v2.0", "incidents", "tags", "definitions")
        return await self._send(BigPandaRequest(call=BigPandaCall.TAG_DEFINITIONS, verb="GET", path=path))

    async def activities(self, incident: str, types: Iterable[str] = ()) -> TaskOutcome:
        """Read what happened to an incident, of these types or of all, for `relay.bigpanda.comments_of`.

        One page, the newest first: https://api-docs.bigpanda.io/get-incident-activities-37770105e0.
        """
        path = ("resources", "v2.0", "incidents", incident, "activities")
        query = {"per_page": str(_ACTIVITIES_A_PAGE)}
        if wanted := ",".join(types):
            query["types"] = wanted
        return await self._send(BigPandaRequest(call=BigPandaCall.ACTIVITIES, verb="GET", path=path, query=query))

    async def users(self, email: str) -> TaskOutcome:
        """Read who has this e-mail address, for `relay.bigpanda.users_of`; needs the permission to view users.

        https://docs.bigpanda.io/reference/retrieve-all-users: of a user's fields only the name can be filtered by, and
        the name is the address.
        """
        path = ("resources", "v2.0", "scim", "Users")
        query = {"filter": f"userName eq {json.dumps(email)}"}
        return await self._send(BigPandaRequest(call=BigPandaCall.USERS, verb="GET", path=path, query=query))

    async def _act(self, call: BigPandaCall, verb: str, path: tuple[str, ...], body: JSON = None) -> TaskOutcome:
        return await self._send(BigPandaRequest(call=call, verb=verb, path=path, body=body))

    async def _send(self, request: BigPandaRequest) -> TaskOutcome:
        return classify(request.call, await self._fetch(request))

    async def _fetch(self, request: BigPandaRequest) -> HttpResponse | Failure:
        """One request, and what came of it."""
        if self._session.closed:
            return Failure.NOT_CONNECTED
        try:
            address = self._address(request)
            body = None if request.body is None else orjson.dumps(request.body)
        except (ValueError, TypeError):
            return Failure.UNSENDABLE
        response: aiohttp.ClientResponse | None = None
        with watch_connection(self._session) as wire:
            try:
                async with (
                    asyncio.timeout(self._deadline),
                    self._session.request(
                        request.verb,
                        address,
                        data=body,
                        headers=self._headers(has_body=body is not None),
                        proxy=self._proxy,
                        allow_redirects=False,  # a redirected POST would arrive as a GET, and look done
                    ) as response,
                ):
                    return await _reply(response, (self._key, *request.secrets))
            except Exception as error:  # noqa: BLE001  whatever it is, the caller is told whether it may have been sent
                if response is None or response.status == HTTPStatus.OK:
                    return failure_from(error, wire)
                # The status says it all, whatever became of the body; only a 200 may be anybody's.
                return HttpResponse(status=response.status, headers=response.headers)

    def _address(self, request: BigPandaRequest) -> URL:
        """Raises `ValueError` where an id would lead elsewhere: an empty one, or one that is a step in the path."""
        if any(part in {"", ".", ".."} for part in request.path):
            raise ValueError("no address can be made of these ids")
        path = "/".join(quote(part, safe="") for part in request.path)
        query = f"?{urlencode(request.query, quote_via=quote)}" if request.query else ""
        return URL(f"{self._base_url}/{path}{query}", encoded=True)

    def _headers(self, *, has_body: bool) -> Mapping[str, str]:
        """https://api-docs.bigpanda.io/authentication-and-headers."""
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}
        return headers | {"Content-Type": "application/json; charset=utf8"} if has_body else headers


def _of(environment: str, incident: str, *more: str) -> tuple[str, ...]:
    return ("resources", "v2.0", "environments", environment, "incidents", incident, *more)


async def _reply(response: aiohttp.ClientResponse, secrets: Iterable[str]) -> HttpResponse | Failure:
    """The answer. What is said of an error goes into logs and letters; should it repeat a key, those do not."""
    raw = bytearray()
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > _LARGEST_ANSWER:
            return Failure.UNREADABLE
    if response.status >= HTTPStatus.BAD_REQUEST:
        for secret in filter(None, secrets):
            raw = raw.replace(secret.encode(), b"[secret]")
    return HttpResponse(status=response.status, headers=response.headers, body=_read(bytes(raw)))


def _read(raw: bytes) -> Any:
    """What the JSON says; what is none stays text; of an empty body, None."""
    if not raw.strip():
        return None
    try:
        return parse_json(raw)
    except NotJson:
        return raw.decode(errors="replace")
