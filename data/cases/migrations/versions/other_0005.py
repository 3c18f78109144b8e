"""What a person names that is none of a task's classes: a text beside the code `other`, of each read and the biopsy.

Cases from before name classes alone. There is no way back: older programs would not know the code.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # By the column that each stands behind.
    columns = {
        "own_is_informed": sa.Column("own_other", sa.Text(), nullable=True),
        "reason": sa.Column("other", sa.Text(), nullable=False, server_default=""),
        "biopsy_note": sa.Column("biopsy_other", sa.Text(), nullable=True),
    }
    if op.get_bind().dialect.name != "sqlite":
        for column in columns.values():
            op.add_column("cases", column)
        return
    # A new table: a column that stands behind `evidence` is read through all of its bytes.
    with op.batch_alter_table("cases", recreate="always") as cases:
        for before, column in columns.items():
            cases.add_column(column, insert_after=before)
