"""A landed file without its compression, whatever its name says: gzip, zstd, bzip2, zip; else the file itself.

Decompression streams to the scratch folder in bounded memory, up to `Limits`. A zip with several members gives a part
each. An Excel workbook is a zip that stays as it is. What the parts hold is none of this module's business.

Raises `BadFileError` for an archive that is truncated, damaged, encrypted, a bomb, or of a kind that is not read here.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from flowforge_resources.errors import BadFileError, ScratchSpaceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE_BYTES = 1 << 20
MAX_NESTING = 3
GZIP, BZIP2, ZSTD, ZIP = b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
_REFUSED = {b"\xfd7zXZ\x00": "xz", b"7z\xbc\xaf\x27\x1c": "7-Zip", b"Rar!": "RAR", b"\x04\x22\x4d\x18": "LZ4"}
_TAR_AT, _TAR = 257, b"ustar"
_ENCRYPTED = 0x1
_WORKBOOK_PARTS = ("[Content_Types].xml", "mimetype")


@dataclass(frozen=True, slots=True)
class Limits:
    """How far decompression may go: bytes in all, and bytes out per byte in once `ratio_from_bytes` are written."""

    max_bytes: int = 64 << 30
    max_ratio: int = 1000
    ratio_from_bytes: int = 256 << 20


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Part:
    """A file without compression: where it lies, how it is called in its archive, and what was undone (outermost first)."""

    path: Path
    name: str
    compression: tuple[str, ...] = ()


def opened(path: Path, scratch_folder: Path, limits: Limits = DEFAULT_LIMITS, name: str | None = None) -> Path:
    """Return the one decompressed file.

    Raises:
        BadFileError: also where a zip has several members; `opened_parts` gives them all.
    """
    parts = opened_parts(path, scratch_folder, limits, name)
    if len(parts) > 1:
        listed = ", ".join(part.name for part in parts[:5])
        raise BadFileError(
            name or path.name, f"the zip holds {len(parts)} files ({listed}).", "Upload them one by one."
        )
    return parts[0].path


def opened_parts(
    path: Path, scratch_folder: Path, limits: Limits = DEFAULT_LIMITS, name: str | None = None
) -> list[Part]:
    """Return the decompressed files; a file that is not compressed is its own only part, not copied."""
    opener = _Opener(name or path.name, scratch_folder, limits, path.stat().st_size)
    return opener.parts(Part(path, name or path.name))


def workbook(path: Path) -> bool:
    """Tell whether a file is a zip that is itself a document (xlsx, xlsb, ods)."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name in _WORKBOOK_PARTS for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


@dataclass(slots=True)
class _Opener:
    """One landed file; counts what it wrote over all members and nestings."""

    file: str
    scratch: Path
    limits: Limits
    packed_bytes: int
    written: int = 0
    files: int = 0

    def parts(self, part: Part) -> list[Part]:
        kind = self._kind(part.path)
        if kind is None:
            return [part]
        if len(part.compression) >= MAX_NESTING:
            raise self._bad(f"it is compressed more than {MAX_NESTING} times over.", "Upload it unpacked.")
        members = self._unzipped(part) if kind == "zip" else [self._streamed(part, kind)]
        return [found for member in members for found in self.parts(member)]

    def _kind(self, path: Path) -> str | None:
        """Recognise the compression by the first bytes."""
        with path.open("rb") as file:
            head = file.read(_TAR_AT + len(_TAR))
        refused = next((kind for magic, kind in _REFUSED.items() if head.startswith(magic)), None)
        refused = "tar" if head[_TAR_AT:] == _TAR else refused
        if refused:
            raise self._bad(f"it is a {refused} archive, which is not read.", "Use gzip, zstd, bzip2 or zip.")
        if head.startswith((ZIP, b"PK\x05\x06")):
            return None if workbook(path) else "zip"
        kinds = {GZIP: "gzip", ZSTD: "zstd"}
        if _is_bzip2(head):
            return "bzip2"
        return next((kind for magic, kind in kinds.items() if head.startswith(magic)), None)

    def _streamed(self, part: Part, kind: str) -> Part:
        target = self._target()
        with self._explained(kind), part.path.open("rb") as packed, _stream(packed, kind) as source:
            self._copy(source, target)
        self._used(part)
        return Part(target, part.name, (*part.compression, kind))

    def _unzipped(self, part: Part) -> list[Part]:
        with self._explained("zip"), zipfile.ZipFile(part.path) as archive:
            members = [info for info in archive.infolist() if _is_data(info)]
            self._check(members)
            parts = [self._member(archive, info, part) for info in members]
        self._used(part)
        return parts

    def _member(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, part: Part) -> Part:
        target = self._target()
        with archive.open(info) as source:
            self._copy(source, target)
        return Part(target, info.filename, (*part.compression, "zip"))

    def _check(self, members: list[zipfile.ZipInfo]) -> None:
        if not members:
            raise self._bad("the zip holds no file.", "Zip the data file and upload it again.")
        locked = [info.filename for info in members if info.flag_bits & _ENCRYPTED]
        if locked:
            raise self._bad(f"the zip is encrypted ({locked[0]}).", "Upload it without a password.")

    def _copy(self, source: IO[bytes], target: Path) -> None:
        with target.open("wb") as out:
            while piece := source.read(PIECE_BYTES):
                self.written += len(piece)
                self._stop_bomb()
                out.write(piece)

    def _stop_bomb(self) -> None:
        limits, ratio = self.limits, self.written / max(self.packed_bytes, 1)
        if self.written > limits.max_bytes:
            raise self._bad(
                f"it unpacks to more than {limits.max_bytes:,} bytes.", "Raise `max_unpacked_bytes` if that is right."
            )
        if self.written > limits.ratio_from_bytes and ratio > limits.max_ratio:
            raise self._bad(
                f"it unpacks to more than {limits.max_ratio} times its size, as a decompression bomb does.",
                "Raise `max_unpacked_ratio` if the file is to be trusted.",
            )

    def _target(self) -> Path:
        self.files += 1
        self.scratch.mkdir(parents=True, exist_ok=True)
        return self.scratch / f"unpacked_{self.files}"

    def _used(self, part: Part) -> None:
        """Remove a step between the landed file and the result."""
        if part.compression:
            part.path.unlink()

    @contextmanager
    def _explained(self, kind: str) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise self._damaged(kind, error) from error
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise ScratchSpaceError(str(self.scratch), f"unpack {self.file}") from error
            raise self._damaged(kind, error) from error

    def _damaged(self, kind: str, error: Exception) -> BadFileError:
        text = str(error)
        cut = isinstance(error, EOFError) or "runcated" in text or "end-of-stream" in text
        what = "ends in the middle (truncated)" if cut else f"is damaged ({text})"
        return self._bad(f"its {kind} compression {what}.", "Upload the file again, whole.")

    def _bad(self, problem: str, fix: str) -> BadFileError:
        return BadFileError(self.file, problem, fix)


def _is_bzip2(head: bytes) -> bool:
    return head.startswith(BZIP2) and head[3:4].isdigit() and head[4:10] in {b"1AY&SY", b"\x17rE8P\x90"}


def _stream(packed: IO[bytes], kind: str) -> IO[bytes]:
    """Return the decompressed bytes as a stream; each reader takes several members or frames one after the other."""
    if kind == "gzip":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=packed))
    if kind == "bzip2":
        return cast("IO[bytes]", bz2.BZ2File(packed))
    import pyarrow as pa

    return cast("IO[bytes]", pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), "zstd"))


def _is_data(info: zipfile.ZipInfo) -> bool:
    """Tell a data file from a folder and from what macOS and Windows add."""
    last = info.filename.rsplit("/", 1)[-1]
    noise = info.filename.startswith("__MACOSX/") or last.startswith("._") or last in {".DS_Store", "Thumbs.db"}
    return not info.is_dir() and not noise
