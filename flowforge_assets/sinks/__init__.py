"""Sinks as assets: published versions delivered to databases, files and HTTP endpoints."""
