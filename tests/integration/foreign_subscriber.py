"""A subscriber that knows nothing of pm500: ``python foreign_subscriber.py PORT FILE``.

It writes every message under ``spBv1.0/#`` as a line: topic and payload in hex. It
imports nothing of this project; once it is subscribed it says so.
"""

import sys
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion


def main(port: int, path: str) -> None:
    """Record until the process is ended."""
    with open(path, "w", encoding="utf-8", buffering=1) as file:  # noqa: PTH123

        def on_connect(client: mqtt.Client, *_: Any) -> None:
            client.subscribe("spBv1.0/#", qos=1)

        def on_subscribe(*_: Any) -> None:
            print("subscribed", flush=True)

        def on_message(_: Any, __: Any, message: mqtt.MQTTMessage) -> None:
            file.write(f"{message.topic} {bytes(message.payload).hex()}\n")

        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_connect = on_connect
        client.on_subscribe = on_subscribe
        client.on_message = on_message
        client.connect("127.0.0.1", port)
        client.loop_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
