"""Our own labelled utterances: hand-written patterns (``zh.txt``, ``en.txt``) and what they expand to."""
