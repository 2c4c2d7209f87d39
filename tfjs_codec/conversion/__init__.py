"""A conversion from end to end.

:mod:`~tfjs_codec.conversion.expression` turns a loaded model into a model of each kind,
:mod:`~tfjs_codec.conversion.convert` chooses the kind and writes it.
"""
