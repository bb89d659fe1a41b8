"""`relay serve` whose machine has a wrong clock: `python -m tests.support.clocked_relay AHEAD STEP`.

`time.time` is AHEAD seconds ahead. At SIGUSR2 it is set, by STEP seconds, as by NTP.
"""

import runpy
import signal
import sys
import time

ahead, step = float(sys.argv[1]), float(sys.argv[2])
real = time.time


def set_clock(*_: object) -> None:
    global ahead  # noqa: PLW0603  a signal handler has nothing else
    ahead += step


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, set_clock)
    time.time = lambda: real() + ahead
    sys.argv = ["relay", "serve"]
    runpy.run_module("relay", run_name="__main__")
