"""Every error of the campaigns, drawn once.

CampaignError
├── ConfigError          a campaign file, mapping file or text template cannot be used: nothing was changed
├── ImportRefused        a portfolio or update file cannot be read as a whole: nothing was imported
├── UpdateError          (campaigns.importing.updates) a lender's update cannot be applied
├── LedgerError          the ledger was asked for something that its state forbids
├── NotPrepared          a rule stands against a call that was about to be made ready: it is tried later
├── PlaceRefused         the provider said no, for certain: no telephone rang
└── PlaceUncertain       nobody can say whether a telephone rings: the attempt becomes ``unknown``
"""

from __future__ import annotations


class CampaignError(Exception):
    """Base of the tree. ``str(error)`` is one line that names what is wrong and holds no personal data."""


class ConfigError(CampaignError):
    """A campaign file, mapping file or text template cannot be used."""


class ImportRefused(CampaignError):  # noqa: N818 - what happened, not what failed
    """A file cannot be read at all (encoding, size, columns). Rows that cannot be used are no exception."""


class LedgerError(CampaignError):
    """The ledger was asked for something that its state forbids."""


class NotPrepared(CampaignError):  # noqa: N818 - what happened, not what failed
    """A rule stands against the call by now: nobody was called, and the contact waits for the rules to allow it."""


class PlaceRefused(CampaignError):  # noqa: N818 - what happened, not what failed
    """The provider refused the request, for certain: no telephone rang.

    ``cause`` is an outcome of ``campaigns.outcomes`` (``trunk_error``, ``invalid_number``, ``rejected`` …).
    """

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(f"{cause}: {detail}" if detail else cause)
        self.cause = cause


class PlaceUncertain(CampaignError):  # noqa: N818 - what happened, not what failed
    """The provider was asked and nobody can say whether it dialled (a time-out, a broken connection, a 5xx)."""
