"""The pages `methods.md` and `literature.md`, made from the catalogue, the weights and `references.bib`."""

from __future__ import annotations

import inspect
import re
import unicodedata
from pathlib import Path
from types import ModuleType

from acutance.catalogue import MODULES, specs_of
from acutance.methods.spec import MethodSpec, catalogue
from acutance.weights import embedded_names

DOCS = Path(__file__).resolve().parents[1]
TASKS = {"deblur": "Blur", "denoise": "Noise", "derain": "Rain", "sense": "Few measurements"}

ACCENTS = {"'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "v": "\u030c"}

INTRODUCTION = """# All methods

`acutance methods` prints this list. `--method NAME` chooses one; `--method NAME:SETTING=VALUE,SETTING=VALUE` sets what
the method documents below. In Python: `acutance.restore(picture, kernel, method="NAME:SETTING=VALUE")`. Which one is
best for what: [choosing a method](choosing-a-method.md). How good they are: [results](results.md).
"""


def page() -> str:
    """Markdown: a table of all methods, then formula and settings of each."""
    homes = _homes()
    parts = [INTRODUCTION]
    for task, title in TASKS.items():
        specs = [spec for spec in catalogue().values() if spec.needs.task == task]
        lines = [f"| [`{s.name}`](#{s.name}) | {s.summary} | {_needs(s)} | {_cited(s)} |" for s in specs]
        parts.append(
            "\n".join([f"## {title}", "", "| method | what it is | needs | source |", "|---|---|---|---|", *lines])
        )
    parts += ["## Formulas and settings"]
    shown: set[str] = set()
    for name, spec in catalogue().items():
        home = homes.get(name)
        parts.append(_details(spec, home, again=home is not None and home.__name__ in shown))
        shown |= set() if home is None else {home.__name__}
    return "\n\n".join(parts) + "\n"


def literature() -> str:
    """Markdown: every entry of the bibliography, with an anchor of its key."""
    lines = [
        "# Literature",
        "",
        "Docstrings cite these works by their keys. [references.bib](references.bib) is for BibTeX.",
    ]
    for key, fields in _entries().items():
        source = next((fields[name] for name in ("journal", "booktitle", "publisher", "note") if name in fields), "")
        where = ", ".join(part for part in (source, fields.get("volume", ""), fields.get("pages", "")) if part)
        people = f"{', '.join(fields['author'].split(' and '))}: " if "author" in fields else ""
        text = f"{people}*{fields['title'].strip('[]')}*. {f'{where}, ' if where else ''}{fields['year']}."
        if "doi" in fields:
            text += f" [doi:{fields['doi']}](https://doi.org/{fields['doi']})"
        if "eprint" in fields:
            text += f" [arXiv:{fields['eprint']}](https://arxiv.org/abs/{fields['eprint']})"
        lines += ["", f'- <a id="{key}"></a>`{key}`: {text}']
    return "\n".join(lines) + "\n"


def _details(spec: MethodSpec, home: ModuleType | None, *, again: bool) -> str:
    also = f" Also called `{', '.join(spec.aliases)}`." if spec.aliases else ""
    qualities = f" Qualities: {', '.join(f'`{name}`' for name in spec.qualities)}." if spec.qualities else ""
    masks = "uses masks" if spec.needs.mask else "fills masked pixels in beforehand"
    level = "; takes a noise level, or finds it out" if spec.needs.uses_sigma else ""
    facts = f"Needs: {_needs(spec)}{level}; {masks}.{also}{qualities} Source: {_cited(spec)}."
    text = f"### {spec.name} {{ #{spec.name} }}\n\n{spec.summary[:1].upper()}{spec.summary[1:]}.\n\n{facts}"
    if home is None:
        return text
    if again:
        return text + f"\n\nFormulas and settings: `{home.__name__}`, above."
    configs = [
        n
        for n, v in vars(home).items()
        if inspect.isclass(v) and n.endswith("Config") and v.__module__ == home.__name__
    ]
    options = f"""\
    options:
      show_root_heading: false
      show_root_toc_entry: false
      heading_level: 4
      filters: ["!^(?!.*Config$)"]
      members: [{", ".join(configs)}]"""
    return f"{text}\n\n::: {home.__name__}\n{options}"


def _homes() -> dict[str, ModuleType]:
    """The module of each method of ours."""
    return {spec.name: module for module in MODULES for spec in specs_of(module)}


def _needs(spec: MethodSpec) -> str:
    shipped = embedded_names()
    wants = {
        "kernel": spec.needs.kernel,
        "noise level (estimated if not given)": spec.needs.sigma,
        "`--weights`, none are shipped": spec.weights is not None and spec.weights not in shipped,
    }
    return ", ".join(name for name, yes in wants.items() if yes) or "nothing"


def _cited(spec: MethodSpec) -> str:
    fields = _entries()[spec.reference]
    names = [name.split(",")[0] if "," in name else name.split()[-1] for name in fields["author"].split(" and ")]
    people = (
        fields["author"] if fields["author"].startswith("The ") else names[0] + (" et al." if len(names) > 2 else "")
    )
    people = " and ".join(names) if len(names) == 2 else people
    return f"[{people} {fields['year']}](literature.md#{spec.reference})"


def _entries() -> dict[str, dict[str, str]]:
    """Fields of every work by its key."""
    text = (DOCS / "references.bib").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = {}
    for key, body in re.findall(r"^@\w+\{([^,]+),\n(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        fields = re.findall(r"^\s*(\w+)\s*=\s*\{(.*?)\},?\s*$", body, re.MULTILINE | re.DOTALL)
        found[key] = {name: _plain(value) for name, value in fields}
    return found


def _plain(value: str) -> str:
    """Text without TeX: accents become letters, braces go."""

    def accented(found: re.Match[str]) -> str:
        return unicodedata.normalize("NFC", found[2] + ACCENTS[found[1]])

    value = re.sub(r"\\(['`^\"v])\{?(\w)\}?", accented, value)
    return re.sub(r"\s+", " ", value.replace("--", "–").translate({ord(c): None for c in "{}"}))
