"""Jinja within limits: the sandbox, the budget of a run, and the filters and block tags that templates use.

filters ............... relay's own filters, one row each
tag_extension ......... runs the block tags
sandbox ............... what a template may call
safe_ops .............. operators, Jinja's filters and methods, with bounds
budget, metering ...... how many steps a run may take, and who counts them
failures, positions ... where a template failed, and why, for its author
formatting ............ bold and italic that the author wrote
raw_yaml .............. the YAML of `{% blocks %}`, read before Jinja runs
syntax_tree ........... the nodes below a node, for every walk over a template
code_cache ............ keeps compiled templates
"""
