"""A report as it will look, in a frame that runs no scripts and asks nobody for anything."""

import streamlit as st

_component = st.components.v2.component(
    "strata_preview",
    html="<iframe sandbox title='The report as it will look'></iframe>",
    css="iframe { width: 100%; height: 520px; background: #fff;"
    " border: 1px solid var(--st-border-color); border-radius: 6px; }",
    # `sandbox` without words: no scripts, no forms, no way out; the page's policy forbids requests.
    js="""
export default function preview({ data, parentElement }) {
  const frame = parentElement.querySelector('iframe');
  if (frame.srcdoc !== data.html) frame.srcdoc = data.html;
}
""",
)


def preview(html: str, key: str) -> None:
    """Draw a page of HTML."""
    _component(key=key, data={"html": html})
