"""Bytes become a `Share`: one snapshot of one incident, with everything that BigPanda may do to its shape undone.

parsing ........ the share as a whole: parse, recorded
headers        which headers are the operator's own
envelope       which object of a body is which; events, environment, sender, comment
blocks         what is told of the incident, block by block
alerts         its alerts
tags           tags of incidents and of alerts
values         a single value: words, flags, moments; what "absent" and "told to be empty" mean
reading        bytes to a clean tree, and back to bytes that are equal for equal shares
snapshot       the nouns
api            what the Incidents API tells, said as a share says it
"""
