"""Keeping an installation's database: bring it up to date, back it up, restore it, and say what no longer fits it."""
