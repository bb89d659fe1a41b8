"""The steps from one shape of the tables to the next, one module each: `r0001`, `r0002`, ...

Steps before v0.2.0 may still change. From v0.2.0 on every step is kept as it was released. To change the tables, add a
step, and change `schema` and `migration.NEWEST` with it.
"""
