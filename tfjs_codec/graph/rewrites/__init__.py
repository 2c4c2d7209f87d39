"""Operations that tfjs lacks or computes wrongly, rewritten to operations that are right.

One module for each family of operations; :mod:`~tfjs_codec.graph.rewrites.registry` says how a rule
is written, :mod:`~tfjs_codec.graph.rewrites.rewrite` is the pass that applies them.
"""
