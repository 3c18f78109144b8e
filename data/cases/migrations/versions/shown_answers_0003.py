"""Whether an own read was given after the answer had been shown, and to whom answers were shown.

Reads from before stay as they were: that one of them was informed is not known. `content_hash` of a case, and of a
shown answer, is the keyed hash of the uploaded file; of cases from before it is not known either.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    informed: sa.Column[bool] = sa.Column("own_is_informed", sa.Boolean(), nullable=True)
    content_hash: sa.Column[str] = sa.Column("content_hash", sa.String(64), nullable=True)
    if op.get_bind().dialect.name == "sqlite":
        # A new table, since a column that stands behind `evidence` is read through all of its bytes.
        with op.batch_alter_table("cases", recreate="always") as cases:
            cases.add_column(informed, insert_after="own_plan")
            cases.add_column(content_hash, insert_after="image_sha256")
    else:
        op.add_column("cases", informed)
        op.add_column("cases", content_hash)
    op.create_index("ix_cases_content_hash", "cases", ["organisation", "content_hash", "saved_at", "case_id"])
    op.create_table(
        "shown_answers",
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "actor", "content_hash", name="pk_shown_answers"),
    )
