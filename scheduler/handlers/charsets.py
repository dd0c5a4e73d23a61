"""The charsets of feeds and mails, by all the names that they have there."""

import re

# Names of charsets, and the charsets that browsers use for them: the wider one, if there is one.
_NAMES = {
    **dict.fromkeys(
        ("ascii", "us-ascii", "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "l1", "ansi"),
        "cp1252",
    ),
    **dict.fromkeys(("x-cp1252", "cp-1252", "windows1252", "win-1252", "iso_8859-1:1987"), "cp1252"),
    **dict.fromkeys(("unicode-1-1-utf-8", "x-unicode20utf8", "utf8mb4", "utf-8n", "utf"), "utf-8"),
    **dict.fromkeys(
        ("gb2312", "gbk", "x-gbk", "gb_2312", "gb_2312-80", "csgb2312", "euc-cn", "chinese"), "gb18030"
    ),
    **dict.fromkeys(("big5", "big-5", "x-x-big5", "cn-big5", "csbig5"), "big5hkscs"),
    **dict.fromkeys(
        ("shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji", "windows-31j", "csshiftjis"), "cp932"
    ),
    **dict.fromkeys(("x-euc-jp", "euc_jp", "cseucpkdfmtjapanese"), "euc_jp"),
    **dict.fromkeys(
        ("euc-kr", "euc_kr", "korean", "ks_c_5601-1987", "ks_c_5601-1989", "ksc5601", "windows-949"), "cp949"
    ),
    **dict.fromkeys(("iso-8859-9", "latin5", "x-cp1254"), "cp1254"),
    **dict.fromkeys(("tis-620", "iso-8859-11", "windows-874", "dos-874"), "cp874"),
    **dict.fromkeys(("x-cp1251", "cp-1251", "win-1251", "windows1251", "win1251"), "cp1251"),
    **dict.fromkeys(("x-cp1250", "cp-1250", "win-1250", "windows1250", "win1250"), "cp1250"),
    **dict.fromkeys(("iso-2022-jp", "csiso2022jp"), "iso2022_jp_ext"),
    **dict.fromkeys(("hz-gb-2312", "hz_gb_2312"), "hz"),
    **dict.fromkeys(("koi8", "koi", "koi-8", "cskoi8r"), "koi8-r"),
    **dict.fromkeys(("macintosh", "x-mac-roman", "mac"), "mac_roman"),
    **dict.fromkeys(("x-mac-cyrillic", "x-mac-ukrainian"), "mac_cyrillic"),
    **dict.fromkeys(("iso-8859-8-i", "logical"), "iso-8859-8"),
}
# Python's text encodings that no feed uses.
_NO_CHARSET = {
    "idna",
    "punycode",
    "raw_unicode_escape",
    "undefined",
    "unicode_escape",
    "mbcs",
    "oem",
    "utf_7",
}
_WIDE = re.compile(
    r"(utf|ucs|iso-10646-ucs|cs-?unicode|unicode)[-_]?(16|32|2|4|)([-_]?[lb]e)?", re.IGNORECASE
)


def codec_of(name: str) -> str:
    """Python's name of the charset; "" if it is unknown or does not extend ASCII."""
    name = name.strip().lower()
    charset = _NAMES.get(name, name)
    if not name or charset.replace("-", "_") in _NO_CHARSET or _WIDE.fullmatch(charset):
        return ""
    try:
        b"a".decode(charset)
    except (LookupError, ValueError):
        return ""
    return charset


def fits(body: bytes, charset: str) -> bool:
    """Whether at least half of the characters beyond ASCII are valid in this charset."""
    try:
        body.decode(charset)
    except ValueError:
        text = body.decode(charset, "replace")
        broken = text.count("\ufffd")
        return len(re.sub(r"[\x00-\x7f]+", "", text)) >= 2 * broken
    return True
