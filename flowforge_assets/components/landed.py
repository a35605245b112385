"""The part of a table's YAML that says how its landing files are taken."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flowforge_assets.bronze.landing_options import IGNORED, LandingOptions, OnChange
from flowforge_assets.components.part import AssetPart, AsWritten, as_written
from flowforge_assets.table_spec import Evolution
from flowforge_assets.webhook.options import WebhookOptions


class LandedPart(AssetPart):
    """A table whose rows arrive as files."""

    files: str = Field(default="*.csv", description="Which files of the landing folder belong to it (`*`, `?`, `[…]`).")
    ignore: list[str] = Field(
        default=list(IGNORED),
        description="Files (and folders) nobody asks about: left alone without a word. Matched against each part of the path.",
    )
    min_age_s: float | None = Field(
        default=None,
        ge=0,
        description="Seconds a file must have been unchanged before it is taken. Default: 0 on object stores, where an upload is there whole or not at all; in a local folder 0 for a file that no process has open for writing, and 2 where the system cannot tell.",
    )
    max_files_per_run: int = Field(
        default=10_000, ge=1, description="Files one run takes, the oldest first; the rest come with the next runs."
    )
    max_bytes_per_run: int | None = Field(
        default=None, ge=1, description="Bytes of files one run takes, the oldest first; a larger file goes alone."
    )
    max_file_attempts: int = Field(
        default=3,
        ge=1,
        description="Runs that try a file which cannot be read. Then it is set aside: named by the check `landing`, in nobody's way, and tried again when it is uploaded anew or the way files are read is declared otherwise.",
    )
    on_change: OnChange = Field(
        default="append",
        description="What a file uploaded again under its name with other content is: `append`, a new file whose rows are added to the earlier ones; `supersede`, the file's new version: the earlier one's rows are taken back, as if it had never come, and silver is made anew from what is left; `skip`, left alone; `fail`, an error that stops the table until the file is removed. With the same content it is never taken again.",
    )
    clean_source: Literal["keep", "move", "delete"] = Field(
        default="keep",
        description="What becomes of landing files whose rows are published in silver: `move` puts them under `landing_archive/<workflow>/<table>/`.",
    )
    clean_source_after_days: float = Field(
        default=0.0, ge=0, description="Days after it was taken before `clean_source` touches a file."
    )

    schema_evolution: Evolution = Field(
        default="add_new_columns",
        description="What becomes of a column the table never had: `add_new_columns` (and `…_with_type_widening`) adds it to bronze; `rescue` puts its cells into `_rescued`, and those that do not fit the type the column had in earlier files; `fail_on_new_columns` takes no such file; `none` leaves it out.",
    )
    stop_on_new_columns: bool | None = Field(
        default=None,
        description="As Auto Loader does: the run that meets a new column (or, of `…_with_type_widening`, a wider type) takes nothing, records the new schema and fails; the next run goes on with it. `false`: taken in the same run. Only with `add_new_columns` and `add_new_columns_with_type_widening`. Default: `true` of files, `false` of a `source`, which may not be asked again for a day.",
    )

    @property
    def stops_on_new_columns(self) -> bool:
        """Whether a run that meets a new schema stops once."""
        if self.stop_on_new_columns is not None:
            return self.stop_on_new_columns
        return self.schema_evolution.startswith("add_new_columns") and not getattr(self, "source", None)

    def validate_schema_evolution(self) -> None:
        """Check that a table which stops for new columns is one that takes them.

        Raises:
            DefinitionError: its `schema_evolution` never adds a column.
        """
        if self.stop_on_new_columns and not self.schema_evolution.startswith("add_new_columns"):
            raise self.wrong(
                f"table '{getattr(self, 'name', '')}' has `stop_on_new_columns` and `schema_evolution: {self.schema_evolution}`, which never adds a column.",
                "Choose `add_new_columns` or `add_new_columns_with_type_widening`, or leave `stop_on_new_columns` out.",
                "attributes",
                "stop_on_new_columns",
            )

    webhook: Annotated[AsWritten[WebhookOptions] | None, as_written(WebhookOptions | None)] = Field(
        default=None,
        description="Files are also taken over HTTP, signed: `flowforge webhook` answers `POST /landing/<workflow>/<table>`.",
        examples=[{"secret": "env('SHOP_WEBHOOK_SECRET')"}],
    )

    def validate_webhook(self) -> None:
        """Check the webhook against how the table takes files.

        Raises:
            DefinitionError: a literal secret, names that the table would not take, a table without landing.
        """
        if self.webhook is None:
            return
        if other := next((name for name in ("source", "source_table") if getattr(self, name, None)), None):
            raise self.wrong(
                f"table '{self.name}' has both `webhook` and `{other}`, and so no landing.",
                "Keep one of the two.",
                "attributes",
                "webhook",
            )
        for problem, fix in self.webhook.problems(self.name, self.files, self.landing_options()):
            raise self.wrong(problem, fix, "attributes", "webhook")

    def landing_options(self) -> LandingOptions:
        """As factories and transforms take them."""
        return LandingOptions(
            ignore=tuple(self.ignore),
            min_age_s=self.min_age_s,
            max_files_per_run=self.max_files_per_run,
            max_bytes_per_run=self.max_bytes_per_run,
            max_file_attempts=self.max_file_attempts,
            on_change=self.on_change,
            clean_source=self.clean_source,
            clean_source_after_days=self.clean_source_after_days,
        )
