"""Wrong programs: each must fail the fast suite.

    python tests/mutants/mutants.py                 # all, one after the other
    python tests/mutants/mutants.py gru einsum      # those whose names contain a word

A mutant is the package with one text replaced. It is killed by the tests in ``FIRST``, or by the
whole fast suite (``--all`` to try that for those that survive). A mutant whose text is not
in the package, or there more than once, is an error: the table then no longer says what it should.
Not part of the suite itself, because it runs the suite; ``tests/unit/test_mutants.py`` checks that
the table fits the code.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FAST = "not node and not oracle and not chromium and not tensorflow and not cluster"
# By the file or its folder, the tests that take seconds and probably fail.
PROGRAMS, PREDICTIONS = "tests/contract/test_programs.py", "tests/contract/test_predictions.py"
THEANO = "tests/contract/test_theano.py"
FIRST = {
    "layers": (THEANO, PROGRAMS, PREDICTIONS),
    "operations": (THEANO, PROGRAMS, PREDICTIONS),
    "graph": ("tests/unit/test_rewritten.py", "tests/unit/test_kernels.py", "tests/unit/test_quirks.py",
              "tests/contract/test_graph_questions.py", PREDICTIONS),
    "graph/optimise/unroll.py": ("tests/unit/test_unroll.py",),
    "writers": ("tests/unit/test_rewritten.py", "tests/property/test_quantize.py", PREDICTIONS),
    "writers/saved_model.py": ("tests/unit/test_saved_models_written.py",),
    "quantization": ("tests/unit/test_quantization.py", "tests/contract/test_quantized.py",
                     "tests/property/test_rescaling.py"),
    "quantization/bias.py": ("tests/contract/test_bias_correction.py",),
    "files": ("tests/unit/test_remote.py", "tests/unit/test_batch.py"),
    "batches": ("tests/unit/test_batch.py",),
    "preview": ("tests/unit/test_preview.py",),
}  # fmt: skip


class Mutant(NamedTuple):
    """A text of a file and what stands there instead."""

    name: str
    file: str
    text: str
    instead: str


MUTANTS = (
    # Rules of layers
    Mutant("gru_gate_sign", "layers/rules/cells.py", "affine(b, z, -1, 1)", "affine(b, z, 1, 1)"),
    Mutant("lstm_gates_exchanged", "layers/rules/cells.py", "for k in (0, 1, 3)", "for k in (1, 0, 3)"),
    Mutant("gru_bias_row", "layers/rules/cells.py", '"recurrent_kernel", "zrh", 1)', '"recurrent_kernel", "zrh", 0)'),
    Mutant("state_at_the_wrong_end", "layers/rules/cells.py", "last=bool(layer", "last=not bool(layer"),
    Mutant("batch_norm_epsilon", "layers/rules/norm.py", '"epsilon": layer.config["epsilon"],', '"epsilon": 2 * layer.config["epsilon"],'),
    Mutant("layer_norm_epsilon", "layers/rules/norm.py", 'epsilon = layer.config["epsilon"]\n    if', 'epsilon = 2 * layer.config["epsilon"]\n    if'),
    Mutant("group_norm_epsilon", "layers/rules/norm.py", '[1, 3], layer.config["epsilon"])', '[1, 3], 2 * layer.config["epsilon"])'),
    Mutant("hard_sigmoid_scale", "layers/rules/activation.py", "affine(b, x, 5 / 6)", "affine(b, x, 1)"),
    Mutant("recurrent_hard_sigmoid_scale", "layers/rules/recurrent.py", "= 5 / 6", "= 1"),
    Mutant("norm_permutation", "layers/rules/norm.py", "[order.index(i) + 1 for", "[order[i - 1] for"),
    Mutant("norm_size", "layers/rules/norm.py", "1 / np.sqrt(size))", "1 / np.sqrt(size + 1))"),
    Mutant("mask_sign", "layers/rules/attention.py", "[scores, affine(b, keep, _BIG, -_BIG)]", "[scores, affine(b, keep, -_BIG, _BIG)]"),
    Mutant("causal_padding", "layers/rules/conv.py", '(config["kernel_size"][0] - 1) *', 'config["kernel_size"][0] *'),
    Mutant("groups_of_the_wrong_input", "layers/rules/conv.py", "i // inner == j // step", "i // inner == groups - 1 - j // step"),
    Mutant("pooling_window", "layers/rules/pooling.py", "np.arange(total) - before", "np.arange(total) - before + 1"),
    # The graph: rewrites, folding, fusing
    Mutant("folded_epsilon", "graph/optimise/affine.py", 'variance + node.attrs["epsilon"]', 'variance + 2 * node.attrs["epsilon"]'),
    Mutant("batch_norm_rewrite", "graph/rewrites/normalisation.py", 'build.op("AddV2", variance, epsilon)', 'build.op("AddV2", variance, scale)'),
    Mutant("volume_not_flipped", "graph/rewrites/convolution.py", "[::-1, ::-1, ::-1]", "[::-1, ::-1]"),
    Mutant("sequence_end", "graph/rewrites/sequence.py", 'build.op("Less", steps, ends', 'build.op("LessEqual", steps, ends'),
    Mutant("layout_permutation", "graph/rewrites/layout.py", "whole.transpose(np.argsort(perm))", "whole.transpose(perm)"),
    Mutant("division_rounds", "graph/kernels/arithmetic.py", "(x < 0) != (y < 0)", "(x < 0) == (y < 0)"),
    Mutant("running_sum_exclusive", "graph/kernels/reductions.py", "moved[:-1]])", "moved[1:]])"),
    Mutant("kernel_padding", "graph/kernels/networks.py", "(total // 2, total - total // 2)", "(total - total // 2, total // 2)"),
    Mutant("kernel_overlap", "graph/kernels/images.py", "shared / union, 0) <= overlap", "shared / union, 0) < overlap"),
    Mutant("kernel_shrink", "graph/kernels/arrays.py", 'masked("shrink_axis_mask", i)', 'masked("new_axis_mask", i)'),
    # Rules and operations of graphs
    Mutant("graph_gru_sign", "operations/rules/recurrent.py", "a.subtract(b, h, fresh)", "a.subtract(b, fresh, h)"),
    Mutant("graph_lstm_gates", "operations/rules/recurrent.py", "i, g, o = _activate", "g, i, o = _activate"),
    Mutant("graph_group_norm_epsilon", "operations/rules/normalization.py", 'a.add(b, variance, float(layer.config["epsilon"]))', 'a.add(b, variance, 2 * float(layer.config["epsilon"]))'),
    Mutant("graph_masked_factor", "operations/rules/merging.py", "a.where(b, keep, x, 1.0)", "a.where(b, keep, x, 0.0)"),
    Mutant("graph_volume_not_flipped", "operations/ops/convolution.py", "flip(b, kernel, [0, 1, 2])", "flip(b, kernel, [0, 1])"),
    Mutant("graph_product_transposed", "operations/ops/linalg.py", '"adj_y": transpose_y', '"adj_y": not transpose_y'),
    Mutant("graph_shift_sign", "operations/ops/normalization.py", "shift = a.negative(b, a.multiply(b, mean, factor))", "shift = a.multiply(b, mean, factor)"),
    Mutant("graph_norm_axes", "operations/ops/normalization.py", "x.shape[i] if i in axes else 1", "x.shape[i] if i not in axes else 1"),
    Mutant("loop_forwards", "operations/scan.py", "a.subtract(b, last, index) if backwards else index", "index"),
    Mutant("unrolled_forwards", "operations/scan.py", "reversed(slices) if backwards else slices", "slices"),
    Mutant("unrolled_other_branch", "graph/optimise/unroll.py", "[None, inputs[0]] if bool(known) else [inputs[0], None]", "[inputs[0], None] if bool(known) else [None, inputs[0]]"),
    # Quantisation
    Mutant("variance_factor", "quantization/rescale.py", "* factors**2 - member.epsilon", "* factors - member.epsilon"),
    Mutant("factors_overflow", "quantization/rescale.py", "wanted.max() if shrinks else wanted.min()", "wanted.min() if shrinks else wanted.max()"),
    Mutant("bias_shift_sign", "quantization/bias.py", "+ count * shift.astype", "- count * shift.astype"),
    # Writers
    Mutant("quantised_to_one_level_less", "writers/quantize.py", "scale = (high - low) / levels", "scale = (high - low) / (levels + 1)"),
    Mutant("signature_output", "writers/saved_model.py", "Ref(call.name, places[key])", "Ref(call.name, 0)"),
    Mutant("output_numbers", "writers/tfjs_graph.py", 'f"{tensor.ref.node}:{tensor.ref.output}"', 'f"{tensor.ref.node}:0"'),
    # URLs, batches, previews
    Mutant("range_from_the_start", "files/remote_file.py", "data[start - origin * _BLOCK_BYTES : stop - origin * _BLOCK_BYTES]", "data[: stop - start]"),
    Mutant("block_off_by_one", "files/remote_file.py", "start = (number - first) * _BLOCK_BYTES", "start = (number - first + 1) * _BLOCK_BYTES"),
    Mutant("journal_line_cut_off", "files/journal.py", 'os.read(self._fd, 1) != b"\\n"', 'os.read(self._fd, 1) == b"\\n"'),
    Mutant("journal_of_two", "files/journal.py", "fcntl.LOCK_EX |", "fcntl.LOCK_SH |"),
    Mutant("task_left_out", "batches/batch.py", "reversed(chunk[len(answers) :])", "reversed(chunk[len(answers) + 1 :])"),
    Mutant("histogram_place", "preview/histogram.py", "(values - low) / step", "(values + low) / step"),
    Mutant("histogram_deviation", "preview/histogram.py", "math.sqrt(squares / number)", "squares / number"),
)  # fmt: skip


def source(mutant: Mutant) -> str:
    """Return the text of the mutant's file, which has what it replaces exactly once."""
    text = (ROOT / "tfjs_codec" / mutant.file).read_text()
    count = text.count(mutant.text)
    if count != 1:
        raise LookupError(f"{mutant.name}: {mutant.file} has {mutant.text!r} {count} times")
    return text


def survives(mutant: Mutant, folder: Path, tests: tuple[str, ...]) -> bool:
    """Whether *tests* pass with the mutant, a copy of the package in *folder*."""
    package = folder / "tfjs_codec"
    shutil.copytree(ROOT / "tfjs_codec", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / mutant.file).write_text(source(mutant).replace(mutant.text, mutant.instead))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", FAST]
    line = [*command, "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml")]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*line, *(str(ROOT / test) for test in tests)],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return done.returncode == 0


def main() -> None:
    """Run the mutants; exit with 1 if any survives."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*")
    parser.add_argument("--all", action="store_true", help="the whole suite for survivors")
    options = parser.parse_args()
    alive = []
    for mutant in MUTANTS:
        if options.words and not any(word in mutant.name for word in options.words):
            continue
        first = FIRST.get(mutant.file) or FIRST[mutant.file.partition("/")[0]]
        tries = [first, ("tests",)] if options.all else [first]
        for tests in tries:
            with tempfile.TemporaryDirectory() as folder:
                lives = survives(mutant, Path(folder), tests)
            if not lives:
                break
        print(f"{'SURVIVES' if lives else 'killed  '} {mutant.name}", flush=True)
        alive += [mutant.name] * lives
    sys.exit(bool(alive))


if __name__ == "__main__":
    main()
