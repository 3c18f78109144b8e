"""Seals of case rows, and a place for the key that hashes of uploaded files keep when the log gets another.

A seal needs the log's key, which a migration does not have: `data.cases.log.open_case_log` seals the cases that there
are in the same transaction. There is no way back: older programs would write rows without sealing them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "case_seals",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("case_id", name="pk_case_seals"),
    )
    op.add_column("audit_head", sa.Column("kept_key", sa.String(64), nullable=True))
