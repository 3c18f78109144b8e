"""Sign-ins that were ended before their time, so that a copied cookie, another tab or another process knows it too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "ended_sign_ins",
        sa.Column("sign_in", sa.String(64), nullable=False),
        sa.Column("holds_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sign_in", name="pk_ended_sign_ins"),
    )
