"""`relay check`: every fault and every suspicious rule in `routes.yaml` and the templates.

command ............................................. checks everything, and makes the report
report .............................................. findings for people and for machines
lint ................................................ suspicious comparisons in a valid routes.yaml
hours ............................................... hours that are probably not meant
lookalikes .......................................... values in the syntax of another tool
reachability, shadowing ............................. conditions, routes and posts that never have an effect
prover, patterns .................................... proves such statements for every incident
slack_validation .................................... lets Slack's schema check every message and modal
template_trial, trial_simulation, trial_bulletins ... renders the templates for sample incidents
block_origins ....................................... the tag of a template that made a part of a message
sources ............................................. the places in the file to which findings point
"""
