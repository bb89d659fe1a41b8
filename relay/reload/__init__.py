"""Routes and templates that are edited while relay runs: what works goes live, what does not changes nothing.

files -> `watching` (something may have changed) -> `live` (read, wait until it keeps still, check, adopt)
-> `telling` (the fallback channel hears of a fault once, and of its end) in the words of `wording`
"""

from relay.reload.notifier import Notifier
from relay.reload.reloader import Reloader

__all__ = ["Notifier", "Reloader"]
