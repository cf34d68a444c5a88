"""Puts text that a stranger may have written into markdown, where it has no effect of its own.

Prefer `code` and `block`: GitHub reads neither markdown, HTML, mentions nor references inside code. `text` is
for sentences of ours that quote such text.
"""

import re
import string

# After these, GitHub would link what follows: a person (who is notified), an issue, a pull request.
NOTIFYING = re.compile(r"@|#|(?<![A-Za-z0-9])gh-(?=\d)", re.IGNORECASE)
DEFUSED = "\N{ZERO WIDTH SPACE}"
PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]")
ORDINARY_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[A-Za-z0-9._~%/?&=+-]*)?")
# What a terminal or a page may act on. Line feeds are kept where a text may have lines.
CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def one_line(text: str) -> str:
    """The text on one line, without control characters, line separators or direction marks."""
    return " ".join(CONTROL.sub(" ", text).split())


def lines(text: str) -> str:
    """The text with its lines, without other control characters or direction marks."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n").replace("\r", "\n"))


def text(untrusted: str) -> str:
    """A run of markdown that shows the text as it is: no markup, no link, nobody notified."""
    return PUNCTUATION.sub(r"\\\g<0>", mute(untrusted))


def mute(untrusted: str) -> str:
    """Plain text, for fields that are not markdown, that mentions nobody and links nothing."""
    return NOTIFYING.sub(rf"\g<0>{DEFUSED}", one_line(untrusted))


def code(untrusted: str) -> str:
    """A code span; "" for nothing."""
    inner = one_line(untrusted)
    if not inner:
        return ""
    ticks = "`" * (_longest_run_of_backticks(inner) + 1)
    # A space at both ends is taken off again, and parts our backticks from those of the text.
    return f"{ticks} {inner} {ticks}"


def cell(untrusted: str) -> str:
    r"""Code inside a table, where a bar would end the cell even in a code span.

    Parsers disagree about `\\|`, so no character is left that means anything to any of them.
    """
    inner = PUNCTUATION.sub(lambda found: f"&#{ord(found.group())};", one_line(untrusted))
    return f"<code>{inner}</code>" if inner else ""


def block(untrusted: str, language: str = "") -> str:
    """A fenced code block.

    Args:
        untrusted: the text of the block.
        language: how it is coloured; one of our own words.
    """
    inner = lines(untrusted)
    ticks = "`" * max(3, _longest_run_of_backticks(inner) + 1)
    return f"{ticks}{language}\n{inner}\n{ticks}"


def link(label: str, url: str) -> str:
    """A link of ours to a web page; a URL with anything unusual in it is shown and not linked."""
    return f"[{text(label)}]({url})" if ORDINARY_URL.fullmatch(url) else f"{text(label)}: {code(url)}"


def _longest_run_of_backticks(inner: str) -> int:
    return max(map(len, re.findall("`+", inner)), default=0)
