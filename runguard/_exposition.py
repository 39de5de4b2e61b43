"""Metrics as text that Prometheus reads: its own client library writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from ._errors import ConfigurationError
from ._monitor.metrics import Gauge

if TYPE_CHECKING:
    from prometheus_client import Metric

MISSING: Final = (
    "metrics need the extra 'metrics' (prometheus-client): pip install 'runguard-runlog[metrics]'"
)


def exposition(gauges: Iterable[Gauge], *, accept: str = "") -> tuple[bytes, str]:
    """Return metrics in the format that `accept` prefers, and its content type.

    Args:
        gauges: What to write.
        accept: An HTTP `Accept` header. Empty, or one that names no format: the text format.

    Raises:
        ConfigurationError: prometheus-client is not installed.
    """
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder
    except ImportError:
        raise ConfigurationError(MISSING) from None
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(gauges))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Given:
    """What a registry asks for its metrics."""

    def __init__(self, gauges: Iterable[Gauge]) -> None:
        self._gauges = tuple(gauges)

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        for name, text, labels, values in self._gauges:
            family = GaugeMetricFamily(name, text, labels=labels)
            for its, value in values:
                family.add_metric([_encodable(one) for one in its], value)
            yield family


def _encodable(text: str) -> str:
    """Escape half of a character, which a file may hold and UTF-8 cannot."""
    return text.encode(errors="backslashreplace").decode()
