"""From the state dicts of DGUNet's authors to ours: eight networks in four sets of names.

What is one weight in several modules has one name with us, the value of the last of theirs, as when they load it.
What their forward pass never uses is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from torch import Tensor

from acutance.errors import WeightsError

StateDict = dict[str, Tensor]

PLACES = (  # their module, ours in a stage, and the number of their first stage
    (r"r(\d)$", "length", 0),
    (r"phi_(\d)\.body\.", "degradation.", 0),
    (r"phit_(\d)\.body\.", "adjoint.", 0),
    (r"shallow_feat(\d)\.", "features.", 1),
    (r"stage(\d)_encoder\.body\.", "encoder.", 1),
    (r"stage(\d)_decoder\.", "decoder.", 1),
    (r"sam(\d)\d\.", "supervise.", 1),
    (r"merge\d(\d)\.", "merge.", 1),
    (r"concat67\.", "merge.result.", None),
    (r"tail\.", "tail.", None),
)
SENSING_PLACES = (
    *(place for place in PLACES if not re.match(r"phi|concat|merge", place[0])),
    (r"r_final$", "length", None),
    (r"shallow_feat_final\.", "features.", None),
    (r"concat_final\.", "merge.result.", None),
)
WITHIN = (  # places in the stages that the sensing networks keep in modules of their own
    (r"r$", "length"),
    (r"shallow_feat\.", "features."),
    (r"stage_encoder\.body\.", "encoder."),
    (r"stage_decoder\.", "decoder."),
    (r"sam\.", "supervise."),
    (r"concat\.", "merge.result."),
)
PARTS: dict[str, tuple[tuple[str, str], ...]] = {  # inside a module
    "degradation": ((r"0\.", "first."), (r"1\.weight$", "slope"), (r"2\.", "second.")),
    "features": (
        (r"0\.", "entrance."),
        (r"1\.CA\.conv_du\.0\.", "squeeze."),
        (r"1\.CA\.conv_du\.2\.", "excite."),
        (r"1\.body\.0\.", "first."),
        (r"1\.body\.1\.weight$", "slope"),
        (r"1\.body\.2\.", "second."),
    ),
    "encoder": (
        (r"(\d)\.conv_1\.", r"levels.\1.block.first."),
        (r"(\d)\.conv_2\.", r"levels.\1.block.second."),
        (r"(\d)\.(identity|norm)\.", r"levels.\1.block.\2."),
        (r"(\d)\.csff_enc\.", r"levels.\1.fusion.encoded."),
        (r"(\d)\.csff_dec\.", r"levels.\1.fusion.decoded."),
        (r"(\d)\.phi\.", r"levels.\1.fusion.gain."),
        (r"(\d)\.gamma\.", r"levels.\1.fusion.offset."),
        (r"(\d)\.downsample\.", r"levels.\1.down."),
    ),
    "decoder": (
        (r"body\.(\d)\.up\.", r"levels.\1.up."),
        (r"body\.(\d)\.conv_block\.conv_1\.", r"levels.\1.block.first."),
        (r"body\.(\d)\.conv_block\.conv_2\.", r"levels.\1.block.second."),
        (r"body\.(\d)\.conv_block\.identity\.", r"levels.\1.block.identity."),
        (r"skip_conv\.(\d)\.", r"levels.\1.skip."),
    ),
    "supervise": ((r"conv1\.", "features."), (r"conv2\.", "image."), (r"conv3\.", "attention.")),
    "merge": ((r"subnet\.", "subspace."), (r"conv_block\.", "result."), (r"result\.", "result.")),
    "tail": ((r"", ""),),
    "length": ((r"", ""),),
}
PARTS["adjoint"] = PARTS["degradation"]
UNUSED = r"basic\.concat12\."
UNUSED_SENSING = r"(stage_model|body\.\d)\.phit?\.|stage1_encoder\.body\.\d\.csff_"
LAST = 6
"""Number of the authors' last stage, counted from 0."""


def convert_restoration(theirs: StateDict) -> StateDict:
    """Our state dict of DGUNet or DGUNet+ from the authors' for deblurring, denoising and deraining.

    Raises:
        WeightsError: weights for sensing, or a tensor that there is not.
    """
    if "Phi" in theirs:
        raise WeightsError("these are DGUNet's weights for compressive sensing, they hold a sampling matrix Phi; "
                           "use them with dgunet-sense")  # fmt: skip
    tied = any(name.startswith("basic.") for name in theirs)

    def place(name: str) -> tuple[int, str] | None:
        return _found(PLACES, name.removeprefix("basic."))

    return _renamed(theirs, place, UNUSED, tied=tied, slopes=(lambda i: int(0 < i < LAST)) if tied else lambda i: 0)


def convert_sensing(theirs: StateDict) -> StateDict:
    """The same for compressive sensing.

    Raises:
        WeightsError: weights for something else, or a tensor that there is not.
    """
    if "Phi" not in theirs:
        raise WeightsError("no sampling matrix Phi: these are no weights of DGUNet for compressive sensing; weights "
                           "for restoration go with dgunet-deblur, dgunet-denoise or dgunet-derain")  # fmt: skip
    tied = any(name.startswith("stage_model.") for name in theirs)

    def place(name: str) -> tuple[int, str] | None:
        middle = re.match(r"stage_model\.|body\.([0-4])\.", name)
        if middle is None:
            return _found(SENSING_PLACES, name)
        stage, rest = 1 + int(middle[1] or 0), name[middle.end() :]
        ours = next((ours + rest[m.end() :] for pattern, ours in WITHIN if (m := re.match(pattern, rest))), None)
        return None if ours is None else (stage, ours)

    rest = {name: value for name, value in theirs.items() if name != "Phi"}
    slopes = (lambda i: int(0 < i < LAST)) if tied else (lambda i: i % LAST)
    return {
        "sampling.weight": theirs["Phi"],
        **_renamed(rest, place, UNUSED_SENSING, tied=tied, slopes=slopes),
    }


def _found(places: tuple[tuple[str, str, int | None], ...], name: str) -> tuple[int, str] | None:
    """The number of the stage, from 0, and its tensor, still with the authors' names inside a module."""
    for pattern, ours, first in places:
        match = re.match(pattern, name)
        if match is not None:
            return LAST if first is None else int(match[1]) - first, ours + name[match.end() :]
    return None


def _renamed(
    theirs: StateDict,
    place: Callable[[str], tuple[int, str] | None],
    unused: str,
    *,
    tied: bool,
    slopes: Callable[[int], int],
) -> StateDict:
    """Args: place: stage and tensor. tied: the stages between are one. slopes: which PReLU a stage's features have."""
    ours: StateDict = {}
    for name, value in theirs.items():
        if re.match(unused, name):
            continue
        found = place(name)
        stage, rest = found if found is not None else (-1, "")
        module, _, inside = rest.partition(".")
        rule = next((rule for rule in PARTS.get(module, ()) if re.match(rule[0], inside)), None)
        if rule is None or not 0 <= stage <= LAST:
            raise WeightsError(f"{name!r} is no tensor of the authors' DGUNet; give a state dict as they publish it")
        inside = re.sub(f"^{rule[0]}", rule[1], inside, count=1)
        if inside == "slope":
            ours["degradation_slope" if module != "features" else f"feature_slopes.{slopes(stage)}"] = value
            continue
        which = min(stage, 1) + (stage == LAST) if tied else stage
        ours[f"stages.{which}.{module}" + (f".{inside}" if inside else "")] = value
    return ours
