"""How often one client may ask: the generic cell rate algorithm, one number a client (ITU-T I.371)."""

_MOST_CLIENTS = 10_000
"""Above, those that have waited long enough are forgotten."""


class Rate:
    """At most so many requests a second of each client; a second's worth may come at once."""

    def __init__(self, per_second: int) -> None:
        self._interval = 1 / per_second
        self._due: dict[str, float] = {}
        """When all that a client asked would have been answered at that rate."""

    def wait(self, client: str, now: float) -> float:
        """Seconds until the client may ask; 0 where it may now, and then it counts. `now`: on the monotonic clock."""
        due = max(self._due.get(client, now), now)
        early = due - now - (1 - self._interval)
        if early > 1e-9:
            return early
        if len(self._due) > _MOST_CLIENTS:
            self._due = {known: at for known, at in self._due.items() if at > now}
        self._due[client] = due + self._interval
        return 0.0
