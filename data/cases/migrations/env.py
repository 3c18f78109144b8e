"""How Alembic runs the migrations: on the connection, and in the transaction, that `data.cases.database` hands over."""

from __future__ import annotations

from alembic import context

from data.cases.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
