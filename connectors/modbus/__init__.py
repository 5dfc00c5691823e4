"""Modbus TCP: the protocol from pymodbus, the bytes by asyncio."""
