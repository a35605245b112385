"""Databases that FlowForge reads and writes: how a connection is declared, opened, and what is wrong with one in words."""
