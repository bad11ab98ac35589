"""How much a file may ask of its parser."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """What one file may use. What goes over is refused; nothing is cut off silently.

    Attributes:
        file_bytes: of the file itself.
        memory_bytes: address space of the child process that reads it.
        seconds: processor time for a small file.
        seconds_per_megabyte: processor time a larger file has on top.
        pages: pages or slides.
        characters: of the text.
        blocks: paragraphs, items, tables and so on.
        entries: files in an archive (docx, xlsx, pptx and hwpx are archives).
        unpacked_bytes: all of an archive, or of the compressed streams of an hwp file, unpacked.
        ratio: unpacked to packed bytes of one entry. It holds from the first unpacked megabyte on: short
            entries are often more regular than that without harm.
        pictures: pages that are pictures whose text is recognised, where Tesseract is installed; 0: none.
        seconds_per_picture: processor time that each of them has on top.
        must_confine: refuse to read where the kernel cannot shut the child in (see `core.confine`). When
            False, such a machine reads files in a child with limits and, where possible, no network.
    """

    file_bytes: int = 100 << 20
    memory_bytes: int = 1 << 30
    seconds: float = 30.0
    seconds_per_megabyte: float = 2.0
    pages: int = 2_000
    characters: int = 5_000_000
    blocks: int = 300_000
    entries: int = 10_000
    unpacked_bytes: int = 200 << 20
    ratio: int = 100
    pictures: int = 50
    seconds_per_picture: float = 20.0
    must_confine: bool = False

    def cpu_seconds(self, size: int, pictures: int = 0) -> int:
        """Processor time for a file of `size` bytes with so many pictures to be recognised."""
        on_top = self.seconds_per_megabyte * size / 1e6 + self.seconds_per_picture * pictures
        return max(1, round(self.seconds + on_top))
