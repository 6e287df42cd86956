"""Bytes to text: which encoding they are in, or none that is sure.

A wrong guess turns a document into plausible rubbish that nobody notices, so only evidence
counts: a byte order mark, a declared charset that fits, valid UTF-8, and for two families of
legacy files, what text in them must look like. Anything else is refused with advice.
"""

from __future__ import annotations

import codecs
import re

from adapters.documents.legacy_scripts import looks_chinese, looks_western
from core.documents import UnreadableDocument, UnreadableReason

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE_BYTES = 256 * 1024
_MULTIBYTE_UTF8 = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_SHIFTS_CHARACTER_SETS = re.compile(rb"\x1b\$[@B(]")  # ISO-2022: Japanese, Korean, Chinese mail
_HIGH = re.compile(rb"[\x80-\xff]")

# What the web's Encoding Standard means by these labels, and Python's codec for it.
_DECLARABLE = {
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "latin1": "cp1252",
    "iso-8859-1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "utf8": "utf-8",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "euc-kr": "cp949",
} | {
    name: name
    for name in (
        *("utf-8", "utf-16", "utf-16le", "utf-16be", "big5", "big5hkscs", "euc-jp"),
        *("iso-2022-jp", "koi8-r", "koi8-u", "cp866", "cp949", "cp932"),
        *(f"iso-8859-{part}" for part in (*range(2, 12), *range(13, 17))),
        *(f"windows-{page}" for page in (874, *range(1250, 1259))),
    )
}


def marked_encoding(data: bytes) -> tuple[str, int] | None:
    """The encoding that a byte order mark names, and the mark's length; None without one."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding, len(mark)
    return None


def decode(data: bytes, declared: str = "") -> str:
    """The text in `data`, without its byte order mark.

    `declared` is a charset that a header or the file itself names; it is believed if it is a
    known text encoding and the bytes fit it, after valid UTF-8, which no other text imitates.
    Raises UnreadableDocument(UNDECODABLE) where nothing is sure.
    """
    if mark := marked_encoding(data):
        return _strictly(data[mark[1] :], mark[0])
    if _SHIFTS_CHARACTER_SETS.search(data):
        text, why = _as_declared(data, declared), "it switches between character sets"
    else:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            why = f"byte {error.start} is not UTF-8"
        text = _as_declared(data, declared)
        if text is None:
            text = _as_legacy(data)
    if text is None:
        raise _undecodable(why)
    return text


def _strictly(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecodable(f"byte {error.start} is not {encoding}, as it is marked") from None


def _as_declared(data: bytes, declared: str) -> str | None:
    codec = _DECLARABLE.get(declared.strip().lower().replace("_", "-"))
    if codec is None:
        return None
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return None


def _as_legacy(data: bytes) -> str | None:
    """The text as GB18030 or Windows-1252, if it reads like text of such a file."""
    sample = data[:_SAMPLE_BYTES]
    if _is_damaged_utf8(sample):
        return None
    for codec, plausible in (("gb18030", looks_chinese), ("cp1252", looks_western)):
        try:
            if plausible(sample.decode(codec, "ignore")):
                return data.decode(codec)
        except UnicodeDecodeError:
            continue
    return None


def _is_damaged_utf8(sample: bytes) -> bool:
    """Whether most non-ASCII bytes form UTF-8 sequences: then the rest is damage, not a code."""
    high = len(_HIGH.findall(sample))
    well_formed = sum(len(found) for found in _MULTIBYTE_UTF8.findall(sample))
    return well_formed > 0.8 * high


def _undecodable(what: str) -> UnreadableDocument:
    return UnreadableDocument(
        UnreadableReason.UNDECODABLE,
        f"the encoding of its text cannot be told ({what}); save it as UTF-8, or name its "
        "charset in the content type",
    )
