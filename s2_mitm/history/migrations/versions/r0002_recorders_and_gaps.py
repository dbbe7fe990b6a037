"""Which proxy saw a session, who is writing here, and what could not be recorded."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "recorders",
        sa.Column("id", TEXT, primary_key=True),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("pid", NUMBER, nullable=False),
        sa.Column("started_at", TEXT, nullable=False),
        sa.Column("seen_at", TEXT, nullable=False),
        sa.Column("ended_at", TEXT),
    )
    op.add_column("sessions", sa.Column("proxy", TEXT))
    if op.get_context().dialect.name == "sqlite":
        # Alembic would add what it refers to afterwards, which SQLite cannot.
        op.execute("ALTER TABLE sessions ADD COLUMN recorder TEXT REFERENCES recorders (id)")
    else:
        op.add_column("sessions", sa.Column("recorder", TEXT))
    op.create_table(
        "gaps",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("session_id", TEXT, nullable=False),
        sa.Column("first_seq", NUMBER, nullable=False),
        sa.Column("last_seq", NUMBER, nullable=False),
        sa.Column("messages", NUMBER, nullable=False),
        sa.Column("since", TEXT, nullable=False),
        sa.Column("until", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"]).ddl_if(dialect="sqlite"),
    )
    op.create_index("gaps_by_session", "gaps", ["session_id"])
