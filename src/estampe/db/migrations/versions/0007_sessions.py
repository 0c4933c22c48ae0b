"""Sessions of browsers, people's identities at an OpenID provider, and the places they sign in from."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from estampe.db.schema import UtcDateTime

revision: Final = "0007"
down_revision: Final = "0006"


def upgrade() -> None:
    """Add tables. Failures to sign in are counted under other names from here on: the old counts go."""
    op.execute("DELETE FROM sign_in_failures")
    op.add_column("memberships", sa.Column("is_mapped", sa.Boolean, nullable=False, server_default=sa.false()))
    _create_places()
    _create_sessions()
    _create_identities()
    _create_attempts()


def _create_places() -> None:
    op.create_table(
        "sign_in_places",
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("network", sa.Text, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "network", name="pk_sign_in_places"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sign_in_places_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_sign_in_places_seen_at", "sign_in_places", ["seen_at"])


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("token_digest", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("last_seen_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("token_digest", name="uq_sessions_token_digest"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_sessions_account_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
    )
    for column in ("account_id", "user_id", "last_seen_at", "expires_at"):
        op.create_index(f"ix_sessions_{column}", "sessions", [column])


def _create_identities() -> None:
    op.create_table(
        "oidc_identities",
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("linked_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_oidc_identities"),
        sa.UniqueConstraint("user_id", name="uq_oidc_identities_user_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_oidc_identities_user_id", ondelete="CASCADE"),
    )


def _create_attempts() -> None:
    op.create_table(
        "oidc_attempts",
        sa.Column("state_digest", sa.Text, nullable=False),
        sa.Column("binding_digest", sa.Text, nullable=False),
        sa.Column("nonce", sa.Text, nullable=False),
        sa.Column("verifier", sa.Text, nullable=False),
        sa.Column("redirect_uri", sa.Text, nullable=False),
        sa.Column("next", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=True),
        sa.Column("is_for_command", sa.Boolean, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("state_digest", name="pk_oidc_attempts"),
    )
    op.create_index("ix_oidc_attempts_expires_at", "oidc_attempts", ["expires_at"])
