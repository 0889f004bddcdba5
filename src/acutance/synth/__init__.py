"""Synthesis of blur, noise and everything else that happens to a picture before it is looked at."""

from acutance.synth.degradation import Degradation, Example

__all__ = ["Degradation", "Example"]
