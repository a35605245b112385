"""What a table's `webhook` says: whose deliveries it takes, how large, how they are signed. Opens nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from flowforge_resources.databases import references

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowforge_assets.bronze.landing_options import LandingOptions

Scheme = Literal["flowforge", "github"]
MB = 1_000_000


def _as_texts(written: object) -> str | tuple[str, ...]:
    if isinstance(written, list | tuple):
        return tuple(references.as_text(one) for one in written)
    return references.as_text(written)


class WebhookOptions(BaseModel):
    """A table that takes files over HTTP: `POST /landing/<workflow>/<table>`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    secret: Annotated[str | tuple[str, ...], BeforeValidator(_as_texts)] = Field(
        description="Where the secret is that senders sign with, never the secret itself: `env('X')`, `file('/run/secrets/x')`, `aws_secret('name', 'key')` or `ssm('name')`. A list while one is replaced by another.",
        examples=["env('SHOP_WEBHOOK_SECRET')"],
    )
    scheme: Scheme = Field(
        default="flowforge",
        description="How deliveries are signed: `flowforge`, a moment and the body in `X-FlowForge-Signature`; `github`, the body in `X-Hub-Signature-256`.",
    )
    header: str | None = Field(
        default=None,
        description="Name of the signature's header, where a sender writes the same under another name, e.g. `Stripe-Signature`.",
        pattern=r"^[A-Za-z0-9-]+$",
    )
    tolerance_s: int = Field(
        default=300, ge=1, le=86_400, description="Seconds that a signature's moment may lie before or behind now."
    )
    max_bytes: int = Field(
        default=10 * MB, ge=1, le=5_000 * MB, description="Bytes of one delivery; a larger one is refused."
    )
    prefix: str = Field(
        default="webhook_",
        description="What the landing objects' names begin with; the name must fit `files`.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
    )

    @property
    def secrets(self) -> tuple[str, ...]:
        """The references, one or several."""
        return (self.secret,) if isinstance(self.secret, str) else self.secret

    @property
    def signature_header(self) -> str:
        """The header in which the signature comes."""
        usual = {"flowforge": "X-FlowForge-Signature", "github": "X-Hub-Signature-256"}
        return self.header or usual[self.scheme]

    def problems(self, table: str, files: str, landing: LandingOptions) -> Iterator[tuple[str, str]]:
        """What is wrong with it: the problem, the fix. No message holds what is written as a secret.

        Args:
            table: how messages call the table.
            files: the pattern of its files.
            landing: how it takes them.
        """
        from flowforge_assets.webhook.naming import accepted, object_name

        if not self.secrets:
            yield f"`webhook` of table '{table}' has no secret.", f"Write a reference: {references.NOTATION}."
        for written in self.secrets:
            try:
                literal = not references.is_reference(written)
            except ValueError as error:
                yield (
                    f"in `webhook` of table '{table}', {str(error).partition('. ')[0]}.",
                    str(error).partition(". ")[2],
                )
                continue
            if literal:
                yield (
                    f"`webhook` of table '{table}' has a secret written out in YAML.",
                    f"Write a reference: {references.NOTATION}, without braces around it.",
                )
        suffixes = accepted(self.prefix, files)
        if not suffixes:
            yield (
                f"no name that `webhook` of table '{table}' gives fits `files: {files}`, so its objects would lie in landing unread.",
                'Write `files: "*.json"` (or `.ndjson`, `.csv`, `.parquet`, …), or a `prefix` in `webhook` that fits.',
            )
        elif landing.ignores(object_name(self.prefix, "0", next(iter(suffixes.values())))):
            yield (
                f"the names that `webhook` of table '{table}' gives are among those that `ignore` leaves alone.",
                "Choose another `prefix`, or take the pattern out of `ignore`.",
            )
