"""A client of Slack's Web API: each method makes one HTTP request and returns its outcome.

It decides nothing: it never repeats a request, never waits, and raises only `CancelledError` and what a check before
sending raises. What slack_sdk and aiohttp raise becomes a `Failure`; `classify` says what it means.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Literal

import aiohttp
import orjson
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from relay.http.outcome import Failure, HttpResponse
from relay.http.session import checked_base_url, failure_from, proxy_for, watch_connection
from relay.slack.classify import classify
from relay.slack.message import Marker, Message
from relay.slack.methods import Method
from relay.slack.outcomes import SlackOutcome

BASE_URL = "https://slack.com/api/"
TIMEOUT = 10.0
"""Seconds that one call may take in all, from the wait for a connection to the last byte of the response."""

PAGE_SIZE = 200
"""Messages of one page of a channel or a thread."""

_POST, _GET = "POST", "GET"
_ONLY_WHEN_POSTED = frozenset({"unfurl_links", "unfurl_media"})
"""What chat.update does not list among its arguments (https://docs.slack.dev/reference/methods/chat.update)."""


class SlackClient:
    """One workspace's Web API, by one bot token. Any number of tasks may share it.

    Slack's words for the arguments: `channel` is an id (`C...`, `G...`), `ts` a message's id within its channel;
    `oldest` and `latest` are such ids too, or Unix seconds as text.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        token: str,
        *,
        base_url: str = BASE_URL,
        timeout: float = TIMEOUT,
        team_id: str = "",
    ) -> None:
        """Use a session of `relay.http.session.make_session` that is closed after this client, in the running loop.

        `team_id` is the workspace (`T...`) that an org-wide token lists channels and user groups of. Slack ignores it
        for other tokens (https://api.slack.com/enterprise/apps/changes-apis).

        Raises `SettingsError` where `base_url` is not an http or https address.
        """
        logger = logging.getLogger("relay.slack.sdk")
        logger.setLevel(logging.WARNING)  # without a level the SDK formats every payload for a debug line nobody reads
        self._session = session
        self._deadline = timeout
        self.team_id = team_id
        self._client = AsyncWebClient(
            token,
            base_url=checked_base_url(base_url, "SLACK_API_URL", BASE_URL),
            session=session,
            logger=logger,
            retry_handlers=[],
        )
        # slack_sdk takes a proxy from the environment and overlooks NO_PROXY; this attribute counts at every call.
        self._client.proxy = proxy_for(base_url)

    async def post(
        self, channel: str, message: Message, *, marker: Marker, thread_ts: str | None = None, broadcast: bool = False
    ) -> SlackOutcome:
        """Post a card, or a reply into the thread of `thread_ts`, which `broadcast` shows in the channel as well."""
        arguments = {"channel": channel, **message.payload(), "metadata": marker.metadata()}
        if thread_ts is not None:
            arguments |= {"thread_ts": thread_ts, "reply_broadcast": broadcast}
        return await self._send(Method.POST, arguments)

    async def edit(self, channel: str, ts: str, message: Message, *, marker: Marker | None = None) -> SlackOutcome:
        """Replace what a message shows. Without a `marker` its own stays: Slack keeps metadata that no call names.

        For edits, unlike for posts, `parse` is `client` by default, which makes pings of plain text.
        """
        shown = {name: value for name, value in message.payload().items() if name not in _ONLY_WHEN_POSTED}
        if marker is not None:
            shown["metadata"] = marker.metadata()
        return await self._send(Method.EDIT, {"channel": channel, "ts": ts, "parse": "none", **shown})

    async def delete(self, channel: str, ts: str) -> SlackOutcome:
        """Delete one of the bot's own messages. One that is already gone counts as deleted."""
        return await self._query(Method.DELETE, {"channel": channel, "ts": ts}, _POST)

    async def history(
        self, channel: str, oldest: str, latest: str | None = None, cursor: str | None = None
    ) -> SlackOutcome:
        """Read a page of a channel's own messages and broadcast replies, the newest first, with their markers."""
        window = {"oldest": oldest, "latest": latest, "inclusive": True}
        return await self._query(Method.HISTORY, {"channel": channel, **window, **_page(cursor)})

    async def replies(
        self, channel: str, ts: str, oldest: str | None = None, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> SlackOutcome:
        """Read a page of a thread, its root first, with their markers."""
        window = {"oldest": oldest, "inclusive": True}
        return await self._query(Method.REPLIES, {"channel": channel, "ts": ts, **window, **_page(cursor, limit)})

    async def channels(self, cursor: str | None = None) -> SlackOutcome:
        """Read a page of all channels that the bot can see, archived ones too."""
        kinds = {"types": "public_channel,private_channel", "exclude_archived": False}
        return await self._list(Method.CHANNELS, {**kinds, "limit": 999, "cursor": cursor})

    async def channel(self, channel: str) -> SlackOutcome:
        """Read one channel."""
        return await self._query(Method.CHANNEL, {"channel": channel})

    async def join(self, channel: str) -> SlackOutcome:
        """Join a public channel. Being in it already counts as done."""
        return await self._query(Method.JOIN, {"channel": channel}, _POST)

    async def auth_test(self) -> SlackOutcome:
        """Read whose token it is, and its scopes."""
        return await self._query(Method.AUTH_TEST, {}, _POST)

    async def teams(self) -> SlackOutcome:
        """Read the workspaces in which an org-wide token may be used."""
        return await self._query(Method.TEAMS, {}, _POST)

    async def user_groups(self, *, with_users: bool = False) -> SlackOutcome:
        """Read all user groups that can be mentioned, perhaps with the ids of their users."""
        return await self._list(Method.USER_GROUPS, {"include_users": "true"} if with_users else {})

    async def group_members(self, group: str) -> SlackOutcome:
        """Read the members of a user group (`S...`)."""
        return await self._list(Method.GROUP_MEMBERS, {"usergroup": group})

    async def user(self, user: str) -> SlackOutcome:
        """Read one user (`U...`, `W...`)."""
        return await self._query(Method.USER, {"user": user})

    async def user_channels(self, user: str, cursor: str | None = None) -> SlackOutcome:
        """Read a page of the channels that a user is in: private ones only if the bot is in them too."""
        kinds = {"types": "public_channel,private_channel", "exclude_archived": False}
        return await self._list(Method.USER_CHANNELS, {"user": user, **kinds, "limit": 999, "cursor": cursor})

    async def user_by_email(self, email: str) -> SlackOutcome:
        """Read the user with this e-mail address."""
        return await self._query(Method.USER_BY_EMAIL, {"email": email})

    async def open_direct(self, user: str) -> SlackOutcome:
        """Open the conversation between the bot and one user, or find it; `channel_of` reads its id."""
        return await self._send(Method.OPEN_DIRECT, {"users": user})

    async def validate(self, kind: Literal["message", "view"], payload: Mapping[str, Any]) -> SlackOutcome:
        """Let Slack check the blocks of a message (without `text`), or a modal, against its schema. Nothing is posted.

        The payload is JSON inside of JSON (https://docs.slack.dev/reference/methods/blocks.validate). The SDK would put
        it into the address.
        """
        return await self._send(Method.VALIDATE, {kind: orjson.dumps(payload).decode()})

    async def open_view(self, trigger_id: str, view: Mapping[str, Any]) -> SlackOutcome:
        """Open a modal for the user who pressed a button. The click's `trigger_id` is valid for 3 seconds."""
        return await self._send(Method.OPEN_VIEW, {"trigger_id": trigger_id, "view": view})

    async def post_ephemeral(self, channel: str, user: str, text: str, thread_ts: str | None = None) -> SlackOutcome:
        """Post a note that one member of the channel sees, for as long as their session lasts.

        `text` is mrkdwn, escaped by the caller. Slack has no `unfurl_*` here, and never shows a preview.
        """
        arguments = {"channel": channel, "user": user, "text": text, "parse": "none"}
        return await self._send(Method.EPHEMERAL, arguments | ({} if thread_ts is None else {"thread_ts": thread_ts}))

    async def post_direct(self, channel: str, text: str) -> SlackOutcome:
        """Post into the conversation with one user (`D...`). `text` is mrkdwn, escaped by the caller."""
        quiet = {"parse": "none", "unfurl_links": False, "unfurl_media": False}
        return await self._send(Method.POST, {"channel": channel, "text": text, **quiet})

    async def open_socket(self) -> SlackOutcome:
        """Get a URL for one Socket Mode connection. This needs an app-level token (xapp-...), not a bot's."""
        return await self._query(Method.OPEN_SOCKET, {}, _POST)

    async def _send(self, method: Method, arguments: dict[str, Any]) -> SlackOutcome:
        """Call with JSON. The SDK's own methods would warn about a missing text, which `Message` rules out."""
        return await self._call(method, arguments, {"http_verb": _POST, "json": arguments})

    async def _list(self, method: Method, arguments: dict[str, Any]) -> SlackOutcome:
        """Call a method that lists something of one workspace."""
        return await self._query(method, {**arguments, "team_id": self.team_id or None})

    async def _query(self, method: Method, arguments: dict[str, Any], verb: str = _GET) -> SlackOutcome:
        """Call with a query, as the SDK sends everything but messages."""
        return await self._call(method, arguments, {"http_verb": verb, "params": arguments})

    async def _call(self, method: Method, arguments: Mapping[str, Any], how: dict[str, Any]) -> SlackOutcome:
        return classify(method, await self._fetch(method, how), arguments)

    async def _fetch(self, method: Method, how: dict[str, Any]) -> HttpResponse | Failure:
        if self._session.closed:  # the SDK would open a session of its own, which nobody closes
            return Failure.NOT_CONNECTED
        with watch_connection(self._session) as watch:
            try:
                async with asyncio.timeout(self._deadline):
                    return _http_response(await self._client.api_call(method.value, **how))
            except SlackApiError as error:
                return _response_behind(error)
            except Exception as error:  # noqa: BLE001  the SDK raises whatever an odd body makes it raise
                return failure_from(error, watch)


def _page(cursor: str | None, limit: int = PAGE_SIZE) -> dict[str, Any]:
    return {"limit": limit, "cursor": cursor, "include_all_metadata": True}


def _http_response(response: AsyncSlackResponse) -> HttpResponse:
    return HttpResponse(status=response.status_code, headers=response.headers, body=response.data)


def _response_behind(error: SlackApiError) -> HttpResponse | Failure:
    """Return the response in the SDK's error: the SDK's own, or aiohttp's where the JSON was broken."""
    match error.response:
        case AsyncSlackResponse() as response:
            return _http_response(response)
        case aiohttp.ClientResponse(status=status, headers=headers):
            return HttpResponse(status=status, headers=headers)
        case _:
            return Failure.UNREADABLE
