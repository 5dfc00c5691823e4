"""EtherNet/IP explicit messages (UCMM): the protocol from pycomm3, bytes by asyncio."""
