"""`relay test`: the operators' own tests of their routes and templates.

Tests stand beside routes.yaml, in files `*.test.yaml`:

    version: 1
    tests:
      - name: critical trouble in payments wakes their people
        shares:                             # in sequence; the first says where it comes from
          - sample: documented              # BigPanda's documented sample, or `file: SHARE.json` beside this file
            environment: Production
            tags: {team: payments, priority: P1}
          - at: 3m                          # on top of the share before it, three minutes after the first
            state: resolved
        expect:                             # once nothing is left to do
          routes: [everything-critical]     # those that took the last share, all of them, in any order
          channels: [payments, noc]         # where there are cards, all of them
          cards:
            payments:
              route: payments-critical      # which governs the card now
              says: [Resolved, "/CPU .* web3/"]
              lacks: run-book
              notification: {says: "Resolved:"}
              pings: [S0PAYONCALL]          # whom its first post pinged; [] nobody
              entries: 1                    # how many entries the thread tells
              thread:                       # its replies, all of them, in order
                - says: Resolved after
                  tells: [resolved]
                  pings: []
                  broadcast: false

A *share* may have: `sample` or `file`, and on top of it `state` (one of relay's five), `environment`, `tags` (name to
value, values, or null to take it away), `comment`, `headers`, `with` (any part of the body, laid over what is there;
lists are replaced), `without` (parts to leave out, such as `incident.snooze`). Without `sample` or `file` it is the
share before it, without that one's comment and events. `at` says when it comes, counted from the first share (which
comes at the moment that it tells itself); `changedOn` and `updatedOn` are then that moment too, unless `with` sets
them. Without `at` it comes a minute after the one before it. A share may have an `expect` of its own, which is judged
once everything is done that is due at that moment.

A text in `says` has to stand in the message as its reader sees it (without styling, a link by its label, a date in UTC,
a mention by its id); between slashes it is a regular expression (RE2) that has to be found there. `lacks` must not be
there. Whatever stands in `expect`, every message has to fit into Slack's limits, and no template may fail.

    model ........ the nouns
    grammar ...... a file becomes tests, or every fault in it is told
    values ....... the values in it
    samples ...... the shares that relay is packaged with
    staging ...... the steps of a test become shares
    judging ...... what a rehearsal came to, against what was expected
    running ...... all tests, and which routes they reach
    telling ...... the outcome for people, and as JUnit XML
"""

from relay.tools.testing.grammar import read_tests
from relay.tools.testing.model import ExpectationFailure, OperatorTest, OperatorTestResult
from relay.tools.testing.report import junit, result_lines
from relay.tools.testing.runner import Coverage, OperatorTestRun, run

__all__ = [
    "Coverage",
    "ExpectationFailure",
    "OperatorTest",
    "OperatorTestResult",
    "OperatorTestRun",
    "junit",
    "read_tests",
    "result_lines",
    "run",
]
