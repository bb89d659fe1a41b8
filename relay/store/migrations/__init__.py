"""Alembic's environment.

env ........ runs the steps on relay's connection
versions ... the steps
"""
