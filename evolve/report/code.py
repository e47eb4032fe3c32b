"""Programs with their words in colour: safe HTML, one element a line, so that lines have numbers."""

import re

from markupsafe import Markup

BLANKS = re.compile(r"\s{500}")
"""A gap is looked at from each of its lines to its end: text with longer ones would take minutes, and has no colour."""


def highlighted(name: str, text: str) -> Markup:
    """`name`: of the file, which says what language it is."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_for_filename
    from pygments.lexers.special import TextLexer
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_for_filename(name) if not BLANKS.search(text) else TextLexer()
    except ClassNotFound:
        lexer = TextLexer()
    lexer.stripnl = False
    marked = highlight(text, lexer, HtmlFormatter(nowrap=True, classprefix="k-"))
    lines = marked.rstrip("\n").split("\n")
    return Markup("\n").join(Markup('<span class="ln">{}</span>').format(Markup(line)) for line in lines)  # noqa: S704 - pygments escapes what it is given
