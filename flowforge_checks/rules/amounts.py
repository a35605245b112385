"""How much is tolerated: so many rows, or a share of them."""

from __future__ import annotations

from dataclasses import dataclass

_WHOLE = 100


@dataclass(frozen=True)
class Amount:
    """A number of rows, or a percentage of the rows asked."""

    value: float
    percent: bool = False

    def exceeded(self, rows: int, of: int) -> bool:
        """Whether `rows` of `of` are more; no rows at all never are."""
        return rows > (self.value * of / _WHOLE if self.percent else self.value)

    def __str__(self) -> str:
        return f"{self.value:g} %" if self.percent else f"{self.value:g} rows"


def amount(field: str, written: float | str | None) -> Amount | None:
    """An amount as written: `5` or `0.5%`.

    Raises:
        ValueError: it is neither.
    """
    if written is None:
        return None
    text = str(written).strip()
    percent = text.endswith("%")
    try:
        value = float(text.rstrip("%"))
    except ValueError:
        value = -1.0
    if value < 0 or (percent and value > _WHOLE) or (not percent and value != int(value)):
        raise ValueError(f"`{field}: {written}` is neither a number of rows (`5`) nor a percentage of them (`0.5%`).")
    return Amount(value, percent)
