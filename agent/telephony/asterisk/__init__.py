"""Asterisk: calls through a PBX that does the SIP, controlled over ARI, heard over chan_websocket or AudioSocket."""

from agent.telephony.asterisk.ari import Ari, AriError
from agent.telephony.asterisk.carrier import AsteriskCarrier

__all__ = ["Ari", "AriError", "AsteriskCarrier"]
