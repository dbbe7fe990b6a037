"""Whether a message came in a text or a binary frame; what to do about a finding."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    # Neither database rewrites its rows for a column with a constant default.
    op.add_column("messages", sa.Column("opcode", TEXT, nullable=False, server_default="text"))
    op.add_column("findings", sa.Column("hint", TEXT, nullable=False, server_default=""))
    op.execute(
        """
        UPDATE messages SET opcode = 'binary'
        WHERE id IN (SELECT message FROM findings WHERE code = 'json.binary')
        """
    )
