"""What the service counts, in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter

BUCKETS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Seconds, upper ends of the histogram of answers."""


class Metrics:
    """Counters of answers and their times; used from one thread."""

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, int]] = Counter()
        self._within: Counter[float] = Counter()
        self._seconds, self._count = 0.0, 0

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer. Args: route: its template, not the path, so that the number of names is bounded."""
        self._answers[route, status] += 1
        self._seconds += seconds
        self._count += 1
        for end in BUCKETS:
            self._within[end] += seconds <= end

    def text(self, gauges: dict[str, tuple[str, float]]) -> str:
        """All of it. Args: gauges: name -> (what it is, value) of the moment."""
        lines = ["# HELP acutance_answers_total Answers by route and status.", "# TYPE acutance_answers_total counter"]
        for (route, status), count in sorted(self._answers.items()):
            lines.append(f'acutance_answers_total{{route="{route}",status="{status}"}} {count}')
        lines += ["# HELP acutance_answer_seconds Time to an answer.", "# TYPE acutance_answer_seconds histogram"]
        lines += [f'acutance_answer_seconds_bucket{{le="{end:g}"}} {self._within[end]}' for end in BUCKETS]
        lines += [f'acutance_answer_seconds_bucket{{le="+Inf"}} {self._count}']
        lines += [f"acutance_answer_seconds_sum {self._seconds:.6f}", f"acutance_answer_seconds_count {self._count}"]
        for name, (what, value) in gauges.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# HELP acutance_{name} {what}", f"# TYPE acutance_{name} {kind}", f"acutance_{name} {value:g}"]
        return "\n".join(lines) + "\n"
