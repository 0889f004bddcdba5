"""Contender: a method with settings, as written on the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch

from acutance.errors import ConfigError, UnknownMethod
from acutance.methods.spec import Needs, find
from acutance.methods.written import read_method, value_text
from acutance.restoration.restorer import Restorer
from acutance_lab.bench.levels import ESTIMATORS
from acutance_lab.bench.peers import PEERS, load_peer
from acutance_lab.bench.plain import Plain
from acutance_lab.bench.runner import MethodRunner, Runner

LEAST = 1 / 255 / math.sqrt(12)
"""The noise level that is told of pictures without noise: that of rounding to 8 bits. Told 1e-6, classical methods lose
10 dB to the border that they do not know."""

Told = Literal["true", "estimated"] | float
"""The noise level that a method is told: the true one, none (it estimates), or always the same."""


@dataclass(frozen=True)
class Contender:
    """A method of the catalogue, or a peer, with settings.

    Args:
        name: of the catalogue or of `PEERS`. settings: keyword arguments of `Restorer.load`, or of the peer.
        sigma: which noise level it is told; None: the true one if it needs one, else none.
        linear: whether it solves in linear light. plain: whether its network is run as
            `acutance_lab.bench.plain` writes it. untrained: whether its weights are random, the same each time.

    Example:
        >>> Contender.parse("rgdm:threshold=0,steps=50").label
        'rgdn:steps=50,threshold=0'
        >>> wiener = find("wiener").needs
        >>> Contender.parse("wiener:sigma=estimated").tell(0.02, wiener)
        >>> Contender.parse("wiener:sigma=0.03").tell(0.02, wiener)
        0.03
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    sigma: Told | None = None
    linear: bool = False
    plain: bool = False
    untrained: bool = False

    @staticmethod
    def parse(text: str) -> Contender:
        """From ``NAME`` or ``NAME:SETTING=VALUE,SETTING=VALUE``.

        ``weights=FILE`` is a setting like others; ``sigma=estimated``, ``sigma=0.02`` say what the method is told;
        ``linear=true`` decodes the picture before and encodes it after; ``plain=true`` and ``untrained=true`` are for
        measuring time.

        Raises:
            UnknownMethod: no such name. ConfigError: a setting without a value; a noise level that is none, or told
                to a method that wants none.
        """
        name, settings = read_method(text)
        known, needs = _needs(name)
        told: Told | None = None
        if "sigma" in settings:
            told = _told(settings.pop("sigma"), text)
            if told == ("true" if needs.sigma else "estimated"):  # as without saying it
                told = None
            elif not (needs.sigma or needs.uses_sigma):
                raise ConfigError(f"{known} is told no noise level; leave out sigma in {text!r}")
        flags = {name: settings.pop(name, False) for name in ("linear", "plain", "untrained")}
        for flag, value in flags.items():
            if not isinstance(value, bool):
                raise ConfigError(f"{flag}={value_text(value)} in {text!r}: write {flag}=true or {flag}=false")
            if value and (known in PEERS or known in ESTIMATORS):
                raise ConfigError(f"{known} has no {flag}; leave it out in {text!r}")
        return Contender(known, settings, told, **flags)

    def with_steps(self, steps: int, device: torch.device | str = "cpu") -> Contender:
        """The same with exactly so many steps, of which no threshold leaves any out; itself if it shows no steps."""
        if not self.load(device).has_steps:
            return self
        settings = {**self.settings, "steps": steps}
        try:
            exact = replace(self, settings={**settings, "threshold": 0})
            exact.load(device)
        except ConfigError:  # it has no threshold
            exact = replace(self, settings=settings)
        return exact

    @property
    def label(self) -> str:
        """Name and settings in alphabetical order; without the weights, whose version a row has anyway."""
        told: dict[str, Any] = {} if self.sigma is None else {"sigma": self.sigma}
        told |= {flag: True for flag in ("linear", "plain", "untrained") if getattr(self, flag)}
        shown = [
            f"{key}={value_text(value)}" for key, value in sorted((self.settings | told).items()) if key != "weights"
        ]
        return f"{self.name}:{','.join(shown)}" if shown else self.name

    def tell(self, sigma: float | None, needs: Needs) -> float | None:
        """The noise level that a method of such needs is told where `sigma` is the true one; None: it estimates.

        Of a picture without noise it is `LEAST`.
        """
        true = LEAST if sigma == 0 else sigma
        match self.sigma:
            case None:
                return true if needs.sigma else None
            case "true":
                return true
            case "estimated":
                return None
            case fixed:
                return fixed

    def load(self, device: torch.device | str) -> Runner:
        """The method, ready to run."""
        if self.name in ESTIMATORS:
            return ESTIMATORS[self.name]
        if self.name in PEERS:
            return load_peer(self.name, self.settings)
        restorer = self._untrained() if self.untrained else None
        if restorer is None:
            restorer = Restorer.load(self.name, **{"device": device, **self.settings})
        if self.plain:
            restorer = replace(restorer, method=Plain.of(restorer.method))
        return MethodRunner(restorer, self.linear)

    def _untrained(self) -> Restorer | None:
        """With random weights; None: it is a method without any."""
        spec = find(self.name)
        if spec.weights is None:
            return None
        torch.manual_seed(0)
        settings = {"weights": None, "device": "cpu", "precision": "auto", "tile": None, **self.settings}
        return Restorer(spec, spec.build(**settings), torch.device("cpu"))


def _needs(name: str) -> tuple[str, Needs]:
    """The proper name of a method or a peer, and what it is to be told."""
    if name in PEERS:
        return name, PEERS[name].needs
    if name in ESTIMATORS:
        return name, ESTIMATORS[name].needs
    try:
        spec = find(name)
    except UnknownMethod as error:
        raise UnknownMethod(f"{error}; and, in the benchmark, {', '.join((*PEERS, *ESTIMATORS))}") from None
    return spec.name, spec.needs


def _told(value: object, text: str) -> Told:
    match value:
        case True:
            return "true"
        case "estimated":
            return "estimated"
        case int() | float() if not isinstance(value, bool) and math.isfinite(value) and 0 <= value < 1:
            return float(value)
        case _:
            raise ConfigError(
                f"sigma={value_text(value)} in {text!r}: write sigma=estimated, or a level such as sigma=0.02"
            )
