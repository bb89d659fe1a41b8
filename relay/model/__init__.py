"""What relay knows of an incident, the base of its frozen values, time zones, and every error that relay raises.

incident ............ the incident, its alerts, tags and people; the states, and BigPanda's words for them
record, reading ..... what relay stores of an incident, and how it becomes an `Incident`
bounds .............. how much of an incident relay keeps
outside_text ........ cleans text from outside
tag_labels .......... what people call tags and their values
entry_kinds ......... the kinds of thread entries, one row each
buttons ............. the buttons of cards, one row each
errors .............. every error that relay raises on purpose
struct .............. the base of frozen values, and `replace`
zones ............... time zones
board_links ......... the addresses of the board's pages
nearest, counting ... "did you mean", and numbers with their noun
json_types .......... the type of JSON
"""
