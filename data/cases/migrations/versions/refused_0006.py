"""Cases of images that the model refused: why, in a column of its own, and no answer at all.

What an answer says may be empty from now on; it is so in a refused case alone. There is no way back: older programs
would take such a case for an answered one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_OF_AN_ANSWER: dict[str, sa.types.TypeEngine] = {
    "population": sa.Text(),
    "prediction": sa.Text(),
    "p_positive": sa.Double(),
    "probabilities": sa.JSON(),
    "conformal_set": sa.Text(),
    "conformal_level": sa.Double(),
    "member_p_positive": sa.JSON(),
    "operating_point": sa.Text(),
    "threshold": sa.Double(),
    "heatmap_method": sa.Text(),
    "evidence": sa.LargeBinary(),
}


def upgrade() -> None:
    refusal: sa.Column[str] = sa.Column("refusal", sa.Text(), nullable=True)
    if op.get_bind().dialect.name != "sqlite":
        op.add_column("cases", refusal)
        for name, kind in _OF_AN_ANSWER.items():
            op.alter_column("cases", name, existing_type=kind, nullable=True)
        return
    # A new table: a column that stands behind `evidence` is read through all of its bytes.
    with op.batch_alter_table("cases", recreate="always") as cases:
        cases.add_column(refusal, insert_after="quality")
        for name, kind in _OF_AN_ANSWER.items():
            cases.alter_column(name, existing_type=kind, nullable=True)
