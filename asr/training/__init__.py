"""How the embedded Whisper is made: synthetic telephone speech, trainer, conversion, evaluation.

In order: ``synth`` speaks sentences into a pool of clips, ``train`` learns from the pool, ``convert`` writes the
CTranslate2 folder that faster-whisper loads, ``evaluate`` measures it on sentences and voices never trained on.
Needs no model hub. Nothing at run time imports this package.
"""
