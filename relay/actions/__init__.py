"""Both ways: what people do in Slack is taken here, and BigPanda is told and asked from here.

office ....... all of it, wired
desk ......... clicks, modals and replies come in, and are kept as errands before anybody is answered
errands ...... errands get their turn, in the relay that delivers; incidents that fell silent are asked about
running ...... one errand, carried through
carrying ..... what has to be known before an errand goes, and the call that it makes
people ....... who somebody in Slack is, to Slack and to BigPanda
lexicon ...... BigPanda's definitions of tags, refreshed and taught to the configuration
phone ........ Slack's methods within their budgets
line ......... BigPanda's calls within theirs
wording ...... the sentences that one person reads
"""

from relay.actions.build import ActionServices, build_actions

__all__ = ["ActionServices", "build_actions"]
