"""BigPanda's stand-in: the API's calls, strictly as documented, and the shares that each of them causes.

It stands beside the house and takes nothing from it. Tests and the demo serve it over HTTP.

    bigpanda = BigPanda()
    bigpanda.add_integration("http://127.0.0.1:8080/shares", {"X-Relay-Key": "..."})
    async with serving(bigpanda) as base_url:
        await bigpanda.start_incident(json.loads(documented_sample))
        ...                                     # a client calls base_url with bigpanda.key
        await bigpanda.wait_until_idle()
        assert bigpanda.calls_to("comment")[0].took_effect

What can go wrong with a call is `relay.sandbox.faults`, by the names of `ENDPOINTS`.
"""
