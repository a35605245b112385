"""What "good" means: rules, the gate, quarantine, the books. Imports `flowforge_resources` only."""
