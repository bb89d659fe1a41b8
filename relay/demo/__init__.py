"""The whole product on one machine: relay, Slack's stand-in with its page, and a story that is played on them.

`story` says what happens, `stage` starts everything, `play` lets it happen (`clock`: in its own time, or at once)
"""
