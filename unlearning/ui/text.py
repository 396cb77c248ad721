"""Other people's text, made harmless for the places where the page would take it for markup."""

import html
import re

MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>&~$:/^=\"'@])")
SPACES = re.compile(r"[^\S\N{NO-BREAK SPACE}]+")


def safe(text: str) -> str:
    """Text for a Markdown component: shown as it is, on one line, with no links, formulas or tags in it."""
    return MARKUP.sub(lambda m: f"&#{ord(m[1])};", SPACES.sub(" ", text).strip())


def safe_html(text: str) -> str:
    """Text for an HTML component, or for a plot: plotly knows no &quot;, and would show it as it stands."""
    return html.escape(text, quote=True).replace("&quot;", "&#34;")
