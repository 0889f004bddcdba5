"""Where networks and pictures are computed."""

from __future__ import annotations

import torch

from acutance.errors import ConfigError


def resolve_device(device: torch.device | str) -> torch.device:
    """ "auto": a GPU if there is one, else the CPU.

    Raises:
        ConfigError: a device that torch does not know or that is not there.
    """
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        raise ConfigError(f"the device {str(device)!r} cannot be used ({_short(error)}); try --device cpu") from None
    return found


def _short(error: Exception) -> str:
    """What torch says of a device, without the list of all that there are."""
    text = str(error).splitlines()[0]
    return "there is no such kind of device" if text.startswith("Expected one of") else text
