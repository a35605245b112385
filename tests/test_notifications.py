"""S3 events through SQS start runs, and whatever happens to a message, each file is taken once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from flowforge_resources import notifications
from flowforge_resources.errors import QueueError
from flowforge_resources.layout import landing_prefix
from flowforge_resources.ledger import read_ledger
from flowforge_resources.notifications import CreatedObject, NotificationQueue, Notifications, parse
from scenario import land, run_well
from test_discovery import TABLE, files, in_silver, instance, items, run_requested, tick

if TYPE_CHECKING:
    from pathlib import Path

    import dagster as dg

    from flowforge_resources.lake import Lake

__all__ = ["instance"]
KEY = "some/prefix/landing/shop/items/a b+ü%.csv"
ENCODED = "some/prefix/landing/shop/items/a+b%2B%C3%BC%25.csv"


def s3_event(*keys: str, name: str = "ObjectCreated:Put", bucket: str = "lake") -> dict[str, Any]:
    records = [
        {"eventName": name, "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1}}} for key in keys
    ]
    return {"Records": records}


def sns(said: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Message": json.dumps(said)}


EVENT_BRIDGE = {
    "version": "0",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "detail": {"bucket": {"name": "lake"}, "object": {"key": KEY, "size": 1}, "reason": "PutObject"},
}
TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "lake"}
ONE = (CreatedObject("lake", KEY),)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (s3_event(ENCODED), ONE),
        (s3_event(ENCODED.replace("/", "%2F")), ONE),
        (sns(s3_event(ENCODED)), ONE),
        (EVENT_BRIDGE, ONE),
        (sns(EVENT_BRIDGE), ONE),
        (s3_event(ENCODED, "b.csv"), (*ONE, CreatedObject("lake", "b.csv"))),
        (s3_event(ENCODED, name="s3:ObjectCreated:CompleteMultipartUpload"), ONE),
        (s3_event(ENCODED, name="ObjectRemoved:Delete"), ()),
        ({**EVENT_BRIDGE, "detail-type": "Object Deleted"}, ()),
        (TEST_EVENT, ()),
        (sns(TEST_EVENT), ()),
        ({"Records": []}, ()),
        ({}, None),
        ([], None),
        ("text", None),
        ({"Records": [{"eventName": "ObjectCreated:Put"}]}, None),
        ({"Type": "Notification", "Message": "no json"}, None),
        ({**EVENT_BRIDGE, "detail": {}}, None),
    ],
)
def test_a_message_is_understood_in_any_envelope(said: Any, expected: object) -> None:
    assert parse(json.dumps(said)) == expected


def test_a_body_that_is_no_json_is_poison() -> None:
    assert parse("<xml/>") is None


@pytest.mark.parametrize(
    ("url", "bucket", "key", "expected"),
    [
        ("s3://lake/some/prefix", "lake", "some/prefix/a.csv", "a.csv"),
        ("s3://lake", "lake", "a.csv", "a.csv"),
        ("s3://lake/some", "lake", "something/a.csv", None),
        ("s3://lake", "other", "a.csv", None),
    ],
)
def test_an_object_belongs_to_the_lake_by_bucket_and_prefix(
    url: str, bucket: str, key: str, expected: str | None
) -> None:
    assert CreatedObject(bucket, key).lake_key(url) == expected


class Queues:
    """A queue that gets the bucket's events, and one for dead letters, on the S3 server."""

    def __init__(self, lake: Lake) -> None:
        import boto3

        self.client: Any = boto3.client("sqs")
        self.url, arn = self.make({"VisibilityTimeout": "0"})  # what is not deleted comes back at once
        self.dead_url, _ = self.make({})
        bucket = lake.url.split("/")[2]
        rules = [{"Name": "prefix", "Value": f"some/prefix/{landing_prefix('shop')}"}]
        events = [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": rules}}}]
        boto3.client("s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": events}
        )

    def make(self, attributes: dict[str, str]) -> tuple[str, str]:
        url: str = self.client.create_queue(QueueName=f"q-{uuid4().hex[:12]}", Attributes=attributes)["QueueUrl"]
        asked = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, asked["Attributes"]["QueueArn"]

    def send(self, said: Any, url: str = "") -> None:
        body = said if isinstance(said, str) else json.dumps(said)
        self.client.send_message(QueueUrl=url or self.url, MessageBody=body)

    def bodies(self, url: str = "") -> list[str]:
        """What waits in a queue; a message that is invisible for a while counts too."""
        asked = self.client.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=["All"])["Attributes"]
        waiting = int(asked["ApproximateNumberOfMessages"]) + int(asked["ApproximateNumberOfMessagesNotVisible"])
        seen = self.client.receive_message(QueueUrl=url or self.url, MaxNumberOfMessages=10).get("Messages", [])
        assert len(seen) <= waiting
        return [message["Body"] for message in seen]


@pytest.fixture
def queues(s3_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Queues:
    monkeypatch.setattr(notifications, "WAIT_S", 0)
    return Queues(s3_lake)


def hearing(folder: Path, queues: Queues, **more: object) -> dg.Definitions:
    """The workflow with its queue; a tick takes few messages, because here they come back at once."""
    settings = {"queue_url": queues.url, "max_messages_per_tick": 10, **more}
    return items(folder, f", notifications: {json.dumps(settings)}")


def test_a_message_starts_a_run_and_is_deleted_when_its_file_is_in_the_ledger(
    s3_lake: Lake, queues: Queues, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    defs = hearing(tmp_path, queues)
    first = tick(defs, instance)  # lists, as no round ever ended
    assert first.requests == ()
    land(s3_lake, "shop", files("a b+ü.csv"))
    assert "No new file" in tick(hearing(tmp_path / "deaf", Queues(s3_lake)), instance, first.cursor).said

    second = tick(defs, instance, first.cursor)
    assert queues.bodies(), "not deleted before the file is taken"
    assert run_requested(defs, instance, second).success
    third = tick(defs, instance, second.cursor)

    assert set(in_silver(s3_lake)) == {"a b+ü.csv"}
    assert third.requests == ()
    assert queues.bodies() == []


def test_duplicates_late_messages_and_objects_that_are_gone_ask_for_nothing(
    s3_lake: Lake, queues: Queues, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    defs = hearing(tmp_path, queues)
    land(s3_lake, "shop", files("a.csv"))
    run_well(defs, "shop")
    bucket = s3_lake.url.split("/")[2]
    landing = f"some/prefix/{TABLE.landing}"
    for name in ("a.csv", "a.csv", "gone.csv", "_ignored.csv", "stranger.txt"):
        queues.send(s3_event(f"{landing}{name}", bucket=bucket))
    queues.send(s3_event(f"{landing}a.csv", bucket=bucket, name="ObjectRemoved:Delete"))
    queues.send(s3_event("some/prefix/gold/shop/own_write.parquet", bucket=bucket))
    queues.send(TEST_EVENT)
    assert tick(defs, instance).requests == ()
    assert queues.bodies() == []
    assert read_ledger(s3_lake, TABLE).version == 1


def test_a_message_that_names_several_files_stays_until_all_are_taken(
    s3_lake: Lake, queues: Queues, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    settings = json.dumps({"queue_url": queues.url, "max_messages_per_tick": 10})
    defs = items(tmp_path, f", notifications: {settings}", max_files_per_run=1)
    land(s3_lake, "shop", files("a.csv", "b.csv"))
    queues.client.purge_queue(QueueUrl=queues.url)
    bucket = s3_lake.url.split("/")[2]
    queues.send(s3_event(*(f"some/prefix/{TABLE.landing}{name}" for name in ("a.csv", "b.csv")), bucket=bucket))
    for _ in range(2):
        asked = tick(defs, instance)
        assert queues.bodies()
        assert run_requested(defs, instance, asked).success
    assert tick(defs, instance).requests == ()
    assert queues.bodies() == []


def test_poison_stays_for_the_redrive_policy_or_moves_to_the_dead_letter_queue(
    s3_lake: Lake, queues: Queues, instance: dg.DagsterInstance, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queues.send("<poison/>")
    tick(hearing(tmp_path / "stays", queues, max_messages_per_tick=1), instance)
    assert queues.bodies() == ["<poison/>"]
    tick(hearing(tmp_path / "moves", queues, max_messages_per_tick=1, dead_letter_url=queues.dead_url), instance)
    assert queues.bodies() == []
    assert queues.bodies(queues.dead_url) == ["<poison/>"]


def test_a_message_about_another_place_is_left_to_its_owner(
    s3_lake: Lake, queues: Queues, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    queues.send(s3_event("some/prefix/landing/other/t/a.csv", bucket=s3_lake.url.split("/")[2]))
    tick(hearing(tmp_path, queues, max_messages_per_tick=1), instance)
    assert len(queues.bodies()) == 1


def test_the_listing_finds_what_a_lost_message_missed(
    s3_lake: Lake, queues: Queues, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    seldom, often = hearing(tmp_path / "seldom", queues), hearing(tmp_path / "often", queues, listing_every_s=0)
    first = tick(seldom, instance)
    land(s3_lake, "shop", files("a.csv"))
    queues.client.purge_queue(QueueUrl=queues.url)
    assert tick(seldom, instance, first.cursor).requests == ()
    assert tick(often, instance, first.cursor).requests


def test_a_queue_that_is_not_there_is_named_and_landing_is_listed_instead(
    s3_lake: Lake, queues: Queues, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    lost = f"{queues.url}-not"
    with pytest.raises(QueueError, match=r"The queue .*-not did not hand out messages"):
        NotificationQueue(Notifications(queue_url=lost)).receive()
    queues.url = lost
    defs = hearing(tmp_path, queues)
    land(s3_lake, "shop", files("a.csv"))
    assert tick(defs, instance).requests


def test_the_queue_of_a_workflow_may_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, lake: Lake, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHOP_QUEUE", "https://sqs.eu-central-1.amazonaws.com/1/q")
    seen: list[Any] = []
    from flowforge_assets.components import workflow

    real = workflow.build_landing_sensor
    monkeypatch.setattr(
        workflow,
        "build_landing_sensor",
        lambda *args, **options: seen.append(options["notifications"]) or real(*args, **options),
    )
    items(tmp_path, """, notifications: {queue_url: "{{ env('SHOP_QUEUE') }}", listing_every_s: 60}""")
    assert seen[-1].queue_url == "https://sqs.eu-central-1.amazonaws.com/1/q"
    assert seen[-1].listing_every_s == 60
