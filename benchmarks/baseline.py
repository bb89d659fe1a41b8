"""The baselines for relay: handlers that do the least possible with a share, and store nothing.

python baseline.py PORT              decodes the JSON and answers
python baseline.py PORT SLACK_URL    calls Slack, and answers afterwards
"""

import asyncio
import sys

import orjson
import uvloop
from aiohttp import ClientSession, web


async def serve(port: int, slack: str | None) -> None:
    async with ClientSession() as session:

        async def decode(request: web.Request) -> web.Response:
            share = orjson.loads(await request.read())
            return _accepted(share["incident"]["id"])

        async def post_to_slack(request: web.Request) -> web.Response:
            incident = orjson.loads(await request.read())["incident"]
            message = {
                "channel": incident["channel"],
                "text": f"{incident['status']}: {incident['id']}",
                "metadata": {"event_type": "baseline", "event_payload": {"incident": incident["id"]}},
            }
            headers = {"Authorization": "Bearer xoxb-sandbox"}
            async with session.post(f"{slack}chat.postMessage", json=message, headers=headers) as answer:
                await answer.read()
            return _accepted(incident["id"])

        async def nothing_waits(_request: web.Request) -> web.Response:
            return web.json_response({})

        app = web.Application()
        app.router.add_get("/readyz", nothing_waits)
        app.router.add_post("/shares", post_to_slack if slack else decode)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


def _accepted(incident: str) -> web.Response:
    body = orjson.dumps({"share": 1, "incident": incident, "routes": ["all"]})
    return web.Response(status=202, body=body, content_type="application/json")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(serve(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))  # noqa: PLR2004  PORT, then SLACK_URL
