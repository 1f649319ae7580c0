"""Makes names from users' files (columns, classes, groups, tasks) safe to display on terminals and in spreadsheets.

They may contain anything. On a terminal, escape sequences can move the cursor or hide lines, and bidirectional control
characters can make a text read as a different one. A spreadsheet evaluates a cell that starts with an equals sign.
"""

import re

# Without the joiners (U+200C, U+200D) and the soft hyphen, which are part of correct spelling and of emoji.
_HIDDEN = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff\\U000e0001\\U000e0020-\\U000e007f]"
)
"""Invisible characters that change how the rest is displayed: control, bidirectional and tag characters, surrogates."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def shown(text: str, lines: bool = False) -> str:
    r"""A text with its invisible control characters escaped.

    Args:
        text: text from any source.
        lines: keep tabs and line ends, for a text of several lines.

    Example:
        >>> print(shown("speed\x1b[2J \u202egpj.exe"))
        speed\x1b[2J \u202egpj.exe
        >>> shown("Größe, 大きさ, حجم")
        'Größe, 大きさ, حجم'
    """

    def escaped(found: re.Match[str]) -> str:
        letter = found.group()
        return letter if lines and letter in "\t\n" else letter.encode("unicode_escape").decode()

    return _HIDDEN.sub(escaped, text)


def cell(text: str) -> str:
    """A text for a cell of a CSV file, with an apostrophe in front if a spreadsheet would take it for a formula.

    Example:
        >>> cell("=HYPERLINK(A1)"), cell("flow"), cell("-1.5")
        ("'=HYPERLINK(A1)", 'flow', '-1.5')
    """
    if not text.startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
