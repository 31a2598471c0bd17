"""Formats of credentials: tokens, passwords, and SSH keys."""
