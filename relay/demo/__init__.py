"""The whole product on one machine: relay, the fake Slack with its page, the fake BigPanda, and a story played on them.

story ......... the steps
environment ... starts everything
player ........ plays the steps
clock ......... the simulated time in which they may be played
"""
