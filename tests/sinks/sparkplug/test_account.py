"""The account against a host that forgets whatever the server has not proved."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from sinks.sparkplug.account import Account, Mark
from sinks.sparkplug.owed import NOTHING

DEVICES = ("a", "b")


class Deliveries(RuleBasedStateMachine):
    """Frames come, sessions begin and break, the process dies: nothing is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self.arrived: set[int] = set()
        self.under_way: list[int | str] = []
        self.online = False
        self.born: set[str] = set()
        self.probe = 0
        self.account = Account(Mark(NOTHING, 0), DEVICES)

    @rule(device=st.sampled_from(DEVICES))
    def frame(self, device: str) -> None:
        offset = len(self.log)
        self.log.append(device)
        self.account.looked(offset + 1)
        if self.online and device in self.born:
            self.under_way.append(offset)
            self.account.sent(device, offset)
        else:
            self.account.owe(device, offset)

    @precondition(lambda self: not self.online)
    @rule()
    def connect(self) -> None:
        self.account.connected()
        self.online = True

    @precondition(lambda self: self.online)
    @rule(device=st.sampled_from(DEVICES))
    def birth(self, device: str) -> None:
        self.born.add(device)
        self.account.born(device)

    @precondition(lambda self: self.online)
    @rule(device=st.sampled_from(DEVICES))
    def death(self, device: str) -> None:
        self.born.discard(device)

    @precondition(lambda self: self.online)
    @rule(most=st.integers(1, 5))
    def catch_up(self, most: int) -> None:
        start = self.account.next_owed
        if start is None:
            return
        waiting = []
        stop = min(start + most, self.account.live)
        for offset in range(start, stop):
            device = self.log[offset]
            if self.account.holds(device, offset):
                if device in self.born:
                    self.under_way.append(offset)
                else:
                    waiting.append((device, offset))
        self.account.settle(stop, waiting)

    @precondition(lambda self: self.online)
    @rule()
    def ask(self) -> None:
        self.probe += 1
        self.account.probed(self.probe, 0)
        self.under_way.append(f"probe {self.probe}")

    @precondition(lambda self: self.under_way)
    @rule(count=st.integers(1, 5))
    def arrive(self, count: int) -> None:
        for item in self.under_way[:count]:
            if isinstance(item, int):
                self.arrived.add(item)
            else:
                self.account.proved(int(item.split()[1]))
        del self.under_way[:count]

    @precondition(lambda self: self.online)
    @rule()
    def cut(self) -> None:
        self._gone()
        self.account.broke()

    @rule()
    def die(self) -> None:
        mark = self.account.proved_mark if self.online else self.account.now()
        self._gone()
        owed = mark.owed.add(DEVICES, mark.live, len(self.log))
        self.account = Account(Mark(owed, len(self.log)), DEVICES)

    def _gone(self) -> None:
        self.under_way.clear()
        self.online = False
        self.born.clear()

    def teardown(self) -> None:
        if not self.online:
            self.connect()
        for device in DEVICES:
            self.birth(device)
        while self.account.next_owed is not None:
            self.catch_up(100)
        self.arrive(len(self.under_way))
        assert self.arrived == set(range(len(self.log)))
        assert self.account.records == 0


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
