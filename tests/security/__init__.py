"""Attacks that were tried on the service, by class of attacker; docs/security.md has the table."""
