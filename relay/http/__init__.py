"""Outgoing HTTP for both clients: sessions, the proxy, and whether a failed request was sent.

session ........ sessions, the proxy, and whether a failed request was sent
outcome ........ a response, or a failure
json_fields .... reads fields whose shape is not trusted
lenient_json ... reads a body that is almost JSON, and writes it as it is stored
"""
