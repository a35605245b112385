"""The workflow `daily`."""
