"""Alembic's entry: runs the steps on the connection that relay hands over, inside the transaction that it has begun.

The steps name everything in full and know nothing of `schema`, which is what the tables are now, not what they were.
"""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    render_as_batch=True,  # SQLite cannot alter a constraint: the table is made anew
)
with context.begin_transaction():
    context.run_migrations()
