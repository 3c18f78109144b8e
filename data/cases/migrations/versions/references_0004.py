"""Patient references are found however they are typed: their hashes are made anew when the log is opened.

A hash needs the log's key, which a migration does not have; `data.cases.tables.hash_references` makes those that are
missing. There is no way back: older programs would not find what a newer one hashed.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("UPDATE cases SET reference_hash = NULL")
