"""Reads the lines of UTF-8 text as they come, in bounded memory."""

from collections.abc import Iterator

from makemore_cpp._core import FormatError
from makemore_cpp.files.streams import Stream, read_block

MAX_LINE_BYTES = 1 << 20
BLOCK_BYTES = 1 << 18
BYTE_ORDER_MARK = "\ufeff"


def read_lines(stream: Stream, shown: str) -> Iterator[list[str]]:
    r"""Yield the lines of a stream in lists, as soon as they are there.

    Where a stream has nothing now, the call waits. Lines end at ``\n`` only. A byte order mark
    before the first line is dropped, and so is white space around a line; a blank line is an empty
    string.

    Parameters
    ----------
    stream : binary stream
    shown : str
        The stream's name for errors.

    Raises
    ------
    FormatError
        A line is not UTF-8 or longer than 1 MiB; all lines before it have been given.
    OSError
        The stream cannot be read, or has nothing now and no descriptor to wait for.
    """
    done = 0
    for piece in _whole_lines(stream):
        # Only the first line of a piece can be longer than a block.
        if len(piece) > MAX_LINE_BYTES and piece.find(b"\n", 0, MAX_LINE_BYTES + 1) < 0:
            raise FormatError(f"line {done + 1} of {shown} is longer than {MAX_LINE_BYTES} bytes")
        try:
            lines = _decode(piece, is_first=done == 0)
        except UnicodeDecodeError as error:
            begin = piece.rfind(b"\n", 0, error.start) + 1  # where the line begins
            if begin > 0:
                yield _decode(piece[:begin], is_first=done == 0)
            number = done + piece.count(b"\n", 0, begin) + 1
            raise FormatError(
                f"line {number} of {shown} is not UTF-8: "
                f"byte {error.start - begin + 1} of the line is 0x{piece[error.start]:02x}"
            ) from None
        yield lines
        done += len(lines)


def _whole_lines(stream: Stream) -> Iterator[bytes]:
    """Yield pieces of the stream that end at the end of a line, or after far too many bytes."""
    begun: list[bytes] = []  # the blocks of a line whose end has not come yet
    size = 0
    while block := read_block(stream, BLOCK_BYTES):
        end = block.rfind(b"\n") + 1
        if end > 0:
            yield b"".join([*begun, block[:end]])
            begun, size = [], 0
        begun.append(block[end:])
        size += len(block) - end
        if size > MAX_LINE_BYTES:
            break
    if size > 0:
        yield b"".join(begun)


def _decode(piece: bytes, is_first: bool) -> list[str]:
    text = piece.decode("utf-8")
    if is_first:
        text = text.removeprefix(BYTE_ORDER_MARK)
    return [line.strip() for line in text.removesuffix("\n").split("\n")]
