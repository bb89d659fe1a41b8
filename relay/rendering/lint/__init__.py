"""Finds faults in template sources without running them.

checks ........................... unknown names, missing files, what would never be shown
constants ........................ what constants a tag, filter or function takes, one row each
value_types ...................... what a name stands for: an alert, a tag, a person
foreign_markup, foreign_syntax ... markup of other tools, and tags of other template languages
syntax_errors, recovery .......... explains a syntax error, and reads on after it
source_tags ...................... where the tags of such a source begin and end
walk ............................. walks a template's tree
"""
