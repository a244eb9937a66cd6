"""Sound as every layer knows it: G.711, resampling, what a telephone does to a voice, and the embedded synthesiser.

Lowest layer: imports nothing of ours. PCM is mono unless a docstring says otherwise; floats lie in [-1, 1].
"""
