"""What mkdocs does for the site beyond its plugins: generated pages, folders in the navigation, links to named pages.

Generated pages are made from the sources at every build, so they cannot go stale: methods and literature from the
catalogue and `references.bib`, command lines from the programs, contributing and changes from the files at the root.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT / "src"))  # the catalogue of this checkout, whatever is installed


def _beside(name: str) -> Any:
    """A module of this folder; mkdocs loads its hooks one by one, from outside any package."""
    spec = importlib.util.spec_from_file_location(f"acutance_docs_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace every folder of the navigation, such as ``decisions/``, by its pages."""
    config.nav = _with_pages(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    methods, commands = _beside("methods"), _beside("commands")
    pages = {
        "methods.md": methods.page(),
        "literature.md": methods.literature(),
        "command-line.md": commands.product(),
        "laboratory.md": commands.laboratory(),
        "contributing.md": _from_root("CONTRIBUTING.md"),
        "changelog.md": _from_root("CHANGELOG.md"),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make a link of every page that the text names: `docs/conventions.md`."""

    def link(found: re.Match[str]) -> str:
        target = found[1]
        if not (DOCS / target).is_file():
            return found[0]
        return f"[{found[0]}]({os.path.relpath(target, Path(page.file.src_uri).parent)})"

    markdown = re.sub(r"(?<=\d) / (?=\d)", "\N{NO-BREAK SPACE}/\N{NO-BREAK SPACE}", markdown)  # PSNR / SSIM in one line
    return re.sub(r"(?<!\[)`docs/([\w./-]+\.(?:md|bib))`", link, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site that loads anything from elsewhere when it is viewed.

    Raises:
        PluginError: a page with a script, a style or a picture of another host.
    """
    for page in Path(config.site_dir).rglob("*.html"):
        foreign = re.findall(
            r"<(?:script|img|iframe)[^>]* src=\"?(?:https?:)?//[^ >]+", page.read_text(encoding="utf-8")
        )
        foreign += re.findall(r"<link[^>]* href=\"?(?:https?:)?//[^ >]+", page.read_text(encoding="utf-8"))
        if foreign:
            raise PluginError(f"{page.name} loads from elsewhere: {foreign[0]}; put the file into docs/assets")


def _with_pages(entry: Any) -> Any:
    if isinstance(entry, str) and entry.endswith("/"):
        return [page.relative_to(DOCS).as_posix() for page in sorted((DOCS / entry).glob("*.md"))]
    if isinstance(entry, list):
        return [_with_pages(each) for each in entry]
    if isinstance(entry, dict):
        return {name: _with_pages(each) for name, each in entry.items()}
    return entry


def _from_root(name: str) -> str:
    """A page at the root of the repository, its links as they are from within `docs`."""
    return (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
