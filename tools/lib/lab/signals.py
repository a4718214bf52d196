# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signals that end a run, as an exception, so that what was started is ended."""

import signal

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signalled(Exception):
    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.number = number


def catch_signals():
    def handle(number, _):
        for caught in _STOPPING:
            signal.signal(caught, signal.SIG_IGN)  # no second one into the cleaning up
        raise Signalled(number)
    for caught in _STOPPING:
        signal.signal(caught, handle)


def default_signals():
    """For a child, before exec."""
    for caught in _STOPPING:
        signal.signal(caught, signal.SIG_DFL)
