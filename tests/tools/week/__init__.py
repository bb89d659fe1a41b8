"""Days of many teams, with rules that use everything: `relay backtest` against a slow reading of the rules.

scenario ... generates the rules, the incidents and the mutes, always the same ones
reading .... reads minute by minute what has to happen; it shares no code with relay
test_week .. compares the two
"""
