"""The report of a restoration as one HTML file that needs no network and no other file, and reads well in print."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import torch
from torch import Tensor

from acutance.trust.drawing import (
    SIGNED,
    Pixels,
    colour_bar,
    coloured,
    curves,
    eight_bits,
    reduced,
    top_of,
    uri,
)
from acutance.trust.residual import REACH, Whiteness

SHOWN = 1400
"""Largest side of a picture that is shown whole, pixels."""

WITH_LOUPE = 3_000_000
"""Pixels up to which both pictures are embedded whole, for the loupe."""

DETAIL, DETAILS = 160, 3
"""Side of the places that are shown at 100 %, pixels, and how many there are."""

STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;color:#1b1f24;background:#fff;max-width:1120px;margin:0 auto;padding:24px}
h1{font-size:24px;margin:0 0 4px;overflow-wrap:anywhere}h2{font-size:18px;margin:28px 0 8px}
p{margin:6px 0;max-width:80ch}.soft{color:#57606a}table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #d8dee4;padding:5px 10px 5px 0;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{font-weight:600;width:16em}.row{display:flex;gap:16px;flex-wrap:wrap}.row figure{flex:1 1 240px}
figure{margin:0;min-width:0}figcaption{color:#57606a;font-size:13px}img{max-width:100%;display:block}
.whole img{width:100%}.sharp{image-rendering:pixelated;width:220px;height:220px;object-fit:contain;
border:1px solid #d8dee4}
.details{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:8px}
.details img{width:100%;image-rendering:pixelated}
.doubt{border-left:4px solid #d55e00;padding-left:12px}.good{border-left:4px solid #009e73;padding-left:12px}
.bar{display:flex;gap:8px;align-items:center;font-size:13px;color:#57606a;margin:4px 0}.bar i{flex:1;height:10px}
svg text{font:12px system-ui,sans-serif;fill:#57606a}
.loupe{position:relative;cursor:crosshair}.loupe b{position:absolute;width:240px;height:240px;border-radius:50%;
border:2px solid #fff;box-shadow:0 0 0 1px #1b1f24;pointer-events:none;display:none;overflow:hidden}
.loupe b i{position:absolute;top:0;width:50%;height:100%;background-repeat:no-repeat}.loupe b i+i{left:50%}
@media print{body{padding:0;max-width:none}.screen{display:none}figure,tr,.details{break-inside:avoid}}
"""

SCRIPT = """
const box=document.querySelector('.loupe');if(box){const[glass,after]=[box.querySelector('b'),box.querySelector('img')];
const before=document.getElementById('before');const halves=glass.querySelectorAll('i');
halves[0].style.backgroundImage='url('+before.src+')';halves[1].style.backgroundImage='url('+after.src+')';
box.addEventListener('pointermove',e=>{const r=after.getBoundingClientRect();const x=e.clientX-r.left,y=e.clientY-r.top;
glass.style.display='block';glass.style.left=x-120+'px';glass.style.top=y-120+'px';
const u=x/r.width*after.naturalWidth,v=y/r.height*after.naturalHeight;
halves.forEach((h,n)=>h.style.backgroundPosition=(120-u-120*n)+'px '+(120-v)+'px')});
box.addEventListener('pointerleave',()=>glass.style.display='none')}
"""


@dataclass(frozen=True)
class Finding:
    """A sentence about how far to believe the result. Args: text. good: False: a reason for doubt."""

    text: str
    good: bool


@dataclass(frozen=True, eq=False)
class Contents:
    """Contents of a report.

    Args:
        title: name of the picture. findings: the essence. facts: tables of names and values, by their titles.
        before, after: (1, 1 or 3, H, W) in [0, 1]. kernel: (h, w), or None. kernel_note: on it.
        whiteness: of the residual; None: there is no residual. residual_note: on it, a number with what is normal.
        unsupported: (1, 1, H, W), a fraction of the range; None: it cannot be told. unsupported_note: on it.
        judged: (1, 1, H, W), from 0, doubt, to 1, trust; None: there is no judgement. judged_note: on it.
        uncertainty: (1, 1, H, W), a standard deviation, likewise. uncertainty_note: on it.
    """

    title: str
    findings: Sequence[Finding]
    facts: dict[str, Sequence[tuple[str, str]]]
    before: Tensor
    after: Tensor
    kernel: Tensor | None
    kernel_note: str
    whiteness: Whiteness | None
    residual_note: str
    unsupported: Tensor | None
    unsupported_note: str
    judged: Tensor | None = None
    judged_note: str = ""
    uncertainty: Tensor | None = None
    uncertainty_note: str = ""


def page(contents: Contents) -> str:
    """The HTML of a report."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    title = escape(contents.title)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}: report of a restoration</title><style>{STYLE}</style></head><body>",
        f'<h1>{title}</h1><p class="soft">Report of a restoration</p>',
        _findings(contents.findings),
        _pictures(contents),
        _details(contents),
        _map("Not supported by the data", contents.unsupported, contents.unsupported_note),
        _map("Uncertainty", contents.uncertainty, contents.uncertainty_note) if contents.uncertainty_note else "",
        _judged(contents),
        _kernel(contents),
        _residual(contents),
        *(_table(name, rows) for name, rows in contents.facts.items()),
        f"<script>{SCRIPT}</script></body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _findings(findings: Sequence[Finding]) -> str:
    lines = [
        f'<p class="{"good" if each.good else "doubt"}">{escape(each.text)}</p>'
        for each in sorted(findings, key=lambda each: each.good)
    ]
    return "<h2>In short</h2>" + "".join(lines)


def _pictures(contents: Contents) -> str:
    """Before and after, whole; the loupe where both are embedded whole."""
    before, after = eight_bits(contents.before), eight_bits(contents.after)
    height, width = after.shape[:2]
    whole = height * width <= WITH_LOUPE
    before, after = (each if whole else reduced(each, SHOWN) for each in (before, after))
    hint = '<p class="soft screen">Move the pointer over the right picture: the loupe shows before in its left half, '
    hint += "after in its right, at 100 %.</p>" if whole else ""
    glass = "<b><i></i><i></i></b>" if whole else ""
    box = ' class="loupe"' if whole else ""
    return (
        f"<h2>Before and after</h2>{hint if whole else ''}"
        f'<div class="row whole"><figure><img id="before" src="{uri(before)}" alt="before">'
        f"<figcaption>Before, {width} x {height} pixels</figcaption></figure>"
        f'<figure><div{box}><img src="{uri(after)}" alt="after">{glass}</div>'
        "<figcaption>After</figcaption></figure></div>"
    )


def _details(contents: Contents) -> str:
    """Places at 100 %: before, after, and what is not supported."""
    height, width = contents.after.shape[-2:]
    side = min(DETAIL, height, width)
    if side < 16:
        return ""
    moved = (contents.after - contents.before.nan_to_num(0)).abs().mean(1, keepdim=True)
    doubt = contents.unsupported if contents.unsupported is not None else torch.zeros_like(moved)
    top = top_of(doubt)
    parts = []
    for y, x in places(moved, doubt, side):
        cut = (..., slice(y, y + side), slice(x, x + side))
        panels: list[tuple[Pixels, str]] = [
            (eight_bits(contents.before[cut]), f"before, at {x}, {y}"),
            (eight_bits(contents.after[cut]), "after"),
        ]
        if contents.unsupported is not None:
            panels.append((coloured(doubt[cut][0, 0], 0, top), "not supported"))
        figures = (
            f'<figure><img src="{uri(p)}" alt=""><figcaption>{escape(name)}</figcaption></figure>' for p, name in panels
        )
        parts.append(f'<div class="details">{"".join(figures)}</div>')
    return f"<h2>Places, {side} pixels wide</h2>{''.join(parts)}"


def places(moved: Tensor, doubt: Tensor, side: int) -> list[tuple[int, int]]:
    """Upper left corners (row, column) of squares that do not overlap: most changed, most doubtful, the middle."""
    height, width = moved.shape[-2:]
    found: list[tuple[int, int]] = []
    middle = torch.zeros_like(moved)
    middle[..., height // 2, width // 2] = 1
    for score in (moved, doubt, middle)[:DETAILS]:
        mean = means(score[0, 0], side)
        for y, x in found:
            mean[max(0, y - side + 1) : y + side, max(0, x - side + 1) : x + side] = -1
        best = int(mean.argmax())
        if float(mean.max()) > 0:
            found.append(divmod(best, mean.shape[1]))
    return found


def means(values: Tensor, side: int) -> Tensor:
    """The mean over every square of `side` pixels within (H, W), (H - side + 1, W - side + 1); NaN counts as 0.

    From running sums, so that the side does not matter to the time; in double precision, since they become large.
    """
    sums = torch.nn.functional.pad(values.detach().cpu().double().nan_to_num(0), (1, 0, 1, 0)).cumsum(0).cumsum(1)
    rows = sums[side:] - sums[:-side]
    mean: Tensor = (rows[:, side:] - rows[:, :-side]) / side**2
    return mean


def _map(title: str, values: Tensor | None, note: str) -> str:
    if values is None:
        return f"<h2>{escape(title)}</h2><p>{escape(note)}</p>"
    top = top_of(values)
    shown = reduced(coloured(values[0, 0], 0, top), SHOWN)
    bar = colour_bar(f"{100 * top:.2g} % of the range")
    return (
        f'<h2>{escape(title)}</h2><p>{escape(note)}</p><figure class="whole"><img src="{uri(shown)}" alt="map">{bar}'
        "</figure>"
    )


def _judged(contents: Contents) -> str:
    if contents.judged is None:
        return ""
    shown = reduced(coloured(contents.judged[0, 0], 0, 1), SHOWN)
    return (
        f'<h2>Judgement</h2><p>{escape(contents.judged_note)}</p><figure class="whole"><img src="{uri(shown)}" '
        f'alt="map">{colour_bar("trust the result", "trust the input")}</figure>'
    )


def _kernel(contents: Contents) -> str:
    if contents.kernel is None:
        return f"<h2>Kernel</h2><p>{escape(contents.kernel_note)}</p>"
    k = contents.kernel
    picture = eight_bits((k / k.max().clamp_min(1e-12))[None, None])
    return (
        f'<h2>Kernel</h2><div class="row"><figure><img class="sharp" src="{uri(picture)}" alt="kernel"></figure>'
        f'<p style="flex:2 1 320px">{escape(contents.kernel_note)}</p></div>'
    )


def _residual(contents: Contents) -> str:
    w = contents.whiteness
    if w is None:
        return f"<h2>Residual</h2><p>{escape(contents.residual_note)}</p>"
    scale = max(0.1, w.largest)
    picture = uri(coloured(w.lags, -scale, scale, SIGNED))
    lines = [("down", w.lags[REACH:, REACH].tolist()), ("across", w.lags[REACH, REACH:].tolist())]
    plot = curves(lines, 0, band=w.chance, x_label="lag, pixels", size=(420, 240))
    bar = colour_bar(f"{scale:.2g}", f"-{scale:.2g}", SIGNED)
    return (
        f"<h2>Residual</h2><p>{escape(contents.residual_note)}</p>"
        f'<div class="row"><figure>{plot}<figcaption>Autocorrelation; grey: what chance does</figcaption></figure>'
        f'<figure><img class="sharp" src="{picture}" alt="autocorrelation">{bar}<figcaption>Autocorrelation at lags '
        f"up to {REACH} pixels, 1 in the middle</figcaption></figure></div>"
    )


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    lines = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<h2>{escape(title)}</h2><table>{lines}</table>"
