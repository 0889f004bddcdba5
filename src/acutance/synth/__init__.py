"""Synthesis of blur, noise and everything else that happens to a picture before it is looked at."""

from acutance.synth.camera import Camera
from acutance.synth.degradation import Degradation, Example, Synthesis
from acutance.synth.motion import DynamicBlur
from acutance.synth.noisy import Noisy
from acutance.synth.rain import Rain
from acutance.synth.untouched import Untouched

__all__ = ["Camera", "Degradation", "DynamicBlur", "Example", "Noisy", "Rain", "Synthesis", "Untouched"]
