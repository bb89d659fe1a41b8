"""Alembic's entry point: runs the steps on relay's connection, inside the transaction that relay has begun.

A step does not use `schema`, which describes the tables of today: it names everything in full.
"""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    render_as_batch=True,  # SQLite cannot alter a constraint: the table is created again
)
with context.begin_transaction():
    context.run_migrations()
