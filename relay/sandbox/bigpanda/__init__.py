"""BigPanda's stand-in: the API's calls, strictly as documented, and the shares that each of them causes.

It stands beside the house and takes nothing from it. Tests and the demo serve it over HTTP.

    bigpanda = BigPanda()
    bigpanda.shares_to("http://127.0.0.1:8080/shares", {"X-Relay-Key": "..."})
    async with serving(bigpanda) as base_url:
        await bigpanda.begins(json.loads(documented_sample))
        ...                                     # a client calls base_url with bigpanda.key
        await bigpanda.settled()
        assert bigpanda.called("comment")[0].took_effect

What can go wrong with a call is `relay.sandbox.faults`, by the names of `ENDPOINTS`.
"""

from relay.sandbox.bigpanda.calls import Call
from relay.sandbox.bigpanda.definitions import Definition
from relay.sandbox.bigpanda.endpoints import ENDPOINTS
from relay.sandbox.bigpanda.incident import Incident
from relay.sandbox.bigpanda.organisation import PRIORITY
from relay.sandbox.bigpanda.people import AUTOSHARE, INCIDENT_ACTIONS, PERMISSIONS, USER_MANAGEMENT, Key, User
from relay.sandbox.bigpanda.server import RELAY, BigPanda, serving
from relay.sandbox.bigpanda.sharing import HELD_AT_MOST, Integration, Shared

__all__ = [
    "AUTOSHARE",
    "ENDPOINTS",
    "HELD_AT_MOST",
    "INCIDENT_ACTIONS",
    "PERMISSIONS",
    "PRIORITY",
    "RELAY",
    "USER_MANAGEMENT",
    "BigPanda",
    "Call",
    "Definition",
    "Incident",
    "Integration",
    "Key",
    "Shared",
    "User",
    "serving",
]
