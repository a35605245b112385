"""What "good" means: rules, gate, quarantine, reconciliation, books, contracts."""

from flowforge_checks.contracts import schema_of

__all__ = ["schema_of"]
