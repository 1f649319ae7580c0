"""Names from users' files where a person or a spreadsheet reads them: columns, classes, groups, tasks.

They may hold anything. On a terminal an escape sequence would move the cursor or hide lines, and marks of direction let
a text be read as another one; in a spreadsheet a cell that begins with an equals sign is computed.
"""

import re

# Not the joiners (U+200C, U+200D) and the soft hyphen, which belong to how words and signs are written.
_HIDDEN = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
    "\\ud800-\\udfff\\U000e0001\\U000e0020-\\U000e007f]"
)
"""What is not seen but changes how the rest is: controls, marks of direction, tags, halves of pairs."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def shown(text: str, lines: bool = False) -> str:
    r"""A text with its control and direction characters spelt out, so that what is read is what is there.

    Args:
        text: of whatever origin.
        lines: leave tabs and line ends as they are, for a text of several lines.

    Example:
        >>> print(shown("speed\x1b[2J \u202egpj.exe"))
        speed\x1b[2J \u202egpj.exe
        >>> shown("Größe, 大きさ, حجم")
        'Größe, 大きさ, حجم'
    """

    def spelt(found: re.Match[str]) -> str:
        letter = found.group()
        return letter if lines and letter in "\t\n" else letter.encode("unicode_escape").decode()

    return _HIDDEN.sub(spelt, text)


def cell(text: str) -> str:
    """A text as a cell of a CSV file that no spreadsheet takes for a formula: an apostrophe before it, if need be.

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
