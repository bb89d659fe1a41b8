"""Shares come in: each one is parsed, planned and stored in a group commit before it is answered.

service ................... stores a share, and answers
parsing ................... a small share is parsed at once, a large one in a worker process
planner, planning_queue ... plans the shares that could not be planned at once
share_log ................. what the log says of a share
"""
