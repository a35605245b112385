"""Messages that say an object was created: S3 events from an SQS queue, bare, through SNS or through EventBridge.

Belongs here: receiving, understanding and removing messages. Does not: what is new (the ledger says), runs.

A message is a hint, never a fact: what it names is looked up on the lake. So duplicates, late and reordered messages
are harmless, and a lost one is made good by the periodic listing. A message is deleted when everything it names is in
the ledger (or gone), not before; until then it comes back when the queue's visibility timeout ends, which should
therefore be longer than a run takes. One that cannot be understood is never deleted: it stays for the queue's redrive
policy, or moves to the dead-letter queue that is configured here.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from flowforge_resources.errors import QueueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# A short poll asks some of the queue's servers only, and may come back empty while messages wait.
WAIT_S = 1
_MOST_A_CALL = 10


class Notifications(BaseModel):
    """Where a workflow's landing events arrive."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queue_url: str = Field(
        description="URL of the SQS queue that gets the bucket's ObjectCreated events of this workflow's landing folder, and no others. Its visibility timeout should be longer than a run takes.",
    )
    listing_every_s: int = Field(
        default=3600, ge=0, description="Seconds between two listings, which find what a lost message missed."
    )
    dead_letter_url: str | None = Field(
        default=None,
        description="URL of the queue for messages nobody understands. Default: they stay for the queue's own redrive policy.",
    )
    max_messages_per_tick: int = Field(default=1000, ge=1, description="Messages one look receives.")

    @field_validator("queue_url", "dead_letter_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        """Checked twice: as written, where a template stands for what is not known yet, and as rendered."""
        if value is None or "{{" in value or urlsplit(value).scheme in ("http", "https"):
            return value
        raise ValueError(
            f"'{value}' is no URL of a queue. Write e.g. https://sqs.eu-central-1.amazonaws.com/1234/name."
        )


@dataclass(frozen=True)
class CreatedObject:
    """An object a message names, by bucket and the key's real text."""

    bucket: str
    key: str

    def lake_key(self, lake_url: str) -> str | None:
        """Its key on a lake, or None where it lies elsewhere."""
        where = urlsplit(lake_url)
        prefix = where.path.strip("/")
        inside = f"{prefix}/" if prefix else ""
        if self.bucket != where.netloc or not self.key.startswith(inside):
            return None
        return self.key.removeprefix(inside)


@dataclass(frozen=True)
class Message:
    """A message as received. `created` is empty for one about something else, None for one nobody understands."""

    id: str
    receipt: str
    body: str
    receives: int
    created: tuple[CreatedObject, ...] | None


def parse(body: str) -> tuple[CreatedObject, ...] | None:
    """The objects a message's body says were created; None where it is no event we know."""
    try:
        return tuple(_created(json.loads(body)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _created(said: Mapping[str, Any]) -> Iterator[CreatedObject]:
    """Understand an event in any of its envelopes.

    Raises:
        KeyError: it is none, or lacks what such an event has.
    """
    if said.get("Type") == "Notification" and "Message" in said:  # SNS
        yield from _created(json.loads(said["Message"]))
    elif "detail-type" in said:  # EventBridge, which does not encode keys
        detail = said["detail"]
        if said["detail-type"] == "Object Created":
            yield CreatedObject(detail["bucket"]["name"], detail["object"]["key"])
    elif said.get("Event") != "s3:TestEvent":  # S3 sends that one when the notification is set up
        for record in said["Records"]:
            stored = record["s3"]
            if record["eventName"].removeprefix("s3:").startswith("ObjectCreated:"):
                yield CreatedObject(stored["bucket"]["name"], unquote_plus(stored["object"]["key"]))


class NotificationQueue:
    """An SQS queue. boto3 is imported when the first message is wanted."""

    def __init__(self, settings: Notifications) -> None:
        self.settings = settings
        self._client: Any = None

    def receive(self) -> list[Message]:
        """The messages that wait, up to the limit of a tick.

        Raises:
            QueueError: the queue does not answer, or refuses.
        """
        found: list[Message] = []
        while len(found) < self.settings.max_messages_per_tick:
            more = self._receive(min(_MOST_A_CALL, self.settings.max_messages_per_tick - len(found)))
            found += more
            if not more:
                break
        return found

    def _receive(self, most: int) -> list[Message]:
        with self._clear_errors("hand out messages") as client:
            answer = client.receive_message(
                QueueUrl=self.settings.queue_url,
                MaxNumberOfMessages=most,
                WaitTimeSeconds=WAIT_S,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        return [_message(raw) for raw in answer.get("Messages", ())]

    def delete(self, messages: Sequence[Message]) -> None:
        """Remove messages; one whose receipt ran out comes again, which is harmless."""
        for start in range(0, len(messages), _MOST_A_CALL):
            batch = messages[start : start + _MOST_A_CALL]
            entries = [{"Id": str(n), "ReceiptHandle": message.receipt} for n, message in enumerate(batch)]
            with self._clear_errors("delete messages") as client:
                client.delete_message_batch(QueueUrl=self.settings.queue_url, Entries=entries)

    def bury(self, messages: Iterable[Message]) -> None:
        """Move messages nobody understands to the dead-letter queue, where one is configured."""
        if self.settings.dead_letter_url is None:
            return
        for message in messages:
            with self._clear_errors("take a dead letter") as client:
                client.send_message(QueueUrl=self.settings.dead_letter_url, MessageBody=message.body)
            self.delete([message])

    @contextmanager
    def _clear_errors(self, action: str) -> Iterator[Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield self._open()
        except (BotoCoreError, ClientError) as error:
            raise QueueError(self.settings.queue_url, action, str(error)) from error

    def _open(self) -> Any:
        """A client of the server the queue's URL names: the lake's endpoint may be another one (MinIO)."""
        if self._client is None:
            import boto3

            where = urlsplit(self.settings.queue_url)
            self._client = boto3.client("sqs", endpoint_url=f"{where.scheme}://{where.netloc}", **_region(where.netloc))
        return self._client


def _region(host: str) -> dict[str, str]:
    """The region in an AWS host name (`sqs.eu-central-1.amazonaws.com`); else boto3 knows from its environment."""
    parts = host.split(".")
    return {"region_name": parts[1]} if parts[0] == "sqs" and "amazonaws" in parts else {}


def _message(raw: Mapping[str, Any]) -> Message:
    receives = int(raw.get("Attributes", {}).get("ApproximateReceiveCount", 1))
    return Message(raw["MessageId"], raw["ReceiptHandle"], raw["Body"], receives, parse(raw["Body"]))
