"""Cases of any task: the column `task`, one column for all probabilities, and names that are of no one task.

Cases from before are of the task `skin`. The audit trail is not touched, and its hashes cover none of this: an entry's
cover its own columns, of which `details` names changed columns by the names they had then.

The probabilities are an object of code to probability, not a list: a query names the class it asks for
(`probabilities ->> 'mel'`, in both databases), and a task whose classes are ordered anew misreads no old case. JSON
holds the shortest text that gives a double back to its last bit. There is no way back: the columns could not hold
another task.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# As they were; what `data.tasks.skin` says one day is no matter of old rows.
_CODES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
_OLD = tuple(f"p_{code}" for code in _CODES)
_RENAMED = {"p_malignant": "p_positive", "member_p_malignant": "member_p_positive"}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild()
    else:
        _alter()
    op.create_index("ix_cases_task", "cases", ["organisation", "task"])


def _alter() -> None:
    """PostgreSQL: the table stays itself, with what an administrator may have granted on it."""
    op.add_column("cases", sa.Column("task", sa.Text(), nullable=False, server_default="skin"))
    op.alter_column("cases", "task", server_default=None)
    op.add_column("cases", sa.Column("probabilities", sa.JSON(), nullable=True))
    op.execute("SET LOCAL extra_float_digits = 3")  # doubles as text, to the last bit
    op.execute(f"UPDATE cases SET probabilities = json_build_object({_pairs()})")
    op.alter_column("cases", "probabilities", nullable=False)
    for name in _OLD:
        op.drop_column("cases", name)
    for old, new in _RENAMED.items():
        op.alter_column("cases", old, new_column_name=new)


def _pairs() -> str:
    return ", ".join(f"'{code}', {column}" for code, column in zip(_CODES, _OLD, strict=True))


def _rebuild() -> None:
    """SQLite: a new table, since a column that stands behind `evidence` is read through all of its bytes."""
    connection: Any = op.get_bind().connection.driver_connection
    # Not SQLite's own json_object, which rounds doubles to 15 digits in some versions.
    connection.create_function("case_probabilities", len(_CODES), _json, deterministic=True)
    columns = _columns()
    op.create_table(
        "cases_0002",
        *columns,
        sa.PrimaryKeyConstraint("case_id", name="pk_cases"),
        sa.UniqueConstraint("image_key", name="uq_cases_image_key"),
    )
    made = {"task": "'skin'", "probabilities": f"case_probabilities({', '.join(_OLD)})"}
    sources = made | {new: old for old, new in _RENAMED.items()}
    names = [column.name for column in columns]
    values = ", ".join(sources.get(name, name) for name in names)
    op.execute(f"INSERT INTO cases_0002 ({', '.join(names)}) SELECT {values} FROM cases")
    op.drop_table("cases")  # and its indexes
    op.rename_table("cases_0002", "cases")
    op.create_index("ix_cases_saved_at", "cases", ["organisation", "saved_at", "case_id"])
    op.create_index("ix_cases_reference_hash", "cases", ["organisation", "reference_hash", "saved_at", "case_id"])
    op.create_index("ix_cases_lesion_id", "cases", ["organisation", "lesion_id", "saved_at", "case_id"])


def _json(*probabilities: float) -> str:
    return json.dumps(dict(zip(_CODES, probabilities, strict=True)), allow_nan=False)


def _columns() -> list[sa.Column]:
    return [
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("saved_by", sa.Text(), nullable=False),
        sa.Column("captured_name", sa.Text(), nullable=False),
        sa.Column("patient_reference", sa.Text(), nullable=False),
        sa.Column("reference_hash", sa.String(64), nullable=True),
        sa.Column("age", sa.Double(), nullable=True),
        sa.Column("sex", sa.Text(), nullable=False),
        sa.Column("lesion_id", sa.Uuid(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("site", "side", "note", "search_text", "image_key")),
        sa.Column("image_sha256", sa.String(64), nullable=False),
        sa.Column("image_width", sa.Integer(), nullable=False),
        sa.Column("image_height", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("own_dx", "own_certainty", "own_plan")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("dx", "plan", "reason")),
        sa.Column("biopsy_dx", sa.Text(), nullable=True),
        sa.Column("biopsy_reported_on", sa.Date(), nullable=True),
        sa.Column("biopsy_note", sa.Text(), nullable=True),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in (
                "task",
                "model_name",
                "model_version",
                "artifact_sha256",
                "preprocessing_version",
                "population",
                "prediction",
            )
        ),
        sa.Column("p_positive", sa.Double(), nullable=False),
        sa.Column("probabilities", sa.JSON(), nullable=False),
        sa.Column("conformal_set", sa.Text(), nullable=False),
        sa.Column("conformal_level", sa.Double(), nullable=False),
        sa.Column("member_p_positive", sa.JSON(), nullable=False),
        sa.Column("quality", sa.Text(), nullable=False),
        sa.Column("ood_score", sa.Double(), nullable=True),
        sa.Column("operating_point", sa.Text(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("sensitivity", sa.Double(), nullable=True),
        sa.Column("specificity", sa.Double(), nullable=True),
        sa.Column("heatmap_method", sa.Text(), nullable=False),
        sa.Column("runtime_ms", sa.Double(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
    ]
