"""A report as one HTML file: no scripts, nothing from elsewhere, made to be printed.

Every word from outside is escaped (`escaped`); the policy in the head forbids scripts and
requests, should one ever slip through (Content Security Policy, level 3).
"""

from __future__ import annotations

from engine.charts import Picture
from engine.charts.picture import escaped
from engine.report.document import (
    Block,
    Code,
    Document,
    Facts,
    Items,
    Section,
    Table,
    Words,
)

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'"
)
STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 15px/1.5 "Liberation Sans", Arial, Helvetica, "DejaVu Sans", sans-serif;
  color: #23272E; background: #FFF; max-width: 1000px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 21px; margin: 40px 0 10px; border-bottom: 2px solid #0072B2; padding-bottom: 4px; }
p { margin: 8px 0; max-width: 78ch; overflow-wrap: anywhere; }
.sub { color: #5C636B; }
nav ol { columns: 2; padding-left: 24px; }
nav a { color: #0072B2; text-decoration: none; }
.facts { display: flex; flex-wrap: wrap; gap: 10px; margin: 14px 0; }
.fact { border: 1px solid #D5D9DE; border-radius: 6px; padding: 8px 14px; flex: 1 1 128px; }
.fact b { display: block; font-size: 22px; }
.fact small { color: #5C636B; display: block; }
figure { margin: 16px 0; break-inside: avoid; }
figure svg { max-width: 100%; height: auto; display: block; }
figcaption, caption { color: #5C636B; font-size: 13px; text-align: left; }
caption { caption-side: bottom; padding-top: 4px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; margin: 12px 0; width: 100%; }
th, td { text-align: left; padding: 4px 8px; border-bottom: 1px solid #E3E6EA;
  vertical-align: top; overflow-wrap: break-word; }
th { border-bottom: 2px solid #8A8F96; overflow-wrap: normal; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { background: #EEF0F3; padding: 10px 12px; border-radius: 6px; font-size: 12px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
@page { size: A4; margin: 18mm 16mm 20mm;
  @bottom-left { content: string(title); font: 8pt sans-serif; color: #5C636B; }
  @bottom-right { content: "page " counter(page) " of " counter(pages);
    font: 8pt sans-serif; color: #5C636B; } }
@media print {
  body { font-size: 10pt; max-width: none; padding: 0; }
  h1 { string-set: title content(); font-size: 24pt; }
  h2 { break-after: avoid; font-size: 15pt; margin-top: 8mm; }
  nav { break-after: page; }
  nav ol { columns: 1; }
  nav a::after { content: leader(".") target-counter(attr(href), page); }
  table { font-size: 8pt; }
  tr, .fact { break-inside: avoid; }
  th, td { padding: 2px 5px; }
  thead { display: table-header-group; }
  .wide { overflow: visible; }
  .fact { flex: 1 1 28%; }
  .n { white-space: normal; }
  pre { font-size: 7.5pt; }
}
"""


def to_html(document: Document) -> str:
    """Return a document as one self-contained page."""
    author = f'<p class="sub">{escaped(document.author)}</p>' if document.author else ""
    named = f'<meta name="author" content="{escaped(document.author)}">' if document.author else ""
    places = _anchors(document)
    contents = "".join(
        f'<li><a href="#{anchor}">{escaped(section.title)}</a></li>'
        for anchor, section in zip(places, document.sections, strict=True)
    )
    body = "\n".join(
        _section(anchor, section) for anchor, section in zip(places, document.sections, strict=True)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{named}<title>{escaped(document.title)}</title><style>{STYLE}</style></head>\n<body>"
        f"<header><h1>{escaped(document.title)}</h1>"
        f'<p class="sub">{escaped(document.subtitle)}</p>{author}</header>\n'
        f'<nav aria-label="Contents"><h2>Contents</h2><ol>{contents}</ol></nav>\n'
        f"<main>\n{body}\n</main></body></html>\n"
    )


def _anchors(document: Document) -> list[str]:
    """Return where each section is found; the place tells equal titles apart."""
    return [f"s{n}-{section.anchor}" for n, section in enumerate(document.sections, 1)]


def _section(anchor: str, section: Section) -> str:
    blocks = "\n".join(_block(block) for block in section.blocks)
    return f'<section id="{anchor}"><h2>{escaped(section.title)}</h2>\n{blocks}\n</section>'


def _block(block: Block) -> str:
    if isinstance(block, Words):
        return f"<p>{escaped(block.text)}</p>"
    if isinstance(block, Items):
        return f"<ul>{''.join(f'<li>{escaped(text)}</li>' for text in block.texts)}</ul>"
    if isinstance(block, Code):
        return f"<pre>{escaped(block.text)}</pre>"
    if isinstance(block, Picture):
        return f"<figure>{block.svg}<figcaption>{escaped(block.caption)}</figcaption></figure>"
    if isinstance(block, Facts):
        return _facts(block)
    return _table(block)


def _facts(block: Facts) -> str:
    cards = "".join(
        f'<div class="fact">{escaped(fact.label)}<b>{escaped(fact.value)}</b>'
        f"{f'<small>{escaped(fact.note)}</small>' if fact.note else ''}</div>"
        for fact in block.facts
    )
    return f'<div class="facts">{cards}</div>'


def _table(table: Table) -> str:
    def cells(row: tuple[str, ...], tag: str) -> str:
        looks = [' class="n"' if place in table.numbers else "" for place in range(len(row))]
        pairs = zip(row, looks, strict=True)
        return "".join(f"<{tag}{look}>{escaped(cell)}</{tag}>" for cell, look in pairs)

    rows = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in table.rows)
    caption = f"<caption>{escaped(table.caption)}</caption>" if table.caption else ""
    head = cells(table.columns, "th")
    return (
        f'<div class="wide"><table>{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
