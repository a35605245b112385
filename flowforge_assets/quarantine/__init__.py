"""Reviewing quarantined rows: which wait, what is decided of them, and how a run takes released rows in.

What a decision means for data is elsewhere: `flowforge_checks.decided`, `flowforge_assets.transforms.laid_over`.
"""
