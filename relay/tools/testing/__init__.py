"""`relay test`: the operators' own tests of their routes and templates.

Tests are in files `*.test.yaml` beside routes.yaml:

    version: 1
    tests:
      - name: critical incidents in payments ping the payments team
        shares:                             # in sequence; the first needs a sample or a file
          - sample: documented              # BigPanda's documented sample, or `file: SHARE.json` beside this file
            environment: Production
            tags: {team: payments, priority: P1}
          - at: 3m                          # changes the share before it; three minutes after the first share
            state: resolved
        expect:                             # when nothing is due any more
          routes: [everything-critical]     # all routes that matched the last share, in any order
          channels: [payments, noc]         # all channels with a card
          cards:
            payments:
              route: payments-critical      # the route that governs the card now
              says: [Resolved, "/CPU .* web3/"]
              lacks: run-book
              notification: {says: "Resolved"}
              pings: [S0PAYONCALL]          # the targets of its first post; [] for nobody
              entries: 1                    # the number of entries in the thread
              thread:                       # all replies, in order
                - says: Resolved after
                  kinds: [resolved]
                  pings: []
                  broadcast: false

`keys` has a row for each key, from which docs/routes.md and `relay schema --tests` follow. A text in `says` must be in
the message as its reader sees it (without styling, a link by its label, a date in UTC, a mention by its id). In
addition to `expect`, every message must fit into Slack's limits, and no template may fail.

    keys ......... the table of keys
    model ........ the values
    grammar ...... parses a file into tests, or reports all its faults
    moments ...... the times in them
    steps ........ turns the shares of a test file into real shares
    assertions ... compares a simulation with what is expected
    runner ....... runs all tests, and finds the routes that they reach
    report ....... the result as text, and as JUnit XML
"""
