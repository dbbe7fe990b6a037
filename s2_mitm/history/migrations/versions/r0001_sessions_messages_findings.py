"""Sessions, messages and findings: what a recording was before it had a version."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def refers(column: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{table}.id"]).ddl_if(dialect="sqlite")


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("started_at", TEXT, nullable=False),
        sa.Column("ended_at", TEXT),
        sa.Column("client_address", TEXT),
        sa.Column("server_address", TEXT),
        sa.Column("path", TEXT),
        sa.Column("client_role", TEXT),
        sa.Column("rm_id", TEXT),
        sa.Column("cem_id", TEXT),
        sa.Column("protocol_version", TEXT),
        sa.Column("control_type", TEXT),
        sa.Column("close_code", NUMBER),
        sa.Column("close_reason", TEXT),
        sa.Column("closed_by", TEXT),
    )
    op.create_table(
        "messages",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("seq", NUMBER, nullable=False),
        sa.Column("timestamp", TEXT, nullable=False),
        sa.Column("sender", TEXT),
        sa.Column("message_type", TEXT),
        sa.Column("message_id", TEXT),
        sa.Column("subject_message_id", TEXT),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("size", NUMBER, nullable=False),
        sa.Column("injected", NUMBER, nullable=False),
        sa.Column("dropped", NUMBER, nullable=False),
        sa.Column("valid", NUMBER, nullable=False),
        sa.Column("reception_status", TEXT),
        sa.Column("reception_delay_ms", sa.Float),
        refers("session_id", "sessions"),
    )
    op.create_index("messages_in_order", "messages", ["session_id", "seq"])
    op.create_index("messages_by_message_id", "messages", ["session_id", "message_id"])
    op.create_table(
        "findings",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("message", NUMBER, nullable=False),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("severity", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        refers("message", "messages"),
        refers("session_id", "sessions"),
    )
    op.create_index("findings_by_message", "findings", ["message"])
    op.create_index("findings_by_session", "findings", ["session_id", "severity"])
