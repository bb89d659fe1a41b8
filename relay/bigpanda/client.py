"""A client of BigPanda's API: each method makes one HTTP request and returns its outcome.

It decides nothing: it never repeats a request, never waits, and raises only `CancelledError` and what a check before
sending raises. `classify` says what a response or a failure means.
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
from relay.bigpanda.classify import NOT_BIGPANDA, classify
from relay.bigpanda.outcomes import TaskDone, TaskOutcome
from relay.http.json_fields import as_object, text_field
from relay.http.outcome import Failure, HttpResponse
from relay.http.session import checked_base_url, failure_from, parse_answer, proxy_for, watch_connection
from relay.model.errors import NotJson, SettingsError
from relay.model.json_types import JSON

BASE_URL = "https://api.bigpanda.io"
TIMEOUT = 10.0
"""Seconds that one call may take in all, from the wait for a connection to the last byte of the response."""

_ACTIVITIES_A_PAGE = 99
"""The most that a client was seen to ask for (https://github.com/cloin/bigpanda-demo)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BigPandaRequest:
    """One request. Each part of `path` is quoted when it is sent. `secrets` are hidden, like the key, in errors."""

    call: BigPandaCall
    verb: str
    path: tuple[str, ...]
    query: Mapping[str, str] = field(default_factory=dict)
    body: JSON = None
    secrets: tuple[str, ...] = ()


class BigPandaClient:
    """One organisation's API, by one User API Key. Any number of tasks may share it.

    `environment` and `incident` are BigPanda's ids; every action on an incident needs both. A success means that
    BigPanda accepted the call: a resolution, for example, takes effect later, and the next share reports it.
    """

    def __init__(
        self, session: aiohttp.ClientSession, key: str, *, base_url: str = BASE_URL, timeout: float = TIMEOUT
    ) -> None:
        """Use a session of `relay.http.session.make_session` that is closed after this client, in the running loop.

        Raises `SettingsError` where `base_url` is not an http or https address, or no header can hold the key.
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
        """Tell BigPanda that the incident's card exists, so that it sends the updates that it holds back.

        `app_key` is the integration's (https://docs.bigpanda.io/en/bigpanda-callback-service.html).
        """
        body = {"event_type": "incident#new", "incident_id": incident, "app_key": app_key}
        path = ("resources", "v2.1", "outbound", "callback")
        return await self._send(
            BigPandaRequest(call=BigPandaCall.CALLBACK, verb="POST", path=path, body=body, secrets=(app_key,))
        )

    async def incident(self, environment: str, incident: str) -> TaskOutcome:
        """Read an incident with its alerts; `relay.bigpanda.webhook.api` rewrites it as a share's body.

        An answer that does not name this incident is ignored.

        https://api-docs.bigpanda.io/retrieve-incident-by-id-37770095e0.
        """
        outcome = await self._act(BigPandaCall.INCIDENT, "GET", (environment, incident), query={"expand": "alerts"})
        is_other = isinstance(outcome, TaskDone) and text_field(as_object(outcome.body), "id").strip() != incident
        return NOT_BIGPANDA if is_other else outcome

    async def resolve(self, environment: str, incident: str, comments: str) -> TaskOutcome:
        """Resolve the incident and all of its alerts, for good; `comments` may not be empty.

        https://api-docs.bigpanda.io/resolve-incident-37770104e0.
        """
        return await self._act(BigPandaCall.RESOLVE, "POST", (environment, incident, "resolve"), {"comments": comments})

    async def comment(self, environment: str, incident: str, text: str) -> TaskOutcome:
        """Add a comment. BigPanda does not recognise a repeated comment: if relay sends it twice, it exists twice.

        https://api-docs.bigpanda.io/comment-on-incident-37770099e0.
        """
        return await self._act(BigPandaCall.COMMENT, "POST", (environment, incident, "comments"), {"comment": text})

    async def assign(self, environment: str, incident: str, user_id: str) -> TaskOutcome:
        """Assign the incident to a BigPanda user, by id.

        https://api-docs.bigpanda.io/assign-incident-37770102e0.
        """
        return await self._act(BigPandaCall.ASSIGN, "PUT", (environment, incident, "assignment"), {"assignee": user_id})

    async def snooze(self, environment: str, incident: str, end_time: int) -> TaskOutcome:
        """Snooze the incident until `end_time` (Unix seconds, at most about 90 days ahead).

        https://api-docs.bigpanda.io/snooze-incident-37770100e0.
        """
        return await self._act(BigPandaCall.SNOOZE, "PUT", (environment, incident, "snooze"), {"end_time": end_time})

    async def unassign(self, environment: str, incident: str) -> TaskOutcome:
        """Assign the incident to nobody.

        DELETE of the assignment: https://api-docs.bigpanda.io (Incidents).
        """
        return await self._act(BigPandaCall.UNASSIGN, "DELETE", (environment, incident, "assignment"))

    async def end_snooze(self, environment: str, incident: str) -> TaskOutcome:
        """End the incident's snooze.

        DELETE of the snooze: https://api-docs.bigpanda.io (Incidents).
        """
        return await self._act(BigPandaCall.END_SNOOZE, "DELETE", (environment, incident, "snooze"))

    async def tag_definitions(self) -> TaskOutcome:
        """Read all tag definitions, for `relay.bigpanda.responses.tag_definitions_of`.

        https://api-docs.bigpanda.io/get-all-incident-tags-definitions-37770112e0.
        """
        path = ("resources", "v2.0", "incidents", "tags", "definitions")
        return await self._send(BigPandaRequest(call=BigPandaCall.TAG_DEFINITIONS, verb="GET", path=path))

    async def activities(self, incident: str) -> TaskOutcome:
        """Read what happened to an incident, for `comments_of`: one page, the newest first.

        https://api-docs.bigpanda.io/get-incident-activities-37770105e0.
        """
        path = ("resources", "v2.0", "incidents", incident, "activities")
        query = {"per_page": str(_ACTIVITIES_A_PAGE)}
        return await self._send(BigPandaRequest(call=BigPandaCall.ACTIVITIES, verb="GET", path=path, query=query))

    async def users(self, email: str) -> TaskOutcome:
        """Read the users with this e-mail address, for `users_of`; needs the permission to view users.

        https://docs.bigpanda.io/reference/retrieve-all-users: only `userName` can be filtered by, and it is the
        address.
        """
        path = ("resources", "v2.0", "scim", "Users")
        query = {"filter": f"userName eq {json.dumps(email)}"}
        return await self._send(BigPandaRequest(call=BigPandaCall.USERS, verb="GET", path=path, query=query))

    async def _act(
        self,
        call: BigPandaCall,
        verb: str,
        ids: tuple[str, ...],
        body: JSON = None,
        query: Mapping[str, str] | None = None,
    ) -> TaskOutcome:
        """Call an address below an incident. `ids`: the environment, the incident, and what follows in the path."""
        path = ("resources", "v2.0", "environments", ids[0], "incidents", *ids[1:])
        return await self._send(BigPandaRequest(call=call, verb=verb, path=path, query=query or {}, body=body))

    async def _send(self, request: BigPandaRequest) -> TaskOutcome:
        return classify(request.call, await self._fetch(request))

    async def _fetch(self, request: BigPandaRequest) -> HttpResponse | Failure:
        if self._session.closed:
            return Failure.NOT_CONNECTED
        try:
            address = self._address(request)
            body = None if request.body is None else orjson.dumps(request.body)
        except (ValueError, TypeError):
            return Failure.UNSENDABLE
        # https://api-docs.bigpanda.io/authentication-and-headers
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json; charset=utf8"
        response: aiohttp.ClientResponse | None = None
        with watch_connection(self._session) as watch:
            try:
                async with (
                    asyncio.timeout(self._deadline),
                    self._session.request(
                        request.verb,
                        address,
                        data=body,
                        headers=headers,
                        proxy=self._proxy,
                    ) as response,
                ):
                    return await _read(response, (self._key, *request.secrets))
            except Exception as error:  # noqa: BLE001  whatever it is, the caller learns whether it may have been sent
                if response is None or response.status == HTTPStatus.OK:
                    return failure_from(error, watch)
                # The status is enough, whatever became of the body; only a 200 may be anybody's.
                return HttpResponse(status=response.status, headers=response.headers)

    def _address(self, request: BigPandaRequest) -> URL:
        """Raise `ValueError` where an id would change the path: an empty one, `.` or `..`."""
        if any(part in {"", ".", ".."} for part in request.path):
            raise ValueError("no address can be made of these ids")
        path = "/".join(quote(part, safe="") for part in request.path)
        query = f"?{urlencode(request.query, quote_via=quote)}" if request.query else ""
        return URL(f"{self._base_url}/{path}{query}", encoded=True)


async def _read(response: aiohttp.ClientResponse, secrets: Iterable[str]) -> HttpResponse:
    """Read a response. The text of an error goes into logs and dead letters, so secrets in it are hidden."""
    raw = await response.read()
    if response.status >= HTTPStatus.BAD_REQUEST:
        for secret in filter(None, secrets):
            raw = raw.replace(secret.encode(), b"[secret]")
    return HttpResponse(status=response.status, headers=response.headers, body=_parsed(raw))


def _parsed(raw: bytes) -> Any:
    """Parse JSON; anything else stays text; an empty body is None."""
    if not raw.strip():
        return None
    try:
        return parse_answer(raw)
    except NotJson:
        return raw.decode(errors="replace")
