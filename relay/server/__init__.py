"""The HTTP doors: they translate, and decide nothing. What a share means and where it is kept is behind `Doors`.

build(doors, keys=..., header=...) ... the application: doors.py, with keys.py, body.py and problem.py at its service;
                                       Slack's doors in interactivity.py, which open to a signature (signature.py)
listening(app, host, port, ...) ...... the application on a socket, for as long as the block lasts: running.py, its
                                       connections in connection.py
serve(app, host, port, stop, ...) .... the same, until `stop` is set
"""

from relay.server.endpoints import MAX_BYTES, Backend, Readiness, ShareReceipt, create_app
from relay.server.lifecycle import listen, serve

__all__ = ["MAX_BYTES", "Backend", "Readiness", "ShareReceipt", "create_app", "listen", "serve"]
