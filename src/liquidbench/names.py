"""Names from users' files where a person or a spreadsheet reads them: columns, classes, groups, tasks.

They may hold anything. On a terminal an escape sequence would move the cursor or hide lines, and marks of direction let
a text be read as another one; in a spreadsheet a cell that begins with an equals sign is computed.
"""

import unicodedata

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
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        letter if (lines and letter in "\t\n") or not _hidden(letter) else letter.encode("unicode_escape").decode()
        for letter in text
    )


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


def _hidden(letter: str) -> bool:
    """Whether a letter is not seen but changes how others are: controls, marks of direction, halves of pairs."""
    category = unicodedata.category(letter)
    # Joiners (U+200C, U+200D) are part of how some scripts and signs are written.
    return category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and letter not in "\u200c\u200d\u00ad")
