"""No message stands here twice; how much each recorder has written; what went on to the peer."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # These come first: where a reader is in the way, PostgreSQL says so before the work is done.
    op.add_column("messages", sa.Column("sent", sa.Text))
    op.add_column("recorders", sa.Column("written", NUMBER))
    _take_out_doubles()
    op.create_index("messages_by_seq", "messages", ["session_id", "seq"], unique=True)
    op.drop_index("messages_in_order", "messages")


def _take_out_doubles() -> None:
    """Where a batch was written twice, leave what was written first, with all that is known of it.

    Late findings and answers were given to the newest row of a message: they are kept.
    """
    op.create_table(
        "s2_mitm_doubles",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("kept", NUMBER, nullable=False),
    )
    # SQLite takes the tables of a CROSS JOIN in the order in which they stand here.
    op.execute(
        """
        INSERT INTO s2_mitm_doubles (id, kept)
        SELECT later.id, first.id
        FROM (
            SELECT session_id, seq, min(id) AS id FROM messages
            GROUP BY session_id, seq HAVING count(*) > 1
        ) AS first CROSS JOIN messages AS later
        WHERE later.session_id = first.session_id AND later.seq = first.seq AND later.id > first.id
        """
    )
    op.execute(
        """
        UPDATE messages SET valid = 0
        WHERE id IN (
            SELECT kept FROM s2_mitm_doubles AS doubles JOIN messages AS later
            ON later.id = doubles.id WHERE later.valid = 0
        )
        """
    )
    op.execute(
        """
        UPDATE messages
        SET reception_status = later.reception_status,
            reception_delay_ms = later.reception_delay_ms
        FROM (
            SELECT kept, min(messages.id) AS id
            FROM s2_mitm_doubles AS doubles JOIN messages ON messages.id = doubles.id
            WHERE messages.reception_status IS NOT NULL GROUP BY kept
        ) AS answered JOIN messages AS later ON later.id = answered.id
        WHERE messages.id = answered.kept AND messages.reception_status IS NULL
        """
    )
    op.execute(
        """
        UPDATE findings SET message = (SELECT kept FROM s2_mitm_doubles WHERE id = findings.message)
        WHERE message IN (SELECT id FROM s2_mitm_doubles)
        """
    )
    op.execute("DELETE FROM messages WHERE id IN (SELECT id FROM s2_mitm_doubles)")
    op.drop_table("s2_mitm_doubles")
    op.execute(
        """
        DELETE FROM findings WHERE id IN (
            SELECT later.id FROM findings AS later JOIN findings AS first
            ON first.message = later.message AND first.id < later.id
            WHERE first.code = later.code AND first.path = later.path AND first.text = later.text
        )
        """
    )
    op.execute(
        """
        DELETE FROM gaps WHERE id IN (
            SELECT later.id FROM gaps AS later JOIN gaps AS first
            ON first.session_id = later.session_id AND first.id < later.id
            WHERE first.first_seq = later.first_seq AND first.last_seq = later.last_seq
        )
        """
    )
