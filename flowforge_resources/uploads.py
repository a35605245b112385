"""Multipart uploads that were begun on S3 and never ended: invisible, and paid for. A killed run leaves them.

Only S3 lists them. The lake's own client cannot, so this asks with boto3.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flowforge_resources.errors import LakeAccessError

if TYPE_CHECKING:
    from datetime import datetime

    from flowforge_resources.lake import Lake


@dataclass(frozen=True)
class Upload:
    """One upload that is not complete: its key with the lake's prefix before it, and its id."""

    key: str
    id: str
    begun_at: datetime


class Uploads:
    """The unfinished uploads of a lake; on any store but S3 there are none to be found.

    Raises:
        LakeAccessError: S3 refused or did not answer; `s3:ListBucketMultipartUploads` is a permission of its own.
    """

    def __init__(self, lake: Lake) -> None:
        self._url = lake.url
        place = urlsplit(lake.url)
        self._bucket = place.netloc if place.scheme.startswith("s3") else ""
        self._prefix = f"{place.path.strip('/')}/".lstrip("/")

    def begun_before(self, moment: datetime) -> list[Upload]:
        """Those that were begun before a moment."""
        if not self._bucket:
            return []
        pages = self._ask("list_multipart_uploads")
        found = [
            Upload(one["Key"], one["UploadId"], one["Initiated"]) for page in pages for one in page.get("Uploads", ())
        ]
        return [one for one in found if one.begun_at < moment]

    def abort(self, upload: Upload) -> None:
        """Give its parts back."""
        self._ask("abort_multipart_upload", Key=upload.key, UploadId=upload.id)

    def _ask(self, call: str, **options: Any) -> Any:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = boto3.client("s3", region_name=os.environ.get("AWS_REGION"))
            if client.can_paginate(call):
                return list(client.get_paginator(call).paginate(Bucket=self._bucket, Prefix=self._prefix))
            return getattr(client, call)(Bucket=self._bucket, **options)
        except (BotoCoreError, ClientError) as error:
            raise LakeAccessError(self._url, call.replace("_", " "), str(error)) from error
