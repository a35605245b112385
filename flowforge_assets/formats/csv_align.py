"""A damaged record's pieces onto the table's columns: the cheapest of all readings.

A reading takes the text between delimiters piece by piece and matches, merges (an unescaped delimiter inside a cell),
leaves a column empty (too few cells), drops an empty piece (a delimiter too many) or sets a piece aside (rescued).
Costs weigh quotes that pair up and cells that fit their column (`csv_kinds`). A careful person does the same by eye.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowforge_assets.formats.csv_kinds import ColumnProfile
    from flowforge_assets.formats.csv_split import LineSplitter

SKIP, SKIP_AT_END = 1.7, 0.6
DROP_EMPTY, DROP_EMPTY_AT_END = 1.1, 0.2
SET_ASIDE = 1.5
MERGE, MERGE_BEFORE_SPACE = 1.6, 0.7
BROKEN_QUOTES, QUOTES_ACROSS = 0.8, 3.0
CHEAPEST_MERGE = 0.0
GOOD_ENOUGH, FITS = 2.4, 0.3
WIDEST_BAND = 24
LARGEST_TABLE = 60_000


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a record: its cells (None = missing), what was set aside, what was wrong, how dear it is."""

    cells: list[str | None]
    extras: list[str]
    why: list[str]
    cost: float


class Aligner:
    """Finds the cheapest reading of damaged records of one table."""

    def __init__(self, splitter: LineSplitter, profiles: Sequence[ColumnProfile]) -> None:
        self._splitter, self._profiles = splitter, profiles
        self._width = len(profiles)

    def read(self, text: str) -> Reading:
        """Return the cheapest reading of a record's text, looking first where most damage is."""
        tokens = self._splitter.tokens(text)
        likely = self._likely(tokens)
        if likely.cost < GOOD_ENOUGH + SKIP_AT_END * likely.cells.count(None):
            return likely
        pieces = text.split(self._splitter.delimiter) if self._splitter.quote in text else tokens
        surplus = len(pieces) - self._width
        if surplus == 0 and pieces != tokens:
            plain = self._piecewise(pieces)
            likely = plain if plain.cost < min(likely.cost, QUOTES_ACROSS) else likely
        if abs(surplus) > WIDEST_BAND or len(pieces) * (abs(surplus) + 3) > LARGEST_TABLE:
            return likely
        narrow = _Table(self, pieces, slack=0).reading()
        best = narrow if narrow.cost < GOOD_ENOUGH else _Table(self, pieces, slack=1).reading()
        return best if best.cost < likely.cost else likely

    def _likely(self, tokens: list[str]) -> Reading:
        """Read tokens one by one, as if one cell were split or several next to each other missing, or in order."""
        surplus = len(tokens) - self._width
        if surplus == 0:
            return self._piecewise(tokens)
        singles = [self.single(token) for token in tokens]
        cells = [cell for cell, _ in singles]
        quotes = sum(cost for _, cost in singles)
        plain = self.positional(cells)
        if surplus > 0 and not any(cell.strip() for cell in cells[self._width :]):
            plain = Reading(
                list(cells[: self._width]),
                [],
                ["a delimiter too many"],
                DROP_EMPTY_AT_END * surplus + self._misfits(cells[: self._width]),
            )
        if plain.cost + quotes <= FITS + abs(surplus) * SKIP_AT_END and surplus < 0:
            return plain
        region = self._one_region(tokens, singles, surplus)
        return (
            region
            if region.cost < plain.cost + quotes
            else Reading(plain.cells, plain.extras, plain.why, plain.cost + quotes)
        )

    def _one_region(self, tokens: list[str], singles: list[tuple[str, float]], surplus: int) -> Reading:
        """Find the one column whose cell was split into `surplus` + 1 pieces, or the one place where cells lack."""
        width, cells = self._width, [cell for cell, _ in singles]
        split, lack = max(surplus, 0), max(-surplus, 0)
        before, after = self._sums(singles, split, lack)
        best, place = 1e9, 0
        for column in range(width - lack + (lack > 0)):
            if lack:
                cost = before[column] + SKIP * lack + after[column + lack]
            elif not any(cells[column : column + split]) and column + split < len(cells):
                cost = before[column] + DROP_EMPTY * split + after[column]
            elif (shifted := before[column] + after[column + 1]) + CHEAPEST_MERGE >= best:
                continue
            else:
                cell, price = self.merged(tokens[column : column + split + 1])
                cost = shifted + price + self._profiles[column].misfit(cell)
            if cost < best - 1e-9:
                best, place = cost, column
        if lack:
            return Reading([*cells[:place], *[None] * lack, *cells[place:]], [], [_lack(lack)], best)
        if not any(cells[place : place + split]):
            kept = [*cells[:place], *cells[place + split :]]
            return Reading(list(kept), [], ["a delimiter too many"], best)
        cell = self.merged(tokens[place : place + split + 1])[0]
        return Reading([*cells[:place], cell, *cells[place + split + 1 :]], [], ["an unescaped delimiter"], best)

    def _sums(self, singles: list[tuple[str, float]], split: int, lack: int) -> tuple[list[float], list[float]]:
        """Return the cost of the columns before each, and from each on, with the cells shifted by the damage."""
        width, shift = self._width, split - lack
        before, after = [0.0], [0.0] * (width + 1)
        for column in range(min(width, len(singles))):
            cell, cost = singles[column]
            before.append(before[-1] + cost + self._profiles[column].misfit(cell))
        for column in range(width - 1, -1, -1):
            index = column + shift
            if 0 <= index < len(singles):
                cell, cost = singles[index]
                after[column] = after[column + 1] + cost + self._profiles[column].misfit(cell)
        return before, after

    def positional(self, cells: Sequence[str]) -> Reading:
        """Read cells in order: what lacks is missing at the end, what is too much is set aside."""
        lacking = self._width - len(cells)
        kept: list[str | None] = [*cells[: self._width], *[None] * lacking]
        extras = list(cells[self._width :])
        why = [_lack(lacking)] if lacking > 0 else [f"{len(extras)} cell(s) too many"] if extras else []
        cost = SKIP_AT_END * max(lacking, 0) + SET_ASIDE * len(extras) + self._misfits(kept)
        return Reading(kept, extras, why, cost)

    def score(self, cells: Sequence[str]) -> float:
        """Return how badly cells of the right count fit the columns."""
        return self._misfits(cells)

    def _misfits(self, cells: Sequence[str | None]) -> float:
        return sum(p.misfit(c) for p, c in zip(self._profiles, cells, strict=True) if c is not None)

    def _piecewise(self, pieces: list[str]) -> Reading:
        """Read as many pieces as columns one by one."""
        cells: list[str | None] = []
        cost = 0.0
        for piece in pieces:
            cell, regular = self._splitter.unquote(piece)
            cells.append(cell)
            cost += 0.0 if regular else BROKEN_QUOTES
            cost += QUOTES_ACROSS / 2 if not regular and self.half_quoted(piece) else 0.0
        return Reading(cells, [], ["an unescaped quote"] if cost else [], cost)

    def half_quoted(self, piece: str) -> bool:
        """Tell whether a piece has its quote at one end only."""
        text, quote = piece.strip(), self._splitter.quote
        return bool(quote) and text.startswith(quote) != text.endswith(quote)

    def single(self, piece: str) -> tuple[str, float]:
        """Return the cell that one piece makes, and what it costs to read it so."""
        if not self._splitter.quote or self._splitter.quote not in piece:
            return piece, 0.0
        cell, regular = self._splitter.unquote(piece)
        return cell, 0.0 if regular else BROKEN_QUOTES + (0.3 if self.half_quoted(piece) else 0.0)

    def merged(self, pieces: Sequence[str]) -> tuple[str, float]:
        """Return the cell that consecutive pieces make, and what it costs to read them so."""
        if len(pieces) == 1:
            return self.single(pieces[0])
        text = self._splitter.delimiter.join(pieces)
        cost = sum(
            (MERGE_BEFORE_SPACE if p[:1] == " " else MERGE) + (0.0 if p and not p.isspace() else 1.0)
            for p in pieces[1:]
        ) + (0.0 if pieces[0].strip() else 1.0)
        if not self._splitter.quote or self._splitter.quote not in text:
            return text, cost
        cell, regular = self._splitter.unquote(text)
        if cell != text:
            crossings = sum(map(self._splitter_boundary, pieces[:-1], pieces[1:])) if not regular else 0
            return cell, (0.0 if regular else BROKEN_QUOTES) + QUOTES_ACROSS * crossings
        cost += 0.0 if regular else BROKEN_QUOTES
        return text, cost + sum(1.0 for p in pieces if self._splitter.quote in p and self._fully_quoted(p))

    def _fully_quoted(self, piece: str) -> bool:
        text, quote = piece.strip(), self._splitter.quote
        return bool(quote) and len(text) > 1 and text.startswith(quote) and text.endswith(quote)

    def _splitter_boundary(self, left: str, right: str) -> bool:
        quote = self._splitter.quote
        return left.rstrip(" ").endswith(quote) and right.lstrip(" ").startswith(quote)

    def misfit(self, column: int, cell: str) -> float:
        """Return how badly a cell fits a column."""
        return self._profiles[column].misfit(cell)

    @property
    def width(self) -> int:
        """Count of columns."""
        return self._width


class _Table:
    """Dynamic programme over (pieces used, columns filled), in a band around the diagonal."""

    def __init__(self, aligner: Aligner, pieces: list[str], *, slack: int) -> None:
        self._a, self._pieces = aligner, pieces
        self._best: dict[tuple[int, int], tuple[float, str, int]] = {(0, 0): (0.0, "", 0)}
        surplus = len(pieces) - aligner.width
        self._low, self._high = min(surplus, 0) - slack, max(surplus, 0) + slack
        self._fill()

    def _fill(self) -> None:
        """Visit states in order of columns, then pieces; each state offers its successors a cost."""
        for column in range(self._a.width + 1):
            for used in range(max(0, column + self._low), min(len(self._pieces), column + self._high) + 1):
                state = self._best.get((used, column))
                if state is not None:
                    self._spread(used, column, state[0])

    def _spread(self, used: int, column: int, cost: float) -> None:
        left = len(self._pieces) - used
        if left:
            piece = self._pieces[used]
            if not piece.strip():
                at_end = column == self._a.width
                self._offer(used + 1, column, cost + (DROP_EMPTY_AT_END if at_end else DROP_EMPTY), "drop", 1)
            elif column == self._a.width:
                self._offer(used + 1, column, cost + SET_ASIDE, "aside", 1)
        if column == self._a.width:
            return
        self._offer(used, column + 1, cost + (SKIP if left else SKIP_AT_END), "skip", 0)
        widest = min(left, self._high - (used - column) + 1)
        for count in range(1, widest + 1):
            cell, price = self._a.merged(self._pieces[used : used + count])
            self._offer(used + count, column + 1, cost + price + self._a.misfit(column, cell), "take", count)

    def _offer(self, used: int, column: int, cost: float, move: str, count: int) -> None:
        if not self._low <= used - column <= self._high:
            return
        known = self._best.get((used, column))
        if known is None or cost < known[0] - 1e-9:
            self._best[used, column] = (cost, move, count)

    def reading(self) -> Reading:
        """Walk the cheapest way back."""
        used, column = len(self._pieces), self._a.width
        if (used, column) not in self._best:
            return self._a.positional([self._a.merged([p])[0] for p in self._pieces])
        cost = self._best[used, column][0]
        cells: list[str | None] = []
        extras: list[str] = []
        why: dict[str, None] = {}
        while (used, column) != (0, 0):
            _, move, count = self._best[used, column]
            taken = self._pieces[used - count : used]
            if move == "take":
                cell, price = self._a.merged(taken)
                cells.append(cell)
                if count > 1 and price:
                    why["an unescaped delimiter"] = None
                elif price:
                    why["an unescaped quote"] = None
            elif move == "skip":
                cells.append(None)
                why["too few cells"] = None
            else:
                extras.extend(taken if move == "aside" else [])
                why["a delimiter too many" if move == "drop" else "a cell too many"] = None
            used, column = used - count, column - (move in {"take", "skip"})
        return Reading(cells[::-1], extras[::-1], list(why), cost)


def _lack(count: int) -> str:
    return f"too few cells: {count} missing"
