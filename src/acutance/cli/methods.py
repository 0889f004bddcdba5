"""`acutance methods`."""

from __future__ import annotations

from acutance.cli.console import out
from acutance.methods.spec import catalogue
from acutance.weights import embedded_names


def methods() -> None:
    """List the methods that there are."""
    shipped = embedded_names()
    width = max(len(", ".join((spec.name, *spec.aliases))) for spec in catalogue().values())
    for spec in catalogue().values():
        names = ", ".join((spec.name, *spec.aliases))
        foreign = spec.weights is not None and spec.weights not in shipped
        wanted = (
            ("kernel", spec.needs.kernel), ("noise level", spec.needs.sigma), ("--weights, none are shipped", foreign),
        )  # fmt: skip
        wants = [want for want, yes in wanted if yes]
        needs = ", ".join(wants) or "nothing"
        out.print(f"[bold]{names:<{width}}[/] {spec.summary}  [dim](needs: {needs}; {spec.reference})[/]")
