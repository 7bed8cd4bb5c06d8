"""The site: pages in Markdown, the reference from docstrings. `sphinx-build docs build/site`."""

import re
from importlib import metadata

project = "fastparadime"
author = copyright = "the fastparadime developers"
version = release = metadata.version("fastparadime")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

autodoc_default_options = {
    "members": True,
    "inherited-members": "BaseException,Module,object,tuple",  # what these give is not repeated
    "undoc-members": True,
}
autodoc_member_order = "groupwise"
autodoc_typehints = "none"  # the docstrings name types, shapes and dtypes
default_role = "py:obj"
numpydoc_show_class_members = False

# Every dotted name of the package in a docstring must lead somewhere. Single backticks also hold
# parameters and expressions, and other projects' names have no page here.
nitpick_ignore_regex = [
    ("py:obj", r"[^.]*|.*[^\w.].*"),
    ("py:obj", r"(click|matplotlib|numpy|pandas|scipy|sklearn|torch)\..*"),
]

html_theme = "furo"
html_title = f"fastparadime {release}"
html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"
toc_object_entries_show_parents = "hide"

# Where the pages of other folders are in the site, which includes them.
_INCLUDED = {
    "bench/README.md": "/measured.md",
    "CHANGELOG.md": "/changelog.md",
    "CONTRIBUTING.md": "/contributing.md",
    "SECURITY.md": "/security.md",
}


def _within_the_site(text):
    """The text of a page with its links to pages of other folders led to those of the site."""
    for path, page in _INCLUDED.items():
        text = re.sub(rf"\]\((\.\./)*{re.escape(path)}", f"]({page}", text)
    return re.sub(r"\]\((\.\./)?docs/", "](/", text)


def _rewrite(_app, *names_and_content):
    content = names_and_content[-1]
    content[0] = _within_the_site(content[0])


def _is_foreign(_app, _what, _name, obj, _skip, _options):
    """Whether a member was inherited from another package; None leaves it to autodoc."""
    module = getattr(obj, "__module__", None) or "fastparadime"
    return True if module.partition(".")[0] != "fastparadime" else None


def setup(app):
    app.connect("source-read", _rewrite)
    app.connect("include-read", _rewrite)
    app.connect("autodoc-skip-member", _is_foreign)
