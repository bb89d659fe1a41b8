"""A strict fake of BigPanda: the calls of its API as documented, and the shares that each of them causes.

    bigpanda = FakeBigPanda()                                 # relay.sandbox.bigpanda.server
    bigpanda.add_integration("http://127.0.0.1:8080/shares", {"X-Relay-Key": "..."})
    async with serve_bigpanda(bigpanda) as base_url:
        await bigpanda.start_incident(json.loads(documented_sample))
        ...                                                   # a client calls base_url with bigpanda.key
        await bigpanda.wait_until_idle()
        assert bigpanda.calls_to("comment")[0].took_effect

`relay.sandbox.faults` can be injected into each call by its name in `ENDPOINTS`.

server ................................. the HTTP server
endpoints .............................. the calls, one row each
organisation, users, tag_definitions ... what the organisation holds
incident ............................... an incident in a share and in the API
sharing ................................ sends shares
errors ................................. errors of the API
"""
