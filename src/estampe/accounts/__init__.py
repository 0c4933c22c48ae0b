"""Accounts: people, API keys, sign-in, quotas and the audit log."""
