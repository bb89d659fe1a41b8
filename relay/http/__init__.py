"""Outgoing HTTP for both clients: sessions, the proxy, and whether a failed request was sent."""
