"""How long a container that has ended waits until it is started again."""

FIRST_S = 10.0
LONGEST_S = 300.0
FORGOTTEN_AFTER_S = 2 * LONGEST_S


class BackOff:
    """The kubelet's: the first restart comes at once, then 10 s, doubling, at most 300 s.

    A container that ran for ten minutes begins anew.
    """

    def __init__(self) -> None:
        self._next_s = 0.0

    def after(self, ran_s: float) -> float:
        """Seconds to wait after it ended, having run for `ran_s`."""
        if ran_s > FORGOTTEN_AFTER_S:
            self._next_s = 0.0
        delay = self._next_s
        self._next_s = min(max(2 * delay, FIRST_S), LONGEST_S)
        return delay
