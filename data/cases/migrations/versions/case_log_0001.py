"""Cases, audit entries and the head of the audit trail. There is no way back: it would delete them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_REFUSED = "audit entries are append-only"
_HEAD_REFUSED = "the audit head only moves on by one"

_SQLITE_TRIGGERS = (
    f"CREATE TRIGGER audit_entries_keep BEFORE UPDATE ON audit_entries BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    f"CREATE TRIGGER audit_entries_stay BEFORE DELETE ON audit_entries BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    "CREATE TRIGGER audit_head_keep BEFORE UPDATE ON audit_head WHEN NEW.number <> OLD.number + 1 "
    f"BEGIN SELECT RAISE(ABORT, '{_HEAD_REFUSED}'); END",
    f"CREATE TRIGGER audit_head_stay BEFORE DELETE ON audit_head BEGIN SELECT RAISE(ABORT, '{_HEAD_REFUSED}'); END",
)
_POSTGRES_TRIGGERS = (
    "CREATE FUNCTION refuse_audit_entries() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{_REFUSED}'; END $$",
    "CREATE FUNCTION refuse_audit_head() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{_HEAD_REFUSED}'; END $$",
    "CREATE TRIGGER audit_entries_keep BEFORE UPDATE OR DELETE ON audit_entries "
    "FOR EACH ROW EXECUTE FUNCTION refuse_audit_entries()",
    "CREATE TRIGGER audit_entries_stay BEFORE TRUNCATE ON audit_entries "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_entries()",
    "CREATE TRIGGER audit_head_keep BEFORE UPDATE ON audit_head "
    "FOR EACH ROW WHEN (NEW.number <> OLD.number + 1) EXECUTE FUNCTION refuse_audit_head()",
    "CREATE TRIGGER audit_head_stay BEFORE DELETE ON audit_head FOR EACH ROW EXECUTE FUNCTION refuse_audit_head()",
    "CREATE TRIGGER audit_head_whole BEFORE TRUNCATE ON audit_head "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_head()",
)


def upgrade() -> None:
    _create_cases()
    op.create_table(
        "audit_entries",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("actor", "organisation", "role", "action")),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_entries"),
    )
    op.create_table(
        "audit_head",
        sa.Column("log_id", sa.Uuid(), nullable=False),
        sa.Column("key_check", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("log_id", name="pk_audit_head"),
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE_TRIGGERS if is_sqlite else _POSTGRES_TRIGGERS:
        op.execute(statement)


def _create_cases() -> None:
    op.create_table(
        "cases",
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
                "model_name",
                "model_version",
                "artifact_sha256",
                "preprocessing_version",
                "population",
                "prediction",
            )
        ),
        sa.Column("p_malignant", sa.Double(), nullable=False),
        *(
            sa.Column(f"p_{dx}", sa.Double(), nullable=False)
            for dx in ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
        ),
        sa.Column("conformal_set", sa.Text(), nullable=False),
        sa.Column("conformal_level", sa.Double(), nullable=False),
        sa.Column("member_p_malignant", sa.JSON(), nullable=False),
        sa.Column("quality", sa.Text(), nullable=False),
        sa.Column("ood_score", sa.Double(), nullable=True),
        sa.Column("operating_point", sa.Text(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("sensitivity", sa.Double(), nullable=True),
        sa.Column("specificity", sa.Double(), nullable=True),
        sa.Column("heatmap_method", sa.Text(), nullable=False),
        sa.Column("runtime_ms", sa.Double(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("case_id", name="pk_cases"),
        sa.UniqueConstraint("image_key", name="uq_cases_image_key"),
    )
    op.create_index("ix_cases_saved_at", "cases", ["organisation", "saved_at", "case_id"])
    op.create_index("ix_cases_reference_hash", "cases", ["organisation", "reference_hash", "saved_at", "case_id"])
    op.create_index("ix_cases_lesion_id", "cases", ["organisation", "lesion_id", "saved_at", "case_id"])
