"""Parse a share: the bytes of one webhook request become a `Share`, in whatever shapes the sender writes it.

parsing .... the whole share: its objects, events, environment, sender, comment; and recorded shares
headers .... the custom headers, without credentials and without what differs at each delivery
blocks ..... what the share says about the incident and its alerts, block by block
tags ....... lists of tags, in all their shapes
values ..... single values: text, flags, times; what "absent" and "empty" mean
share ...... the parsed share
api ........ an incident from the Incidents API, rewritten as a share's body

The bytes are read by `relay.http.lenient_json`.
"""
