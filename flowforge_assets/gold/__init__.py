"""Gold models: built whole or by partition, audited, published together; dimensions, lookups, the warehouse."""
