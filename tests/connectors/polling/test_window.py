"""The grace after our own Modbus window."""

from connectors.polling.window import ModbusWindow

SECOND = 1_000_000


def test_silence_after_a_window_is_explained_for_the_grace() -> None:
    window = ModbusWindow(10 * SECOND)
    window.opened()
    window.closed(100 * SECOND)
    assert window.silences(109 * SECOND)
    assert not window.silences(110 * SECOND)


def test_a_window_in_which_modbus_never_opened_explains_nothing() -> None:
    window = ModbusWindow(10 * SECOND)
    window.closed(100 * SECOND)
    assert not window.silences(101 * SECOND)


def test_a_dead_ethernet_ip_is_seen_although_windows_go_on() -> None:
    window = ModbusWindow(10 * SECOND)
    for start in range(100, 200, 10):
        window.opened()
        window.closed(start * SECOND)
    assert not window.silences(195 * SECOND)


def test_after_an_answer_the_next_window_has_its_own_grace() -> None:
    window = ModbusWindow(10 * SECOND)
    for start in (100, 110):
        window.opened()
        window.closed(start * SECOND)
        window.ethernet_ip_answered()
        assert not window.silences(start * SECOND + 1)
    window.opened()
    window.closed(120 * SECOND)
    assert window.silences(125 * SECOND)
