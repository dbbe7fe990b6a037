"""Run by Alembic: it migrates on the connection, and in the transaction, that it is handed."""

from alembic import context

handed = context.config.attributes
context.configure(connection=handed["connection"], version_table=handed["version_table"])
context.run_migrations()
