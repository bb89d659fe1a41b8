"""`relay doctor`: looks at the configuration, the database, Slack and BigPanda before they are needed.

doctor ................. all checks, and those of settings, configuration, database and BigPanda
slack .................. the checks in Slack
references ............. which channels and user groups the routes use
reminders, summaries ... whether reminders can be sent; the last and the next summaries
report ................. the findings
"""
