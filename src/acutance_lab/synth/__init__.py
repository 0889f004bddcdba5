"""Synthesis of blur, noise and everything else that happens to a picture before it is looked at."""

from acutance_lab.synth.camera import Camera
from acutance_lab.synth.degradation import Degradation, Example, Synthesis
from acutance_lab.synth.in_place import Untouched
from acutance_lab.synth.motion import DynamicBlur
from acutance_lab.synth.noisy import Noisy
from acutance_lab.synth.rain import Rain

__all__ = ["Camera", "Degradation", "DynamicBlur", "Example", "Noisy", "Rain", "Synthesis", "Untouched"]
