"""Reading and writing: atomic files, records, locked folders, streams, files of tensors.

It imports the compiled core and the checks of arguments.
"""

from makemore_cpp.files.atomic import (
    append_line,
    check_folder,
    check_replaceable,
    read,
    read_record,
    replace,
)

__all__ = [
    "append_line",
    "check_folder",
    "check_replaceable",
    "read",
    "read_record",
    "replace",
]
