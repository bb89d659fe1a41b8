"""Parse routes.yaml into a `Rulebook`, or report every fault in it.

parse ................... the whole file
keys .................... the keys that are not options, one row each, and where each is allowed
hours ................... `zone` and `hours`
matches, match_values ... `match`: its conditions, its values and operators
foreign_words ........... words of other tools, and what relay has instead
"""
