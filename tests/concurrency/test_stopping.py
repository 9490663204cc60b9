"""Signals: their errors, and that they are not lost."""

from __future__ import annotations

import contextlib
import signal

import pytest

from videocolor.concurrency.stages import prefetch
from videocolor.concurrency.stopping import check_signals, signals_raise
from videocolor.errors import Interrupted


@pytest.mark.parametrize(("sent", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Interrupted)])
def test_a_lost_error_is_raised_again_by_the_next_item(sent: signal.Signals, error: type[BaseException]) -> None:
    before = signal.getsignal(sent)
    with signals_raise():
        with contextlib.closing(prefetch(range(9), 2, "count")) as stream:
            next(stream)
            with contextlib.suppress(BaseException):  # as a foreign extension does
                signal.raise_signal(sent)
            with pytest.raises(error):
                next(stream)
        with pytest.raises(error):
            check_signals()
    check_signals()
    assert signal.getsignal(sent) is before


def test_a_handler_of_ones_own_stays() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        with signals_raise():
            signal.raise_signal(signal.SIGINT)
            check_signals()
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == [signal.SIGINT]
