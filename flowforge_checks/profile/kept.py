"""Profiles on the lake: one JSON object each, by table and moment."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from flowforge_checks.profile.columns import Profile
from flowforge_resources.layout import profile, profiles

if TYPE_CHECKING:
    from flowforge_resources.lake import Lake


def keep_profile(lake: Lake, workflow: str, name: str, found: Profile) -> str:
    """Write a profile; returns its key."""
    key = profile(workflow, name, datetime.fromisoformat(found.profiled_at), uuid4().hex)
    lake.write(key, json.dumps(found.as_dict(), ensure_ascii=False).encode())
    return key


def last_profile(lake: Lake, workflow: str, name: str, *, not_of: str = "") -> Profile | None:
    """The newest profile of a table, of another version than `not_of`; None where there is none."""
    for key in sorted((one.key for one in lake.files(profiles(workflow, name))), reverse=True):
        content = lake.read(key)
        found = Profile.parse(json.loads(content)) if content is not None else None
        if found is not None and found.version != not_of:
            return found
    return None
