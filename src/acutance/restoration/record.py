"""The side-car of a restoration, from what it knows of itself; see `acutance.trust.sidecar`."""

from __future__ import annotations

from acutance.operators import Blur, BlurField
from acutance.restoration.doubt import origin_of
from acutance.restoration.restored import Restoration
from acutance.trust.machine import this_machine
from acutance.trust.sidecar import File, Made, Run, Settings, Sidecar, hash_of_kernel


def sidecar_of(
    done: Restoration,
    *,
    source: File,
    settings: Settings,
    output: Made,
    kernel: File | None = None,
    mask: File | None = None,
    weights: File | None = None,
    profile: File | None = None,
) -> Sidecar:
    """The side-car of a result that has been written.

    Args:
        done: the restoration. source: the input. settings: as options of the command that would make the same.
        output: the file of the result. kernel, mask, weights, profile: files that were read; None:
            there was none.

    Raises:
        ConfigError: the restoration does not hold its problem.
    """
    restorer = origin_of(done).restorer
    run = Run(
        method=done.ran,
        weights=done.weights,
        weights_sha256=dict(restorer.hashes),
        kernel_sha256=_hash_of_blur(done),
        noise_level=done.noise_level,
        noise_reason=done.noise_reason,
        steps=done.steps,
        outcome=done.outcome.name.lower(),
    )
    machine = this_machine(restorer.device, restorer.precision)
    return Sidecar(source, settings, run, machine, output, kernel, mask, weights, profile)


def _hash_of_blur(done: Restoration) -> str | None:
    """The hash of the kernel that was found or given; None where there is none."""
    if done.result.kernel is not None:
        return hash_of_kernel(done.result.kernel)
    match origin_of(done).prepared.problem.operator:
        case Blur() as blur:
            return hash_of_kernel(blur.kernel)
        case BlurField() as field:
            return hash_of_kernel(field.kernels)
    return None
